//! Routers that say nothing, too little, or no. What takes seconds by the
//! protocol's own timers shares one test, so that it takes them once.

use std::io::Write;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use loods::bgp::peer::{Input, Output, Peer, PeerSettings, Role};
use loods::bgp::types::{Asn, Family, RouterId};
use loods::bgp::wire::message::{Message, Notification};

use crate::octets::{self, keepalive};
use crate::router::{Heard, Line, Router, honest_open};
use crate::speaker::Speaker;
use crate::wait;

const HOLD_EXPIRED: Notification = Notification::new(4, 0);

/// Established with a hold time of 3 s.
fn short_session(router: &Router) -> Line {
    let mut line = router.accept();
    let mut open = honest_open();
    open.hold_time = 3;
    line.establish(&open);
    line
}

#[test]
fn silence_ends_at_the_hold_time_and_keepalives_go_until_then() {
    let [silent, dripping, mute, slow] = [(); 4].map(|()| Router::new());
    let honest = Router::new();
    let mut speaker = Speaker::start([&silent, &dripping, &mute, &slow, &honest]);
    let mut witness = honest.session();
    let mut table = witness.hear_table();

    let mut silent = short_session(&silent);
    let mut dripping = short_session(&dripping);
    let mut mute_line = mute.accept();
    mute_line.hear_open();
    let mut slow_line = slow.accept();
    slow_line.hear_open();
    let since = Instant::now();
    let before = speaker.ticks();

    // Octets are no message: one each second does not keep a session.
    let drip = thread::spawn(move || {
        let open = octets::encoded(&Message::Open(honest_open()));
        for place in 0..8 {
            slow_line.send(&open[place..=place]);
            if !dripping.try_send(&keepalive()[place..=place]) {
                break;
            }
            thread::sleep(Duration::from_secs(1));
        }
        (slow_line, dripping.hear_refusal())
    });

    let mut keepalives = 0;
    let refusal = loop {
        match silent.hear() {
            Heard::Said(Message::Keepalive) => keepalives += 1,
            Heard::Said(Message::Update(_)) => {}
            Heard::Said(Message::Notification(refusal)) => break refusal,
            other => panic!("neither alive nor refused: {other:?}"),
        }
    };
    assert_eq!(refusal, HOLD_EXPIRED);
    assert!(keepalives >= 2, "a third of 3 s apart: {keepalives}");
    assert!(since.elapsed() >= Duration::from_millis(2900), "too early");
    let (slow_line, refusal) = drip.join().expect("the dripping router");
    assert_eq!(refusal, HOLD_EXPIRED);

    let used = speaker.ticks() - before;
    let lasted = since.elapsed();
    assert!(
        u128::from(used) * 10 < lasted.as_millis() / 10,
        "{used} ticks in {lasted:?} are 10 % and more"
    );
    // RFC 4271 §8.2.2 waits four minutes for an OPEN; nobody waits with it.
    for place in [2, 3] {
        speaker.wait_peer(place, "state", |state| state == "OpenSent");
    }
    speaker.tell("add 192.0.2.1/32");
    witness.hear_until(&mut table, "192.0.2.1/32");
    for router in [&mute, &slow, &honest] {
        assert!(router.dialled().is_none(), "one dial each");
    }
    drop((mute_line, slow_line));
}

