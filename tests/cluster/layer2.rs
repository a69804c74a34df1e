//! A pool of `protocol: layer2`: its addresses are given out and announced by
//! nobody, and the allocator says so, once.

use crate::daemon::Through;
use crate::stage::{PEERS_AND_POOL, Stage, announced, withdrawn};
use crate::words::{count, every_node_has_told};
use serde_json::json;

fn flat() -> String {
    PEERS_AND_POOL.replace("protocol: bgp", "protocol: layer2")
}

#[test]
#[ignore = "needs root: tests/run runs it"]
fn its_addresses_are_not_announced_and_the_user_is_told_once_whatever_restarts() {
    let mut stage = Stage::with(Through::Tls, &flat());
    stage.service("web", json!({}));
    stage.pod("web", 1);
    stage.wait_addresses(&[("web", "1.2.3.4")]);
    let note = stage.wait_told("web", "NotAnnounced");
    assert!(
        note.starts_with("poolIsLayer2: 1.2.3.4 is") && note.contains("protocol: bgp"),
        "{note}"
    );
    assert_eq!(stage.wait_reason("web", "poolIsLayer2"), "public-pool");

    stage.daemons().for_each(|daemon| {
        daemon.terminate();
        daemon.start();
    });
    stage.wait_all_ready();
    // Events are written in order: this one comes after all that the new leader had to say.
    stage.service("second", json!({}));
    stage.wait_told("second", "NotAnnounced");
    assert_eq!(count(&stage, "web", "NotAnnounced"), 1);

    let from = stage.now();
    stage.configure(PEERS_AND_POOL);
    stage.wait_route("1.2.3.4/32", &[1]);
    stage.assert_heard(from, announced("1.2.3.4/32", &stage.at(&[1])));
    assert_eq!(stage.wait_reason("web", "InPool"), "public-pool");
    every_node_has_told(&mut stage, "third");
    assert_eq!(count(&stage, "web", "NotAnnounced"), 1);
}

#[test]
#[ignore = "needs root: tests/run runs it"]
fn a_pool_that_turns_layer2_takes_its_routes_back_and_tells_who_is_not_announced_any_more() {
    let mut stage = Stage::set();
    stage.service("web", json!({}));
    stage.pod("web", 1);
    stage.wait_route("1.2.3.4/32", &[1]);
    let from = stage.now();
    stage.configure(&flat());
    stage.wait_told("web", "NotAnnounced");
    stage.wait_route("1.2.3.4/32", &[]);
    stage.wait_addresses(&[("web", "1.2.3.4")]);
    stage.configure(PEERS_AND_POOL);
    stage.wait_route("1.2.3.4/32", &[1]);
    let here = stage.at(&[1]);
    let wanted = [
        withdrawn("1.2.3.4/32", &here),
        announced("1.2.3.4/32", &here),
    ];
    stage.assert_heard(from, wanted.concat());
    assert_eq!(count(&stage, "web", "NotAnnounced"), 1);
}
