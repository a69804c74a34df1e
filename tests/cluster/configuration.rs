//! The ConfigMap is edited, well and badly.

use crate::stage::{PEERS_AND_POOL, Stage, announced};
use crate::support::wait;
use serde_json::json;
use std::collections::BTreeSet;

/// What a person types who has used MetalLB's newer resources.
fn with_an_unknown_key() -> String {
    PEERS_AND_POOL.replace("  protocol: bgp", "  protocol: bgp\n  adresses: []")
}

fn wait_stale(stage: &mut Stage, stale: bool) {
    for daemon in stage.daemons() {
        wait::until(
            &format!("{} says that its config is stale: {stale}", daemon.name()),
            || {
                let config = daemon.state()?["config"].clone();
                wait::check(
                    config["loaded"] == true && config["stale"] == stale,
                    &config,
                )
            },
        );
    }
}

#[test]
#[ignore = "needs root: tests/run runs it"]
fn a_bad_edit_changes_nothing_and_is_explained() {
    let mut stage = Stage::set();
    stage.service("web", json!({}));
    stage.pod("web", 1);
    stage.wait_route("1.2.3.4/32", &[1]);
    let from = stage.now();

    stage.configure(&with_an_unknown_key());
    wait_stale(&mut stage, true);
    let error = stage.allocators[0].state().expect("it answers")["config"]["error"].clone();
    let error = error.as_str().unwrap_or_default();
    assert!(
        error.contains("adresses") && error.contains("config:13:3"),
        "key and line are named: {error}"
    );
    assert!(!error.contains("foo"), "no password is shown: {error}");
    for daemon in stage.daemons() {
        assert_eq!(
            daemon
                .metric("metallb_k8s_client_config_stale_bool")
                .as_deref(),
            Ok("1")
        );
        assert_eq!(
            daemon
                .metric("metallb_k8s_client_config_loaded_bool")
                .as_deref(),
            Ok("1")
        );
    }
    wait::until("a Warning Event is on the ConfigMap", || {
        let events = stage.events("ConfigMap", "config");
        wait::check(
            events
                .iter()
                .any(|(kind, _, note)| kind == "Warning" && note.contains("adresses")),
            &events,
        )
    });
    // New Services are still served from the last good text: the marker is one.
    stage.assert_heard(from, vec![]);

    stage.configure(PEERS_AND_POOL);
    wait_stale(&mut stage, false);
    let from = stage.now();
    stage.assert_heard(from, vec![]);
}

#[test]
#[ignore = "needs root: tests/run runs it"]
fn all_are_restarted_on_a_bad_config_and_the_last_good_one_holds() {
    let mut stage = Stage::set();
    stage.service("web", json!({}));
    stage.pod("web", 1);
    stage.wait_route("1.2.3.4/32", &[1]);
    wait::until("the leader has kept a copy of the config", || {
        let path = format!(
            "/api/v1/namespaces/{}/configmaps/loods-last-good",
            crate::world::NAMESPACE
        );
        stage.world.plane.try_read(&path).map(drop)
    });

    stage.configure(&with_an_unknown_key());
    stage.kill_all();
    stage.wait_route("1.2.3.4/32", &[]);
    stage.start_all();
    stage.wait_route("1.2.3.4/32", &[1]);
    wait_stale(&mut stage, true);
    stage.wait_addresses(&[("web", "1.2.3.4")]);
    stage.service("next", json!({}));
    stage.wait_addresses(&[("web", "1.2.3.4"), ("next", "1.2.3.5")]);
}

#[test]
#[ignore = "needs root: tests/run runs it"]
fn a_deleted_config_changes_nothing() {
    let mut stage = Stage::set();
    stage.service("web", json!({}));
    stage.pod("web", 1);
    stage.wait_route("1.2.3.4/32", &[1]);
    let from = stage.now();
    stage.world.plane.delete(&format!(
        "/api/v1/namespaces/{}/configmaps/config",
        crate::world::NAMESPACE
    ));
    wait_stale(&mut stage, true);
    stage.assert_heard(from, vec![]);
}

#[test]
#[ignore = "needs root: tests/run runs it"]
fn a_changed_community_announces_its_routes_anew_and_resets_no_session() {
    let mut stage = Stage::set();
    stage.service("web", json!({}));
    stage.pod("web", 1);
    stage.wait_route("1.2.3.4/32", &[1]);
    let from = stage.now();

    let advertisement =
        "\n  bgp-advertisements:\n  - communities: [\"64512:7\"]\n    localpref: 200";
    stage.configure(&format!("{}{advertisement}\n", PEERS_AND_POOL.trim_end()));
    wait::until("FRR has the community", || {
        let path = stage.world.frr.paths("1.2.3.4/32").remove(0);
        let communities = BTreeSet::from(["64512:7".to_string()]);
        wait::check(
            path.communities == communities && path.local_pref == Some(200),
            path,
        )
    });
    let wanted = announced("1.2.3.4/32", &stage.at(&[1]));
    stage.assert_heard(from, wanted);
}

#[test]
#[ignore = "needs root: tests/run runs it"]
fn a_shrunk_pool_orphans_an_address_which_stays_announced_also_over_a_restart() {
    let advertisement = "\n  bgp-advertisements:\n  - communities: [\"64512:7\"]\n";
    let before = format!("{}{advertisement}", PEERS_AND_POOL.trim_end());
    let mut stage = Stage::with(crate::daemon::Through::Tls, &before);
    stage.service("web", json!({}));
    stage.pod("web", 1);
    stage.wait_route("1.2.3.4/32", &[1]);
    let from = stage.now();

    stage.configure(&before.replace("1.2.3.4-1.2.3.8", "1.2.3.6-1.2.3.8"));
    stage.wait_reason("web", "Orphaned");
    stage.assert_heard(from, vec![]);

    stage.kill_all();
    stage.wait_route("1.2.3.4/32", &[]);
    stage.start_all();
    stage.wait_route("1.2.3.4/32", &[1]);
    let path = stage.world.frr.paths("1.2.3.4/32").remove(0);
    assert_eq!(
        path.communities,
        BTreeSet::from(["64512:7".to_string()]),
        "the attributes it had"
    );
    let addresses = stage.addresses();
    assert_eq!(addresses["web"], "1.2.3.4");

    // Only the user moves it.
    let ask = json!({"metadata": {"annotations": {"loods.io/reassign": "true"}}});
    stage.change_service("web", ask);
    wait::until("web has an address of the pool", || {
        let addresses = stage.addresses();
        wait::check(addresses["web"] == "1.2.3.7", &addresses)
    });
    stage.wait_reason("web", "InPool");
    stage.wait_route("1.2.3.7/32", &[1]);
    stage.wait_route("1.2.3.4/32", &[]);
}

#[test]
#[ignore = "needs root: tests/run runs it"]
fn a_wrong_password_in_the_config_costs_the_session_and_the_right_one_brings_it_back() {
    let mut stage = Stage::set();
    stage.service("web", json!({}));
    stage.pod("web", 1);
    stage.wait_route("1.2.3.4/32", &[1]);

    stage.configure(&PEERS_AND_POOL.replace("\"foo\"", "\"bar\""));
    stage.world.frr.wait_route("1.2.3.4/32", &[]);
    assert_eq!(
        stage.world.bird.table().len(),
        1,
        "the other peer is not touched"
    );
    stage.configure(PEERS_AND_POOL);
    stage.world.frr.wait_route("1.2.3.4/32", &stage.at(&[1]));
}
