//! What Loods says of itself: Events, metrics, `/state`, the log level, and
//! its last words.

use crate::daemon::Through;
use crate::stage::{PEERS_AND_POOL, Stage};
use crate::support::process::Process;
use crate::support::wait;
use serde_json::json;
use std::time::{Duration, Instant};

/// How many Events of this reason a Service has.
pub fn count(stage: &Stage, service: &str, reason: &str) -> usize {
    let events = stage.events("Service", service);
    events.iter().filter(|event| event.1 == reason).count()
}

/// Waits until nothing of what the speakers had to tell is to come: each
/// writes its Events in order, and this Service's is every node's last.
#[track_caller]
pub fn every_node_has_told(stage: &mut Stage, marker: &str) {
    stage.service(marker, json!({}));
    for node in 1..=3 {
        stage.pod(marker, node);
    }
    wait::until("three nodes are told of the marker", || {
        let told = count(stage, marker, "nodeAssigned");
        wait::check(told == 3, told)
    });
}

#[test]
#[ignore = "needs root: tests/run runs it"]
fn what_was_told_is_not_told_again_when_both_allocators_restart() {
    let mut stage = Stage::set();
    stage.service("web", json!({}));
    let ask = json!({"metadata": {"annotations": {"metallb.io/address-pool": "nowhere"}}});
    stage.service("refused", ask);
    let note = stage.wait_told("web", "IPAllocated");
    assert_eq!(note, "Assigned IP [\"1.2.3.4\"] from pool \"public-pool\"");
    stage.wait_told("refused", "AllocationFailed");
    stage.wait_reason("web", "InPool");
    stage.wait_reason("refused", "unknownPool");

    for allocator in &mut stage.allocators {
        allocator.terminate();
        allocator.start();
    }
    // Events are written in order: this one comes after all that the new leader had to say.
    stage.service("marker", json!({}));
    stage.wait_told("marker", "IPAllocated");
    assert_eq!(count(&stage, "web", "IPAllocated"), 1);
    assert_eq!(count(&stage, "refused", "AllocationFailed"), 1);
    assert_eq!(count(&stage, "marker", "IPAllocated"), 1);
}

#[test]
#[ignore = "needs root: tests/run runs it"]
fn only_services_of_policy_local_are_told_which_nodes_announce_them() {
    let mut stage = Stage::set();
    stage.service(
        "everywhere",
        json!({"spec": {"externalTrafficPolicy": "Cluster"}}),
    );
    stage.pod("everywhere", 1);
    stage.wait_route("1.2.3.4/32", &[1, 2, 3]);
    stage.service("here", json!({}));
    stage.pod("here", 2);
    let note = stage.wait_told("here", "nodeAssigned");
    assert!(
        note.contains("\"n2\"") && note.contains("1.2.3.5/32"),
        "{note}"
    );

    every_node_has_told(&mut stage, "marker");
    assert_eq!(count(&stage, "here", "nodeAssigned"), 1);
    assert_eq!(count(&stage, "everywhere", "nodeAssigned"), 0);
}

