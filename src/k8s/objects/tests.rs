//! Objects as an API server writes them, and with fields missing or odd.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::*;
use crate::bgp::types::Family;
use crate::facts::{
    Asks, ConditionFact, Endpoints, FamilyPolicy, IngressFact, Port, ServiceFact, ServiceKey,
    TrafficPolicy, Transport,
};

fn service(object: &Value) -> ServiceFact {
    Services.fact(&object.to_string()).unwrap().unwrap()
}

#[test]
fn a_service_with_everything() {
    let fact = service(&json!({
        "kind": "Service", "apiVersion": "v1",
        "metadata": {
            "name": "web", "namespace": "shop", "uid": "u-1", "resourceVersion": "42",
            "creationTimestamp": "2026-01-02T03:04:05Z", "deletionTimestamp": "2026-02-02T03:04:05Z",
            "annotations": {
                "metallb.universe.tf/address-pool": "public-pool",
                "metallb.universe.tf/loadBalancerIPs": "1.2.3.4,fd00::4",
                "metallb.universe.tf/allow-shared-ip": "key\"quoted",
                "loods.io/terminating": "keep", "loods.io/reassign": "true",
                "loods.io/orphan-attributes": "lp=100",
                "kubectl.kubernetes.io/last-applied-configuration": "{\"long\": [1, 2]}",
            },
            "managedFields": [
                {"manager": "kubectl", "operation": "Update", "fieldsV1": {"f:spec": {"f:ports": {}}}},
                {"manager": "loods", "operation": "Update", "subresource": "status", "fieldsType": "FieldsV1",
                 "fieldsV1": {"f:status": {"f:loadBalancer": {"f:ingress": {}}}}},
            ],
        },
        "spec": {
            "type": "LoadBalancer", "loadBalancerClass": "loods.io/bgp", "loadBalancerIP": "1.2.3.4",
            "externalTrafficPolicy": "Local", "ipFamilies": ["IPv6", "IPv4"], "ipFamilyPolicy": "PreferDualStack",
            "clusterIPs": ["fd00::1", "10.0.0.1"], "selector": {"b": "2", "a": "1"},
            "healthCheckNodePort": 30001,
            "ports": [{"name": "x", "port": 80, "targetPort": "http", "nodePort": 30000}, {"port": 53, "protocol": "UDP"},
                      {"port": 9, "protocol": "SCTP"}],
        },
        "status": {
            "loadBalancer": {"ingress": [{"ip": "1.2.3.4", "ipMode": "VIP"}, {"ip": "nonsense"}, {"hostname": "h.example"}]},
            "conditions": [
                {"type": "other", "status": "False", "reason": "R", "message": ""},
                {"type": "loods.io/Allocated", "status": "True", "reason": "InPool", "message": "public-pool",
                 "lastTransitionTime": "2026-01-01T00:00:00Z"},
            ],
        },
    }));
    let ingress = |ip: Option<&str>, other: Option<&str>, vip| IngressFact {
        ip: ip.map(|ip| ip.parse().unwrap()),
        other: other.map(Into::into),
        vip,
    };
    let port = |transport, number| Port { transport, number };
    let expected = ServiceFact {
        key: ServiceKey::new("shop", "web"),
        uid: "u-1".into(),
        resource_version: "42".into(),
        created: 1_767_323_045,
        deleting: true,
        load_balancer: true,
        class: Some("loods.io/bgp".into()),
        policy: TrafficPolicy::Local,
        health_port: std::num::NonZeroU16::new(30001),
        families: vec![Family::Ipv6, Family::Ipv4],
        family_policy: FamilyPolicy::PreferDualStack,
        ports: vec![
            port(Transport::Tcp, 80),
            port(Transport::Udp, 53),
            port(Transport::Sctp, 9),
        ],
        selector: "a=1,b=2".into(),
        asks: Asks {
            load_balancer_ip: Some("1.2.3.4".into()),
            load_balancer_ips: Some("1.2.3.4,fd00::4".into()),
            pool: Some("public-pool".into()),
            sharing_key: Some("key\"quoted".into()),
            terminating: Some("keep".into()),
            reassign: Some("true".into()),
            orphan_attributes: Some("lp=100".into()),
        },
        ingress: vec![
            ingress(Some("1.2.3.4"), None, true),
            ingress(None, Some("nonsense"), false),
            ingress(None, Some("h.example"), false),
        ],
        condition: Some(ConditionFact {
            status: true,
            reason: "InPool".into(),
            message: "public-pool".into(),
        }),
        ingress_is_ours: true,
    };
    assert_eq!(fact, expected);
}

