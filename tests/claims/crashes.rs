//! The controller dies at each step of create, expand and delete, and a new
//! one starts: never a second volume, never one that is left behind.

use crate::stage::Stage;
use crate::support::heketi::Fault;
use crate::support::wait;
use serde_json::json;
use std::time::Duration;

/// Longer than a test waits: the controller is dead before.
const LATE: Duration = Duration::from_secs(20);

/// Where the controller dies.
#[derive(Clone, Copy, Debug)]
enum At {
    /// Heketi has done it, and the answer does not come.
    Heketi(&'static str),
    /// The write to a path of the API is on its way: it lands after the death.
    Write(&'static str),
}

const CREATE: [At; 4] = [
    At::Heketi("GET /volumes"),
    At::Write("persistentvolumeclaims"),
    At::Heketi("POST /volumes"),
    At::Write("persistentvolumes"),
];

fn ready() -> Stage {
    let stage = Stage::set();
    stage.secret();
    stage.class_with("web", json!({}));
    stage
}

/// Brings the controller to this point and kills it there.
#[track_caller]
fn die(stage: &mut Stage, at: At, begin: impl FnOnce(&Stage)) {
    match at {
        At::Heketi(line) => {
            let asked = stage.heketi.asked().len();
            let held = stage.heketi.volumes().len();
            stage.heketi.fault(line, Fault::Delay(LATE));
            begin(stage);
            wait::until(&format!("{line} has come"), || {
                let left = stage.heketi.faults_left();
                wait::check(left == 0, (left, asked, held))
            });
        }
        At::Write(path) => {
            stage.controllers[0].proxy.hold_writes(path);
            begin(stage);
            stage.controllers[0].proxy.wait_held(1);
        }
    }
    stage.controllers[0].kill();
    stage.controllers[0].proxy.heal();
}

#[test]
#[ignore = "real control plane: tests/run claims"]
fn a_death_while_a_volume_is_made_leaves_one_volume() {
    for at in CREATE {
        let mut stage = ready();
        die(&mut stage, at, |stage| stage.claim("web", "web", json!({})));
        stage.restart();
        let volume = stage.wait_bound("web");
        let held = stage.heketi.volumes();
        assert_eq!(held.len(), 1, "{at:?}");
        assert_eq!(volume["spec"]["csi"]["volumeHandle"], *held[0].id, "{at:?}");
        assert_eq!(stage.read_volumes().len(), 1, "{at:?}");
    }
}

#[test]
#[ignore = "real control plane: tests/run claims"]
fn a_claim_that_is_deleted_while_the_controller_is_dead_leaves_nothing() {
    for at in CREATE {
        let mut stage = ready();
        die(&mut stage, at, |stage| stage.claim("web", "web", json!({})));
        stage.delete_claim("web");
        stage.restart();
        stage.wait_nothing_left();
        // And it still works.
        stage.claim("other", "web", json!({}));
        stage.wait_bound("other");
        assert_eq!(stage.heketi.volumes().len(), 1, "{at:?}");
    }
}

#[test]
#[ignore = "real control plane: tests/run claims"]
fn a_death_while_a_volume_grows_grows_it_once() {
    for at in [
        At::Write("persistentvolumeclaims"),
        At::Heketi("POST /volumes/ID/expand"),
        At::Write("persistentvolumes"),
    ] {
        let mut stage = ready();
        stage.claim("web", "web", json!({}));
        let volume = stage.wait_bound("web");
        let id = volume["spec"]["csi"]["volumeHandle"].as_str().unwrap();
        let at = match at {
            At::Heketi(line) => At::Heketi(line.replace("ID", id).leak()),
            write => write,
        };
        die(&mut stage, at, |stage| {
            let size = json!({"spec": {"resources": {"requests": {"storage": "5Gi"}}}});
            stage.patch_claim("web", size);
        });
        stage.restart();
        wait::until("the claim has 5Gi", || {
            let claim = stage.read_claim("web")?;
            let status = &claim["status"];
            let done = status["capacity"]["storage"] == "5Gi"
                && status.get("allocatedResourceStatuses").is_none();
            wait::check(done, status)
        });
        assert_eq!(stage.heketi.volumes()[0].size, 5, "{at:?}");
        assert_eq!(
            stage.read_volumes()[0]["spec"]["capacity"]["storage"],
            "5Gi"
        );
    }
}

#[test]
#[ignore = "real control plane: tests/run claims"]
fn a_death_while_a_volume_is_deleted_leaves_nothing() {
    for at in [
        At::Heketi("DELETE /volumes/ID"),
        At::Write("persistentvolumes"),
    ] {
        let mut stage = ready();
        stage.claim("web", "web", json!({}));
        let volume = stage.wait_bound("web");
        let id = volume["spec"]["csi"]["volumeHandle"].as_str().unwrap();
        let at = match at {
            At::Heketi(line) => At::Heketi(line.replace("ID", id).leak()),
            write => write,
        };
        die(&mut stage, at, |stage| stage.delete_claim("web"));
        stage.restart();
        stage.wait_nothing_left();
    }
}
