//! The article's cluster, with the article's own files.

use crate::daemon::Through;
use crate::stage::Stage;
use crate::support::wait;
use std::collections::BTreeSet;

/// The words of the row that begins with `name` in `kubectl get svc`.
fn row(table: &str, name: &str) -> Vec<String> {
    let row = table
        .lines()
        .find(|line| line.split_whitespace().next() == Some(name));
    row.unwrap_or_default()
        .split_whitespace()
        .map(String::from)
        .collect()
}

#[test]
#[ignore = "needs root: tests/run runs it"]
fn the_articles_objects_give_what_the_article_shows() {
    let mut stage = Stage::empty(Through::Tls);
    stage.start_all();
    stage
        .world
        .plane
        .create(&stage.world.article("config.yaml"));
    stage.wait_all_ready();

    // "elke node uit het Kubernetes cluster zich heeft aangemeld als peer"
    stage
        .world
        .frr
        .wait_established("ipv4", &stage.at(&[1, 2, 3]));
    for neighbour in stage.world.frr.summary("ipv4").values() {
        assert_eq!(neighbour.remote_as, 65559);
    }

    stage
        .world
        .plane
        .create(&stage.world.article("whoami.yaml"));
    wait::until("kubectl shows 1.2.3.4", || {
        let table = stage.world.plane.try_kubectl(&["get", "svc"])?;
        let row = row(&table, "whoami-lb");
        wait::check(
            row.get(1).is_some_and(|kind| kind == "LoadBalancer") && row[3] == "1.2.3.4",
            &table,
        )
    });
    stage.run_pods_of("whoami", &[1, 2, 3]);

    // "B 1.2.3.4/32 [200/0] via 10.x.x.101 … .102 … .103"
    stage
        .world
        .frr
        .wait_route("1.2.3.4/32", &stage.at(&[1, 2, 3]));
    let nodes: BTreeSet<String> = stage.at(&[1, 2, 3]).into_iter().collect();
    wait::until("the router forwards by all three nodes", || {
        let seen = stage.world.frr.forwarding("1.2.3.4/32");
        wait::check(seen == Some((200, 0, nodes.clone())), seen)
    });

    // The second Service has two ports, and its address is chosen for it.
    stage
        .world
        .plane
        .create(&stage.world.article("traefik-ingress.yaml"));
    stage.wait_addresses(&[("whoami-lb", "1.2.3.4"), ("traefik-ingress", "1.2.3.5")]);
    for path in stage.world.frr.paths("1.2.3.4/32") {
        assert_eq!(
            (path.local_pref, path.origin.as_str()),
            (Some(100), "IGP"),
            "{path:?}"
        );
        assert_eq!(path.next_hops, [path.peer]);
    }
}

#[test]
#[ignore = "needs root: tests/run runs it"]
fn the_status_says_virtual_address_pool_and_who_gave_it() {
    let mut stage = Stage::set();
    stage.service("web", serde_json::json!({}));
    stage.pod("web", 1);
    stage.wait_addresses(&[("web", "1.2.3.4")]);

    let object = stage
        .world
        .plane
        .read("/api/v1/namespaces/default/services/web");
    assert_eq!(
        object["status"]["loadBalancer"]["ingress"][0]["ipMode"],
        "VIP"
    );
    let (status, reason, message) = stage.condition("web");
    assert_eq!((status.as_str(), reason.as_str()), ("True", "InPool"));
    assert!(message.contains("public-pool"), "{message}");
    wait::until("the Event IPAllocated is there", || {
        let events = stage.events("Service", "web");
        wait::check(
            events
                .iter()
                .any(|(kind, reason, _)| kind == "Normal" && reason == "IPAllocated"),
            &events,
        )
    });
}

#[test]
#[ignore = "needs root: tests/run runs it"]
fn two_services_never_get_one_address_and_the_sixth_is_told_why_it_gets_none() {
    let stage = Stage::set();
    for name in ["s1", "s2", "s3", "s4", "s5"] {
        stage.service(name, serde_json::json!({}));
    }
    let five = [
        ("s1", "1.2.3.4"),
        ("s2", "1.2.3.5"),
        ("s3", "1.2.3.6"),
        ("s4", "1.2.3.7"),
        ("s5", "1.2.3.8"),
    ];
    stage.wait_addresses(&five);
    stage.service("s6", serde_json::json!({}));
    let note = wait::until("the sixth is refused by an Event", || {
        let events = stage.events("Service", "s6");
        let refused = events
            .iter()
            .find(|(kind, reason, _)| kind == "Warning" && reason == "AllocationFailed");
        refused
            .map(|(_, _, note)| note.clone())
            .ok_or(format!("{events:?}"))
    });
    assert!(note.contains("public-pool"), "the pool is named: {note}");

    // What is freed goes to the one that waits, and nobody else moves.
    stage.remove_service("s2");
    let after = [
        ("s1", "1.2.3.4"),
        ("s3", "1.2.3.6"),
        ("s4", "1.2.3.7"),
        ("s5", "1.2.3.8"),
        ("s6", "1.2.3.5"),
    ];
    stage.wait_addresses(&after);
}