#[test]
fn a_service_with_a_name_and_nothing_else() {
    for object in [
        json!({"metadata": {"name": "a"}}),
        json!({"metadata": {"name": "a", "annotations": null, "managedFields": null}, "spec": null, "status": null}),
        json!({"metadata": {"name": "a"}, "spec": {"ports": null, "selector": null, "ipFamilies": null},
               "status": {"loadBalancer": null, "conditions": null}}),
        json!({"metadata": {"name": "a", "creationTimestamp": "yesterday", "annotations": {}},
               "spec": {"loadBalancerIP": "", "type": "ExternalName", "ports": [{"port": 1, "protocol": "QUIC"}, {}],
                        "externalTrafficPolicy": "Odd", "ipFamilies": ["IPv5"], "clusterIP": "None"},
               "status": {"loadBalancer": {"ingress": null}}}),
    ] {
        assert_eq!(
            service(&object),
            ServiceFact {
                key: ServiceKey::new("", "a"),
                ..ServiceFact::default()
            },
            "{object}"
        );
    }
}

#[test]
fn an_odd_type_is_an_error_of_that_object() {
    for object in [
        json!({}),
        json!([]),
        json!({"metadata": {}}),
        json!({"metadata": {"name": 7}}),
        json!({"metadata": {"name": "a"}, "spec": {"ports": "none"}}),
        json!({"metadata": {"name": "a"}, "spec": {"ports": [{"port": 70000}]}}),
        json!({"metadata": {"name": "a", "annotations": {"metallb.io/address-pool": 7}}}),
    ] {
        assert!(Services.fact(&object.to_string()).is_err(), "{object}");
    }
}

