//! The test suite of CSI on everything that is real: the controller's CSI service,
//! the manager, agents and glusterds behind it, and the node plugin with its
//! keeper, which mounts these very volumes.
//!
//! The whole suite takes five minutes of making volumes; it runs when WHOLE is set
//! (68 tests passed, and what was left out is what the suite in `tests/csi` leaves
//! out too). Otherwise one test for each thing that can be done with a volume.

use crate::scene::Scene;
use crate::support::gluster::KEY;
use crate::support::process::Process;
use crate::support::{tools, wait};
use std::path::Path;

/// A kubeconfig for a port where nothing listens: the CSI service needs no cluster.
const NOBODY: &str = "{apiVersion: v1, kind: Config, current-context: c, \
    clusters: [{name: c, cluster: {server: 'http://127.0.0.1:1'}}], \
    users: [{name: c, user: {}}], contexts: [{name: c, context: {cluster: c, user: c}}]}";

/// In the environment: run everything.
const WHOLE: &str = "LOODS_SANITY_WHOLE";

/// One test of each kind, by words of their names, and how many that are.
const SOME: (&str, u32) = (
    "Node Service should work|NodeGetVolumeHealth should return health|\
    existing source (snapshot|volume)$|ExpandVolume .*should work|\
    match the specified source volume id|CreateSnapshot .*maximum-length name|\
    already existing name and different capacity",
    8,
);

#[track_caller]
fn listens(socket: &Path) {
    wait::until(&format!("{} is there", socket.display()), || {
        wait::check(socket.exists(), "no socket")
    });
}

#[test]
#[ignore = "needs root and glusterfs-server: tests/run gluster"]
fn the_suite_passes_on_real_volumes() {
    let scene = Scene::set();
    let program = tools::loods(&scene.lab);
    let core = scene.lab.core();
    let web = &scene.web[0];
    let dir = web.host.dir.join("csi");
    std::fs::create_dir_all(&dir).expect("a directory");
    let at = |name: &str| dir.join(name);
    std::fs::write(at("kubeconfig"), NOBODY).expect("a file");
    std::fs::write(at("key"), KEY).expect("a file");

    let mut command = core.command(&program);
    command
        .args(["storage", "controller", "--listen", "127.0.0.1:0"])
        .args(["--manager", &scene.gluster.url(), "--kubeconfig"])
        .arg(at("kubeconfig"))
        .arg("--csi-key-file")
        .arg(at("key"))
        .arg("--csi-socket")
        .arg(at("controller.sock"));
    let _controller = Process::start(core, "controller", command);
    listens(&at("controller.sock"));

    let program = program.to_string_lossy();
    let mut command = web.command(&program);
    command
        .args(["storage", "keeper", "--kubelet-dir"])
        .arg(&dir);
    command.arg("--log-dir").arg(at("log"));
    command.arg("--socket").arg(at("keeper.sock"));
    let _keeper = Process::start(&web.host, "keeper", command);
    listens(&at("keeper.sock"));
    let mut command = web.command(&program);
    command
        .args([
            "storage",
            "node",
            "--node-name",
            "web1",
            "--registry",
            "",
            "--kubelet-dir",
        ])
        .arg(&dir)
        .arg("--socket")
        .arg(at("csi.sock"))
        .arg("--keeper")
        .arg(at("keeper.sock"));
    let _node = Process::start(&web.host, "node", command);
    listens(&at("csi.sock"));

    let (focus, wanted) = match std::env::var_os(WHOLE) {
        Some(_) => (None, 68),
        None => (Some(format!("--ginkgo.focus={}", SOME.0)), SOME.1),
    };
    let mut command = web.command(&tools::csi_sanity().to_string_lossy());
    let flag = |name: &str, value: &Path| format!("--csi.{name}={}", value.display());
    command
        .arg(flag("endpoint", &at("csi.sock")))
        .arg(flag("controllerendpoint", &at("controller.sock")))
        .arg(flag("mountdir", &at("target")))
        .arg(flag("stagingdir", &at("staging")))
        .arg("--csi.testvolumesize=1073741824")
        .arg("--csi.testvolumeexpandsize=2147483648")
        .arg("--ginkgo.no-color")
        .args(focus)
        .current_dir(&dir);
    let output = command.output().expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    // Ran 68 of 92 Specs in 60.0 seconds
    let ran = text.lines().find_map(|line| line.strip_prefix("Ran "));
    let ran = ran.and_then(|line| line.split(' ').next()?.parse::<u32>().ok());
    assert_eq!(ran, Some(wanted), "{text}");
    web.shell("kill $(pgrep -f 'loods storage (node|keeper)')")
        .expect("they run");
    scene.wait_nothing_left();
}
