//! Claims whose volumes begin with another claim's, or with a VolumeSnapshot:
//! the CSI project's own `snapshot-controller` and `csi-snapshotter`, the second
//! with the rights of `manifests/optional/storage-snapshots.yaml`.

use crate::stage::Stage;
use crate::support::process::Process;
use crate::support::{tools, wait};
use crate::world::{NAMESPACE, heketi_url};
use serde_json::{Value, json};

const CLASS: &str = "gluster-heketi-external";
const SNAPSHOTS: &str = "/apis/snapshot.storage.k8s.io/v1/namespaces/default/volumesnapshots";
const CONTENTS: &str = "/apis/snapshot.storage.k8s.io/v1/volumesnapshotcontents";

#[test]
#[ignore = "real control plane: tests/run claims"]
fn a_claim_begins_with_what_another_claim_has() {
    let stage = Stage::of_the_article();
    stage.heketi.as_loods(true);
    let from = |name: &str| json!({"spec": {"dataSource": {"kind": "PersistentVolumeClaim", "name": name}}});
    // It may come first: nothing is made before the other has its volume.
    stage.claim("copy", CLASS, from("first"));
    stage.wait_told(
        "copy",
        "ProvisioningFailed",
        "there is no claim of that name",
    );
    assert_eq!(stage.heketi.volumes().len(), 0);
    stage.claim("first", CLASS, json!({}));
    let first = stage.wait_bound("first");
    let copy = stage.wait_bound("copy");
    assert_eq!(
        stage.sources(),
        [json!({"volume": first["spec"]["csi"]["volumeHandle"]})]
    );
    // Pods of the copy may read what pods of the first wrote.
    let group =
        |volume: &Value| volume["metadata"]["annotations"]["pv.beta.kubernetes.io/gid"].clone();
    assert_eq!(group(&copy), group(&first));
    assert_ne!(group(&first), Value::Null);

    // Two GiB do not fit into one.
    let mut small = from("first");
    small["spec"]["resources"] = json!({"requests": {"storage": "1Gi"}});
    stage.claim("small", CLASS, small);
    stage.wait_told("small", "ProvisioningFailed", "ask for at least as much");
    stage.delete_claim("small");

    // Neither needs the other any more.
    stage.delete_claim("first");
    stage.delete_claim("copy");
    stage.wait_nothing_left();
}

#[test]
#[ignore = "real control plane: tests/run claims"]
fn a_claim_begins_with_a_volume_snapshot() {
    let mut stage = Stage::empty();
    stage.heketi.as_loods(true);
    let mut sidecars = Sidecars::start(&mut stage);
    stage.secret();
    stage.class();
    stage.claim("web", CLASS, json!({}));
    let volume = stage.wait_bound("web");
    let from = json!({"spec": {"dataSource": {
        "apiGroup": "snapshot.storage.k8s.io", "kind": "VolumeSnapshot", "name": "monday"}}});
    stage.claim("copy", CLASS, from);
    stage.wait_told(
        "copy",
        "ProvisioningFailed",
        "VolumeSnapshot monday: namespace default has none",
    );

    stage.snapshot("monday", "web");
    let handle = stage.wait_ready(&mut sidecars, "monday");
    let copy = stage.wait_bound("copy");
    assert_eq!(stage.sources(), [json!({"snapshot": handle})]);
    let group =
        |volume: &Value| volume["metadata"]["annotations"]["pv.beta.kubernetes.io/gid"].clone();
    assert_eq!(group(&copy), group(&volume));

    // Who writes the name of another's content gets nothing of it.
    stage.forge("forged", "monday");
    stage.claim(
        "thief",
        CLASS,
        json!({"spec": {"dataSource": {
        "apiGroup": "snapshot.storage.k8s.io", "kind": "VolumeSnapshot", "name": "forged"}}}),
    );
    stage.wait_told("thief", "ProvisioningFailed", "VolumeSnapshot forged: ");
    assert_eq!(stage.sources().len(), 1);
    stage.delete_claim("thief");

    for name in ["monday", "forged"] {
        stage.world.plane.delete(&format!("{SNAPSHOTS}/{name}"));
    }
    wait::until("the manager has no snapshot", || {
        let contents = stage.world.plane.try_read(CONTENTS)?;
        let left = stage.heketi.snapshots();
        wait::check(
            left.is_empty() && contents["items"] == json!([]),
            format!("{left:?}\n{contents}\n{}", sidecars.snapshotter.tail(5)),
        )
    });
    stage.delete_claim("web");
    stage.delete_claim("copy");
    stage.wait_nothing_left();
    sidecars.remove(&stage);
}

/// The CSI project's programs, and a controller that serves the second.
struct Sidecars {
    snapshotter: Process,
    controller: Process,
}

