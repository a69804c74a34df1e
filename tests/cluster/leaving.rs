//! A Service that leaves type LoadBalancer. The API server clears the address
//! in its status by itself, and nothing else of ours.

use crate::stage::{PEERS_AND_POOL, Stage};
use crate::support::wait;
use serde_json::{Value, json};

fn set_type(stage: &Stage, service: &str, change: Value) {
    stage.change_service(service, json!({"spec": change}));
}

/// Waits until its status and annotations have nothing of ours. (The API
/// server's own notes in managedFields outlive what they are about.)
#[track_caller]
fn wait_clean(stage: &Stage, service: &str) {
    wait::until(&format!("{service} has nothing of Loods"), || {
        let object = stage.object(service);
        let ours = |part: &Value| part.to_string().contains("loods.io");
        let clean = !ours(&object["status"]) && !ours(&object["metadata"]["annotations"]);
        wait::check(clean, &object)
    });
}

#[test]
#[ignore = "needs root: tests/run runs it"]
fn nothing_of_ours_stays_on_it_and_it_may_come_back() {
    let mut stage = Stage::set();
    stage.service("web", json!({}));
    stage.pod("web", 1);
    stage.wait_route("1.2.3.4/32", &[1]);
    stage.wait_reason("web", "InPool");
    let left = json!({"type": "ClusterIP", "externalTrafficPolicy": null});
    set_type(&stage, "web", left);
    wait_clean(&stage, "web");
    stage.wait_route("1.2.3.4/32", &[]);

    // Its address is free. It comes back for another, with nothing from before.
    stage.service("next", json!({}));
    stage.wait_addresses(&[("next", "1.2.3.4")]);
    set_type(
        &stage,
        "web",
        json!({"type": "LoadBalancer", "externalTrafficPolicy": "Local"}),
    );
    stage.wait_addresses(&[("next", "1.2.3.4"), ("web", "1.2.3.5")]);
    stage.wait_reason("web", "InPool");
    stage.wait_route("1.2.3.5/32", &[1]);

    // An orphan has an annotation besides; NodePort is no LoadBalancer either.
    let shrunk = PEERS_AND_POOL.replace("1.2.3.4-1.2.3.8", "1.2.3.7-1.2.3.8");
    stage.configure(&shrunk);
    stage.wait_reason("web", "Orphaned");
    wait::until("the annotation is there", || {
        let annotations = stage.object("web")["metadata"]["annotations"].clone();
        wait::check(
            annotations["loods.io/orphan-attributes"].is_string(),
            annotations,
        )
    });
    set_type(&stage, "web", json!({"type": "NodePort"}));
    wait_clean(&stage, "web");
    stage.wait_route("1.2.3.5/32", &[]);
}

#[test]
#[ignore = "needs root: tests/run runs it"]
fn a_farewell_that_arrives_when_the_service_is_back_is_refused_and_harms_nothing() {
    let mut stage = Stage::behind_proxies();
    stage.service("web", json!({}));
    stage.pod("web", 1);
    stage.wait_route("1.2.3.4/32", &[1]);
    stage.wait_reason("web", "InPool");
    let leader = stage.leader();
    let allocator = &stage.allocators[leader];
    allocator.proxy().hold_writes("/services/web/status");
    set_type(
        &stage,
        "web",
        json!({"type": "ClusterIP", "externalTrafficPolicy": null}),
    );
    allocator.proxy().wait_held(1);
    set_type(
        &stage,
        "web",
        json!({"type": "LoadBalancer", "externalTrafficPolicy": "Local"}),
    );
    allocator.proxy().heal();
    allocator.wait_metrics(&["loods_k8s_patch_conflicts_total 1"]);
    stage.wait_addresses(&[("web", "1.2.3.4")]);
    stage.wait_reason("web", "InPool");
    stage.wait_route("1.2.3.4/32", &[1]);

    // A deletion looks the same to the watch; its farewell finds nobody, and that is no fault.
    stage.remove_service("web");
    stage.service("marker", json!({}));
    stage.wait_addresses(&[("marker", "1.2.3.4")]);
    allocator.wait_metrics(&[
        "loods_k8s_patch_conflicts_total 1",
        "loods_k8s_patch_errors_total 0",
    ]);
}
