//! The Kubernetes that is not there: objects in a store, pods that run nowhere,
//! and what its controllers would make of them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::k8s::files;
use crate::k8s::store::{Kind, Name, Store};
use crate::page::columns;

/// Where the Services' own addresses begin, as in the article: 10.111.65.x.
const CLUSTER_IP: &str = "10.111.65";
/// The first node port.
const NODE_PORT: u64 = 31170;

/// One pod.
#[derive(Clone, Debug)]
pub(super) struct Pod {
    /// The node that it runs on.
    pub node: String,
    /// Its readiness probe succeeds.
    pub ready: bool,
}

/// Objects and pods.
#[derive(Default)]
pub(super) struct Cluster {
    /// What the API server would hold.
    pub store: Store,
    pods: BTreeMap<String, Vec<Pod>>,
    services: u64,
    ports: u64,
}

impl Cluster {
    /// `kubectl apply` of a text with one or more objects; kinds that Loods
    /// does not read (the Deployment) are passed over.
    ///
    /// # Panics
    /// If the text, which is part of this program, is no YAML.
    pub(super) fn apply(&mut self, text: &str) {
        let objects = files::objects(text).expect("the demo's own files are YAML");
        for mut object in objects {
            if object["kind"] == "Service" {
                self.give_ports(&mut object);
            }
            // Other kinds are refused, and that is right.
            let _ = self.store.apply(object);
        }
    }

    /// A node appears.
    pub(super) fn add_node(&mut self, name: &str) {
        self.apply(&format!(
            "{{apiVersion: v1, kind: Node, metadata: {{name: {name}}}}}"
        ));
    }

    /// From now on a Service has these pods.
    pub(super) fn run(&mut self, service: &str, nodes: &[&str]) {
        let ready = |node: &&str| Pod {
            node: (*node).to_owned(),
            ready: true,
        };
        self.pods
            .insert(service.to_owned(), nodes.iter().map(ready).collect());
        self.make_slice(service);
    }

    /// Changes the pods of a Service that are on a node.
    pub(super) fn change(&mut self, service: &str, node: &str, change: impl Fn(&mut Pod)) {
        let pods = self.pods.get_mut(service).into_iter().flatten();
        pods.filter(|pod| pod.node == node).for_each(change);
        self.make_slice(service);
    }

    /// Every pod of a node is gone, as its cluster finds out.
    pub(super) fn lose_pods(&mut self, node: &str) {
        let services: Vec<String> = self.pods.keys().cloned().collect();
        for service in services {
            self.change(&service, node, |pod| pod.ready = false);
        }
    }

    /// Services whose pods all are to be ready again on a node.
    pub(super) fn find_pods(&mut self, node: &str) {
        let services: Vec<String> = self.pods.keys().cloned().collect();
        for service in services {
            self.change(&service, node, |pod| pod.ready = true);
        }
    }

    /// The address of a Service, if it has one.
    pub(super) fn address(&self, service: &str) -> Option<String> {
        let object = self
            .store
            .get(&Name::new(Kind::Service, "default", service))?;
        Some(address(&object)?.to_owned())
    }

    /// The note of the newest Warning about an object, if there is one.
    pub(super) fn warning(&self, name: &str) -> Option<String> {
        let events = self.store.events();
        let of = |event: &&Value| event["regarding"]["name"] == name && event["type"] == "Warning";
        Some(events.iter().rev().find(of)?["note"].as_str()?.to_owned())
    }

    /// `kubectl get svc`.
    pub(super) fn services(&self) -> String {
        let mut rows = vec![
            [
                "NAME",
                "TYPE",
                "CLUSTER-IP",
                "EXTERNAL-IP",
                "PORT(S)",
                "AGE",
            ]
            .map(str::to_owned),
        ];
        rows.extend(
            self.store
                .all(Kind::Service)
                .iter()
                .map(|object| row(object)),
        );
        columns(&rows, 3)
    }

    /// What the API server fills in: an address in the cluster, and node ports.
    fn give_ports(&mut self, service: &mut Value) {
        self.services += 1;
        service["spec"]["clusterIP"] = json!(format!("{CLUSTER_IP}.{}", 123 + self.services));
        let ports = service["spec"]["ports"].as_array_mut();
        for port in ports.into_iter().flatten() {
            port["nodePort"] = json!(NODE_PORT + 4 + self.ports * 107);
            self.ports += 1;
        }
    }

    fn make_slice(&mut self, service: &str) {
        let pods = self.pods.get(service).into_iter().flatten();
        let endpoints: Vec<Value> = pods
            .enumerate()
            .map(|(nth, pod)| {
                json!({
                    "addresses": [format!("10.244.0.{}", nth + 10)],
                    "nodeName": pod.node,
                    "conditions": {"ready": pod.ready},
                })
            })
            .collect();
        let slice = json!({
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "name": service,
                "labels": {"kubernetes.io/service-name": service},
            },
            "addressType": "IPv4",
            "endpoints": endpoints,
        });
        self.store
            .apply(slice)
            .expect("a whole object of a known kind");
    }
}

fn address(service: &Value) -> Option<&str> {
    service
        .pointer("/status/loadBalancer/ingress/0/ip")?
        .as_str()
}

fn row(service: &Value) -> [String; 6] {
    let text = |pointer: &str| {
        let found = service.pointer(pointer).and_then(Value::as_str);
        found.unwrap_or("<none>").to_owned()
    };
    let ports = service["spec"]["ports"].as_array().into_iter().flatten();
    let ports: Vec<String> = ports
        .map(|port| {
            let transport = port["protocol"].as_str().unwrap_or("TCP");
            format!("{}:{}/{transport}", port["port"], port["nodePort"])
        })
        .collect();
    let created: Option<Timestamp> = text("/metadata/creationTimestamp").parse().ok();
    let age = created.map_or(0, |then| Timestamp::now().as_second() - then.as_second());
    [
        text("/metadata/name"),
        text("/spec/type"),
        text("/spec/clusterIP"),
        address(service).unwrap_or("<pending>").to_owned(),
        ports.join(","),
        format!("{age}s"),
    ]
}
