//! `manifests/`: what it promises of rights, safety and upgrades.

use crate::{documents, files};
use serde_json::{Value, json};

/// Every right that is granted: (role's kind and name, group, resource, only
/// these objects, verb). A right more than these is a decision, not a detail.
const RIGHTS: &[(&str, &str, &str, &[&str], &str)] = &[
    ("ClusterRole/loods-allocator", "", "services", &[], "list"),
    ("ClusterRole/loods-allocator", "", "services", &[], "watch"),
    (
        "ClusterRole/loods-allocator",
        "",
        "services/status",
        &[],
        "patch",
    ),
    (
        "ClusterRole/loods-allocator",
        "events.k8s.io",
        "events",
        &[],
        "create",
    ),
    ("Role/loods-allocator", "", "configmaps", CONFIGS, "get"),
    ("Role/loods-allocator", "", "configmaps", CONFIGS, "list"),
    ("Role/loods-allocator", "", "configmaps", CONFIGS, "watch"),
    (
        "Role/loods-allocator",
        "",
        "configmaps",
        &["loods-last-good"],
        "patch",
    ),
    ("Role/loods-allocator", "", "configmaps", &[], "create"),
    (
        "Role/loods-allocator",
        "coordination.k8s.io",
        "leases",
        LEASE,
        "get",
    ),
    (
        "Role/loods-allocator",
        "coordination.k8s.io",
        "leases",
        LEASE,
        "update",
    ),
    (
        "Role/loods-allocator",
        "coordination.k8s.io",
        "leases",
        &[],
        "create",
    ),
    ("ClusterRole/loods-speaker", "", "services", &[], "list"),
    ("ClusterRole/loods-speaker", "", "services", &[], "watch"),
    ("ClusterRole/loods-speaker", "", "nodes", &[], "list"),
    ("ClusterRole/loods-speaker", "", "nodes", &[], "watch"),
    (
        "ClusterRole/loods-speaker",
        "discovery.k8s.io",
        "endpointslices",
        &[],
        "list",
    ),
    (
        "ClusterRole/loods-speaker",
        "discovery.k8s.io",
        "endpointslices",
        &[],
        "watch",
    ),
    (
        "ClusterRole/loods-speaker",
        "events.k8s.io",
        "events",
        &[],
        "create",
    ),
    ("Role/loods-speaker", "", "configmaps", CONFIGS, "get"),
    ("Role/loods-speaker", "", "configmaps", CONFIGS, "list"),
    ("Role/loods-speaker", "", "configmaps", CONFIGS, "watch"),
];
const CONFIGS: &[&str] = &["config", "loods-last-good"];
const LEASE: &[&str] = &["loods-allocator"];

#[track_caller]
fn object(kind: &str, name: &str) -> Value {
    let mut found = documents("manifests/loods.yaml");
    found.retain(|object| object["kind"] == kind && object["metadata"]["name"] == name);
    assert_eq!(found.len(), 1, "{kind} {name}");
    found.remove(0)
}

fn allocator() -> Value {
    object("Deployment", "loods-allocator")
}

fn speaker() -> Value {
    object("DaemonSet", "loods-speaker")
}

