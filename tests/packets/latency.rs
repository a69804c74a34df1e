//! How long a user waits: from a Service's creation to the first good answer
//! from outside. Most of it is kube-proxy's: it programs the new Service at
//! once, before it has an address, and then rests for a second; the routes wait
//! for it.
//!
//! `LOODS_ROUNDS=50` and `--nocapture` make the figure of docs/performance.md;
//! `LOODS_MIN_SYNC=1ms` tells kube-proxy to rest less.

use crate::scene::Scene;
use crate::support::cluster::NAMESPACE;
use crate::support::process::Process;
use crate::support::wait;
use serde_json::json;
use std::time::{Duration, Instant};

/// Ten times what was measured (docs/performance.md), for either end.
const BOUND: Duration = Duration::from_secs(12);

/// Tries anew until one is answered, with a connection of its own each time: a
/// SYN that was lost would be sent again after a second only.
const CLIENT: &str = r#"
    until curl -s -o /dev/null --fail --connect-timeout 0.05 --max-time 0.3 "$1"; do
        sleep 0.005
    done
"#;

#[test]
#[ignore = "needs root: tests/run runs it"]
fn a_new_service_is_soon_answered_from_outside() {
    let scene = Scene::set();
    scene.install();
    scene.plane.create(&scene.article("config.yaml"));
    scene.wait_pods(NAMESPACE, "component=speaker", 3);
    scene.plane.create(&scene.article("whoami.yaml"));
    scene.kubectl(&["delete", "service", "whoami-lb"]);
    scene.wait_pods("default", "app=whoami", 3);

    let rounds = std::env::var("LOODS_ROUNDS").map_or(5, |text| text.parse().expect("a number"));
    let times: Vec<[Duration; 2]> = (0..rounds).map(|_| round(&scene)).collect();
    let [routed, answered] = [0, 1].map(|which| {
        let mut times: Vec<Duration> = times.iter().map(|both| both[which]).collect();
        times.sort();
        times
    });
    report("the router forwards by three nodes", &routed);
    report("the first good answer", &answered);
    assert!(median(&routed) < BOUND, "{routed:?}");
    assert!(median(&answered) < BOUND, "{answered:?}");
}

fn median(times: &[Duration]) -> Duration {
    times[times.len() / 2]
}

fn report(what: &str, times: &[Duration]) {
    println!(
        "create to {what}, {} times: {:?} at best, {:?} median, {:?} at worst",
        times.len(),
        times[0],
        median(times),
        times[times.len() - 1]
    );
}

/// One Service from nothing to the first answer, and removed again: when the
/// router's kernel had all three paths, and when the answer was there.
fn round(scene: &Scene) -> [Duration; 2] {
    wait::until("the router has no routes left", || {
        let table = scene.router.table("ipv4");
        wait::check(table.is_empty(), table)
    });
    // kube-proxy rests for a second after each change (minSyncPeriod), so the
    // removal of the last Service is worked off within one second, and the rest
    // after that has ended within two. What is measured is a quiet cluster.
    std::thread::sleep(Duration::from_millis(2500));

    let mut command = scene.client.command("sh");
    command.args(["-c", CLIENT, "client", "http://1.2.3.4/"]);
    let mut client = Process::start(&scene.client, "first-answer", command);
    let start = Instant::now();
    scene
        .plane
        .post("/api/v1/namespaces/default/services", &service());
    let (mut routed, mut answered) = (None, None);
    let times = loop {
        if routed.is_none() && paths(scene) == 3 {
            routed = Some(start.elapsed());
        }
        if answered.is_none()
            && let Some(status) = client.exited()
        {
            assert!(status.success(), "{status}");
            answered = Some(start.elapsed());
        }
        if let (Some(routed), Some(answered)) = (routed, answered) {
            break [routed, answered];
        }
        assert!(start.elapsed() < 5 * BOUND, "{routed:?}, {answered:?}");
        std::thread::sleep(Duration::from_millis(2));
    };
    scene
        .plane
        .delete("/api/v1/namespaces/default/services/whoami-lb");
    times
}

/// How many next hops the router's kernel has for the Service.
fn paths(scene: &Scene) -> usize {
    let show = ["route", "show", "1.2.3.4"];
    scene.router_host.run("ip", &show).matches("via ").count()
}

fn service() -> serde_json::Value {
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "whoami-lb"},
        "spec": {
            "type": "LoadBalancer",
            "externalTrafficPolicy": "Local",
            "selector": {"app": "whoami"},
            "ports": [{"name": "http", "port": 80, "targetPort": 80}],
        },
    })
}
