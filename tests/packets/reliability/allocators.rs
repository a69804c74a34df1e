//! The allocators go: nobody on the way of a packet notices.

use super::steady::{NODES, Steady, wait_routes};
use crate::support::cluster::NAMESPACE;
use crate::support::wait;
use std::time::Duration;

#[test]
#[ignore = "needs root: tests/run runs it"]
fn the_allocators_killed_cost_nothing() {
    let mut steady = Steady::set();
    let row = steady.during("allocators killed", |cluster| {
        let label = "component=allocator";
        let old = cluster.wait_pods(NAMESPACE, label, 2);
        let kill = "delete pod --force --grace-period=0 --namespace";
        let mut kill: Vec<&str> = kill.split(' ').collect();
        kill.extend([NAMESPACE, "--selector", label]);
        cluster.kubectl(&kill);
        wait::until_within(Duration::from_secs(60), "new allocators are ready", || {
            let pods = cluster.try_pods(NAMESPACE, label)?;
            let new = |name: &str| old.iter().all(|pod| pod.name != name);
            let ready = pods.iter().filter(|pod| new(&pod.name) && pod.ready);
            wait::check(ready.count() == 2, &pods)
        });
        wait_routes(cluster, &NODES);
    });
    row.assert_nothing_lost();
}
