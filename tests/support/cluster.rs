//! A whole cluster with a router before it, and a client outside:
//!
//! ```text
//!   client ── router (FRR) ──┬── n1   kubelet, containerd, kube-proxy, pods
//!   198.51.100.2   198.19.0.2├── n2   198.19.0.11 … 13, fd00:19::b … d
//!   2001:db8:100::2          ├── n3   pods: 10.244.1.0/24 …, fd00:244:1::/64 …
//!                            └── core 198.19.0.1: API server, registry of images
//! ```
//!
//! Everything is real but the wires. Loods comes in as it comes to its users:
//! the image imported on each node, `kubectl apply` of the manifests.
//!
//! It takes some fifteen seconds to start, so the tests of one binary share
//! one ([`Cluster::shared`]) and begin by clearing up ([`Cluster::clear`]).

use super::control_plane::ControlPlane;
use super::frr::{self, Frr};
use super::lab::{Host, Lab, attempt, run};
use super::node::{Node, files::pod_ranges};
use super::process::Process;
use super::{tools, wait};
use serde_json::Value;
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

/// The namespace of Loods' own objects.
pub const NAMESPACE: &str = "metallb-system";

const NODES: [&str; 3] = ["n1", "n2", "n3"];

/// The running cluster.
pub struct Cluster {
    /// The API, and `kubectl`.
    pub plane: ControlPlane,
    /// The router's BGP, at 198.19.0.2.
    pub router: Frr,
    /// The router itself, for its routes and its firewall.
    pub router_host: Host,
    /// Outside, behind the router.
    pub client: Host,
    /// n1, n2, n3.
    pub nodes: Vec<Node>,
    registry: Process,
    /// The wires.
    pub lab: Lab,
}

/// A pod, as `kubectl get pod` has it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pod {
    /// Its name, which is its hostname too (on the pod network).
    pub name: String,
    /// Where it runs; empty while it waits.
    pub node: String,
    /// Whether all its containers are ready, by their probes.
    pub ready: bool,
    /// Whether it has been told to end.
    pub terminating: bool,
    /// Its addresses, of both families.
    pub addresses: Vec<String>,
}

impl Cluster {
    /// The cluster of this test binary, started by the first who asks. A test
    /// that failed leaves it usable, if each begins with [`Cluster::clear`].
    pub fn shared() -> MutexGuard<'static, Cluster> {
        static CLUSTER: OnceLock<Mutex<Cluster>> = OnceLock::new();
        CLUSTER
            .get_or_init(|| Mutex::new(Cluster::start()))
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts everything and waits until the nodes are Ready and the router
    /// answers. Loods is imported on the nodes, and not yet installed.
    pub fn start() -> Cluster {
        let lab = Lab::new();
        let router_host = lab.host("router", 2);
        let client = lab.behind(&router_host, "client");
        let hosts: Vec<Host> = (1..)
            .zip(NODES)
            .map(|(n, name)| lab.host(name, 10 + n))
            .collect();
        route(&lab, &hosts, &router_host);
        let archive = image_archive(&lab);
        let (registry, registry_at) = start_registry(&lab);
        let plane = ControlPlane::start_for(&lab, &NODES);
        let mut nodes: Vec<Node> = (1..)
            .zip(&hosts)
            .map(|(n, host)| Node::new(host, n, &plane, &registry_at, &[&archive]))
            .collect();
        nodes.iter_mut().for_each(Node::start);
        let router = Frr::start(&router_host, &frr::article(&router_host, &hosts));
        let cluster = Cluster {
            plane,
            router,
            router_host,
            client,
            nodes,
            registry,
            lab,
        };
        cluster.wait_nodes(&NODES);
        cluster
    }

    /// The router's address, the article's `peer-address`.
    pub fn router_address(&self) -> String {
        self.router_host.v4.to_string()
    }

    /// A file of the article, with the router's address in place of `10.x.x.1`.
    pub fn article(&self, file: &str) -> String {
        tools::article(file, &self.router_address())
    }

    /// The node of this name.
    #[track_caller]
    pub fn node(&self, name: &str) -> &Node {
        &self.nodes[place(name)]
    }

