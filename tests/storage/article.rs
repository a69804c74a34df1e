//! The article's objects, byte for byte, and what its author saw.

use crate::scene::{Scene, file};
use crate::support::gluster::KEY;
use crate::support::lab::attempt;
use crate::support::{tools, wait};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const CLASS: &str = "/apis/storage.k8s.io/v1/storageclasses/gluster-heketi-external";
const UPLOADS: &str = "/api/v1/namespaces/default/persistentvolumeclaims/website-uploads";

#[test]
#[ignore = "needs root and glusterfs-server: tests/run storage"]
fn the_article() {
    let scene = Scene::set();
    let start = Instant::now();
    scene.cluster.plane.create(&file("pvc.yaml"));
    let volume = scene.wait_bound("website-uploads");
    println!(
        "claim -> Bound, the cluster's first volume: {:.2} s",
        start.elapsed().as_secs_f64()
    );
    as_the_article_shows(&scene, &volume);

    // "pods on several nodes mount it and share it"
    for (pod, node) in [("one", "n1"), ("two", "n2")] {
        scene.pod(pod, node, "website-uploads", "sleep 3600");
    }
    scene.wait_running("one");
    scene.wait_running("two");
    scene
        .exec("one", "echo hello from one > /data/upload.txt")
        .expect("one can write");
    let read = scene.exec("two", "cat /data/upload.txt");
    assert_eq!(read.as_deref(), Ok("hello from one\n"));
    let name = volume["spec"]["csi"]["volumeAttributes"]["volume"].as_str();
    let bricks = scene.gluster.bricks(name.expect("the volume's name"));
    assert_eq!(bricks.len(), 2);
    let sums: Vec<_> = bricks
        .iter()
        .map(|(server, path)| server.shell(&format!("md5sum < {path}/upload.txt")))
        .collect();
    assert!(sums[0].is_ok() && sums[0] == sums[1], "{sums:?}");

    grows_under_its_pods(&scene);
    every_part_is_small(&scene);

    let delete = ["delete", "pod", "one", "two", "--now"];
    scene.cluster.kubectl(&delete);
    scene.cluster.plane.delete(UPLOADS);
    scene.wait_nothing_left();
}

/// The PVC and the PV, and what `heketi-cli volume info` would say.
fn as_the_article_shows(scene: &Scene, volume: &Value) {
    let claim = scene.claim("website-uploads").expect("the claim");
    let uid = claim["metadata"]["uid"].as_str().expect("a uid");
    assert_eq!(volume["metadata"]["name"], format!("pvc-{uid}"));
    assert_eq!(volume["spec"]["capacity"]["storage"], "2Gi");
    assert_eq!(volume["spec"]["accessModes"], json!(["ReadWriteMany"]));
    assert_eq!(volume["spec"]["persistentVolumeReclaimPolicy"], "Delete");
    let id = &volume["metadata"]["annotations"]["gluster.kubernetes.io/heketi-volume-id"];
    assert_eq!(*id, volume["spec"]["csi"]["volumeHandle"]);
    let table = scene.cluster.kubectl(&["get", "pvc", "website-uploads"]);
    for word in ["Bound", "2Gi", "RWX", "gluster-heketi-external"] {
        assert!(table.contains(word), "{word}: {table}");
    }
    let whole = volume.to_string();
    assert!(!whole.contains("ADMIN_PASSWORD"), "{whole}");
}

/// The class is told to allow it, the claim asks for more, `df` shows it.
fn grows_under_its_pods(scene: &Scene) {
    let plane = &scene.cluster.plane;
    plane.patch(CLASS, &json!({"allowVolumeExpansion": true}));
    let more = json!({"spec": {"resources": {"requests": {"storage": "3Gi"}}}});
    plane.patch(UPLOADS, &more);
    wait::until("the claim has 3Gi", || {
        let claim = scene.claim("website-uploads")?;
        wait::check(claim["status"]["capacity"]["storage"] == "3Gi", &claim)
    });
    wait::until("both pods see it", || {
        for pod in ["one", "two"] {
            let df = scene.exec(pod, "df -m /data | tail -n 1")?;
            let total = df
                .split_whitespace()
                .find_map(|word| word.parse::<u64>().ok());
            wait::check(total.is_some_and(|mib| (2900..3200).contains(&mib)), df)?;
        }
        Ok(())
    });
}