/// RFC 9687 gives a peer that reads nothing eight minutes. No timer of TCP may
/// be shorter than that: a router that computes for a while keeps its session.
#[test]
fn a_router_that_stops_reading_for_a_while_keeps_its_session() {
    const ROUTES: usize = 50_000;
    let router = Router::new();
    let mut speaker = Speaker::start_with("hold-time: 3s", [&router]);
    let mut line = router.accept();
    line.establish(&honest_open());
    line.hear_table();
    let mut alive = line.stream.try_clone().expect("a second handle");
    let over = Arc::new(AtomicBool::new(false));
    let until = Arc::clone(&over);
    let alive = thread::spawn(move || {
        while !until.load(Relaxed) {
            alive.write_all(&keepalive()).expect("it is taken");
            thread::sleep(Duration::from_millis(500));
        }
    });
    // More than both kernels' buffers hold.
    for preference in 0..20 {
        speaker.tell(&format!(
            "fill {ROUTES} 10.0.0.0 communities=64512:{preference}"
        ));
    }
    speaker.tell("add 192.0.2.1/32");
    thread::sleep(Duration::from_secs(13));
    line.hear_until(&mut Default::default(), "192.0.2.1/32");
    over.store(true, Relaxed);
    alive.join().expect("the session took every KEEPALIVE");
    assert!(router.dialled().is_none(), "one session all the time");
}

#[test]
fn a_router_that_refuses_every_open_costs_next_to_nothing() {
    const DIALS: usize = 3;
    let refusals: Vec<Notification> = [(1, 1), (1, 2), (2, 0), (2, 1), (2, 2), (2, 6), (2, 7)]
        .into_iter()
        .chain([(5, 1), (6, 0), (6, 7), (99, 99)])
        .map(|(code, subcode)| Notification::new(code, subcode))
        .collect();
    let routers: Vec<Router> = refusals.iter().map(|_| Router::new()).collect();
    let mut first = vec![None; routers.len()];
    let mut dials = vec![0; routers.len()];
    let speaker = Speaker::start(&routers);
    let mut before = None;
    wait::until("every router is dialled three times", || {
        for (place, router) in routers.iter().enumerate() {
            let Some(mut line) = router.dialled() else {
                continue;
            };
            dials[place] += 1;
            let first = *first[place].get_or_insert_with(Instant::now);
            line.hear_open();
            line.say(&Message::Notification(refusals[place].clone()));
            assert_eq!(line.hear(), Heard::Closed, "no answer to a NOTIFICATION");
            if dials[place] == DIALS {
                // 1 s and 2 s, each less a quarter at most; and the time that
                // this loop takes to see the first one.
                let waited = first.elapsed();
                assert!(waited > Duration::from_millis(2000), "only {waited:?}");
            }
        }
        before.get_or_insert_with(|| speaker.ticks());
        wait::check(dials.iter().all(|count| *count >= DIALS), &dials)
    });
    let used = speaker.ticks() - before.unwrap_or_default();
    let counted: usize = dials.iter().sum();
    // What a dial costs here, at most, times the dials of an hour.
    let of_an_hour = (used + 1) * dials_of_an_hour(&refusals[0]) / counted as u64;
    assert!(
        of_an_hour < 3600,
        "{of_an_hour} ticks are 1 % of an hour and more"
    );
}

/// How often the machine dials a router that refuses, in one virtual hour.
fn dials_of_an_hour(refusal: &Notification) -> u64 {
    let settings = PeerSettings {
        local_asn: Asn(64512),
        peer_asn: Asn(64513),
        router_id: RouterId::new(Ipv4Addr::LOCALHOST).expect("not zero"),
        hold_time: Duration::from_secs(90),
        keepalive_time: None,
        families: [Family::Ipv4].into(),
        dial: true,
        connect_timeout: PeerSettings::CONNECT_TIMEOUT,
    };
    let mut peer = Peer::new(settings, 1);
    let start = Instant::now();
    let mut now = start;
    let mut dials = 0;
    let mut out = Vec::new();
    peer.handle(Input::Start, now, &mut out);
    while now < start + Duration::from_secs(3600) {
        let dialled = out.drain(..).any(|output| output == Output::Dial);
        if dialled {
            dials += 1;
            peer.handle(Input::Connected(Role::Active), now, &mut out);
            let refusal = Message::Notification(refusal.clone());
            peer.handle(Input::Received(Role::Active, Ok(refusal)), now, &mut out);
        } else {
            now = peer.deadline().expect("it dials again").max(now);
            peer.poll(now, &mut out);
        }
    }
    assert!(dials < 60, "{dials} dials in an hour");
    dials
}
