//! `loods storage doctor`, the program itself: the API server is a stand-in
//! with canned answers, Heketi the usual one.

use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

use super::{KEY, client_of, wanted};
use crate::stand_in::{Fault, StandIn};

const CLAIM: &str = "/api/v1/namespaces/default/persistentvolumeclaims/website-uploads";
const CLASS: &str = "/apis/storage.k8s.io/v1/storageclasses/gluster-heketi-external";
const SECRET: &str = "/api/v1/namespaces/kube-system/secrets/heketi-secret";
const EVENTS: &str = "/api/v1/namespaces/default/events";

/// An API server that knows the article's three objects.
struct Cluster {
    api: StandIn,
    kubeconfig: PathBuf,
}

impl Cluster {
    fn new(heketi: &str, key: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let api = StandIn::on(None, listener);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("doctor-{}-{number}.yaml", std::process::id());
        let kubeconfig = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "c",
            "clusters": [{"name": "c", "cluster": {"server": api.url()}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            "users": [{"name": "u", "user": {}}],
        });
        std::fs::write(&kubeconfig, config.to_string()).expect("a file");
        let cluster = Self { api, kubeconfig };
        cluster.answers(CLAIM, &json!({
            "metadata": {"name": "website-uploads", "namespace": "default", "uid": "0d1c", "annotations": {
                "volume.beta.kubernetes.io/storage-class": "gluster-heketi-external",
            }},
            "spec": {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "2Gi"}}},
            "status": {"phase": "Pending"},
        }));
        cluster.answers(CLASS, &json!({
            "metadata": {"name": "gluster-heketi-external"}, "provisioner": "kubernetes.io/glusterfs",
            "parameters": {
                "resturl": heketi, "restuser": "admin", "volumetype": "replicate:2",
                "secretName": "heketi-secret", "secretNamespace": "kube-system",
            },
        }));
        cluster.answers(
            SECRET,
            &json!({
                "type": "kubernetes.io/glusterfs", "data": {"key": base64(key)},
            }),
        );
        cluster.answers(
            EVENTS,
            &json!({"items": [{
                "type": "Warning", "reason": "ProvisioningFailed", "count": 4,
                "message": "no volume plugin matched name: kubernetes.io/glusterfs",
                "source": {"component": "persistentvolume-controller"},
            }]}),
        );
        cluster
    }

    fn answers(&self, path: &str, body: &Value) {
        self.api.fault(
            &format!("GET {path}"),
            Fault::Answer(200, body.to_string().leak()),
        );
    }

    /// Exit code, and what was said on both outputs.
    fn doctor(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_loods"))
            .args(["storage", "doctor", "--kubeconfig"])
            .arg(&self.kubeconfig)
            .args(arguments)
            .output()
            .expect("the program");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        (
            output.status.code(),
            text + &String::from_utf8_lossy(&output.stderr),
        )
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.kubeconfig);
    }
}

fn base64(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(text)
}

#[test]
fn a_claim_that_nobody_serves_is_told_so_after_all_else_is_well() {
    let heketi = StandIn::start(KEY);
    let cluster = Cluster::new(&heketi.url(), KEY);
    let (code, said) = cluster.doctor(&["website-uploads"]);
    let expected = format!(
        "PersistentVolumeClaim default/website-uploads
  ok     StorageClass gluster-heketi-external, provisioner kubernetes.io/glusterfs: volumes from {url}
  note   StorageClass gluster-heketi-external keeps two copies and nobody to decide between them (split-brain); volumetype replicate:3 has no such doubt
  ok     Secret kube-system/heketi-secret has a key
  ok     a Heketi answers at {url}
  ok     Heketi takes our token, and has no volume pvc-0d1c yet
  ok     room: replicate needs 2.0 GiB on 2 nodes, and 3 have as much on one device
  WRONG  no controller of Loods has touched this claim: look whether `loods storage controller` runs and leads (its log, its Lease), and whether it serves this provisioner
  note   the Warning \"no volume plugin matched name: kubernetes.io/glusterfs\" is kube-controller-manager's, which lost its plugin in 1.26; it can be ignored
",
        url = heketi.url()
    );
    assert_eq!((code, said), (Some(1), expected));
    assert_eq!(heketi.volumes(), [], "it changes nothing");
    assert!(heketi.lines().iter().all(|line| line.starts_with("GET ")));
}