#[test]
#[ignore = "needs root: tests/run runs it"]
fn metrics_have_metallbs_names_and_state_has_the_reasons() {
    let mut stage = Stage::set();
    stage.service("web", json!({}));
    stage.pod("web", 1);
    stage.wait_route("1.2.3.4/32", &[1]);
    let leader = stage.leader();
    let on_all = [
        "# TYPE metallb_k8s_client_updates_total counter",
        "metallb_k8s_client_update_errors_total 0",
        "metallb_k8s_client_config_loaded_bool 1",
        "metallb_k8s_client_config_stale_bool 0",
        "loods_k8s_regressions_total 0",
    ];
    stage
        .daemons()
        .for_each(|daemon| daemon.wait_metrics(&on_all));
    stage.allocators[leader].wait_metrics(&[
        "# TYPE metallb_allocator_addresses_total gauge",
        "metallb_allocator_addresses_total{pool=\"public-pool\"} 5",
        "metallb_allocator_addresses_in_use_total{pool=\"public-pool\"} 1",
        "metallb_allocator_services_allocated_total{pool=\"public-pool\"} 1",
    ]);
    stage.speakers[0].wait_metrics(&[
        "# TYPE metallb_bgp_session_up gauge",
        "metallb_bgp_session_up{peer=\"198.19.0.2:179\"} 1",
        "metallb_bgp_session_up{peer=\"198.19.0.3:179\"} 1",
        "# TYPE metallb_bgp_updates_total counter",
        "metallb_bgp_announced_prefixes_total{peer=\"198.19.0.2:179\"} 1",
        "metallb_bgp_pending_prefixes_total{peer=\"198.19.0.2:179\"} 1",
        "metallb_speaker_announced{service=\"default/web\",protocol=\"bgp\",node=\"n1\",ip=\"1.2.3.4\"} 1",
        "# TYPE loods_event_to_update_seconds histogram",
    ]);
    stage.speakers[1].wait_metrics(&[
        "metallb_bgp_announced_prefixes_total{peer=\"198.19.0.2:179\"} 0",
        "loods_speaker_not_announced{reason=\"noLocalEndpoints\"} 1",
    ]);
    let page = stage.speakers[1].metrics().expect("n2 answers");
    assert!(!page.contains("metallb_speaker_announced{"), "{page}");

    let state = stage.allocators[leader]
        .state()
        .expect("the leader answers");
    assert_eq!(state["config"]["source"], "ConfigMap metallb-system/config");
    assert_eq!(
        state["allocator"]["pools"],
        json!([{"name": "public-pool", "total": 5, "inUse": 1, "services": 1}])
    );
    assert_eq!(
        state["allocator"]["services"],
        json!([{"service": "default/web", "addresses": ["1.2.3.4"], "reason": "InPool", "message": "public-pool"}])
    );
    let state = stage.speakers[0].state().expect("n1 answers");
    let peer = &state["speaker"]["peers"][0];
    assert_eq!(
        (&peer["peer"], &peer["state"], &peer["routes"]),
        (
            &json!("198.19.0.2:179"),
            &json!("Established"),
            &json!(["1.2.3.4/32"])
        )
    );
    for side in ["offered", "received"] {
        let said = peer[side].as_array().map_or(0, Vec::len);
        assert!(said >= 3, "capabilities {side}: {peer}");
    }
    assert_eq!(peer["negotiated"]["families"], json!(["IPv4"]));
    assert_eq!(peer["negotiated"]["peerRouterId"], "198.19.0.2");
    assert!(!state.to_string().contains("foo"), "no password: {state}");
    let state = stage.speakers[1].state().expect("n2 answers");
    assert_eq!(
        state["speaker"]["services"],
        json!([{"service": "default/web", "addresses": [
            {"address": "1.2.3.4", "announced": [], "reason": "noLocalEndpoints"},
        ]}])
    );
}

#[test]
#[ignore = "needs root: tests/run runs it"]
fn a_session_that_the_router_ends_is_down_in_the_metrics_and_says_why() {
    let stage = Stage::set();
    let neighbour = format!("neighbor {}", stage.at(&[1])[0]);
    let shut = format!("{neighbour} shutdown message the switch is replaced");
    stage.world.frr.configure(&["router bgp 65559", &shut]);
    stage.speakers[0].wait_metrics(&[
        "metallb_bgp_session_up{peer=\"198.19.0.2:179\"} 0",
        "metallb_bgp_session_up{peer=\"198.19.0.3:179\"} 1",
    ]);
    let state = stage.speakers[0].state();
    let open = format!("no {neighbour} shutdown");
    stage.world.frr.configure(&["router bgp 65559", &open]);
    let peer = state.expect("n1 answers")["speaker"]["peers"][0].clone();
    let error = peer["lastError"].as_str().unwrap_or_default();
    assert!(error.contains("the switch is replaced"), "{peer}");
}

#[test]
#[ignore = "needs root: tests/run runs it"]
fn the_log_level_is_changed_while_it_runs_and_only_from_its_own_machine() {
    let stage = Stage::set();
    let n1 = &stage.speakers[0];
    let level = "http://127.0.0.1:7473/log-level";
    let put = |text: &str| n1.ask(&["--fail-with-body", "-X", "PUT", "-d", text, level]);
    let before = n1.ask(&[level]).expect("it tells its level");
    assert!(before.contains("loods=debug"), "as started: {before}");
    let after = put("warn").expect("a level");
    assert!(
        after.contains("warn") && !after.contains("debug"),
        "{after}"
    );
    assert_eq!(n1.ask(&[level]), Ok(after.clone()));
    let refused = put("loods=lowd").expect_err("no such level");
    assert!(refused.contains("lowd"), "the word is named: {refused}");
    assert_eq!(
        n1.ask(&[level]),
        Ok(after),
        "a refused level changes nothing"
    );

    for path in ["state", "log-level"] {
        let public = format!("http://127.0.0.1:7472/{path}");
        let code = n1.ask(&["-o", "/dev/null", "-w", "%{http_code}", &public]);
        assert_eq!(code, Ok("404".into()), "{path} is not public");
    }
}

