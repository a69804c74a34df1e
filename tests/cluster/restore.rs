//! etcd is restored from a backup while everything runs.

use crate::stage::{Stage, withdrawn};
use crate::support::wait;
use serde_json::json;

#[test]
#[ignore = "needs root: tests/run runs it"]
fn etcd_goes_back_in_time_and_only_what_it_forgot_is_withdrawn() {
    let mut stage = Stage::set();
    stage.service("web", json!({}));
    stage.pod("web", 1);
    stage.wait_route("1.2.3.4/32", &[1]);
    let leader = stage.leader();
    stage.world.plane.back_up();

    stage.service("forgotten", json!({}));
    stage.pod("forgotten", 1);
    stage.pod("forgotten", 2);
    stage.wait_route("1.2.3.5/32", &[1, 2]);
    // Every speaker has heard of it, those that do not announce it too.
    wait::until("n3 knows the second Service", || {
        let state = stage.speakers[2].state()?;
        let services = &state["speaker"]["services"];
        wait::check(services[0]["service"] == "default/forgotten", services)
    });
    for edit in 0..200 {
        let label = json!({"metadata": {"labels": {"edit": edit.to_string()}}});
        stage.change_service("web", label);
    }
    let from = stage.now();
    stage.world.plane.restore();

    for daemon in [&stage.allocators[leader]]
        .into_iter()
        .chain(&stage.speakers)
    {
        wait::until(&format!("{} notices", daemon.name()), || {
            let count = daemon.metric("loods_k8s_regressions_total")?;
            wait::check(count != "0", count)
        });
    }
    stage.wait_route("1.2.3.5/32", &[]);
    stage.wait_addresses(&[("web", "1.2.3.4")]);
    let wanted = withdrawn("1.2.3.5/32", &stage.at(&[1, 2]));
    // The marker gets the address that etcd has forgotten.
    stage.assert_heard(from, wanted);

    // The versions that the leader had seen are far ahead: what is new has lower
    // ones, and is heeded all the same.
    let ask = json!({"spec": {"loadBalancerIP": "1.2.3.8"}});
    stage.change_service("web", ask);
    stage.wait_route("1.2.3.8/32", &[1]);
    stage.wait_route("1.2.3.4/32", &[]);
}