/// Anonymous memory, at most 15 MB each.
fn every_part_is_small(scene: &Scene) {
    for part in ["controller", "node", "keeper"] {
        let mut largest = 0;
        for node in ["n1", "n2", "n3"] {
            let script = format!(
                "for pid in $(pgrep -f '[s]torage {part}'); do sed -n 's/^RssAnon:[^0-9]*//p' /proc/$pid/status; done"
            );
            let told = scene.cluster.node(node).try_run("sh", &["-c", &script]);
            for line in told.expect("processes can be read").lines() {
                let kib = line
                    .split(' ')
                    .next()
                    .and_then(|word| word.parse::<u64>().ok());
                largest = largest.max(kib.expect("a number of kB"));
            }
        }
        println!("{part}: {:.1} MB of its own", largest as f64 / 1024.0);
        assert!((1..15 << 10).contains(&largest), "{part}: {largest} kB");
    }
}

/// The plugin of every node is replaced while a pod writes.
#[test]
#[ignore = "needs root and glusterfs-server: tests/run storage"]
fn an_upgrade_of_the_node_plugin_is_not_seen_by_a_writer() {
    let scene = Scene::set();
    scene.make_claim("busy");
    scene.wait_bound("busy");
    // Each line is flushed to the bricks before the next; the first error ends it.
    let write = "i=0; while echo $i >> /data/lines && sync /data/lines; do i=$((i+1)); echo $i > /progress; done; echo failed > /failed; sleep 3600";
    scene.pod("writer", "n1", "busy", write);
    scene.wait_running("writer");
    let written = || -> Result<u64, String> {
        let count = scene.exec("writer", "cat /progress")?;
        count.trim().parse().map_err(|_| count)
    };
    let before = wait::until("it writes", written);
    let set = "daemonset/loods-storage-node";
    scene
        .cluster
        .kubectl(&["-n", "loods-storage", "rollout", "restart", set]);
    let status = [
        "-n",
        "loods-storage",
        "rollout",
        "status",
        set,
        "--timeout=90s",
    ];
    scene.cluster.kubectl(&status);
    scene
        .cluster
        .wait_pods("loods-storage", "component=node", 3);
    let after = written().expect("it still writes");
    assert!(after > before, "{before} then {after}");
    wait::until("and goes on", || {
        let count = written()?;
        wait::check(count > after, count)
    });
    assert!(scene.exec("writer", "cat /failed").is_err());
    // A new pod finds every line of it, by the new plugin.
    scene.pod("reader", "n2", "busy", "sleep 3600");
    scene.wait_running("reader");
    let compare = "n=$(wc -l < /data/lines); head -n $n /data/lines > /seen; \
                   seq 0 $((n - 1)) | cmp - /seen && echo $n";
    let lines = scene.exec("reader", compare).expect("no line is missing");
    assert!(
        lines.trim().parse::<u64>().is_ok_and(|lines| lines > after),
        "{lines}"
    );
}

/// Deletion needs the PV alone.
#[test]
#[ignore = "needs root and glusterfs-server: tests/run storage"]
fn a_claim_whose_class_is_gone_is_deleted_all_the_same() {
    let scene = Scene::set();
    scene.make_claim("orphan");
    scene.wait_bound("orphan");
    scene.cluster.plane.delete(CLASS);
    scene
        .cluster
        .kubectl(&["delete", "pvc", "orphan", "--wait=false"]);
    scene.wait_nothing_left();
}

#[test]
#[ignore = "needs root and glusterfs-server: tests/run storage"]
fn fifty_claims_at_once() {
    // Or as many as a figure wants.
    let count = std::env::var("LOODS_CLAIMS").map_or(50, |text| text.parse().expect("a number"));
    let scene = Scene::set();
    let start = Instant::now();
    let names: Vec<String> = (1..=count).map(|n| format!("many-{n}")).collect();
    names.iter().for_each(|name| scene.make_claim(name));
    wait::until_within(Duration::from_secs(180), "all are Bound", || {
        let list = scene
            .cluster
            .plane
            .try_read("/api/v1/namespaces/default/persistentvolumeclaims")?;
        let claims = list["items"].as_array().into_iter().flatten();
        let bound = claims
            .filter(|claim| claim["status"]["phase"] == "Bound")
            .count();
        wait::check(bound == names.len(), bound)
    });
    println!(
        "{count} claims at once -> all Bound: {:.1} s",
        start.elapsed().as_secs_f64()
    );
    let volumes = scene.volumes().expect("PVs");
    let mut handles: Vec<_> = volumes
        .iter()
        .map(|volume| volume["spec"]["csi"]["volumeHandle"].as_str())
        .collect();
    handles.sort();
    handles.dedup();
    assert_eq!((volumes.len(), handles.len()), (count, count));
    let listed = scene.gluster.servers[0]
        .shell("gluster volume list")
        .expect("a list");
    assert_eq!(listed.lines().count(), count, "{listed}");
    scene
        .cluster
        .kubectl(&["delete", "pvc", "--all", "--wait=false"]);
    let start = Instant::now();
    scene.wait_nothing_left();
    println!(
        "{count} claims deleted -> nothing left: {:.1} s",
        start.elapsed().as_secs_f64()
    );
}

