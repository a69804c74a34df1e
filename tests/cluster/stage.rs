//! One test's stage: its five Loods processes and the objects it makes, with
//! the words that scenarios are written in.

use crate::daemon::{Daemon, Role, Through};
use crate::support::frr::Heard;
use crate::support::{process, wait};
use crate::world::{NAMESPACE, World};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::MutexGuard;
use std::time::Duration;

/// A Lease lasts 15 s; who takes it over tries every 2 s, and lists everything anew.
pub const TAKE_OVER: Duration = Duration::from_secs(45);

/// A test's Loods and objects. Dropping it ends and removes them.
pub struct Stage {
    pub world: MutexGuard<'static, World>,
    pub allocators: Vec<Daemon>,
    pub speakers: Vec<Daemon>,
    pods: u32,
    markers: u32,
}

impl Stage {
    /// The configuration of the article with BIRD as a second router, and all
    /// five processes ready.
    pub fn set() -> Stage {
        Stage::with(Through::Tls, PEERS_AND_POOL)
    }

    /// The same behind fault proxies.
    pub fn behind_proxies() -> Stage {
        Stage::with(Through::Proxy, PEERS_AND_POOL)
    }

    /// Everything ready on `config`, see [`PEERS_AND_POOL`].
    pub fn with(through: Through, config: &str) -> Stage {
        let mut stage = Stage::empty(through);
        stage.configure(config);
        stage.start_all();
        stage.wait_all_ready();
        stage
    }

    /// A clean cluster in which no Loods runs and nothing is configured.
    pub fn empty(through: Through) -> Stage {
        let world = World::shared();
        remove_objects(&world);
        let allocators = world.allocators.iter();
        let allocators = allocators
            .map(|host| Daemon::new(&world, host, Role::Allocator, through))
            .collect();
        let speakers = world.nodes.iter();
        let speakers = speakers
            .map(|host| Daemon::new(&world, host, Role::Speaker, through))
            .collect();
        Stage {
            world,
            allocators,
            speakers,
            pods: 0,
            markers: 0,
        }
    }

    // --- processes ----------------------------------------------------------

    /// All five.
    pub fn daemons(&mut self) -> impl Iterator<Item = &mut Daemon> {
        self.allocators.iter_mut().chain(&mut self.speakers)
    }

    pub fn start_all(&mut self) {
        self.daemons().for_each(Daemon::start);
    }

    pub fn kill_all(&mut self) {
        self.daemons().for_each(Daemon::kill);
    }

    #[track_caller]
    pub fn wait_all_ready(&mut self) {
        self.daemons().for_each(|daemon| daemon.wait_ready());
    }

    /// Waits for a leader: its place in `allocators`.
    #[track_caller]
    pub fn leader(&self) -> usize {
        wait::until_within(TAKE_OVER, "one allocator leads", || {
            let leaders: Vec<usize> = (0..2).filter(|n| self.allocators[*n].leads()).collect();
            match leaders[..] {
                [leader] => Ok(leader),
                _ => Err(format!("leaders: {leaders:?}")),
            }
        })
    }

    /// Waits until allocator `n` leads.
    #[track_caller]
    pub fn wait_leads(&self, n: usize) {
        wait::until_within(
            TAKE_OVER,
            &format!("{} leads", self.allocators[n].name()),
            || wait::check(self.allocators[n].leads(), self.allocators[n].state()),
        );
    }

    // --- configuration ------------------------------------------------------