    /// The IPv4 addresses of nodes by their names, as the router's tables have them.
    #[track_caller]
    pub fn addresses(&self, names: &[&str]) -> Vec<String> {
        let nodes = names.iter().map(|name| self.node(name));
        nodes.map(|node| node.host.v4.to_string()).collect()
    }

    /// The same in IPv6.
    #[track_caller]
    pub fn addresses6(&self, names: &[&str]) -> Vec<String> {
        let nodes = names.iter().map(|name| self.node(name));
        nodes.map(|node| node.host.v6.to_string()).collect()
    }

    // --- what an operator does ---------------------------------------------

    /// `kubectl`, where a failure ends the test.
    #[track_caller]
    pub fn kubectl(&self, arguments: &[&str]) -> String {
        self.plane.kubectl(arguments)
    }

    /// `kubectl apply -k manifests/`, and waits until all pods of Loods are
    /// up. They are ready only when they have a configuration.
    #[track_caller]
    pub fn install(&self) {
        let manifests = tools::repository().join("manifests");
        self.kubectl(&["apply", "-k", &manifests.to_string_lossy()]);
    }

    /// Waits until this many pods with a label are there, all of them ready
    /// and none of them ending, and answers with them.
    #[track_caller]
    pub fn wait_pods(&self, namespace: &str, label: &str, count: usize) -> Vec<Pod> {
        let what = format!("{count} pods {label} of {namespace} are ready");
        wait::until_within(Duration::from_secs(60), &what, || {
            let pods = self.try_pods(namespace, label)?;
            let settled = pods.iter().all(|pod| pod.ready && !pod.terminating);
            wait::check(settled && pods.len() == count, &pods)?;
            Ok(pods)
        })
    }

    /// The pods with a label, by name.
    pub fn try_pods(&self, namespace: &str, label: &str) -> Result<Vec<Pod>, String> {
        let path = format!("/api/v1/namespaces/{namespace}/pods?labelSelector={label}");
        let list = self.plane.try_read(&path)?;
        let mut pods: Vec<Pod> = list["items"]
            .as_array()
            .into_iter()
            .flatten()
            .map(pod)
            .collect();
        pods.sort();
        Ok(pods)
    }

    /// Waits until exactly these nodes are Ready.
    #[track_caller]
    pub fn wait_nodes(&self, names: &[&str]) {
        let what = format!("the nodes {names:?} are Ready");
        wait::until_within(Duration::from_secs(60), &what, || {
            let list = self.plane.try_read("/api/v1/nodes")?;
            let nodes = list["items"].as_array().into_iter().flatten();
            let ready: Vec<&str> = nodes
                .filter(|node| condition(node, "Ready"))
                .filter_map(|node| node["metadata"]["name"].as_str())
                .collect();
            wait::check(ready == names, ready)
        });
    }

    // --- what a user sees ---------------------------------------------------

    /// One HTTP request from outside, by a connection of its own: the body, if
    /// the answer came within two seconds and was a good one.
    pub fn ask(&self, url: &str) -> Result<String, String> {
        let curl = ["-sS", "--fail", "--globoff", "--max-time", "2", url];
        attempt(self.client.command("curl").args(curl))
    }

    // --- what breaks ---------------------------------------------------------

    /// The loss of power: the node says nothing more to anybody.
    pub fn power_off(&mut self, name: &str) {
        self.lab.unplug(&self.node(name).host);
        self.nodes[place(name)].kill();
    }

    /// Its power is back: it starts anew, with what it had stored.
    pub fn power_on(&mut self, name: &str) {
        self.nodes[place(name)].start();
        self.lab.plug(&self.node(name).host);
    }

    // --- between tests --------------------------------------------------------

