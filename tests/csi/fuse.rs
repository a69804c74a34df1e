//! A real GlusterFS: one glusterd in the node's own namespaces, the real
//! mount.glusterfs, and pods played by processes in mount namespaces of their
//! own, each with a private copy of the volume's mount, as a runtime makes it.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use loods::storage::csi::v1::volume_capability::access_mode::Mode;
use loods::storage::csi::v1::{NodeStageVolumeRequest, NodeUnpublishVolumeRequest};

use crate::keeper::World;
use crate::scene::{capability, text};
use crate::support::lab::{Lab, attempt};
use crate::support::process::Process;
use crate::support::wait;

/// One glusterd, with its files and sockets in the host's directory.
const GLUSTER: &str = "
    mount -t tmpfs none /run && mkdir /run/gluster
    mkdir -p $DIR/gluster/state $DIR/gluster/log $DIR/gluster/brick
    mount --bind $DIR/gluster/state /var/lib/glusterd
    mount --bind $DIR/gluster/log /var/log/glusterfs
    glusterd -p /run/glusterd.pid
    for try in $(seq 100); do gluster --mode=script pool list > /dev/null 2>&1 && break; sleep 0.1; done
    gluster --mode=script volume create vol_1 $ADDRESS:$DIR/gluster/brick/vol_1 force
    gluster --mode=script volume start vol_1";

fn world(node: &[&str]) -> World {
    let lab = Lab::new();
    let host = lab.host("n1", 11);
    let before = GLUSTER
        .replace("$DIR", &text(&host.dir))
        .replace("$ADDRESS", &host.v4.to_string());
    World::with(lab, host, &before, &[], node)
}

impl World {
    fn stage_gluster(&self) -> NodeStageVolumeRequest {
        let mut asked = self.stage();
        asked
            .volume_context
            .insert("hosts".into(), self.host.v4.to_string());
        asked.volume_capability = Some(capability(Mode::MultiNodeMultiWriter));
        asked
    }

    /// A pod that adds a line to the volume every 20 ms, and tells each failure.
    fn pod(&self, volume: &str) -> Pod {
        let mut command = self.inside("unshare");
        let log = self.host.dir.join("pod.log");
        let write = format!(
            "while :; do echo line >> {volume}/lines || echo failed >> {0}; echo . >> {0}.turns; sleep 0.02; done",
            log.display()
        );
        command
            .args(["--mount", "--propagation", "private", "--", "sh", "-c"])
            .arg(write);
        Pod {
            turns: format!("{}.turns", log.display()).into(),
            _process: Process::start(&self.host, "pod", command),
            log,
        }
    }

    /// Ends the FUSE processes of the volume, as a crash would.
    fn crash(&self) {
        let staging = text(&self.staging());
        let found = attempt(Command::new("pgrep").args(["-f", &format!("glusterfs .*{staging}$")]));
        let found = found.expect("there are such processes");
        assert!(found.lines().count() >= 1, "{found}");
        for pid in found.lines() {
            attempt(Command::new("kill").args(["-9", pid])).expect("it was there");
        }
    }
}

struct Pod {
    _process: Process,
    log: PathBuf,
    turns: PathBuf,
}

impl Pod {
    fn failures(&self) -> usize {
        fs::read_to_string(&self.log)
            .unwrap_or_default()
            .lines()
            .count()
    }

    fn turns(&self) -> usize {
        fs::read_to_string(&self.turns)
            .unwrap_or_default()
            .lines()
            .count()
    }

    /// Waits until it tried ten times more.
    fn goes_on(&self) {
        let before = self.turns();
        wait::until("the pod goes on", || {
            let now = self.turns();
            wait::check(now >= before + 10, now - before)
        });
    }
}

#[tokio::test]
#[ignore = "needs root and GlusterFS: tests/run"]
async fn a_new_node_plugin_is_not_seen_by_who_writes() {
    let mut world = world(&[]);
    let mut node = world.client().await;
    node.node_stage_volume(world.stage_gluster())
        .await
        .expect("staged");
    node.node_publish_volume(world.publish("a", false))
        .await
        .expect("published");
    let mounts = world
        .sees("cat", &["/proc/self/mountinfo"])
        .expect("a list");
    assert_eq!(mounts.matches("fuse.glusterfs").count(), 2, "{mounts}");
    let volume = text(&world.dir().join("a"));
    let pod = world.pod(&volume);
    pod.goes_on();
    for _ in 0..3 {
        world.start_node();
        pod.goes_on();
    }
    assert_eq!(pod.failures(), 0, "the writer saw it");
    let brick = world.dir().join("gluster/brick/vol_1/lines");
    let written = fs::read_to_string(brick)
        .expect("on the brick")
        .lines()
        .count();
    assert!(written >= 40, "{written} lines");
    drop(pod);
    let mut node = world.client().await;
    let asked = NodeUnpublishVolumeRequest {
        volume_id: "volume-1".into(),
        target_path: volume,
    };
    node.node_unpublish_volume(asked)
        .await
        .expect("unpublished");
}

#[tokio::test]
#[ignore = "needs root and GlusterFS: tests/run"]
async fn a_volume_whose_process_died_heals_in_a_running_pod() {
    let world = world(&["--heal"]);
    let mut node = world.client().await;
    node.node_stage_volume(world.stage_gluster())
        .await
        .expect("staged");
    node.node_publish_volume(world.publish("a", false))
        .await
        .expect("published");
    let pod = world.pod(&text(&world.dir().join("a")));
    pod.goes_on();
    assert_eq!(pod.failures(), 0);

    world.crash();
    wait::until("the pod feels it", || {
        let failures = pod.failures();
        wait::check(failures > 0, failures)
    });
    wait::until("the pod writes again", || {
        let before = pod.failures();
        pod.goes_on();
        let new = pod.failures() - before;
        wait::check(new == 0, new)
    });
    // What it wrote since is in the volume, not in the directory under it.
    let brick = world.dir().join("gluster/brick/vol_1/lines");
    let lines = || {
        fs::read_to_string(&brick)
            .expect("on the brick")
            .lines()
            .count()
    };
    let before = lines();
    pod.goes_on();
    assert!(lines() > before, "the brick gets what the pod writes");
}
