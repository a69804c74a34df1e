//! Leaders die, freeze and are late. No address is given twice, none moves.

use crate::stage::Stage;
use crate::support::wait;
use serde_json::{Value, json};

/// Asks for one address.
fn asking_for(address: &str) -> Value {
    json!({"metadata": {"annotations": {"metallb.universe.tf/loadBalancerIPs": address}}})
}

/// The HTTP statuses of the writes of Service statuses that passed `allocator`'s proxy.
fn status_writes(stage: &Stage, allocator: usize) -> Vec<u64> {
    let seen = stage.allocators[allocator].proxy().seen();
    let writes = seen["writes"].as_array().into_iter().flatten();
    let writes = writes.filter(|write| {
        write["path"]
            .as_str()
            .is_some_and(|path| path.ends_with("/status"))
    });
    writes
        .filter_map(|write| write["status"].as_u64())
        .collect()
}

#[test]
#[ignore = "needs root: tests/run runs it"]
fn a_clean_stop_hands_the_lease_over_at_once() {
    let mut stage = Stage::set();
    stage.service("web", json!({}));
    stage.wait_addresses(&[("web", "1.2.3.4")]);
    let leader = stage.leader();
    stage.allocators[leader].terminate();
    let path = format!(
        "/apis/coordination.k8s.io/v1/namespaces/{}/leases/loods-allocator",
        crate::world::NAMESPACE
    );
    // Released, or the other one has it already; not left to expire.
    let holder = stage.world.plane.read(&path)["spec"]["holderIdentity"].clone();
    stage.wait_leads(1 - leader);
    let after = stage.world.plane.read(&path)["spec"]["holderIdentity"].clone();
    assert!(
        holder.is_null() || holder == "" || holder == after,
        "{holder} was left, {after} took it"
    );
    stage.service("next", json!({}));
    stage.wait_addresses(&[("web", "1.2.3.4"), ("next", "1.2.3.5")]);
}

#[test]
#[ignore = "needs root: tests/run runs it"]
fn a_leader_killed_between_decision_and_write_leaves_no_address_twice() {
    let mut stage = Stage::behind_proxies();
    let old = stage.leader();
    stage.allocators[old].proxy().hold_writes("/status");
    stage.service("web", json!({}));
    stage.allocators[old].proxy().wait_held(1);
    stage.allocators[old].kill();

    // Meanwhile the user wants another address, and somebody else the first.
    stage.change_service("web", asking_for("1.2.3.7"));
    stage.service("next", asking_for("1.2.3.4"));
    stage.wait_leads(1 - old);
    stage.wait_addresses(&[("web", "1.2.3.7"), ("next", "1.2.3.4")]);

    // The dead leader's write arrives now. It was decided on another version.
    stage.allocators[old].proxy().heal();
    wait::until("the late write was refused", || {
        let writes = status_writes(&stage, old);
        wait::check(writes == [409], writes)
    });
    stage.wait_addresses(&[("web", "1.2.3.7"), ("next", "1.2.3.4")]);
}

#[test]
#[ignore = "needs root: tests/run runs it"]
fn writes_delayed_past_the_lease_change_nothing() {
    let stage = Stage::behind_proxies();
    stage.service("kept", json!({}));
    stage.wait_addresses(&[("kept", "1.2.3.4")]);
    let old = stage.leader();
    let before = status_writes(&stage, old).len();
    // It still hears everything, and says nothing: no renewal, no status.
    stage.allocators[old].proxy().hold_writes("/");
    stage.service("web", json!({}));
    stage.allocators[old].proxy().wait_held(1);

    stage.wait_leads(1 - old);
    stage.change_service("web", asking_for("1.2.3.7"));
    stage.service("next", asking_for("1.2.3.5"));
    let wanted = [("kept", "1.2.3.4"), ("web", "1.2.3.7"), ("next", "1.2.3.5")];
    wait::until("one leads, not two", || {
        wait::check(
            !stage.allocators[old].leads(),
            stage.allocators[old].state(),
        )
    });
    stage.wait_addresses(&wanted);

    stage.allocators[old].proxy().heal();
    stage.service("later", json!({}));
    let wanted = [
        ("kept", "1.2.3.4"),
        ("web", "1.2.3.7"),
        ("next", "1.2.3.5"),
        ("later", "1.2.3.6"),
    ];
    stage.wait_addresses(&wanted);
    let late = status_writes(&stage, old)[before..].to_vec();
    assert!(
        late.iter().all(|status| *status == 409),
        "no late write was taken: {late:?}"
    );
}

#[test]
#[ignore = "needs root: tests/run runs it"]
fn a_standby_whose_watch_stood_still_respects_every_address_when_it_leads() {
    let mut stage = Stage::behind_proxies();
    let old = stage.leader();
    let standby = 1 - old;
    stage.allocators[standby].proxy().freeze_watches();
    stage.service("first", json!({}));
    stage.service("second", json!({}));
    stage.wait_addresses(&[("first", "1.2.3.4"), ("second", "1.2.3.5")]);

    stage.allocators[old].kill();
    stage.service("third", json!({}));
    stage.wait_leads(standby);
    stage.wait_addresses(&[
        ("first", "1.2.3.4"),
        ("second", "1.2.3.5"),
        ("third", "1.2.3.6"),
    ]);
    stage.allocators[standby].proxy().heal();
    stage.service("fourth", json!({}));
    stage.wait_addresses(&[
        ("first", "1.2.3.4"),
        ("second", "1.2.3.5"),
        ("third", "1.2.3.6"),
        ("fourth", "1.2.3.7"),
    ]);
}

#[test]
#[ignore = "needs root: tests/run runs it"]
fn all_restart_with_fifty_services_pending() {
    let mut stage = Stage::with(
        crate::daemon::Through::Tls,
        &crate::stage::PEERS_AND_POOL.replace("1.2.3.4-1.2.3.8", "10.99.0.0/24"),
    );
    stage.service(
        "kept",
        json!({"metadata": {"annotations": {"metallb.universe.tf/loadBalancerIPs": "10.99.0.20"}}}),
    );
    stage.pod("kept", 2);
    stage.wait_route("10.99.0.20/32", &[2]);
    let _ = stage.leader();
    stage.kill_all();
    stage.wait_route("10.99.0.20/32", &[]);

    let names: Vec<String> = (0..50).map(|n| format!("pending-{n:02}")).collect();
    for name in &names {
        stage.service(name, json!({}));
    }
    stage.start_all();
    // In order of creation, lowest first, around the one that is taken.
    let free = (0u8..).filter(|last| *last != 20);
    let mut wanted: Vec<(String, String)> = names
        .iter()
        .zip(free)
        .map(|(name, last)| (name.clone(), format!("10.99.0.{last}")))
        .collect();
    wanted.push(("kept".into(), "10.99.0.20".into()));
    let wanted: Vec<(&str, &str)> = wanted
        .iter()
        .map(|(name, address)| (&name[..], &address[..]))
        .collect();
    stage.wait_addresses(&wanted);
    stage.wait_route("10.99.0.20/32", &[2]);
}
