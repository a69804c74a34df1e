//! Routers that say too much or take too little, and the honest one beside them.

use std::collections::BTreeSet;
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use loods::bgp::types::Family;
use loods::bgp::wire::message::Message;

use crate::octets::{self, keepalive, message, update};
use crate::router::Router;
use crate::speaker::Speaker;

/// A flood ends after so many octets, should nobody stop it.
const MOST: usize = 1 << 30;

#[test]
fn a_flood_delays_nobody_else() {
    let kinds = [
        keepalive(),
        // ORIGIN alone, with a value that does not exist: a fault to be noted.
        update(&[], &[0x40, 1, 1, 9], &[24, 203, 0, 113]),
        message(octets::ROUTE_REFRESH, &[0, 1, 0, 1]),
    ];
    let routers = [(); 3].map(|()| Router::new());
    let honest = Router::new();
    let mut speaker = Speaker::start(routers.iter().chain([&honest]));
    speaker.tell("fill 2000 10.0.0.0");
    let mut witness = honest.session();
    let mut table = witness.hear_table();
    witness.hear_until(&mut table, "10.0.7.207/32");

    let over = Arc::new(AtomicBool::new(false));
    let mut floods = Vec::new();
    for (router, kind) in routers.iter().zip(&kinds) {
        let mut line = router.session();
        let mut reader = line.stream.try_clone().expect("a second handle");
        // Read and thrown away, so that a table asked for again does go out.
        thread::spawn(move || {
            let mut chunk = [0; 64 << 10];
            while reader.read(&mut chunk).is_ok_and(|count| count > 0) {}
        });
        let over = Arc::clone(&over);
        let octets = kind.repeat(400);
        floods.push(thread::spawn(move || {
            let mut sent = 0;
            while !over.load(Relaxed) && sent < MOST && line.try_send(&octets) {
                sent += octets.len();
            }
            (line, sent)
        }));
    }

    let mut times = Vec::new();
    for number in 0..20 {
        let prefix = format!("192.0.2.{number}/32");
        let told = Instant::now();
        speaker.tell(&format!("add {prefix}"));
        witness.hear_until(&mut table, &prefix);
        times.push(told.elapsed());
    }
    over.store(true, Relaxed);
    let floods: Vec<_> = floods.into_iter().map(|flood| flood.join()).collect();
    times.sort();
    let median = times[times.len() / 2];
    assert!(median < Duration::from_millis(200), "{times:?}");
    for (place, flood) in floods.into_iter().enumerate() {
        let (line, sent) = flood.expect("the flood ran");
        assert!(sent > 100_000, "flood {place} had only {sent} octets");
        speaker.wait_peer(place, "state", |state| state == "Established");
        assert!(
            routers[place].dialled().is_none(),
            "the flood kept its session"
        );
        drop(line);
    }
}

#[test]
fn a_router_that_never_reads_costs_no_memory() {
    // Each change kept until it can be written would be 32 octets at the least.
    const ROUTES: usize = if cfg!(debug_assertions) {
        20_000
    } else {
        50_000
    };
    let [stuck, honest] = [Router::new(), Router::new()];
    let mut speaker = Speaker::start([&stuck, &honest]);
    let mut stuck_line = stuck.session();
    let mut witness = honest.session();
    let mut table = witness.hear_table();
    let mut flap = |rounds: std::ops::Range<u32>, marker: &str| {
        for round in rounds {
            speaker.tell(&format!("fill {ROUTES} 10.0.0.0 communities=64512:{round}"));
        }
        speaker.tell(&format!("clear {ROUTES} 10.0.0.0"));
        speaker.tell(&format!("add {marker}"));
        witness.hear_until(&mut table, marker);
        speaker.anonymous()
    };
    let after_one = flap(0..1, "192.0.2.1/32");
    let after_all = flap(1..20, "192.0.2.2/32");
    assert!(
        after_all < after_one + (8 << 10),
        "{after_one} KiB after one round, {after_all} KiB after all"
    );
    assert!(after_all < 48 << 10, "{after_all} KiB");
    // It wakes up: what it reads ends in the same table.
    let mut late = BTreeSet::new();
    stuck_line.hear_until(&mut late, "192.0.2.2/32");
    speaker.tell("add 198.51.100.1/32");
    stuck_line.hear_until(&mut late, "198.51.100.1/32");
    witness.hear_until(&mut table, "198.51.100.1/32");
    assert_eq!(
        late.len(),
        3,
        "the routes that stood at the end, and no other"
    );
    assert_eq!(late, table);
    assert!(stuck.dialled().is_none(), "one session all the time");
}

#[test]
fn a_reset_within_the_first_table() {
    const ROUTES: usize = 50_000;
    let router = Router::new();
    let mut speaker = Speaker::start([&router]);
    speaker.tell(&format!("fill {ROUTES} 10.0.0.0"));
    speaker.wait_peer(0, "wanted", |count| count == ROUTES);
    let mut line = router.session();
    line.hear_update();
    // To close with octets unread is a reset.
    drop(line);
    speaker.wait_peer(0, "lastError", |error| {
        error
            .as_str()
            .is_some_and(|text| text.contains("Established"))
    });
    let peers = speaker.peers().expect("it answers");
    assert_eq!(peers[0]["advertised"].as_u64(), Some(0));
    assert_eq!(router.session().hear_table().len(), ROUTES);
}

#[test]
fn the_table_is_told_again_when_asked_for() {
    let router = Router::new();
    let mut speaker = Speaker::start([&router]);
    let mut line = router.session();
    let mut table = line.hear_table();
    speaker.tell("fill 3000 10.0.0.0");
    line.hear_until(&mut table, "10.0.11.183/32");
    line.say(&Message::RouteRefresh(Some(Family::Ipv4)));
    let mut again = BTreeSet::new();
    line.hear_until(&mut again, "10.0.11.183/32");
    assert_eq!(again, table);
    // Families that nobody agreed on, and subtypes that nobody offered.
    for body in [[0, 2, 0, 1], [0, 99, 0, 99], [0, 1, 9, 1]] {
        line.send(&message(octets::ROUTE_REFRESH, &body));
    }
    speaker.tell("add 192.0.2.1/32");
    let update = line.hear_update();
    assert_eq!(update.reach, ["192.0.2.1/32".parse().expect("a prefix")]);
}
