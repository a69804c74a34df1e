//! The rights of `manifests/loods.yaml`, asked of the API server that grants them.

use crate::world::{NAMESPACE, World};

/// (who, verb, what, in Loods' own namespace or in another, allowed)
const RIGHTS: &[(&str, &str, &str, &str, bool)] = &[
    ("allocator", "list", "services", "default", true),
    ("allocator", "patch", "services/status", "default", true),
    (
        "allocator",
        "create",
        "events.events.k8s.io",
        "default",
        true,
    ),
    ("allocator", "get", "configmaps/config", NAMESPACE, true),
    (
        "allocator",
        "patch",
        "configmaps/loods-last-good",
        NAMESPACE,
        true,
    ),
    ("allocator", "create", "configmaps", NAMESPACE, true),
    (
        "allocator",
        "update",
        "leases.coordination.k8s.io/loods-allocator",
        NAMESPACE,
        true,
    ),
    ("allocator", "get", "services", "default", false),
    ("allocator", "update", "services", "default", false),
    ("allocator", "patch", "services", "default", false),
    ("allocator", "delete", "services", "default", false),
    ("allocator", "list", "nodes", "", false),
    ("allocator", "list", "pods", "default", false),
    ("allocator", "list", "secrets", NAMESPACE, false),
    ("allocator", "get", "secrets", NAMESPACE, false),
    ("allocator", "update", "configmaps/config", NAMESPACE, false),
    ("allocator", "list", "configmaps", NAMESPACE, false),
    ("allocator", "get", "configmaps/config", "default", false),
    (
        "allocator",
        "update",
        "leases.coordination.k8s.io/another",
        NAMESPACE,
        false,
    ),
    ("speaker", "watch", "services", "default", true),
    (
        "speaker",
        "watch",
        "endpointslices.discovery.k8s.io",
        "default",
        true,
    ),
    ("speaker", "watch", "nodes", "", true),
    ("speaker", "get", "configmaps/config", NAMESPACE, true),
    (
        "speaker",
        "get",
        "configmaps/loods-last-good",
        NAMESPACE,
        true,
    ),
    ("speaker", "create", "events.events.k8s.io", "default", true),
    ("speaker", "patch", "services/status", "default", false),
    ("speaker", "get", "nodes", "", false),
    (
        "speaker",
        "delete",
        "events.events.k8s.io",
        "default",
        false,
    ),
    ("speaker", "update", "services", "default", false),
    ("speaker", "patch", "nodes", "", false),
    (
        "speaker",
        "update",
        "configmaps/loods-last-good",
        NAMESPACE,
        false,
    ),
    (
        "speaker",
        "get",
        "leases.coordination.k8s.io/loods-allocator",
        NAMESPACE,
        false,
    ),
    ("speaker", "list", "pods", "default", false),
    ("speaker", "get", "secrets", NAMESPACE, false),
    ("speaker", "list", "secrets", "default", false),
];

#[test]
#[ignore = "needs root: tests/run runs it"]
fn each_account_may_do_its_work_and_nothing_else() {
    let world = World::shared();
    let mut wrong = Vec::new();
    for &(who, verb, what, namespace, allowed) in RIGHTS {
        let account = format!("--as=system:serviceaccount:{NAMESPACE}:loods-{who}");
        let (what, subresource) = match what.split_once('/') {
            Some((resource, "status")) => (resource, "--subresource=status"),
            _ => (what, ""),
        };
        let mut arguments = vec!["auth", "can-i", verb, what, &account];
        if !subresource.is_empty() {
            arguments.push(subresource);
        }
        if !namespace.is_empty() {
            arguments.extend(["-n", namespace]);
        }
        // can-i ends with 1 when it says no.
        let answer = world.plane.try_kubectl(&arguments);
        let yes = answer.as_ref().is_ok_and(|text| text.trim() == "yes");
        let no = answer.as_ref().is_err_and(|text| text.contains("\nno"));
        assert!(yes || no, "kubectl {arguments:?}: {answer:?}");
        if yes != allowed {
            wrong.push(format!(
                "{who} {verb} {what} {subresource} in {namespace:?}: {yes}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