/// What the manager knew of a volume is lost, and its PV tells it again.
#[test]
#[ignore = "needs root and glusterfs-server: tests/run storage"]
fn a_lost_record_is_written_anew_from_what_the_pv_tells() {
    let mut scene = Scene::set();
    scene.make_claim("kept");
    let volume = scene.wait_bound("kept");
    let name = volume["spec"]["csi"]["volumeAttributes"]["volume"].as_str();
    let name = name.expect("a name");
    // One that runs would write it anew by itself.
    scene.gluster.kill_manager();
    let server = &scene.gluster.servers[1];
    let gluster = "gluster --mode=script volume";
    let reset = format!("{gluster} reset {name} && {gluster} info {name}");
    let info = server.shell(&reset).expect("it is reset");
    assert!(!info.contains("user.loods."), "{info}");
    scene.gluster.start_manager();

    let adopt = |arguments: &[&str]| {
        let core = scene.cluster.lab.core();
        let key = core.dir.join("admin-key");
        std::fs::write(&key, KEY).expect("a file");
        let mut command = core.command(tools::loods(&scene.cluster.lab));
        command
            .args([
                "storage",
                "adopt",
                "--manager",
                &scene.gluster.url(),
                "--key-file",
            ])
            .arg(key)
            .arg("--kubeconfig")
            .arg(scene.cluster.plane.admin())
            .args(arguments);
        attempt(&mut command)
    };
    let told = wait::until("the manager has looked", || adopt(&["--json"]));
    let told: Value = serde_json::from_str(&told).expect("JSON");
    let row = &told[0];
    assert_eq!(row["persistentVolume"], volume["metadata"]["name"]);
    assert_eq!(row["id"], volume["spec"]["csi"]["volumeHandle"]);
    assert_eq!((&row["size"], &row["refused"]), (&json!(1), &json!("")));
    let gid = volume["metadata"]["annotations"]["pv.beta.kubernetes.io/gid"].as_str();
    assert_eq!(row["gid"].to_string(), gid.expect("a group"));

    let done = adopt(&[name, "--apply"]).expect("it is adopted");
    assert!(done.contains("adopted"), "{done}");
    // It is the manager's again: it grows, and goes with its claim.
    let grow = json!({"spec": {"resources": {"requests": {"storage": "2Gi"}}}});
    let path = "/api/v1/namespaces/default/persistentvolumeclaims/kept";
    let plane = &scene.cluster.plane;
    plane.patch(CLASS, &json!({"allowVolumeExpansion": true}));
    plane.patch(path, &grow);
    wait::until_within(Duration::from_secs(30), "it grows", || {
        let claim = scene.claim("kept")?;
        let is = &claim["status"]["capacity"]["storage"];
        wait::check(is == "2Gi", &claim)
    });
    scene.cluster.plane.delete(path);
    scene.wait_nothing_left();
}

/// Volumes are for the nodes' addresses: neither a pod nor another machine.
#[test]
#[ignore = "needs root and glusterfs-server: tests/run storage"]
fn a_pod_that_is_not_given_a_volume_cannot_mount_it() {
    let scene = Scene::set();
    scene.make_claim("secret");
    let volume = scene.wait_bound("secret");
    let name = volume["spec"]["csi"]["volumeAttributes"]["volume"].as_str();
    let name = name.expect("a name");
    // From a pod's network, with all the rights that its node has.
    scene.make_claim("other");
    scene.wait_bound("other");
    scene.pod("thief", "n1", "other", "sleep 3600");
    scene.wait_running("thief");
    let node = scene.cluster.node("n1");
    let from = format!("{}:/{name}", scene.gluster.servers[0].host.v4);
    let script = format!(
        "pid=$(pgrep -f 'sleep 3600' | head -n 1); mkdir -p /run/thief; \
         timeout 20 nsenter --target=$pid --net mount.glusterfs {from} /run/thief; \
         ls -d /run/thief/. && mountpoint -q /run/thief && echo mounted; umount -l /run/thief 2>/dev/null; true"
    );
    let told = node
        .try_run("sh", &["-c", &script])
        .unwrap_or_else(|why| why);
    assert!(!told.contains("mounted"), "{told}");
    // The same from the node's own network: it is the network that differs.
    let script = script.replace("nsenter --target=$pid --net ", "");
    let told = node
        .try_run("sh", &["-c", &script])
        .unwrap_or_else(|why| why);
    assert!(told.contains("mounted"), "{told}");
}
