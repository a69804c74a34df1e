//! The controller dies at each step while the storage behind it is real: our
//! manager, agents and glusterds.

use crate::stage::{Stage, is_marked};
use crate::support::gluster::Gluster;
use crate::support::wait;
use serde_json::json;
use std::time::Duration;

/// Where it dies.
#[derive(Clone, Copy, Debug)]
enum At {
    /// A write to a path of the API is on its way: it lands after the death.
    Write(&'static str),
    /// So long after the claim was changed, in milliseconds: while the manager works.
    After(u64),
}

const CREATE: [At; 6] = [
    At::Write("persistentvolumeclaims"),
    At::After(50),
    At::After(300),
    At::After(700),
    At::After(1200),
    At::Write("persistentvolumes"),
];
const GROW: [At; 3] = [
    At::Write("persistentvolumeclaims"),
    At::After(100),
    At::Write("persistentvolumes"),
];
const DELETE: [At; 3] = [
    At::After(100),
    At::After(500),
    At::Write("persistentvolumes"),
];

/// Changes a claim, and has the controller die at this point of what follows.
#[track_caller]
fn die(stage: &mut Stage, at: At, change: impl FnOnce(&Stage)) {
    match at {
        At::Write(path) => {
            stage.controllers[0].proxy.hold_writes(path);
            change(stage);
            stage.controllers[0].proxy.wait_held(1);
        }
        At::After(time) => {
            change(stage);
            std::thread::sleep(Duration::from_millis(time));
        }
    }
    stage.controllers[0].kill();
    stage.controllers[0].proxy.heal();
    stage.restart();
}

#[track_caller]
fn create(stage: &mut Stage, gluster: &Gluster, at: At) {
    die(stage, at, |stage| stage.claim("web", "real", json!({})));
    let volume = stage.wait_bound("web");
    let name = volume["spec"]["csi"]["volumeAttributes"]["volume"].as_str();
    let name = name.expect("the volume's name");
    let listed = gluster.servers[0].shell("gluster volume list");
    assert_eq!(listed, Ok(format!("{name}\n")), "{at:?}");
    assert_eq!(stage.read_volumes().len(), 1, "{at:?}");
}

#[track_caller]
fn grow(stage: &mut Stage, gluster: &Gluster, at: At, gib: u32) {
    let size = format!("{gib}Gi");
    die(stage, at, |stage| {
        let more = json!({"spec": {"resources": {"requests": {"storage": size}}}});
        stage.patch_claim("web", more);
    });
    wait::until(&format!("the claim has {size}, {at:?}"), || {
        let claim = stage.read_claim("web")?;
        let status = &claim["status"];
        let done = status["capacity"]["storage"] == *size
            && status.get("allocatedResourceStatuses").is_none()
            && !is_marked(&claim);
        wait::check(done, status)
    });
    let info = gluster.servers[0].shell("gluster volume info | grep user.loods.size");
    assert_eq!(info, Ok(format!("user.loods.size: {size}\n")), "{at:?}");
}

#[track_caller]
fn delete(stage: &mut Stage, gluster: &Gluster, at: At) {
    die(stage, at, |stage| stage.delete_claim("web"));
    stage.wait_nothing_left();
    wait::until_within(Duration::from_secs(60), "nothing is left", || {
        let left = gluster.left()?;
        wait::check(left.is_empty(), (at, left))
    });
}

#[test]
#[ignore = "real control plane and glusterds: tests/run claims"]
fn a_controller_that_dies_at_any_step_leaves_one_volume_or_none_on_real_storage() {
    let mut stage = Stage::set();
    let gluster = Gluster::start(&stage.world.lab, 3, false, Vec::new());
    stage.secret();
    let real = json!({"parameters": {"resturl": gluster.url(), "volumetype": "replicate:2"}});
    stage.class_with("real", real);
    for (round, at) in CREATE.into_iter().enumerate() {
        create(&mut stage, &gluster, at);
        if let Some(at) = GROW.get(round) {
            grow(&mut stage, &gluster, *at, 3);
        }
        delete(&mut stage, &gluster, DELETE[round % DELETE.len()]);
    }
}
