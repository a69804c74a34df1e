//! The cluster changes under Loods: it is rolled out anew, and a node loses
//! its power and comes back.

use crate::scene::Scene;
use crate::support::cluster::NAMESPACE;
use crate::support::frr::Heard;
use crate::support::wait;
use std::collections::BTreeSet;
use std::time::Duration;

const ALL: [&str; 3] = ["n1", "n2", "n3"];
const PREFIX: &str = "1.2.3.4/32";

/// The article's cluster, with a route by all three nodes.
fn article(config: &dyn Fn(String) -> String) -> Scene {
    let scene = Scene::set();
    scene.install();
    scene.plane.create(&config(scene.article("config.yaml")));
    scene.plane.create(&scene.article("whoami.yaml"));
    scene.wait_pods(NAMESPACE, "component=speaker", 3);
    scene.wait_pods(NAMESPACE, "component=allocator", 2);
    scene.wait_pods("default", "app=whoami", 3);
    scene.router.wait_route(PREFIX, &scene.addresses(&ALL));
    scene
}

const ALL_OF_LOODS: [&str; 2] = ["daemonset/loods-speaker", "deployment/loods-allocator"];
const IN_NAMESPACE: &str = "--namespace=metallb-system";

/// Waits until the last rollout has come to its end.
fn rolled_out(scene: &Scene) {
    for what in ALL_OF_LOODS {
        scene.kubectl(&["rollout", "status", what, IN_NAMESPACE, "--timeout=120s"]);
    }
}

#[test]
#[ignore = "needs root: tests/run runs it"]
fn a_rollout_of_speakers_and_allocators_takes_one_node_at_a_time() {
    let scene = article(&|config| config);
    let names = |component: &str| -> BTreeSet<String> {
        let pods = scene.try_pods(NAMESPACE, component).expect("pods");
        pods.into_iter().map(|pod| pod.name).collect()
    };
    // A pod that is ready, but not yet for minReadySeconds, counts as broken, and
    // Kubernetes replaces all broken ones at once.
    rolled_out(&scene);
    let before = (names("component=speaker"), names("component=allocator"));
    let heard = scene.router.recording().len();

    for what in ALL_OF_LOODS {
        scene.kubectl(&["rollout", "restart", what, IN_NAMESPACE]);
    }
    rolled_out(&scene);
    scene.wait_pods(NAMESPACE, "component=speaker", 3);
    scene.wait_pods(NAMESPACE, "component=allocator", 2);
    let after = (names("component=speaker"), names("component=allocator"));
    assert!(
        before.0.is_disjoint(&after.0) && before.1.is_disjoint(&after.1),
        "every pod is a new one: {before:?}, {after:?}"
    );
    scene.router.wait_route(PREFIX, &scene.addresses(&ALL));
    scene.ask("http://1.2.3.4/").expect("an answer");

    // Whatever the router heard meanwhile, two nodes were left at any time,
    // and each node went once.
    let mut by: BTreeSet<String> = scene.addresses(&ALL).into_iter().collect();
    let mut left = Vec::new();
    for event in scene.router.recording().split_off(heard) {
        match event {
            Heard::Announced { peer, prefix } if prefix == PREFIX => {
                by.insert(peer);
            }
            Heard::Withdrawn { peer, prefix } if prefix == PREFIX => left.extend(by.take(&peer)),
            Heard::Down { peer } => left.extend(by.take(&peer)),
            _ => {}
        }
        assert!(by.len() >= 2, "only {by:?}, after {left:?}");
    }
    left.sort();
    assert_eq!(left, scene.addresses(&ALL), "each speaker ended once");
}

#[test]
#[ignore = "needs root: tests/run runs it"]
fn a_node_without_power_loses_its_route_and_gets_it_back_when_it_returns() {
    // The router would wait for 90 s, and nobody could say that it is dead.
    let hold = |config: String| config.replace("my-asn:", "hold-time: 3s\n      my-asn:");
    let mut scene = article(&hold);
    scene.power_off("n2");
    scene
        .router
        .wait_route(PREFIX, &scene.addresses(&["n1", "n3"]));
    scene.ask("http://1.2.3.4/").expect("an answer without n2");
    scene.wait_nodes(&["n1", "n3"]);

    scene.power_on("n2");
    scene.wait_nodes(&ALL);
    scene.wait_pods(NAMESPACE, "component=speaker", 3);
    // Its whoami is started again where it was; it was not gone long enough to
    // be put elsewhere.
    scene.wait_pods("default", "app=whoami", 3);
    scene.router.wait_route(PREFIX, &scene.addresses(&ALL));
    wait::until_within(Duration::from_secs(20), "n2's pod answers", || {
        let body = scene.ask("http://1.2.3.4/")?;
        wait::check(body.contains("IP: 10.244.2."), body)
    });
}
