//! An upgrade of the speakers.

use super::steady::{NODES, Steady, wait_routes};
use crate::scene::Scene;
use crate::support::cluster::NAMESPACE;
use crate::support::wait;
use std::time::Duration;

#[test]
#[ignore = "needs root: tests/run runs it"]
fn a_rollout_of_the_speakers_loses_no_new_connection() {
    let mut steady = Steady::set();
    // One that is younger than minReadySeconds is not available to the
    // DaemonSet's controller, which replaces such pods all at once.
    wait_available(&steady.cluster);
    let row = steady.during("rollout of the speakers", |cluster| {
        let speakers = ["--namespace", NAMESPACE, "daemonset/loods-speaker"];
        cluster.kubectl(&[&["rollout", "restart"], &speakers[..]].concat());
        wait_available(cluster);
        wait_routes(cluster, &NODES);
    });
    row.assert_no_new_lost();
}

fn wait_available(cluster: &Scene) {
    let what = "all speakers are of the newest form, and available";
    wait::until_within(Duration::from_secs(120), what, || {
        let path = format!("/apis/apps/v1/namespaces/{NAMESPACE}/daemonsets/loods-speaker");
        let set = cluster.plane.try_read(&path)?;
        let status = &set["status"];
        let done = status["observedGeneration"] == set["metadata"]["generation"]
            && status["updatedNumberScheduled"] == 3
            && status["numberAvailable"] == 3;
        wait::check(done, status)
    });
}
