//! Old PVs, as the removed plugin wrote them (the API server still takes them),
//! become CSI PVs under their claims, by an account with the rights of
//! `manifests/optional/storage-migrate.yaml` and no other. The run ends after
//! each step and another one begins.

use crate::stage::Stage;
use crate::support::{tools, wait};
use crate::world::NAMESPACE;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

const VOLUMES: &str = "/api/v1/persistentvolumes";
const ENDPOINTS: &str = "/api/v1/namespaces/default/endpoints";
const STEPS: [&str; 6] = ["save", "retain", "delete", "release", "create", "policy"];

/// An old PV, its Endpoints and its claim, Bound.
#[track_caller]
fn old(stage: &Stage, name: &str, endpoints: bool) -> Value {
    let id = "0123456789abcdef0123456789abcdef";
    make_old(stage, name, id, endpoints);
    stage.wait_bound(name);
    stage.read_claim(name).expect("it is there")
}

/// The same, and not waited for.
#[track_caller]
fn make_old(stage: &Stage, name: &str, id: &str, endpoints: bool) {
    let plane = &stage.world.plane;
    let hosts = format!("glusterfs-{name}");
    if endpoints {
        plane.post(
            ENDPOINTS,
            &json!({
                "apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": hosts},
                "subsets": [{"addresses": [{"ip": "192.168.1.12"}, {"ip": "192.168.1.11"}],
                    "ports": [{"port": 1}]}],
            }),
        );
    }
    plane.post(
        VOLUMES,
        &json!({
            "apiVersion": "v1", "kind": "PersistentVolume",
            "metadata": {"name": name, "annotations": {
                "pv.kubernetes.io/provisioned-by": "kubernetes.io/glusterfs",
                "gluster.kubernetes.io/heketi-volume-id": id,
                "pv.beta.kubernetes.io/gid": "2001",
            }},
            "spec": {
                "capacity": {"storage": "2Gi"}, "accessModes": ["ReadWriteMany"],
                "persistentVolumeReclaimPolicy": "Delete", "storageClassName": "web",
                "mountOptions": ["log-level=ERROR"],
                "glusterfs": {"endpoints": hosts, "path": format!("vol_{name}")},
            },
        }),
    );
    stage.claim(name, "web", json!({"spec": {"volumeName": name}}));
}

struct Migrate<'a> {
    stage: &'a Stage,
    saves: PathBuf,
}

impl Migrate<'_> {
    fn new(stage: &Stage) -> Migrate<'_> {
        let host = &stage.world.hosts[0];
        let manifest = tools::repository().join("manifests/optional/storage-migrate.yaml");
        let plane = &stage.world.plane;
        plane.kubectl(&["apply", "-f", &manifest.to_string_lossy()]);
        let file = host.dir.join("migrate.conf");
        plane.kubeconfig(&file, NAMESPACE, "loods-storage-migrate", &plane.server());
        // A directory that nobody (the user) may write to.
        let saves = host.dir.join("saves");
        let _ = std::fs::remove_dir_all(&saves);
        std::fs::create_dir(&saves).expect("a directory");
        std::os::unix::fs::chown(&saves, Some(65534), Some(65534)).expect("root may");
        Migrate { stage, saves }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let host = &self.stage.world.hosts[0];
        let mut command = host.command_as_nobody(tools::loods(&self.stage.world.lab));
        command
            .args(["storage", "migrate", "--json", "--save"])
            .arg(&self.saves)
            .arg("--kubeconfig")
            .arg(host.dir.join("migrate.conf"))
            .args(arguments);
        command
    }

    /// The first row, and whether nothing was refused.
    #[track_caller]
    fn run(&self, arguments: &[&str]) -> (Value, bool) {
        let (rows, fine) = self.rows(arguments);
        (rows[0].clone(), fine)
    }

    #[track_caller]
    fn rows(&self, arguments: &[&str]) -> (Value, bool) {
        let mut command = self.command(arguments);
        let output = command.output().expect("it runs");
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        let rows: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {errors}{output:?}"));
        (rows, output.status.success())
    }
}