fn both() -> [(&'static str, Value); 2] {
    [("allocator", allocator()), ("speaker", speaker())]
}

#[track_caller]
fn list(value: &Value) -> &Vec<Value> {
    value
        .as_array()
        .unwrap_or_else(|| panic!("a list, not {value}"))
}

/// A list of texts; nothing is an empty one.
fn texts(value: &Value) -> Vec<String> {
    let items = value.as_array().into_iter().flatten();
    items
        .map(|item| item.as_str().expect("text").to_owned())
        .collect()
}

#[test]
fn the_kustomization_has_every_file_and_they_are_of_one_namespace() {
    let kustomization = documents("manifests/kustomization.yaml").remove(0);
    let mut listed = texts(&kustomization["resources"]);
    // The namespace must be there before what lives in it.
    assert_eq!(listed[0], "namespace.yaml");
    listed.push("kustomization.yaml".into());
    listed.sort();
    // Storage is applied by itself, or not at all.
    let mut files = files("manifests");
    files.retain(|name| !name.starts_with("storage") && name != "optional");
    assert_eq!(listed, files);

    let namespace = documents("manifests/namespace.yaml").remove(0);
    let name = namespace["metadata"]["name"].as_str().expect("a name");
    // Pods on the host's network are refused by any other level.
    for mode in ["enforce", "audit", "warn"] {
        let label = format!("pod-security.kubernetes.io/{mode}");
        assert_eq!(namespace["metadata"]["labels"][&label], "privileged");
    }
    for object in documents("manifests/loods.yaml") {
        let kind = object["kind"].as_str().expect("a kind");
        if !kind.starts_with("Cluster") {
            assert_eq!(object["metadata"]["namespace"], name, "{object}");
        }
        for subject in object["subjects"].as_array().into_iter().flatten() {
            assert_eq!(subject["namespace"], name, "{object}");
        }
    }
}

#[test]
fn the_rights_are_these_and_no_more() {
    let mut granted = Vec::new();
    for object in documents("manifests/loods.yaml") {
        let kind = object["kind"].as_str().expect("a kind");
        if !matches!(kind, "Role" | "ClusterRole") {
            continue;
        }
        let role = format!(
            "{kind}/{}",
            object["metadata"]["name"].as_str().expect("a name")
        );
        for rule in list(&object["rules"]) {
            for key in rule.as_object().expect("a rule").keys() {
                let known = ["apiGroups", "resources", "resourceNames", "verbs"];
                assert!(known.contains(&key.as_str()), "{role}: {key}");
            }
            for group in texts(&rule["apiGroups"]) {
                for resource in texts(&rule["resources"]) {
                    for verb in texts(&rule["verbs"]) {
                        let names = texts(&rule["resourceNames"]);
                        granted.push((role.clone(), group.clone(), resource.clone(), names, verb));
                    }
                }
            }
        }
    }
    let wanted = RIGHTS.iter().map(|(role, group, resource, names, verb)| {
        let names = names.iter().map(ToString::to_string).collect();
        let text = ToString::to_string;
        (text(role), text(group), text(resource), names, text(verb))
    });
    let mut wanted: Vec<_> = wanted.collect();
    wanted.sort();
    granted.sort();
    assert_eq!(granted, wanted);
}

#[test]
fn each_account_has_its_own_two_roles() {
    let mut bound = Vec::new();
    for object in documents("manifests/loods.yaml") {
        let kind = object["kind"].as_str().expect("a kind").to_owned();
        if kind.ends_with("RoleBinding") {
            let subjects = list(&object["subjects"]);
            assert_eq!(subjects.len(), 1, "{object}");
            assert_eq!(subjects[0]["kind"], "ServiceAccount");
            let account = subjects[0]["name"].as_str().expect("a name").to_owned();
            assert_eq!(object["roleRef"]["name"], account, "{object}");
            assert_eq!(
                object["roleRef"]["kind"],
                kind.trim_end_matches("Binding"),
                "{object}"
            );
            bound.push((account, kind));
        }
    }
    bound.sort();
    let pair = |account: &str, kind: &str| (account.to_owned(), kind.to_owned());
    assert_eq!(
        bound,
        [
            pair("loods-allocator", "ClusterRoleBinding"),
            pair("loods-allocator", "RoleBinding"),
            pair("loods-speaker", "ClusterRoleBinding"),
            pair("loods-speaker", "RoleBinding"),
        ]
    );
    for (role, workload) in both() {
        let account = &workload["spec"]["template"]["spec"]["serviceAccountName"];
        assert_eq!(*account, format!("loods-{role}"));
    }
}

#[test]
fn pods_are_nobody_without_a_capability_and_cannot_write() {
    for (role, workload) in both() {
        let pod = &workload["spec"]["template"]["spec"];
        assert_eq!(
            pod["securityContext"],
            json!({
                "runAsNonRoot": true, "runAsUser": 65534, "runAsGroup": 65534,
                "seccompProfile": {"type": "RuntimeDefault"},
            }),
            "{role}"
        );
        // Nothing of the node's is mounted, and no Secret.
        assert_eq!(pod.get("volumes"), None, "{role}");
        let containers = list(&pod["containers"]);
        assert_eq!(containers.len(), 1, "{role}");
        assert_eq!(pod.get("initContainers"), None, "{role}");
        assert_eq!(
            containers[0]["securityContext"],
            json!({
                "allowPrivilegeEscalation": false,
                "readOnlyRootFilesystem": true,
                "capabilities": {"drop": ["ALL"]},
            }),
            "{role}"
        );
        let priority = match role {
            "allocator" => "system-cluster-critical",
            _ => "system-node-critical",
        };
        assert_eq!(pod["priorityClassName"], priority);
        assert_eq!(pod["nodeSelector"]["kubernetes.io/os"], "linux");
    }
}

#[test]
fn the_image_is_of_this_version_and_its_arguments_are_known() {
    for (role, workload) in both() {
        let container = &workload["spec"]["template"]["spec"]["containers"][0];
        let tag = concat!("loods:", env!("CARGO_PKG_VERSION"));
        assert_eq!(container["image"], tag);
        assert_eq!(container["args"], json!(["run", format!("--role={role}")]));
        // The program's own words for its environment.
        let help = crate::text("tests/cli/help/run.txt");
        for variable in list(&container["env"]) {
            let name = variable["name"].as_str().expect("a name");
            assert!(help.contains(&format!("[env: {name}=]")), "{name}");
        }
    }
}

#[test]
fn probes_ask_the_port_that_is_served() {
    let help = crate::text("tests/cli/help/run.txt");
    for (role, workload) in both() {
        let container = &workload["spec"]["template"]["spec"]["containers"][0];
        assert_eq!(
            container["ports"],
            json!([{"name": "monitoring", "containerPort": 7472}])
        );
        assert!(help.contains("[default: :7472]"));
        for (probe, page) in [("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")] {
            let get = &container[probe]["httpGet"];
            assert_eq!(
                *get,
                json!({"path": page, "port": "monitoring"}),
                "{role} {probe}"
            );
        }
        let scrape = &workload["spec"]["template"]["metadata"]["annotations"];
        assert_eq!(scrape["prometheus.io/port"], "7472");
        assert_eq!(container["resources"]["requests"]["memory"], "16Mi");
        // A limit would only kill what could have gone on.
        assert_eq!(container["resources"].get("limits"), None);
    }
}

#[test]
fn two_allocators_that_one_dead_node_does_not_take() {
    let allocator = allocator();
    assert_eq!(allocator["spec"]["replicas"], 2);
    let labels = &allocator["spec"]["template"]["metadata"]["labels"];
    assert_eq!(allocator["spec"]["selector"]["matchLabels"], *labels);
    let pod = &allocator["spec"]["template"]["spec"];
    assert_eq!(pod.get("hostNetwork"), None);
    let apart = &pod["affinity"]["podAntiAffinity"];
    let apart = &list(&apart["preferredDuringSchedulingIgnoredDuringExecution"])[0];
    assert_eq!(
        apart["podAffinityTerm"],
        json!({"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": labels}})
    );
    for key in ["not-ready", "unreachable"] {
        let key = format!("node.kubernetes.io/{key}");
        let mut found = list(&pod["tolerations"]).clone();
        found.retain(|toleration| toleration["key"] == key);
        assert_eq!(found.len(), 1, "{key}");
        assert_eq!(found[0]["effect"], "NoExecute");
        let seconds = found[0]["tolerationSeconds"].as_u64().expect("seconds");
        assert!((1..=10).contains(&seconds), "{key}: {seconds}");
    }
    let budget = object("PodDisruptionBudget", "loods-allocator");
    assert_eq!(budget["spec"]["maxUnavailable"], 1);
    assert_eq!(budget["spec"]["selector"]["matchLabels"], *labels);
}

#[test]
fn a_speaker_on_every_node_and_an_upgrade_one_by_one() {
    let speaker = speaker();
    let labels = &speaker["spec"]["template"]["metadata"]["labels"];
    assert_eq!(speaker["spec"]["selector"]["matchLabels"], *labels);
    let rollout = &speaker["spec"]["updateStrategy"]["rollingUpdate"];
    assert_eq!(rollout["maxUnavailable"], 1);
    assert!(speaker["spec"]["minReadySeconds"].as_u64() >= Some(10));
    let pod = &speaker["spec"]["template"]["spec"];
    assert_eq!(pod["hostNetwork"], true);
    assert_eq!(pod["tolerations"], json!([{"operator": "Exists"}]));
    for (role, workload) in both() {
        let pod = &workload["spec"]["template"]["spec"];
        assert_eq!(pod["dnsPolicy"], "Default", "{role}");
        // More than the two seconds that a clean stop takes.
        assert!(
            pod["terminationGracePeriodSeconds"].as_u64() >= Some(5),
            "{role}"
        );
    }
}
