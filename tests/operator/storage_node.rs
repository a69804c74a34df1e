//! `manifests/storage-node.yaml`: root on every node, so every word counts.

use crate::documents;
use serde_json::{Value, json};

const FILE: &str = "manifests/storage-node.yaml";

#[track_caller]
fn object(kind: &str, name: &str) -> Value {
    let mut found = documents(FILE);
    found.retain(|object| object["kind"] == kind && object["metadata"]["name"] == name);
    assert_eq!(found.len(), 1, "{kind} {name}");
    found.remove(0)
}

fn both() -> [(&'static str, Value); 2] {
    ["node", "keeper"].map(|part| (part, object("DaemonSet", &format!("loods-storage-{part}"))))
}

#[test]
fn nothing_of_it_has_a_right_in_the_api() {
    let mut kinds: Vec<_> = documents(FILE)
        .iter()
        .map(|object| object["kind"].as_str().expect("a kind").to_owned())
        .collect();
    kinds.sort();
    kinds.dedup();
    // Its namespace and CSIDriver are in storage.yaml, once.
    assert_eq!(kinds, ["DaemonSet", "ServiceAccount"]);
    let named = documents("manifests/storage.yaml");
    let count = |kind: &str| named.iter().filter(|object| object["kind"] == kind).count();
    assert_eq!((count("Namespace"), count("CSIDriver")), (1, 1));
    for (part, set) in both() {
        let pod = &set["spec"]["template"]["spec"];
        assert_eq!(pod["automountServiceAccountToken"], false, "{part}");
    }
}

#[test]
fn the_keeper_is_replaced_by_hand_alone_and_never_for_its_memory() {
    let keeper = object("DaemonSet", "loods-storage-keeper");
    assert_eq!(
        keeper["spec"]["updateStrategy"],
        json!({"type": "OnDelete"})
    );
    let pod = &keeper["spec"]["template"]["spec"];
    assert_eq!(
        (&pod["hostPID"], &pod["hostNetwork"]),
        (&json!(true), &json!(true))
    );
    let container = &pod["containers"][0];
    assert_eq!(container["resources"].get("limits"), None);
    // A probe that fails would end every volume of the node.
    assert_eq!(container.get("livenessProbe"), None);
}

#[test]
fn both_see_the_mounts_of_each_other_and_nothing_else_of_the_node() {
    for (part, set) in both() {
        let labels = &set["spec"]["template"]["metadata"]["labels"];
        assert_eq!(set["spec"]["selector"]["matchLabels"], *labels, "{part}");
        let pod = &set["spec"]["template"]["spec"];
        assert_eq!(
            pod["tolerations"],
            json!([{"operator": "Exists"}]),
            "{part}"
        );
        assert_eq!(
            pod["volumes"],
            json!([{"name": "kubelet", "hostPath": {"path": "/var/lib/kubelet", "type": "Directory"}}]),
            "{part}"
        );
        let container = &pod["containers"][0];
        assert_eq!(
            container["volumeMounts"],
            json!([{"name": "kubelet", "mountPath": "/var/lib/kubelet", "mountPropagation": "Bidirectional"}]),
            "{part}"
        );
        assert_eq!(
            container["image"],
            concat!("loods:", env!("CARGO_PKG_VERSION"))
        );
        assert_eq!(container["args"][1], part);
    }
    let node = object("DaemonSet", "loods-storage-node");
    let pod = &node["spec"]["template"]["spec"];
    for host in ["hostPID", "hostNetwork", "hostIPC"] {
        assert_eq!(pod.get(host), None, "the plugin needs no {host}");
    }
}

#[test]
fn the_driver_is_registered_under_its_name_and_changes_no_owner() {
    let mut drivers = documents("manifests/storage.yaml");
    drivers.retain(|object| object["kind"] == "CSIDriver");
    let driver = drivers.remove(0);
    assert_eq!(driver["spec"]["attachRequired"], false);
    assert_eq!(driver["spec"]["fsGroupPolicy"], "None");
    assert_eq!(
        driver["spec"]["volumeLifecycleModes"],
        json!(["Persistent"])
    );
}
