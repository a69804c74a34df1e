//! The steady state that every event begins in and ends in: Loods installed,
//! three pods on three nodes, their address with three next hops in the
//! router, and the stream running without a loss.

use super::row::Row;
use crate::scene::Scene;
use crate::support::cluster::{NAMESPACE, Pod};
use crate::support::lab::Host;
use crate::support::stream::Stream;
use crate::support::{tools, wait};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The Service's address, the only one of its pool.
pub const ADDRESS: &str = "1.2.3.4";
/// All nodes.
pub const NODES: [&str; 3] = ["n1", "n2", "n3"];
/// What the sessions' hold time is set to: the least there is, since without
/// BFD it is what notices a node that lost its power.
pub const HOLD: Duration = Duration::from_secs(3);

/// How long the stream goes on after an event, for what comes late.
const AFTER: Duration = Duration::from_secs(1);

/// The stream, left running by the test before.
static RUNNING: Mutex<Option<Stream>> = Mutex::new(None);

/// A steady cluster, and the stream.
pub struct Steady {
    pub cluster: Scene,
    stream: Option<Stream>,
}

/// How pods end.
#[derive(Clone, Copy, Debug)]
pub struct Ending {
    /// Seconds between the end's announcement and SIGTERM, `preStop: sleep`.
    pub pre_stop: Option<u8>,
    /// What SIGTERM does: `exit` or `drain`.
    pub on_term: &'static str,
}

/// As an operator should have it.
pub const WITH_NOTICE: Ending = Ending {
    pre_stop: Some(5),
    on_term: "exit",
};

impl Steady {
    /// Takes over from the test before, or installs everything anew.
    pub fn set() -> Steady {
        let left = RUNNING
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let mut steady = match left {
            Some(stream) => Steady {
                cluster: Scene::resume(),
                stream: Some(stream),
            },
            None => Steady {
                cluster: Scene::set(),
                stream: None,
            },
        };
        if steady.deployment().is_err() {
            steady.cluster.clear();
            steady.stream = None;
            steady.install();
        }
        spread(&steady.cluster);
        if steady.stream.is_none() {
            let target = format!("{ADDRESS}:80").parse().expect("an address");
            let client: Host = steady.cluster.client.clone();
            let sources = new_sources(&client);
            let sources: Vec<&str> = sources.iter().map(String::as_str).collect();
            steady.stream = Some(Stream::start(&tools::stream(), &client, target, &sources));
        }
        steady
    }

    fn install(&self) {
        let cluster = &self.cluster;
        cluster.install();
        cluster.plane.apply(&config(&cluster.router_address()));
        cluster.wait_pods(NAMESPACE, "component=speaker", 3);
        cluster.wait_pods(NAMESPACE, "component=allocator", 2);
        cluster.plane.apply(&service().to_string());
        self.deploy(WITH_NOTICE);
    }

    /// What the stream lost in `event`: from a quiet second before it to a
    /// second after `act` saw it end.
    #[track_caller]
    pub fn during(&mut self, event: &'static str, act: impl FnOnce(&mut Scene)) -> Row {
        let stream = self.stream.as_mut().expect("the stream runs");
        // Whoever loses connections already would be blamed for nothing.
        let mut tries = 0;
        wait::until(&format!("nothing is lost before: {event}"), || {
            tries += 1;
            let quiet = stream.run_for(&format!("before {event}, {tries}"), AFTER);
            let settled = quiet.lost() == 0 && quiet.count("/long/open") == 50;
            wait::check(settled, quiet.0)
        });
        act(&mut self.cluster);
        std::thread::sleep(AFTER);
        Row::record(event, stream.mark(event))
    }

    /// Changes how pods end, which is a rollout.
    pub fn deploy(&self, ending: Ending) {
        roll_out(&self.cluster, ending);
    }

    fn deployment(&self) -> Result<Value, String> {
        let path = "/apis/apps/v1/namespaces/default/deployments/whoami";
        self.cluster.plane.try_read(path)
    }
}

/// Gives the client four addresses that it never had: no two connections of all
/// these tests have the same source, for nodes remember them.
fn new_sources(client: &Host) -> Vec<String> {
    static GIVEN: AtomicU8 = AtomicU8::new(10);
    let first = GIVEN.fetch_add(4, Ordering::Relaxed);
    let sources = (first..first + 4).map(|number| {
        let address = format!("198.51.100.{number}");
        let with_length = format!("{address}/24");
        client.run("ip", &["address", "add", &with_length, "dev", "eth0"]);
        format!("--source={address}")
    });
    sources.collect()
}

impl Drop for Steady {
    fn drop(&mut self) {
        // After a failure the next test begins anew.
        if !std::thread::panicking() {
            *RUNNING.lock().unwrap_or_else(PoisonError::into_inner) = self.stream.take();
        }
    }
}

