//! The API server is away, slow, or talks nonsense. What is announced stays.
//!
//! Most outages here last until the leader has lost its Lease (some 15 s). One
//! lasts a minute: every timer that a longer one could trip (renewal, watch
//! time-outs, the longest back-off) has run by then, and what an hour adds is
//! only more of the same retries.

use crate::stage::{Stage, TAKE_OVER, announced};
use crate::support::wait;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// How long kube-apiserver is dead.
const AWAY: Duration = Duration::from_secs(60);

/// A Service with pods on n1 and n2, announced.
fn serving() -> Stage {
    let mut stage = Stage::behind_proxies();
    stage.service("web", json!({}));
    stage.pod("web", 1);
    stage.pod("web", 2);
    stage.wait_route("1.2.3.4/32", &[1, 2]);
    stage
}

fn wait_nobody_leads(stage: &Stage) {
    wait::until_within(TAKE_OVER, "the leader has given up its Lease", || {
        let leaders = stage
            .allocators
            .iter()
            .filter(|allocator| allocator.leads())
            .count();
        wait::check(leaders == 0, leaders)
    });
}

#[test]
#[ignore = "needs root: tests/run runs it"]
fn the_api_server_goes_away_past_the_lease_and_comes_back_and_no_route_flaps() {
    let mut stage = serving();
    let _ = stage.leader();
    let from = stage.now();
    stage.daemons().for_each(|daemon| daemon.proxy().cut());
    wait_nobody_leads(&stage);
    // What changed meanwhile is acted on at the return, and only that.
    stage.service("meanwhile", json!({}));
    stage.daemons().for_each(|daemon| daemon.proxy().heal());
    stage.wait_addresses(&[("web", "1.2.3.4"), ("meanwhile", "1.2.3.5")]);
    stage.assert_heard(from, vec![]);
}

#[test]
#[ignore = "needs root: tests/run runs it"]
fn kube_apiserver_is_dead_for_a_minute_and_no_route_flaps() {
    let mut stage = Stage::set();
    stage.service("web", json!({}));
    stage.pod("web", 1);
    stage.pod("web", 2);
    stage.wait_route("1.2.3.4/32", &[1, 2]);
    let _ = stage.leader();
    let (from, before) = (stage.now(), seen_by_frr(&stage));
    stage.world.plane.kill_api();
    let died = Instant::now();
    wait_nobody_leads(&stage);
    wait::until_within(2 * AWAY, "a minute without an API server", || {
        let seen = seen_by_frr(&stage);
        assert_eq!(seen, before, "{:?} after its end", died.elapsed());
        // Looking is work for the routers, too.
        std::thread::sleep(Duration::from_millis(500));
        wait::check(died.elapsed() >= AWAY, died.elapsed())
    });
    stage.wait_route("1.2.3.4/32", &[1, 2]);
    let gone = stage.world.plane.try_read("/readyz");
    assert!(gone.is_err(), "it was dead all the time: {gone:?}");

    stage.world.plane.start_api();
    stage.world.plane.restart_controllers();
    // Each process asks again in its own time, half a minute at most.
    stage.service("new", json!({"spec": {"externalTrafficPolicy": "Cluster"}}));
    stage.pod("new", 1);
    let all: BTreeSet<String> = stage.at(&[1, 2, 3]).into_iter().collect();
    wait::until_within(TAKE_OVER, "every node announces a new Service", || {
        let seen = stage.world.frr.table("ipv4").remove("1.2.3.5/32");
        wait::check(seen.as_ref() == Some(&all), seen)
    });
    stage.pod("web", 3);
    stage.wait_route("1.2.3.4/32", &[1, 2, 3]);
    let mut wanted = announced("1.2.3.5/32", &stage.at(&[1, 2, 3]));
    wanted.extend(announced("1.2.3.4/32", &stage.at(&[3])));
    stage.assert_heard(from, wanted);
}