#[test]
#[ignore = "needs root: tests/run runs it"]
fn sigterm_ends_every_role_in_two_seconds_and_the_router_is_told_why() {
    let mut stage = Stage::set();
    stage.service("web", json!({}));
    stage.pod("web", 1);
    stage.wait_route("1.2.3.4/32", &[1]);
    for daemon in stage.allocators.iter_mut().chain(&mut stage.speakers) {
        let asked = Instant::now();
        daemon.terminate();
        // Two are promised; the third is for the machine that runs this.
        assert!(
            asked.elapsed() < Duration::from_secs(3),
            "{:?}",
            asked.elapsed()
        );
    }
    stage.wait_route("1.2.3.4/32", &[]);
    let neighbour = stage.world.frr.neighbour(&stage.at(&[1])[0]);
    assert_eq!(
        neighbour["lastNotificationReason"],
        "Cease/Administrative Shutdown"
    );
    let text = neighbour["lastShutdownDescription"]
        .as_str()
        .unwrap_or_default();
    assert_eq!(text, "Loods stops on this node", "the text of RFC 9003");
}

#[test]
#[ignore = "needs root: tests/run runs it"]
fn a_busy_port_costs_its_metrics_until_it_is_free_and_no_route() {
    let mut stage = Stage::empty(Through::Tls);
    stage.configure(PEERS_AND_POOL);
    let host = stage.world.nodes[0].clone();
    let mut command = host.command("openssl");
    command.args(["s_server", "-nocert", "-4", "-accept", "7472"]);
    let mut squatter = Process::start(&host, "squatter", command);
    let log = host.dir.join("squatter.log");
    squatter.wait("port 7472 is taken", || {
        let said = crate::support::process::read_lossy(&log);
        wait::check(said.contains("ACCEPT"), said)
    });

    stage.start_all();
    stage.service("web", json!({}));
    stage.pod("web", 1);
    stage.wait_route("1.2.3.4/32", &[1]);
    let from = stage.now();
    squatter.kill();
    stage.wait_all_ready();
    stage.assert_heard(from, vec![]);
}

#[test]
#[ignore = "needs root: tests/run runs it"]
fn a_first_configuration_that_is_bad_is_told_on_the_configmap() {
    let mut stage = Stage::empty(Through::Tls);
    stage.configure(&PEERS_AND_POOL.replace("addresses:", "adresses:"));
    stage.start_all();
    let note = wait::until("a Warning is on the ConfigMap", || {
        let events = stage.events("ConfigMap", "config");
        let told = events.iter().find(|event| event.0 == "Warning");
        told.map(|event| event.2.clone())
            .ok_or(format!("{events:?}"))
    });
    assert!(
        note.starts_with("configStale: no configuration is in force") && note.contains("adresses"),
        "{note}"
    );
    stage.speakers[0].wait_metrics(&[
        "metallb_k8s_client_config_loaded_bool 0",
        "metallb_k8s_client_config_stale_bool 1",
    ]);

    stage.configure(PEERS_AND_POOL);
    stage.wait_all_ready();
    stage.service("web", json!({}));
    stage.wait_addresses(&[("web", "1.2.3.4")]);
    assert_eq!(stage.events("ConfigMap", "config").len(), 1);
}

#[test]
#[ignore = "needs root: tests/run runs it"]
fn a_second_signal_ends_it_at_once_whatever_the_first_still_waits_for() {
    let mut stage = Stage::behind_proxies();
    let leader = stage.leader();
    let leader = &mut stage.allocators[leader];
    // The Lease cannot be released: the goodbye would take all of its time.
    leader.proxy().hold_writes("/");
    let status = leader.terminate_twice();
    assert_eq!(status.code(), Some(1), "a clean stop ends with 0");
}
