//! The real programs as root: keeper, node plugin, kernel. What mounts is a
//! stand-in that mounts a tmpfs. All of it lives in a mount namespace that ends
//! with the last process in it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use loods::storage::csi::v1::node_client::NodeClient;
use loods::storage::csi::v1::volume_capability::access_mode::Mode;
use loods::storage::csi::v1::{
    NodeGetVolumeStatsRequest, NodePublishVolumeRequest, NodeStageVolumeRequest,
    NodeUnpublishVolumeRequest, NodeUnstageVolumeRequest,
};
use tonic::Code;
use tonic::transport::Channel;

use crate::scene::{capability, channel, context, text};
use crate::support::lab::{Host, Lab};
use crate::support::process::Process;
use crate::support::wait;

const MOUNTS: &str = "#!/bin/sh\nexec mount -t tmpfs -o size=1m \"$1\" \"$2\"\n";

/// The keeper and the node plugin, each a process.
pub struct World {
    node: Option<Process>,
    node_arguments: Vec<String>,
    keeper: Process,
    pub host: Host,
    _lab: Lab,
}

impl World {
    /// With a stand-in that mounts a tmpfs.
    pub fn new() -> World {
        let lab = Lab::new();
        let host = lab.host("n1", 11);
        let program = host.dir.join("mount-program");
        fs::write(&program, MOUNTS).expect("written");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("set");
        World::with(lab, host, ":", &["--mount-program", &text(&program)], &[])
    }

    /// `before` is a shell line that runs in the mount namespace first.
    pub fn with(lab: Lab, host: Host, before: &str, keeper: &[&str], node: &[&str]) -> World {
        let mut command = host.command("unshare");
        command
            .args(["--mount", "--propagation", "private", "--", "sh", "-ec"])
            .arg(format!("{before}; exec \"$@\""))
            .args(["sh", env!("CARGO_BIN_EXE_loods"), "storage", "keeper"])
            .args(keeper)
            .arg("--kubelet-dir")
            .arg(&host.dir)
            .arg("--log-dir")
            .arg(host.dir.join("log"))
            .arg("--socket")
            .arg(host.dir.join("keeper.sock"));
        let keeper = Process::start(&host, "keeper", command);
        let mut world = World {
            node: None,
            node_arguments: node.iter().map(ToString::to_string).collect(),
            keeper,
            host,
            _lab: lab,
        };
        wait::until("the keeper listens", || {
            let there = world.host.dir.join("keeper.sock").exists();
            wait::check(there, "no socket")
        });
        world.start_node();
        world
    }

    /// The kubelet's directory, and everything else of this node.
    pub fn dir(&self) -> &Path {
        &self.host.dir
    }

    /// Starts the node plugin; one that runs is ended first.
    pub fn start_node(&mut self) {
        let socket = self.host.dir.join("csi.sock");
        if let Some(mut old) = self.node.take() {
            old.terminate();
        }
        let mut command = self.inside(env!("CARGO_BIN_EXE_loods"));
        command
            .args(["storage", "node", "--node-name", "n1"])
            .args(&self.node_arguments)
            .arg("--kubelet-dir")
            .arg(&self.host.dir)
            .arg("--registry")
            .arg(self.host.dir.join("registry"))
            .arg("--socket")
            .arg(&socket)
            .arg("--keeper")
            .arg(self.host.dir.join("keeper.sock"));
        self.node = Some(Process::start(&self.host, "node", command));
        wait::until("the node plugin listens", || {
            wait::check(socket.exists(), "no socket")
        });
    }

    /// A command in the mount namespace of the keeper.
    pub fn inside(&self, program: &str) -> std::process::Command {
        let mut command = self.host.command("nsenter");
        let pid = self.keeper.id();
        command
            .arg(format!("--mount=/proc/{pid}/ns/mnt"))
            .arg("--")
            .arg(program);
        command
    }

    pub fn sees(&self, program: &str, arguments: &[&str]) -> Result<String, String> {
        crate::support::lab::attempt(self.inside(program).args(arguments))
    }

    pub async fn client(&self) -> NodeClient<Channel> {
        NodeClient::new(channel(&self.host.dir.join("csi.sock")).await)
    }

    pub fn staging(&self) -> PathBuf {
        self.host.dir.join("globalmount")
    }

    pub fn stage(&self) -> NodeStageVolumeRequest {
        NodeStageVolumeRequest {
            volume_id: "volume-1".into(),
            staging_target_path: text(&self.staging()),
            volume_capability: Some(capability(Mode::MultiNodeMultiWriter)),
            volume_context: context("vol_1"),
        }
    }