/// Waits for three ready pods on three nodes and their three routes. Where two
/// share a node, one is deleted: the scheduler puts it where none is.
#[track_caller]
pub fn spread(cluster: &Scene) {
    let mut moved = BTreeSet::new();
    let what = "three pods run on three nodes";
    wait::until_within(Duration::from_secs(60), what, || {
        let pods = settled(cluster, 3)?;
        let nodes: BTreeSet<&str> = pods.iter().map(|pod| &*pod.node).collect();
        if nodes.len() == 3 {
            return Ok(());
        }
        let shared = |pod: &&Pod| pods.iter().filter(|p| p.node == pod.node).count() > 1;
        if let Some(pod) = pods.iter().find(shared)
            && moved.insert(pod.name.clone())
        {
            cluster.kubectl(&["delete", "pod", &pod.name, "--wait=false"]);
        }
        Err(format!("{pods:?}"))
    });
    wait_routes(cluster, &NODES);
}

/// Applies the Deployment and waits until only its new pods are left.
pub fn roll_out(cluster: &Scene, ending: Ending) {
    cluster.plane.apply(&deployment(ending).to_string());
    wait_settled(cluster, 3);
}

/// Waits until the Deployment's controller has seen its newest form, and exactly
/// `count` pods are left, all of that form and ready.
#[track_caller]
pub fn wait_settled(cluster: &Scene, count: usize) -> Vec<Pod> {
    let what = format!("{count} pods of whoami are ready, and no others are left");
    wait::until_within(Duration::from_secs(90), &what, || settled(cluster, count))
}

fn settled(cluster: &Scene, count: usize) -> Result<Vec<Pod>, String> {
    let path = "/apis/apps/v1/namespaces/default/deployments/whoami";
    let deployment = cluster.plane.try_read(path)?;
    let (meta, status) = (&deployment["metadata"], &deployment["status"]);
    let newest = status["observedGeneration"] == meta["generation"]
        && status["updatedReplicas"] == count
        && status["replicas"] == count;
    wait::check(newest, status)?;
    let pods = cluster.try_pods("default", "app=whoami")?;
    let ready = pods.iter().all(|pod| pod.ready && !pod.terminating);
    wait::check(ready && pods.len() == count, &pods)?;
    Ok(pods)
}

/// Waits until the router reaches the address through exactly these nodes.
#[track_caller]
pub fn wait_routes(cluster: &Scene, nodes: &[&str]) {
    let prefix = format!("{ADDRESS}/32");
    cluster
        .router
        .wait_route(&prefix, &cluster.addresses(nodes));
}

/// The article's configuration with a hold time and a pool of one address.
fn config(router: &str) -> String {
    let text = format!(
        "peers:
- peer-address: {router}
  peer-asn: 65559
  my-asn: 65559
  password: foo
  hold-time: {}s
address-pools:
- name: public-pool
  protocol: bgp
  addresses: [{ADDRESS}/32]
",
        HOLD.as_secs()
    );
    let object = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"namespace": NAMESPACE, "name": "config"},
        "data": {"config": text},
    });
    object.to_string()
}

fn service() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "whoami-lb"},
        "spec": {
            "type": "LoadBalancer",
            "externalTrafficPolicy": "Local",
            "selector": {"app": "whoami"},
            "ports": [{"name": "http", "port": 80, "targetPort": 80}],
        },
    })
}

/// The article's Deployment, with what a rollout without loss needs of its
/// pods: a probe, a preStop, and not all of them on one node.
fn deployment(ending: Ending) -> Value {
    let mut container = json!({
        "name": "whoami",
        "image": "containous/whoami",
        "args": [format!("--on-term={}", ending.on_term)],
        "ports": [{"containerPort": 80}],
        // Without a request a pod gets what the others on its node leave.
        "resources": {"requests": {"cpu": "200m"}},
        "readinessProbe": {"httpGet": {"path": "/health", "port": 80}, "periodSeconds": 1},
    });
    if let Some(seconds) = ending.pre_stop {
        container["lifecycle"] = json!({"preStop": {"sleep": {"seconds": seconds}}});
    }
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "whoami", "labels": {"deployment": "whoami"}},
        "spec": {
            "replicas": 3,
            "selector": {"matchLabels": {"app": "whoami"}},
            "template": {
                "metadata": {"labels": {"app": "whoami"}},
                "spec": {
                    // Long connections are held until SIGKILL by who drains.
                    "terminationGracePeriodSeconds": ending.pre_stop.unwrap_or(0) + 5,
                    "topologySpreadConstraints": [{
                        "maxSkew": 1,
                        "topologyKey": "kubernetes.io/hostname",
                        "whenUnsatisfiable": "ScheduleAnyway",
                        "labelSelector": {"matchLabels": {"app": "whoami"}},
                        "matchLabelKeys": ["pod-template-hash"],
                    }],
                    "containers": [container],
                },
            },
        },
    })
}