#[test]
fn what_heketi_says_is_told_and_the_key_is_not() {
    let heketi = StandIn::start(KEY);
    let cluster = Cluster::new(&heketi.url(), "wrong-key");
    let (code, said) = cluster.doctor(&["default/website-uploads"]);
    assert_eq!(code, Some(1));
    assert!(
        said.contains("WRONG  GET") && said.contains("signature is invalid"),
        "{said}"
    );
    assert!(
        !said.contains("wrong-key") && !said.contains(&base64("wrong-key")),
        "{said}"
    );

    let cluster = Cluster::new(&heketi.url(), KEY);
    heketi.skew(3600);
    let (_, said) = cluster.doctor(&["website-uploads"]);
    assert!(said.contains("synchronise the clocks"), "{said}");
    heketi.skew(0);

    let url = heketi.url();
    drop(heketi);
    let cluster = Cluster::new(&url, KEY);
    let (_, said) = cluster.doctor(&["website-uploads"]);
    assert!(
        said.contains(&format!("WRONG  GET {url}/hello: cannot reach Heketi")),
        "{said}"
    );
}

#[tokio::test]
async fn a_volume_without_its_pv_is_seen() {
    let heketi = StandIn::start(KEY);
    let made = client_of(&heketi)
        .ensure_volume(&wanted("pvc-0d1c"))
        .await
        .expect("it is made");
    let cluster = Cluster::new(&heketi.url(), KEY);
    let (_, said) = cluster.doctor(&["website-uploads"]);
    assert!(
        said.contains(&format!(
            "note   its volume pvc-0d1c is there, id {}, 2 GiB",
            made.id
        )),
        "{said}"
    );
}

#[test]
fn what_is_missing_is_named() {
    let heketi = StandIn::start(KEY);
    let cluster = Cluster::new(&heketi.url(), KEY);
    let (code, said) = cluster.doctor(&["nothing"]);
    assert_eq!(
        (code, &*said),
        (
            Some(2),
            "error: there is no PersistentVolumeClaim default/nothing\n"
        )
    );
    let (code, said) = cluster.doctor(&["../secrets"]);
    assert!(
        code == Some(2) && said.contains("write NAME or NAMESPACE/NAME"),
        "{said}"
    );

    // The class is answered once; after that there is none.
    cluster.doctor(&["website-uploads"]);
    cluster.answers(CLAIM, &json!({
        "metadata": {"name": "website-uploads", "namespace": "default", "uid": "0d1c"},
        "spec": {"storageClassName": "gone", "accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "2Gi"}}},
    }));
    let (code, said) = cluster.doctor(&["website-uploads"]);
    assert_eq!(code, Some(1));
    assert!(
        said.contains("WRONG  there is no StorageClass \"gone\""),
        "{said}"
    );
}

#[test]
fn all_that_wait_are_looked_at_and_others_claims_are_not() {
    let heketi = StandIn::start(KEY);
    let cluster = Cluster::new(&heketi.url(), KEY);
    let claim = |name: &str, class: &str, phase: &str| {
        json!({
            "metadata": {"name": name, "namespace": "a", "uid": name},
            "spec": {"storageClassName": class, "accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}},
            "status": {"phase": phase},
        })
    };
    cluster.answers(
        "/api/v1/persistentvolumeclaims",
        &json!({"metadata": {}, "items": [
            claim("bound", "gluster-heketi-external", "Bound"),
            claim("foreign", "ceph", "Pending"),
            claim("lost", "gone", "Pending"),
        ]}),
    );
    cluster.answers(
        "/apis/storage.k8s.io/v1/storageclasses/ceph",
        &json!({"metadata": {"name": "ceph"}, "provisioner": "rbd.csi.ceph.com"}),
    );
    let (code, said) = cluster.doctor(&[]);
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.starts_with("PersistentVolumeClaim a/lost\n")
            && !said.contains("foreign")
            && !said.contains("bound"),
        "{said}"
    );
}
