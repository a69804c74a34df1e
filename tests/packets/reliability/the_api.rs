//! The API server goes. What is announced stays, and so do kube-proxy's rules.
//!
//! This is the last of these tests, by its name: every part of Kubernetes takes
//! up to a minute until it listens again.

use super::steady::{NODES, Steady, wait_routes};
use crate::support::cluster::NAMESPACE;
use crate::support::control_plane::GRACE;
use std::time::Duration;

#[test]
#[ignore = "needs root: tests/run runs it"]
fn the_api_server_away_costs_nothing() {
    let mut steady = Steady::set();
    // The laboratory's impatient grace would have it that all nodes died.
    steady.cluster.plane.set_grace(50);
    let row = steady.during("API server away for 20 s", |cluster| {
        cluster.plane.kill_api();
        std::thread::sleep(Duration::from_secs(20));
        wait_routes(cluster, &NODES);
        cluster.plane.start_api();
        cluster.wait_pods(NAMESPACE, "component=speaker", 3);
        wait_routes(cluster, &NODES);
    });
    steady.cluster.plane.set_grace(GRACE);
    row.assert_nothing_lost();
}