    /// Puts `text` in ConfigMap `config`, `ROUTER6`, `ROUTER` and `BIRD` replaced.
    #[track_caller]
    pub fn configure(&self, text: &str) {
        let text = text
            .replace("ROUTER6", &self.world.router6())
            .replace("ROUTER", &self.world.router())
            .replace("BIRD", "198.19.0.3");
        let object = json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"namespace": NAMESPACE, "name": "config"},
            "data": {"config": text},
        });
        self.world.plane.apply(&object.to_string());
    }

    // --- Services -----------------------------------------------------------

    /// A Service of type LoadBalancer for pods labelled `app: NAME`; `change` is
    /// merged over it.
    #[track_caller]
    pub fn service(&self, name: &str, change: Value) {
        let mut object = service(name);
        merge(&mut object, change);
        self.world
            .plane
            .post("/api/v1/namespaces/default/services", &object);
    }

    /// A Service as the API server has it.
    #[track_caller]
    pub fn object(&self, service: &str) -> Value {
        self.world
            .plane
            .read(&format!("/api/v1/namespaces/default/services/{service}"))
    }

    /// Puts addresses in a Service's status, as another product would.
    #[track_caller]
    pub fn write_status(&self, service: &str, addresses: &[&str]) {
        let ingress: Vec<Value> = addresses.iter().map(|ip| json!({"ip": ip})).collect();
        self.world.plane.patch(
            &format!("/api/v1/namespaces/default/services/{service}/status"),
            &json!({"status": {"loadBalancer": {"ingress": ingress}}}),
        );
    }

    /// Merges `change` into a Service.
    #[track_caller]
    pub fn change_service(&self, name: &str, change: Value) {
        self.world.plane.patch(
            &format!("/api/v1/namespaces/default/services/{name}"),
            &change,
        );
    }

    /// Deletes a Service.
    #[track_caller]
    pub fn remove_service(&self, name: &str) {
        self.world
            .plane
            .delete(&format!("/api/v1/namespaces/default/services/{name}"));
    }

    /// All Services with their addresses, as the status says; "" for none.
    pub fn addresses(&self) -> BTreeMap<String, String> {
        let list = self.world.plane.read("/api/v1/namespaces/default/services");
        let items = list["items"].as_array().into_iter().flatten();
        items
            .filter(|item| item["spec"]["type"] == "LoadBalancer")
            .map(|item| {
                let ingress = item["status"]["loadBalancer"]["ingress"]
                    .as_array()
                    .into_iter()
                    .flatten();
                let addresses: Vec<&str> =
                    ingress.filter_map(|entry| entry["ip"].as_str()).collect();
                (
                    item["metadata"]["name"].as_str().unwrap_or_default().into(),
                    addresses.join(","),
                )
            })
            .collect()
    }

    /// Waits until the Services have exactly these addresses.
    #[track_caller]
    pub fn wait_addresses(&self, wanted: &[(&str, &str)]) {
        let wanted: BTreeMap<String, String> = wanted
            .iter()
            .map(|(name, address)| (name.to_string(), address.to_string()))
            .collect();
        wait::until_within(TAKE_OVER, &format!("the addresses are {wanted:?}"), || {
            let seen = self.addresses();
            wait::check(seen == wanted, seen)
        });
    }

    /// Condition `loods.io/Allocated`: (status, reason, message).
    pub fn condition(&self, service: &str) -> (String, String, String) {
        let object = self.object(service);
        let mut conditions = object["status"]["conditions"]
            .as_array()
            .into_iter()
            .flatten();
        let condition = conditions.find(|condition| condition["type"] == "loods.io/Allocated");
        let field = |name: &str| {
            condition
                .and_then(|c| c[name].as_str())
                .unwrap_or_default()
                .to_string()
        };
        (field("status"), field("reason"), field("message"))
    }

    /// Waits until the condition's reason is `reason`, and answers its message.
    #[track_caller]
    pub fn wait_reason(&self, service: &str, reason: &str) -> String {
        wait::until(&format!("{service} is {reason}"), || {
            let condition = self.condition(service);
            wait::check(condition.1 == reason, &condition)?;
            Ok(condition.2)
        })
    }

    /// Events about an object: (type, reason, note), oldest first. Core Events,
    /// as `kubectl describe` shows them.
    pub fn events(&self, kind: &str, name: &str) -> Vec<(String, String, String)> {
        let list = self.world.plane.read("/api/v1/events");
        let items = list["items"].as_array().into_iter().flatten();
        let about = |event: &&Value| {
            event["involvedObject"]["kind"] == kind && event["involvedObject"]["name"] == name
        };
        let field =
            |event: &Value, name: &str| event[name].as_str().unwrap_or_default().to_string();
        items
            .filter(about)
            .map(|e| (field(e, "type"), field(e, "reason"), field(e, "message")))
            .collect()
    }

    /// Waits for an Event of this reason about a Service, and answers its note.
    #[track_caller]
    pub fn wait_told(&self, service: &str, reason: &str) -> String {
        wait::until(&format!("an Event {reason} is on {service}"), || {
            let events = self.events("Service", service);
            let told = events.iter().find(|event| event.1 == reason);
            told.map(|event| event.2.clone())
                .ok_or(format!("{events:?}"))
        })
    }

    // --- pods ---------------------------------------------------------------

    /// A pod labelled `app: APP` on node `node` (1…3), ready: what a scheduler
    /// and a kubelet would bring about. Answers its name.
    #[track_caller]
    pub fn pod(&mut self, app: &str, node: usize) -> String {
        self.pods += 1;
        let name = format!("{app}-{}", self.pods);
        let pod = json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "labels": {"app": app}},
            "spec": {
                "nodeName": format!("n{node}"),
                "containers": [{"name": "c", "image": "none"}],
            },
        });
        self.world
            .plane
            .post("/api/v1/namespaces/default/pods", &pod);
        self.become_ready(&name, node);
        name
    }

    fn become_ready(&mut self, pod: &str, node: usize) {
        self.pods += 1;
        let address = format!("10.244.{node}.{}", self.pods);
        self.world.plane.patch(
            &format!("/api/v1/namespaces/default/pods/{pod}/status"),
            &json!({"status": {
                "phase": "Running",
                "podIP": address,
                "podIPs": [{"ip": address}, {"ip": format!("fd00:244:{node}::{}", self.pods)}],
                "conditions": [{"type": "Ready", "status": "True"}],
            }}),
        );
    }

    /// What the pod's readiness probe says.
    #[track_caller]
    pub fn set_ready(&self, pod: &str, ready: bool) {
        let status = if ready { "True" } else { "False" };
        self.world.plane.patch(
            &format!("/api/v1/namespaces/default/pods/{pod}/status"),
            &json!({"status": {"conditions": [{"type": "Ready", "status": status}]}}),
        );
    }

    /// Deletes a pod that goes on serving: without a kubelet it stays in
    /// Terminating until [`Self::remove_pod`].
    #[track_caller]
    pub fn terminate_pod(&self, pod: &str) {
        self.world.plane.delete(&format!(
            "/api/v1/namespaces/default/pods/{pod}?gracePeriodSeconds=600"
        ));
    }

    /// The pod is gone, as its kubelet would say.
    #[track_caller]
    pub fn remove_pod(&self, pod: &str) {
        self.world.plane.delete(&format!(
            "/api/v1/namespaces/default/pods/{pod}?gracePeriodSeconds=0"
        ));
    }

    /// Binds the pods that the Deployment's controller has made to `nodes`, one
    /// each, and makes them ready: the scheduler's and the kubelets' part.
    #[track_caller]
    pub fn run_pods_of(&mut self, app: &str, nodes: &[usize]) -> Vec<String> {
        let path = format!("/api/v1/namespaces/default/pods?labelSelector=app%3D{app}");
        let pods = wait::until(
            &format!("{} pods of {app} wait for a node", nodes.len()),
            || {
                let list = self.world.plane.try_read(&path)?;
                let items = list["items"].as_array().into_iter().flatten();
                let waiting = items.filter(|pod| pod["spec"]["nodeName"].is_null());
                let names: Vec<String> = waiting
                    .filter_map(|pod| Some(pod["metadata"]["name"].as_str()?.to_string()))
                    .collect();
                wait::check(names.len() == nodes.len(), &names)?;
                Ok(names)
            },
        );
        for (pod, node) in pods.iter().zip(nodes) {
            self.world.plane.post(
                &format!("/api/v1/namespaces/default/pods/{pod}/binding"),
                &json!({
                    "apiVersion": "v1",
                    "kind": "Binding",
                    "metadata": {"name": pod},
                    "target": {"apiVersion": "v1", "kind": "Node", "name": format!("n{node}")},
                }),
            );
            self.become_ready(pod, *node);
        }
        pods
    }

    // --- nodes --------------------------------------------------------------

    /// Sets a label of a node, or takes it away with `None`.
    #[track_caller]
    pub fn label_node(&self, node: usize, label: &str, value: Option<&str>) {
        self.world.plane.patch(
            &format!("/api/v1/nodes/n{node}"),
            &json!({"metadata": {"labels": {label: value}}}),
        );
    }

    /// The IPv4 addresses of these nodes, as the routers know them.
    pub fn at(&self, nodes: &[usize]) -> Vec<String> {
        nodes
            .iter()
            .map(|n| self.world.nodes[n - 1].v4.to_string())
            .collect()
    }

    /// The IPv6 addresses of these nodes.
    pub fn at6(&self, nodes: &[usize]) -> Vec<String> {
        nodes
            .iter()
            .map(|n| self.world.nodes[n - 1].v6.to_string())
            .collect()
    }

    // --- routers ------------------------------------------------------------

    /// Waits until both routers have `prefix` from exactly these nodes.
    #[track_caller]
    pub fn wait_route(&self, prefix: &str, nodes: &[usize]) {
        self.world.frr.wait_route(prefix, &self.at(nodes));
        self.world.bird.wait_route(prefix, &self.at(nodes));
    }

    /// The place in FRR's recording where what follows begins.
    pub fn now(&self) -> usize {
        self.world.frr.recording().len()
    }

    /// Proves that FRR heard exactly `wanted` since `from`, in any order: a
    /// marker route is made last and waited for, from every node.
    #[track_caller]
    pub fn assert_heard(&mut self, from: usize, mut wanted: Vec<Heard>) {
        let marker = self.marker();
        let mut heard = self.world.frr.recording()[from..].to_vec();
        heard.retain(|what| !matches!(what, Heard::Announced { prefix, .. } if *prefix == marker));
        heard.sort();
        wanted.sort();
        assert_eq!(
            heard, wanted,
            "what FRR heard, the marker {marker} left out"
        );
    }

    /// A Service that all nodes announce, as the last change of the test.
    fn marker(&mut self) -> String {
        self.markers += 1;
        let name = format!("marker-{}", self.markers);
        self.service(&name, json!({"spec": {"externalTrafficPolicy": "Cluster"}}));
        self.pod(&name, 1);
        let address = wait::until_within(TAKE_OVER, "the marker has an address", || {
            let address = self.addresses().remove(&name).unwrap_or_default();
            wait::check(!address.is_empty(), &address)?;
            Ok(address)
        });
        let prefix = format!("{address}/32");
        self.world.frr.wait_route(&prefix, &self.at(&[1, 2, 3]));
        prefix
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let services = self.world.plane.try_kubectl(&[
                "get",
                "svc,pods,endpointslices,nodes",
                "-A",
                "-o",
                "wide",
            ]);
            eprintln!(
                "--- kubectl get\n{}",
                services.unwrap_or_else(|failure| failure)
            );
            eprintln!(
                "--- the end of FRR's log\n{}",
                process::tail(&self.world.frr.log(), 40)
            );
        }
        // Each Daemon prints the end of its own log when the test has failed.
        self.allocators.clear();
        self.speakers.clear();
    }
}

