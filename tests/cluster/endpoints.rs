//! Routes follow the pods and the nodes.

use crate::stage::{Stage, announced, withdrawn};
use serde_json::json;

const EXCLUDE: &str = "node.kubernetes.io/exclude-from-external-load-balancers";

#[test]
#[ignore = "needs root: tests/run runs it"]
fn routes_follow_the_pods_to_zero_and_back() {
    let mut stage = Stage::set();
    stage.service("web", json!({}));
    let first = stage.pod("web", 1);
    stage.wait_route("1.2.3.4/32", &[1]);

    let second = stage.pod("web", 2);
    stage.wait_route("1.2.3.4/32", &[1, 2]);
    stage.remove_pod(&first);
    stage.wait_route("1.2.3.4/32", &[2]);
    stage.set_ready(&second, false);
    stage.wait_route("1.2.3.4/32", &[]);
    stage.set_ready(&second, true);
    stage.wait_route("1.2.3.4/32", &[2]);
    stage.wait_addresses(&[("web", "1.2.3.4")]);
}

#[test]
#[ignore = "needs root: tests/run runs it"]
fn a_second_pod_on_a_node_changes_no_route() {
    let mut stage = Stage::set();
    stage.service("web", json!({}));
    let first = stage.pod("web", 1);
    stage.wait_route("1.2.3.4/32", &[1]);
    let from = stage.now();

    stage.pod("web", 1);
    stage.remove_pod(&first);
    stage.assert_heard(from, vec![]);
}

#[test]
#[ignore = "needs root: tests/run runs it"]
fn the_last_terminating_pod_keeps_its_route_and_another_nodes_pod_takes_it_over() {
    let mut stage = Stage::set();
    stage.service("web", json!({}));
    let old = stage.pod("web", 1);
    stage.wait_route("1.2.3.4/32", &[1]);
    let from = stage.now();

    // It still serves, and nobody else does.
    stage.terminate_pod(&old);
    stage.assert_heard(from, vec![]);
    let from = stage.now();

    stage.pod("web", 2);
    stage.wait_route("1.2.3.4/32", &[2]);
    let wanted = [
        announced("1.2.3.4/32", &stage.at(&[2])),
        withdrawn("1.2.3.4/32", &stage.at(&[1])),
    ];
    stage.assert_heard(from, wanted.concat());
}

#[test]
#[ignore = "needs root: tests/run runs it"]
fn policy_cluster_is_announced_by_every_node_as_long_as_one_pod_is_ready() {
    let mut stage = Stage::set();
    stage.service("web", json!({"spec": {"externalTrafficPolicy": "Cluster"}}));
    let pod = stage.pod("web", 1);
    stage.wait_route("1.2.3.4/32", &[1, 2, 3]);
    stage.set_ready(&pod, false);
    stage.wait_route("1.2.3.4/32", &[]);
}

#[test]
#[ignore = "needs root: tests/run runs it"]
fn a_changed_policy_changes_who_announces() {
    let mut stage = Stage::set();
    stage.service("web", json!({}));
    stage.pod("web", 3);
    stage.wait_route("1.2.3.4/32", &[3]);
    stage.change_service("web", json!({"spec": {"externalTrafficPolicy": "Cluster"}}));
    stage.wait_route("1.2.3.4/32", &[1, 2, 3]);
}

#[test]
#[ignore = "needs root: tests/run runs it"]
fn a_node_that_is_excluded_by_label_withdraws_until_the_label_goes() {
    let mut stage = Stage::set();
    stage.service("web", json!({"spec": {"externalTrafficPolicy": "Cluster"}}));
    stage.pod("web", 1);
    stage.wait_route("1.2.3.4/32", &[1, 2, 3]);

    stage.label_node(2, EXCLUDE, Some(""));
    stage.wait_route("1.2.3.4/32", &[1, 3]);
    stage.label_node(2, EXCLUDE, None);
    stage.wait_route("1.2.3.4/32", &[1, 2, 3]);
}

#[test]
#[ignore = "needs root: tests/run runs it"]
fn a_peer_with_a_node_selector_is_dialled_when_the_label_comes() {
    let mut stage = Stage::set();
    stage.service("web", json!({"spec": {"externalTrafficPolicy": "Cluster"}}));
    stage.pod("web", 1);
    stage.wait_route("1.2.3.4/32", &[1, 2, 3]);
    let from = stage.now();

    let selector =
        "  my-asn: 65559\n  node-selectors:\n  - match-labels:\n      rack: a\naddress-pools:";
    stage.label_node(1, "rack", Some("a"));
    stage.configure(
        &crate::stage::PEERS_AND_POOL.replace("  my-asn: 65559\naddress-pools:", selector),
    );
    stage.world.bird.wait_route("1.2.3.4/32", &stage.at(&[1]));
    stage.label_node(2, "rack", Some("a"));
    stage
        .world
        .bird
        .wait_route("1.2.3.4/32", &stage.at(&[1, 2]));
    stage.label_node(1, "rack", Some("b"));
    stage.world.bird.wait_route("1.2.3.4/32", &stage.at(&[2]));
    stage.assert_heard(from, vec![]);
}

#[test]
#[ignore = "needs root: tests/run runs it"]
fn a_deleted_service_is_withdrawn_and_its_address_is_free() {
    let mut stage = Stage::set();
    stage.service("web", json!({}));
    stage.pod("web", 1);
    stage.wait_route("1.2.3.4/32", &[1]);
    stage.remove_service("web");
    stage.wait_route("1.2.3.4/32", &[]);
    stage.service("next", json!({}));
    stage.wait_addresses(&[("next", "1.2.3.4")]);
}
