//! Many claims at once, and two controllers.

use crate::stage::Stage;
use crate::support::wait;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

/// A Lease lasts 15 s; who takes it over tries every 2 s.
const TAKE_OVER: Duration = Duration::from_secs(45);

#[test]
#[ignore = "real control plane: tests/run claims"]
fn fifty_claims_at_once_have_a_volume_and_a_group_each() {
    let stage = Stage::set();
    stage.secret();
    stage.class_with("many", json!({"parameters": {"volumetype": "none"}}));
    for n in 0..50 {
        let size = json!({"spec": {"resources": {"requests": {"storage": "1Gi"}}}});
        stage.claim(&format!("c{n}"), "many", size);
    }
    wait::until_within(Duration::from_secs(60), "all are Bound", || {
        let claims = stage.read_claims();
        let bound = claims.iter().filter(|it| it["status"]["phase"] == "Bound");
        let bound = bound.count();
        wait::check(bound == 50, bound)
    });
    let volumes = stage.read_volumes();
    let texts = |of: fn(&Value) -> &Value| -> BTreeSet<String> {
        volumes
            .iter()
            .map(|volume| of(volume).to_string())
            .collect()
    };
    assert_eq!(volumes.len(), 50);
    assert_eq!(
        texts(|volume| &volume["spec"]["csi"]["volumeHandle"]).len(),
        50
    );
    let gids = texts(|volume| &volume["metadata"]["annotations"]["pv.beta.kubernetes.io/gid"]);
    let wanted: BTreeSet<String> = (2000..2050).map(|gid| format!("\"{gid}\"")).collect();
    assert_eq!(gids, wanted, "the lowest free ones");
    assert_eq!(stage.heketi.volumes().len(), 50);
    let resident = stage.controllers[0].resident();
    // Of a debug build: the release build is measured in bench.
    assert!(resident < 64 << 10, "{resident} KiB");
    stage
        .world
        .plane
        .kubectl(&["delete", "pvc", "--all", "--wait=false"]);
    stage.wait_nothing_left();
}

#[test]
#[ignore = "real control plane: tests/run claims"]
fn of_two_controllers_one_works_and_the_other_takes_over() {
    let mut stage = Stage::of_the_article();
    stage.controllers[1].start();
    stage.controllers[1].wait_ready();
    wait::until_within(TAKE_OVER, "the first leads", || {
        wait::check(stage.controllers[0].leads(), ())
    });
    assert!(!stage.controllers[1].leads());
    stage.claim("one", "gluster-heketi-external", json!({}));
    stage.wait_bound("one");
    // In the middle of a creation: the second one finishes it.
    stage.heketi.slow(Duration::from_secs(2));
    stage.claim("two", "gluster-heketi-external", json!({}));
    wait::until("the second volume is begun", || {
        wait::check(stage.heketi.volumes().len() == 2, ())
    });
    stage.controllers[0].kill();
    wait::until_within(TAKE_OVER, "the second leads", || {
        wait::check(stage.controllers[1].leads(), ())
    });
    stage.wait_bound("two");
    assert_eq!(stage.heketi.volumes().len(), 2);
    assert_eq!(stage.read_volumes().len(), 2);
    // A clean end gives the lead away at once.
    stage.controllers[0].start();
    stage.controllers[0].wait_ready();
    stage.controllers[1].terminate();
    stage.heketi.slow(Duration::ZERO);
    stage.delete_claim("one");
    stage.delete_claim("two");
    stage.wait_nothing_left();
}