#[test]
#[ignore = "real control plane: tests/run claims"]
fn an_old_volume_becomes_a_csi_volume_under_its_claim() {
    let stage = Stage::set();
    stage.secret();
    stage.class_with("web", json!({}));
    let claim = old(&stage, "old", true);
    let migrate = Migrate::new(&stage);
    let before = stage.read_volumes();

    let (row, fine) = migrate.run(&[]);
    assert!(fine, "{row}");
    assert_eq!(row["hosts"], json!(["192.168.1.11", "192.168.1.12"]));
    assert_eq!(row["left"].as_array().map(Vec::len), Some(7), "{row}");
    assert_eq!(stage.read_volumes(), before, "a dry run changes nothing");
    assert_eq!(migrate.saves.read_dir().expect("there").count(), 0);

    // Cut short after each step.
    let mut done = Vec::new();
    wait::until("the volume is migrated", || {
        let (row, fine) = migrate.run(&["--apply", "--steps", "1", "old"]);
        assert!(fine, "{row}");
        done.extend(row["done"].as_array().cloned().unwrap_or_default());
        wait::check(row["left"] == json!([]), row)
    });
    assert_eq!(Value::from(done), json!(STEPS));

    let volume = stage.wait_bound("old");
    let now = stage.read_claim("old").expect("it is there");
    assert_eq!(now["metadata"]["uid"], claim["metadata"]["uid"]);
    assert_eq!(now["status"]["phase"], "Bound");
    let spec = &volume["spec"];
    assert_eq!(spec["persistentVolumeReclaimPolicy"], "Delete");
    assert_eq!(spec["mountOptions"], json!(["log-level=ERROR"]));
    assert_eq!(
        spec["csi"],
        json!({
            "driver": "gluster.loods.io",
            "volumeHandle": "0123456789abcdef0123456789abcdef",
            "volumeAttributes": {
                "volume": "vol_old", "hosts": "192.168.1.11,192.168.1.12",
                "resturl": crate::world::heketi_url(), "restuser": "admin",
                "secretName": "heketi-secret", "secretNamespace": "kube-system",
            },
        })
    );
    // From here on it is served as any other.
    stage.delete_claim("old");
    stage.wait_nothing_left();
}

#[test]
#[ignore = "real control plane: tests/run claims"]
fn a_volume_whose_hosts_are_not_known_is_left_alone_until_they_are_told() {
    let stage = Stage::set();
    stage.secret();
    stage.class_with("web", json!({}));
    let claim = old(&stage, "lone", false);
    let migrate = Migrate::new(&stage);
    let before = stage.read_volumes();
    let (row, fine) = migrate.run(&["--apply", "lone"]);
    assert!(
        !fine && row["refused"].to_string().contains("--hosts"),
        "{row}"
    );
    assert_eq!(stage.read_volumes(), before);
    let (row, fine) = migrate.run(&["--apply", "--hosts", "gfs1,gfs2", "lone"]);
    assert!(fine && row["left"] == json!([]), "{row}");
    let volume = stage.wait_bound("lone");
    let attributes = &volume["spec"]["csi"]["volumeAttributes"];
    assert_eq!(attributes["hosts"], "gfs1,gfs2");
    let now = stage.read_claim("lone").expect("it is there");
    assert_eq!(now["metadata"]["uid"], claim["metadata"]["uid"]);
    stage.delete_claim("lone");
    stage.wait_nothing_left();
}

#[test]
#[ignore = "real control plane: tests/run claims"]
fn twenty_volumes_come_over_whenever_the_run_is_killed() {
    let stage = Stage::set();
    stage.secret();
    stage.class_with("web", json!({}));
    let names: Vec<String> = (0..20).map(|n| format!("old-{n}")).collect();
    for (n, name) in names.iter().enumerate() {
        make_old(&stage, name, &format!("{n:032x}"), true);
    }
    let uid = |name: &String| {
        stage.wait_bound(name);
        stage.read_claim(name).expect("it is there")["metadata"]["uid"].clone()
    };
    let before: Vec<Value> = names.iter().map(uid).collect();
    let migrate = Migrate::new(&stage);
    // Wherever that is: between two writes, or with one on its way.
    let mut killed = 0;
    for moment in (60..).step_by(190) {
        let mut command = migrate.command(&["--apply"]);
        let mut run = command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        std::thread::sleep(Duration::from_millis(moment));
        if run.try_wait().expect("it is ours").is_some() {
            break;
        }
        run.kill().expect("it dies");
        run.wait().expect("it is dead");
        killed += 1;
    }
    assert!(killed > 3, "killed {killed} times");
    let (rows, fine) = migrate.rows(&["--apply"]);
    assert!(fine, "{rows}");
    let after: Vec<Value> = names.iter().map(uid).collect();
    assert_eq!(after, before);
    let volumes = stage.read_volumes();
    assert_eq!(volumes.len(), 20);
    for (n, name) in names.iter().enumerate() {
        let mut volumes = volumes.iter();
        let volume = volumes.find(|volume| volume["metadata"]["name"] == *name);
        let spec = &volume.expect("it has its name")["spec"];
        assert_eq!(spec["csi"]["volumeHandle"], format!("{n:032x}"));
        assert_eq!(spec["persistentVolumeReclaimPolicy"], "Delete");
        assert!(spec.get("glusterfs").is_none(), "{spec}");
    }
    for name in &names {
        stage.delete_claim(name);
    }
    stage.wait_nothing_left();
}