/// The article's configuration with a second router and another name for nothing.
pub const PEERS_AND_POOL: &str = r#"
peers:
- peer-address: ROUTER
  peer-asn: 65559
  my-asn: 65559
  password: "foo"
- peer-address: BIRD
  peer-asn: 64999
  my-asn: 65559
address-pools:
- name: public-pool
  protocol: bgp
  addresses:
  - 1.2.3.4-1.2.3.8
"#;

/// `FRR heard this prefix from these nodes`.
pub fn announced(prefix: &str, nodes: &[String]) -> Vec<Heard> {
    nodes
        .iter()
        .map(|peer| Heard::Announced {
            peer: peer.clone(),
            prefix: prefix.into(),
        })
        .collect()
}

/// `FRR heard these nodes take this prefix back`.
pub fn withdrawn(prefix: &str, nodes: &[String]) -> Vec<Heard> {
    nodes
        .iter()
        .map(|peer| Heard::Withdrawn {
            peer: peer.clone(),
            prefix: prefix.into(),
        })
        .collect()
}

/// A Service as the article's: LoadBalancer, policy Local, one port.
pub fn service(name: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {
            "type": "LoadBalancer",
            "externalTrafficPolicy": "Local",
            "selector": {"app": name},
            "ports": [{"name": "http", "port": 80, "targetPort": 80}],
        },
    })
}