impl Sidecars {
    fn start(stage: &mut Stage) -> Sidecars {
        let host = stage.world.hosts[0].clone();
        let plane = &stage.world.plane;
        let crds = tools::snapshotter("crd");
        plane.kubectl(&["apply", "-f", &crds.to_string_lossy()]);
        plane.kubectl(&[
            "wait",
            "--for=condition=Established",
            "crd",
            "--all",
            "--timeout=20s",
        ]);
        plane.kubectl(&["apply", "-f", &manifest()]);

        let dir = host.dir.join("csi");
        let _ = std::fs::remove_dir_all(&dir);
        std::fs::create_dir(&dir).expect("a directory");
        std::os::unix::fs::chown(&dir, Some(65534), Some(65534)).expect("root may");
        let key = host.dir.join("key");
        std::fs::write(&key, crate::stage::KEY).expect("a file");
        let socket = dir.join("csi.sock");
        let flag = |name: &str, value: &str| format!("--{name}={value}");
        stage.controllers[0].flags = vec![
            flag("manager", &heketi_url()),
            flag("csi-socket", &socket.to_string_lossy()),
            flag("csi-key-file", &key.to_string_lossy()),
        ];
        stage.controllers[0].start();
        wait::until("the socket is there", || {
            wait::check(socket.exists(), "no socket")
        });

        let own = host.dir.join("snapshotter.conf");
        plane.kubeconfig(&own, NAMESPACE, "loods-storage-controller", &plane.server());
        let mut command = host.command_as_nobody(tools::snapshotter("csi-snapshotter"));
        command.arg(flag("csi-address", &socket.to_string_lossy()));
        command.arg(flag("kubeconfig", &own.to_string_lossy()));
        let snapshotter = Process::start(&host, "csi-snapshotter", command);
        // Whoever runs a cluster has this one, with rights that are not ours to give.
        let core = stage.world.lab.core();
        let mut command = core.command(tools::snapshotter("snapshot-controller"));
        command.arg(flag("kubeconfig", &plane.admin().to_string_lossy()));
        let controller = Process::start(core, "snapshot-controller", command);
        Sidecars {
            snapshotter,
            controller,
        }
    }

    /// What the next test must not have: its rights are of `manifests/storage.yaml` alone.
    fn remove(self, stage: &Stage) {
        drop(self.snapshotter);
        drop(self.controller);
        let plane = &stage.world.plane;
        plane.kubectl(&["delete", "-f", &manifest()]);
    }
}

fn manifest() -> String {
    let path = tools::repository().join("manifests/optional/storage-snapshots.yaml");
    path.to_string_lossy().into_owned()
}

impl Stage {
    /// The `source` of each volume that was asked for and begun, in order.
    fn sources(&self) -> Vec<Value> {
        let asked = self.heketi.asked().into_iter();
        let made = asked.filter(|it| it.line == "POST /volumes" && it.status == 202);
        made.map(|it| serde_json::from_str::<Value>(&it.body).expect("JSON")["source"].take())
            .filter(|source| !source.is_null())
            .collect()
    }

    fn snapshot(&self, name: &str, claim: &str) {
        let snapshot = json!({
            "apiVersion": "snapshot.storage.k8s.io/v1", "kind": "VolumeSnapshot",
            "metadata": {"name": name},
            "spec": {"volumeSnapshotClassName": "loods", "source": {"persistentVolumeClaimName": claim}},
        });
        self.world.plane.post(SNAPSHOTS, &snapshot);
    }

    /// A VolumeSnapshot that names the content of another.
    fn forge(&self, name: &str, other: &str) {
        let content = self.world.plane.read(&format!("{SNAPSHOTS}/{other}"));
        let content = &content["status"]["boundVolumeSnapshotContentName"];
        let snapshot = json!({
            "apiVersion": "snapshot.storage.k8s.io/v1", "kind": "VolumeSnapshot",
            "metadata": {"name": name},
            "spec": {"source": {"volumeSnapshotContentName": content}},
        });
        self.world.plane.post(SNAPSHOTS, &snapshot);
        let status = json!({"status": {
            "boundVolumeSnapshotContentName": content, "readyToUse": true}});
        self.world
            .plane
            .patch(&format!("{SNAPSHOTS}/{name}/status"), &status);
    }

    /// Waits for a VolumeSnapshot: the manager's id of it.
    #[track_caller]
    fn wait_ready(&self, sidecars: &mut Sidecars, name: &str) -> Value {
        let content = sidecars.snapshotter.wait("the snapshot is ready", || {
            let snapshot = self.world.plane.try_read(&format!("{SNAPSHOTS}/{name}"))?;
            let status = &snapshot["status"];
            match status["boundVolumeSnapshotContentName"].as_str() {
                Some(content) if status["readyToUse"] == true => Ok(content.to_owned()),
                _ => Err(snapshot.to_string()),
            }
        });
        let content = self.world.plane.read(&format!("{CONTENTS}/{content}"));
        content["status"]["snapshotHandle"].clone()
    }
}
