//! Several Services on one address, as MetalLB's rules allow it.

use crate::stage::{Stage, withdrawn};
use serde_json::{Value, json};

/// A Service of policy Cluster with one port, that may share an address.
fn sharing(key: &str, port: u16) -> Value {
    json!({
        "metadata": {"annotations": {"metallb.universe.tf/allow-shared-ip": key}},
        "spec": {
            "externalTrafficPolicy": "Cluster",
            "ports": [{"name": "one", "port": port, "targetPort": port}],
        },
    })
}

fn at(address: &str, mut service: Value) -> Value {
    service["spec"]["loadBalancerIP"] = json!(address);
    service
}

#[test]
#[ignore = "needs root: tests/run runs it"]
fn services_with_one_key_share_an_address_and_the_rest_is_told_which_rule_forbids_it() {
    let mut stage = Stage::set();
    stage.service("http", sharing("web", 80));
    stage.wait_addresses(&[("http", "1.2.3.4")]);
    stage.service("https", at("1.2.3.4", sharing("web", 443)));
    // Nobody asked for an address: the shared one is the lowest that fits.
    stage.service("quic", sharing("web", 8443));

    let mut local = at("1.2.3.4", sharing("web", 25));
    local["spec"]["externalTrafficPolicy"] = json!("Local");
    let refused = [
        ("local", local, "externalTrafficPolicy Local"),
        (
            "other-key",
            at("1.2.3.4", sharing("mail", 26)),
            "allow-shared-ip is not the same",
        ),
        (
            "same-port",
            at("1.2.3.4", sharing("web", 80)),
            "port 80/TCP",
        ),
    ];
    for (name, service, _) in &refused {
        stage.service(name, service.clone());
    }
    for (name, _, rule) in &refused {
        let note = stage.wait_told(name, "AllocationFailed");
        assert!(
            note.starts_with("addressInUse: 1.2.3.4 ") && note.contains(rule),
            "{name}: {note}"
        );
        assert!(
            note.contains("Service default/"),
            "the holder is named: {note}"
        );
    }
    let after = [
        ("http", "1.2.3.4"),
        ("https", "1.2.3.4"),
        ("quic", "1.2.3.4"),
        ("local", ""),
        ("other-key", ""),
        ("same-port", ""),
    ];
    stage.wait_addresses(&after);

    // The route is there as long as one of them serves, and goes with the last.
    stage.pod("http", 1);
    let backend = stage.pod("https", 2);
    stage.wait_route("1.2.3.4/32", &[1, 2, 3]);
    let from = stage.now();
    stage.remove_service("http");
    // Its port is free now.
    stage.wait_reason("same-port", "InPool");
    stage.assert_heard(from, vec![]);
    let from = stage.now();
    stage.remove_pod(&backend);
    stage.wait_route("1.2.3.4/32", &[]);
    let wanted = withdrawn("1.2.3.4/32", &stage.at(&[1, 2, 3]));
    stage.assert_heard(from, wanted);
}