/// FRR's version of its table, which counts every change of a route, and how
/// often each node's session came up and broke.
fn seen_by_frr(stage: &Stage) -> (u64, Vec<(Value, Value)>) {
    let sessions = stage.at(&[1, 2, 3]).into_iter().map(|node| {
        let neighbour = stage.world.frr.neighbour(&node);
        let times = |field: &str| neighbour[field].clone();
        (times("connectionsEstablished"), times("connectionsDropped"))
    });
    let sessions = sessions.collect();
    (stage.world.frr.table_version("ipv4"), sessions)
}

#[test]
#[ignore = "needs root: tests/run runs it"]
fn answers_of_500_and_429_change_no_route() {
    let mut stage = serving();
    let _ = stage.leader();
    let from = stage.now();
    for status in [500, 429] {
        stage
            .daemons()
            .for_each(|daemon| daemon.proxy().answer_all_with(status));
        wait_nobody_leads(&stage);
        stage.daemons().for_each(|daemon| daemon.proxy().heal());
        let _ = stage.leader();
    }
    stage.assert_heard(from, vec![]);
}

#[test]
#[ignore = "needs root: tests/run runs it"]
fn expired_and_truncated_watches_are_relisted_and_no_route_flaps() {
    let mut stage = serving();
    let from = stage.now();
    stage
        .daemons()
        .for_each(|daemon| daemon.proxy().truncate_watches());
    // An event on every watch, so that every watch is cut in the middle of one.
    stage.change_service("web", json!({"metadata": {"labels": {"touched": "yes"}}}));
    stage
        .daemons()
        .for_each(|daemon| daemon.proxy().expire_watches());
    stage.daemons().for_each(|daemon| daemon.proxy().heal());
    stage.assert_heard(from, vec![]);
    stage.pod("web", 3);
    stage.wait_route("1.2.3.4/32", &[1, 2, 3]);
}

#[test]
#[ignore = "needs root: tests/run runs it"]
fn a_speaker_whose_watches_stand_still_keeps_what_it_announced() {
    let mut stage = serving();
    let from = stage.now();
    stage.speakers[0].proxy().freeze_watches();
    // The others hear of the third pod; the first one goes on as it was.
    stage.pod("web", 3);
    stage.wait_route("1.2.3.4/32", &[1, 2, 3]);
    stage.speakers[0].proxy().heal();
    let wanted = announced("1.2.3.4/32", &stage.at(&[3]));
    stage.assert_heard(from, wanted);
}

#[test]
#[ignore = "needs root: tests/run runs it"]
fn a_speaker_that_restarts_withdraws_nothing_of_the_others() {
    let mut stage = serving();
    let from = stage.now();
    stage.speakers[0].terminate();
    stage.wait_route("1.2.3.4/32", &[2]);
    stage.speakers[0].start();
    stage.wait_route("1.2.3.4/32", &[1, 2]);
    let mut wanted = announced("1.2.3.4/32", &stage.at(&[1]));
    wanted.push(crate::support::frr::Heard::Down {
        peer: stage.at(&[1]).remove(0),
    });
    stage.assert_heard(from, wanted);
}

#[test]
#[ignore = "needs root: tests/run runs it"]
fn allocators_that_die_take_no_route_along() {
    let mut stage = serving();
    let from = stage.now();
    stage
        .allocators
        .iter_mut()
        .for_each(crate::daemon::Daemon::kill);
    let moved = stage.pod("web", 3);
    stage.wait_route("1.2.3.4/32", &[1, 2, 3]);
    stage.remove_pod(&moved);
    stage.wait_route("1.2.3.4/32", &[1, 2]);
    stage
        .allocators
        .iter_mut()
        .for_each(crate::daemon::Daemon::start);
    let third = stage.at(&[3]);
    let wanted = [
        announced("1.2.3.4/32", &third),
        crate::stage::withdrawn("1.2.3.4/32", &third),
    ];
    stage.assert_heard(from, wanted.concat());
    assert_eq!(stage.addresses()["web"], "1.2.3.4");
}