/// RFC 7396, for objects.
pub fn merge(target: &mut Value, change: Value) {
    match (target, change) {
        (Value::Object(target), Value::Object(change)) => {
            for (key, value) in change {
                merge(target.entry(key).or_insert(Value::Null), value);
            }
        }
        (target, change) => *target = change,
    }
}

/// Everything that a test, this or an earlier one, has made.
fn remove_objects(world: &World) {
    let plane = &world.plane;
    for (group, kind) in [("apps/v1", "deployments"), ("apps/v1", "replicasets")] {
        plane.delete(&format!(
            "/apis/{group}/namespaces/default/{kind}?propagationPolicy=Background"
        ));
    }
    wait::until("the pods of earlier tests are gone", || {
        plane.delete("/api/v1/namespaces/default/pods?gracePeriodSeconds=0");
        let pods = plane.try_read("/api/v1/namespaces/default/pods")?;
        wait::check(
            pods["items"].as_array().is_some_and(Vec::is_empty),
            "some are left",
        )
    });
    let services = plane.read("/api/v1/namespaces/default/services");
    for service in services["items"].as_array().into_iter().flatten() {
        if let Some(name) = service["metadata"]["name"]
            .as_str()
            .filter(|name| *name != "kubernetes")
        {
            plane.delete(&format!("/api/v1/namespaces/default/services/{name}"));
        }
    }
    for name in ["config", "loods-last-good"] {
        plane.delete(&format!("/api/v1/namespaces/{NAMESPACE}/configmaps/{name}"));
    }
    plane.delete(&format!(
        "/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/loods-allocator"
    ));
    for namespace in ["default", NAMESPACE] {
        plane.delete(&format!("/api/v1/namespaces/{namespace}/events"));
    }
    for node in &world.nodes {
        plane.patch(
            &format!("/api/v1/nodes/{}", node.name),
            &json!({"metadata": {"labels": null}}),
        );
    }
    wait::until("the routers have no routes left", || {
        let mut frr = world.frr.table("ipv4");
        frr.append(&mut world.frr.table("ipv6"));
        let bird = world.bird.table();
        wait::check(frr.is_empty() && bird.is_empty(), (frr, bird))
    });
}
