//! The test suite of the specification (csi-sanity of kubernetes-csi/csi-test),
//! on the Controller service over Heketi's API, as the program serves it, and on
//! the real node plugin with its keeper.
//!
//! A group of tests is left out by the suite where a capability is not
//! announced; so what is left out is held against what we say we cannot.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use crate::keeper::World;
use crate::support::heketi::StandIn;
use crate::support::process::Process;
use crate::support::{tools, wait};

const KEY: &str = "adminkey-lab";
/// A kubeconfig for a port where nothing listens.
const NOBODY: &str = "{apiVersion: v1, kind: Config, current-context: c, \
    clusters: [{name: c, cluster: {server: 'http://127.0.0.1:1'}}], \
    users: [{name: c, user: {}}], contexts: [{name: c, context: {cluster: c, user: c}}]}";

/// The controller with a CSI socket. No API server answers, and none is needed for that.
fn controller(world: &World, server: &StandIn, socket: &Path) -> Process {
    let write = |name: &str, text: &str| {
        let path = world.dir().join(name);
        std::fs::write(&path, text).expect("written");
        path
    };
    let nobody = write("kubeconfig", NOBODY);
    let key = write("key", &format!("{KEY}\n"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_loods"));
    command
        .args(["storage", "controller", "--listen", "127.0.0.1:0"])
        .args(["--manager", &server.url()])
        .arg("--kubeconfig")
        .arg(nobody)
        .arg("--csi-key-file")
        .arg(key)
        .arg("--csi-socket")
        .arg(socket);
    let mut controller = Process::start(&world.host, "controller", command);
    controller.wait("the controller listens", || {
        wait::check(socket.exists(), "no socket")
    });
    controller
}

/// Runs the suite. The names of the tests that ran, and of those left out.
async fn suite(world: &World, server: &StandIn) -> (BTreeSet<String>, BTreeSet<String>) {
    let socket = world.dir().join("controller.sock");
    let mut controller = controller(world, server, &socket);
    let report = world.dir().join("report.xml");
    let mut command = Command::new(tools::csi_sanity());
    let flag = |name: &str, path: &Path| format!("--csi.{name}={}", path.display());
    command
        .arg(flag("endpoint", &world.dir().join("csi.sock")))
        .arg(flag("controllerendpoint", &socket))
        .arg(flag("mountdir", &world.dir().join("sanity-target")))
        .arg(flag("stagingdir", &world.dir().join("sanity-staging")))
        .arg("--csi.testvolumesize=2147483648")
        .arg("--csi.testvolumeexpandsize=3221225472")
        .arg("--ginkgo.no-color")
        .arg(format!("--ginkgo.junit-report={}", report.display()))
        .current_dir(world.dir());
    let output = tokio::task::spawn_blocking(move || command.output()).await;
    let output = output.expect("no panic").expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    controller.terminate();
    assert!(!socket.exists(), "the socket is left behind");
    let report = std::fs::read_to_string(&report).expect("a report");
    (named(&report, "passed"), named(&report, "skipped"))
}

/// The names of the tests with this status in a JUnit report of Ginkgo's.
fn named(report: &str, status: &str) -> BTreeSet<String> {
    let attribute = |line: &str, name: &str| {
        let (_, rest) = line.split_once(&format!(" {name}=\""))?;
        Some(rest.split_once('"')?.0.to_owned())
    };
    let cases = report
        .lines()
        .filter(|line| line.trim_start().starts_with("<testcase "));
    let wanted = cases.filter(|line| attribute(line, "status").as_deref() == Some(status));
    wanted.filter_map(|line| attribute(line, "name")).collect()
}

/// Groups that the suite leaves out because we do not announce them, and why.
const NOT_OURS: [(&str, &str); 8] = [
    ("ControllerPublishVolume", "every node reaches every volume"),
    (
        "ControllerUnpublishVolume",
        "every node reaches every volume",
    ),
    (
        "volume lifecycle",
        "the suite's is of ControllerPublishVolume",
    ),
    (
        "volume attribute class",
        "nothing of a volume is modified by CSI",
    ),
    ("ModifyVolume", "nothing of a volume is modified by CSI"),
    ("GroupController", "no snapshots of several volumes at once"),
    (
        "NodeExpandVolume",
        "a volume has grown on every node already",
    ),
    (
        "NodeGetStorageHealth",
        "a node knows its volumes, not the storage",
    ),
];
/// As [`NOT_OURS`], and alpha.
const ALPHA: [(&str, &str); 3] = [
    ("ControllerListVolumeHealth", "health is told of one volume"),
    ("GetSnapshot", "snapshots are told in lists"),
    ("accessibility requirements", "no topology"),
];
/// Beyond Heketi: announced with our own manager alone.
const BEYOND: [&str; 6] = [
    "GetCapacity",
    "Snapshot",
    "snapshot",
    "existing source volume",
    "source volume is not found",
    "ControllerGetVolumeHealth",
];

#[track_caller]
fn only_these_were_left_out(skipped: &BTreeSet<String>, beyond: &[&str]) {
    let known = NOT_OURS.iter().chain(&ALPHA).map(|(group, _)| group);
    let known: Vec<&str> = known.chain(beyond).copied().collect();
    let mut left: Vec<&String> = skipped.iter().collect();
    left.retain(|name| !known.iter().any(|group| name.contains(group)));
    assert!(left.is_empty(), "left out, and we claim it: {left:#?}");
}

#[tokio::test]
#[ignore = "needs root and csi-sanity: tests/run"]
async fn the_suite_passes_with_our_manager() {
    let server = StandIn::start(KEY);
    server.as_loods(true);
    let world = World::new();
    let (passed, skipped) = suite(&world, &server).await;
    only_these_were_left_out(&skipped, &[]);
    assert!(passed.len() >= 68, "only {} ran: {passed:#?}", passed.len());
    assert_eq!(server.volumes().len(), 0, "a volume is left behind");
}

#[tokio::test]
#[ignore = "needs root and csi-sanity: tests/run"]
async fn the_suite_passes_with_an_old_heketi() {
    let server = StandIn::start(KEY);
    let world = World::new();
    let (passed, skipped) = suite(&world, &server).await;
    only_these_were_left_out(&skipped, &BEYOND);
    assert!(passed.len() >= 46, "only {} ran: {passed:#?}", passed.len());
    assert_eq!(server.volumes().len(), 0, "a volume is left behind");
}