    /// Removes what tests have made, Loods included, and starts every node
    /// that was left off, so that the next one finds a new cluster.
    #[track_caller]
    pub fn clear(&mut self) {
        for name in NODES {
            if !self.node(name).runs() {
                self.power_on(name);
            }
            self.kubectl(&["uncordon", name]);
        }
        self.wait_nodes(&NODES);
        self.kubectl(&[
            "delete",
            "--ignore-not-found",
            "--wait=false",
            "namespace",
            NAMESPACE,
        ]);
        // What Kubernetes itself made has this label.
        self.kubectl(&[
            "delete",
            "deployments,daemonsets,services,pods",
            "--namespace=default",
            "--selector=component!=apiserver",
            "--grace-period=1",
            "--wait=false",
        ]);
        wait::until_within(Duration::from_secs(60), "no pods are left", || {
            let mut left = self.try_pods("default", "")?;
            left.extend(self.try_pods(NAMESPACE, "")?);
            wait::check(left.is_empty(), left)?;
            let gone = self
                .plane
                .try_read(&format!("/api/v1/namespaces/{NAMESPACE}"));
            wait::check(gone.is_err(), "the namespace of Loods is there")
        });
        wait::until("the router has no routes left", || {
            let tables = (self.router.table("ipv4"), self.router.table("ipv6"));
            wait::check(tables.0.is_empty() && tables.1.is_empty(), tables)
        });
    }

    /// Everything that the reader of a failed test may want.
    pub fn story(&self) -> String {
        let ask = |arguments: &[&str]| {
            let answer = self.plane.try_kubectl(arguments);
            format!(
                "--- kubectl {arguments:?}\n{}\n",
                answer.unwrap_or_else(|why| why)
            )
        };
        let mut story = ask(&["get", "nodes,pods,services", "-A", "-o", "wide"]);
        story += &ask(&[
            "get",
            "events",
            "-A",
            "--sort-by=.metadata.creationTimestamp",
        ]);
        for role in ["allocator", "speaker"] {
            let label = format!("component={role}");
            story += &ask(&[
                "logs",
                "-n",
                NAMESPACE,
                "-l",
                &label,
                "--prefix",
                "--tail=40",
            ]);
        }
        story += &self.plane.tails();
        for node in &self.nodes {
            story += &node.tails();
        }
        story + "--- bgpd\n" + &super::process::tail(&self.router.log(), 40)
    }
}

#[track_caller]
fn place(node: &str) -> usize {
    let place = NODES.iter().position(|name| *name == node);
    place.unwrap_or_else(|| panic!("there is no node {node}"))
}

/// Pods are reached through their nodes, the world through the router.
fn route(lab: &Lab, hosts: &[Host], router: &Host) {
    for (number, host) in (1..).zip(hosts) {
        host.route("default", router);
        for range in pod_ranges(number) {
            for other in hosts.iter().chain([lab.core(), router]) {
                if other.name != host.name {
                    other.route(&range, host);
                }
            }
        }
    }
}

fn image_archive(lab: &Lab) -> PathBuf {
    let archive = lab.dir().join("loods.tar");
    run(Command::new(tools::repository().join("image/build"))
        .arg("--binary")
        .arg(tools::loods_static())
        .arg("--output")
        .arg(&archive));
    archive
}

/// Starts the registry of images, and answers with its address and port too.
fn start_registry(lab: &Lab) -> (Process, String) {
    let core = lab.core();
    let listen = format!("{}:5000", core.v4);
    let mut command = core.command(tools::far_end("registry"));
    command.args(["--listen", &listen]);
    for (image, program) in [
        ("containous/whoami", tools::far_end("whoami")),
        ("lab/pause", tools::far_end("pause")),
        ("lab/busybox", "/bin/busybox".into()),
    ] {
        command.arg(format!("{image}={}", program.display()));
    }
    let mut registry = Process::start(core, "registry", command);
    let log = core.dir.join("registry.log");
    registry.wait("the registry has its images", || {
        let said = super::process::read_lossy(&log);
        wait::check(said.lines().any(|line| line == "ready"), said)
    });
    (registry, listen)
}

fn condition(object: &Value, kind: &str) -> bool {
    let conditions = object["status"]["conditions"].as_array();
    let mut conditions = conditions.into_iter().flatten();
    conditions.any(|row| row["type"] == kind && row["status"] == "True")
}

fn pod(object: &Value) -> Pod {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_string();
    let addresses = object["status"]["podIPs"].as_array().into_iter().flatten();
    Pod {
        name: text(&object["metadata"]["name"]),
        node: text(&object["spec"]["nodeName"]),
        ready: condition(object, "Ready"),
        terminating: object["metadata"]["deletionTimestamp"].is_string(),
        addresses: addresses.map(|row| text(&row["ip"])).collect(),
    }
}