    pub fn publish(&self, pod: &str, readonly: bool) -> NodePublishVolumeRequest {
        NodePublishVolumeRequest {
            volume_id: "volume-1".into(),
            staging_target_path: text(&self.staging()),
            target_path: text(&self.host.dir.join(pod)),
            volume_capability: Some(capability(Mode::MultiNodeMultiWriter)),
            readonly,
            volume_context: context("vol_1"),
        }
    }
}

#[tokio::test]
#[ignore = "needs root: tests/run"]
async fn a_volume_is_shared_by_two_pods_and_survives_a_new_node_plugin() {
    let mut world = World::new();
    let mut node = world.client().await;
    for _ in 0..2 {
        node.node_stage_volume(world.stage()).await.expect("staged");
        node.node_publish_volume(world.publish("a", false))
            .await
            .expect("published");
        node.node_publish_volume(world.publish("b", true))
            .await
            .expect("published");
    }
    let (a, b) = (
        text(&world.host.dir.join("a")),
        text(&world.host.dir.join("b")),
    );
    let write = |dir: &str| format!("echo shared > {dir}/file");
    world.sees("sh", &["-c", &write(&a)]).expect("a writes");
    let read_only = world
        .sees("sh", &["-c", &write(&b)])
        .expect_err("b only reads");
    assert!(read_only.contains("Read-only"), "{read_only}");
    assert_eq!(
        world.sees("cat", &[&format!("{b}/file")]).as_deref(),
        Ok("shared\n")
    );

    let asked = NodeGetVolumeStatsRequest {
        volume_id: "volume-1".into(),
        volume_path: a.clone(),
        staging_target_path: String::new(),
    };
    let stats = node
        .node_get_volume_stats(asked)
        .await
        .expect("told")
        .into_inner();
    assert_eq!(stats.usage[0].total, 1 << 20);

    world.start_node();
    let mut node = world.client().await;
    assert_eq!(
        world.sees("cat", &[&format!("{b}/file")]).as_deref(),
        Ok("shared\n")
    );
    node.node_stage_volume(world.stage())
        .await
        .expect("it is staged");
    for pod in [a, b] {
        for _ in 0..2 {
            let asked = NodeUnpublishVolumeRequest {
                volume_id: "volume-1".into(),
                target_path: pod.clone(),
            };
            node.node_unpublish_volume(asked)
                .await
                .expect("unpublished");
        }
    }
    let asked = NodeUnstageVolumeRequest {
        volume_id: "volume-1".into(),
        staging_target_path: text(&world.staging()),
    };
    node.node_unstage_volume(asked).await.expect("unstaged");
    let mounts = world
        .sees("cat", &["/proc/self/mountinfo"])
        .expect("a list");
    assert!(!mounts.contains(&text(&world.host.dir)), "{mounts}");
}

#[tokio::test]
#[ignore = "needs root: tests/run"]
async fn what_is_in_use_stays_and_a_link_leads_nowhere() {
    let world = World::new();
    let mut node = world.client().await;
    node.node_stage_volume(world.stage()).await.expect("staged");
    let holder = {
        let mut command = world.inside("sh");
        let script = format!("cd {} && exec sleep 1000", world.staging().display());
        command.args(["-c", &script]);
        Process::start(&world.host, "holder", command)
    };
    let unstage = || NodeUnstageVolumeRequest {
        volume_id: "volume-1".into(),
        staging_target_path: text(&world.staging()),
    };
    wait::until("the holder is in it", || {
        let cwd = fs::read_link(format!("/proc/{}/cwd", holder.id()));
        wait::check(
            cwd.as_ref().is_ok_and(|cwd| cwd.ends_with("globalmount")),
            cwd,
        )
    });
    let busy = node
        .node_unstage_volume(unstage())
        .await
        .expect_err("in use");
    assert!(busy.message().contains("is in use"), "{busy}");
    drop(holder);
    node.node_unstage_volume(unstage()).await.expect("unstaged");

    std::os::unix::fs::symlink("/etc", world.host.dir.join("link")).expect("a link");
    let mut asked = world.stage();
    asked.staging_target_path = text(&world.host.dir.join("link/x"));
    let refused = node.node_stage_volume(asked).await.expect_err("a link");
    assert_eq!(refused.code(), Code::Internal);
    assert!(refused.message().contains("symbolic link"), "{refused}");
}
