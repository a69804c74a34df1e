//! Nodes go, with notice and without.

use super::steady::{HOLD, NODES, Steady, spread, wait_routes, wait_settled};
use crate::support::cluster::NAMESPACE;

#[test]
#[ignore = "needs root: tests/run runs it"]
fn draining_a_node_loses_no_new_connection() {
    let mut steady = Steady::set();
    let row = steady.during("node cordoned and drained", |cluster| {
        let drain = ["drain", "n2", "--ignore-daemonsets", "--timeout=60s"];
        cluster.kubectl(&drain);
        wait_settled(cluster, 3);
        wait_routes(cluster, &["n1", "n3"]);
    });
    let back = steady.during("drained node back in service", |cluster| {
        cluster.kubectl(&["uncordon", "n2"]);
        spread(cluster);
    });
    row.assert_no_new_lost();
    back.assert_no_new_lost();
}

#[test]
#[ignore = "needs root: tests/run runs it"]
fn the_loss_of_a_node_ends_with_the_hold_time() {
    let mut steady = Steady::set();
    let lost = steady.during("node loses power", |cluster| {
        cluster.power_off("n3");
        wait_routes(cluster, &["n1", "n2"]);
    });
    // About a third of the connections hash to it until the router knows.
    assert!(lost.seen.lost() > 0, "{}", lost.seen.0);
    assert!(lost.seen.lost() < lost.seen.due() / 2, "{}", lost.seen.0);
    let most = HOLD.as_millis() as u64 + 1000;
    assert!(lost.window() < most, "{}", lost.seen.0);

    let back = steady.during("node comes back", |cluster| {
        cluster.power_on("n3");
        cluster.wait_nodes(&NODES);
        cluster.wait_pods(NAMESPACE, "component=speaker", 3);
        spread(cluster);
    });
    back.assert_no_new_lost();
}