#[test]
fn the_later_prefix_wins_whatever_the_order() {
    let (old, new) = (
        "metallb.universe.tf/address-pool",
        "metallb.io/address-pool",
    );
    let pool = |annotations: &str| {
        let json = format!(r#"{{"metadata":{{"name":"a","annotations":{{{annotations}}}}}}}"#);
        Services.fact(&json).unwrap().unwrap().asks.pool
    };
    assert_eq!(
        pool(&format!(r#""{old}":"o","{new}":"n""#)).as_deref(),
        Some("n")
    );
    assert_eq!(
        pool(&format!(r#""{new}":"n","{old}":"o""#)).as_deref(),
        Some("n")
    );
    assert_eq!(pool(&format!(r#""{old}":"o""#)).as_deref(), Some("o"));
    assert_eq!(
        pool(r#""example.com/address-pool":"x","address-pool":"x","metallb.io/address-pools":"x""#),
        None
    );
}

#[test]
fn families_come_from_cluster_addresses_where_absent() {
    let families =
        |spec: Value| service(&json!({"metadata": {"name": "a"}, "spec": spec})).families;
    assert_eq!(
        families(json!({"clusterIPs": ["fd00::1", "10.0.0.1"]})),
        [Family::Ipv6, Family::Ipv4]
    );
    assert_eq!(families(json!({"clusterIP": "10.0.0.1"})), [Family::Ipv4]);
    assert_eq!(
        families(json!({"clusterIP": "10.0.0.1", "ipFamilies": ["IPv6"]})),
        [Family::Ipv6]
    );
}

#[test]
fn an_ingress_is_ours_by_our_name_in_the_status_and_not_otherwise() {
    let ours = |manager: &str, subresource: Value, fields: Value| {
        let entry = json!({"manager": manager, "subresource": subresource, "fieldsV1": fields});
        service(&json!({"metadata": {"name": "a", "managedFields": [{}, entry]}})).ingress_is_ours
    };
    let ingress = json!({"f:status": {"f:loadBalancer": {"f:ingress": {}}}});
    assert!(ours("loods", json!("status"), ingress.clone()));
    assert!(!ours("controller", json!("status"), ingress.clone()));
    assert!(!ours("loods", json!(null), ingress));
    assert!(!ours(
        "loods",
        json!("status"),
        json!({"f:status": {"f:conditions": {"k:{\"type\":\"x\"}": {}}}})
    ));
    assert!(!ours(
        "loods",
        json!("status"),
        json!({"f:metadata": {"f:annotations": {}}})
    ));
    assert!(!ours("loods", json!("status"), json!(null)));
}

fn slice(address_type: &str, labels: &Value, endpoints: &Value) -> Option<crate::facts::SliceFact> {
    let object = json!({
        "metadata": {"name": "web-x", "namespace": "shop", "labels": labels},
        "addressType": address_type, "endpoints": endpoints, "ports": [{"port": 80}],
    });
    Slices { node: "n1".into() }
        .fact(&object.to_string())
        .unwrap()
}

#[test]
fn a_slice_is_counted_for_one_node() {
    let endpoint = |node: Value, conditions: Value| json!({"addresses": ["10.1.0.1"], "nodeName": node, "conditions": conditions});
    let labels = json!({"kubernetes.io/service-name": "web", "other": "x"});
    let fact = slice(
        "IPv6",
        &labels,
        &json!([
            endpoint(
                json!("n1"),
                json!({"ready": true, "serving": true, "terminating": false})
            ),
            endpoint(
                json!("n1"),
                json!({"ready": false, "serving": true, "terminating": true})
            ),
            endpoint(
                json!("n1"),
                json!({"ready": false, "serving": false, "terminating": true})
            ),
            endpoint(json!("n2"), json!({})),
            endpoint(json!("n2"), json!(null)),
            endpoint(json!(null), json!({"ready": null})),
            endpoint(json!("n2"), json!({"ready": false})),
            {},
        ]),
    )
    .unwrap();
    assert_eq!(
        (fact.key, fact.service),
        (
            ServiceKey::new("shop", "web-x"),
            ServiceKey::new("shop", "web")
        )
    );
    assert_eq!(fact.family, Family::Ipv6);
    assert_eq!(
        fact.here,
        Endpoints {
            ready: 1,
            serving: 1
        }
    );
    assert_eq!(
        fact.elsewhere,
        Endpoints {
            ready: 4,
            serving: 0
        }
    );
}

#[test]
fn an_empty_slice_counts_nothing_and_foreign_ones_are_passed_by() {
    let labels = json!({"kubernetes.io/service-name": "web"});
    for endpoints in [json!(null), json!([])] {
        let fact = slice("IPv4", &labels, &endpoints).unwrap();
        assert_eq!(
            (fact.here, fact.elsewhere),
            (Endpoints::default(), Endpoints::default())
        );
    }
    assert_eq!(slice("FQDN", &labels, &json!([])), None);
    assert_eq!(slice("IPv4", &json!({"x": "y"}), &json!([])), None);
    assert_eq!(slice("IPv4", &json!(null), &json!([])), None);
}

#[test]
fn a_speaker_without_a_node_name_sees_all_endpoints_elsewhere() {
    let object = json!({
        "metadata": {"name": "s", "labels": {"kubernetes.io/service-name": "web"}},
        "addressType": "IPv4", "endpoints": [{"addresses": []}, {"nodeName": ""}],
    });
    let fact = Slices { node: "".into() }
        .fact(&object.to_string())
        .unwrap()
        .unwrap();
    assert_eq!((fact.here.ready, fact.elsewhere.ready), (0, 2));
}

#[test]
fn a_node_is_labels_addresses_and_one_condition() {
    let node = |conditions: Value| {
        let object = json!({"metadata": {"name": "n1", "labels": {"rack": "r1"}}, "status": {"conditions": conditions, "addresses": [{"type": "Hostname", "address": "n1"}, {"type": "ExternalIP", "address": "192.0.2.1"},
            {"type": "InternalIP", "address": "10.0.0.1"}, {"type": "InternalIP", "address": "fd00::1"}, {"type": "InternalIP", "address": "?"}]}});
        Nodes { name: "n1".into() }
            .fact(&object.to_string())
            .unwrap()
            .unwrap()
    };
    let fact = node(
        json!([{"type": "Ready", "status": "True"}, {"type": "NetworkUnavailable", "status": "True"}]),
    );
    assert_eq!(fact.labels, BTreeMap::from([("rack".into(), "r1".into())]));
    let addresses: [std::net::IpAddr; 2] =
        ["10.0.0.1".parse().unwrap(), "fd00::1".parse().unwrap()];
    assert_eq!(fact.addresses, addresses);
    assert!(fact.network_unavailable);
    assert!(!node(json!([{"type": "NetworkUnavailable", "status": "False"}])).network_unavailable);
    assert!(
        !node(json!([{"type": "NetworkUnavailable", "status": "Unknown"}])).network_unavailable
    );
    assert!(!node(json!(null)).network_unavailable);
}

#[test]
fn a_configuration_text_never_shows() {
    let map = ConfigMaps {
        namespace: "metallb-system".into(),
        name: "config".into(),
        key: "config".into(),
    };
    let object = json!({"metadata": {"name": "config", "uid": "u", "resourceVersion": "3"},
                        "data": {"config": "password: hush\n", "other": null}});
    let fact = map.fact(&object.to_string()).unwrap().unwrap();
    assert_eq!(fact.text.as_deref(), Some("password: hush\n"));
    assert!(!format!("{fact:?}").contains("hush"));
    for object in [
        json!({"metadata": {}}),
        json!({"metadata": {}, "data": null}),
        json!({"metadata": {}, "data": {"x": "y"}}),
    ] {
        assert_eq!(map.fact(&object.to_string()).unwrap().unwrap().text, None);
    }
}
