//! A store, daemons on it, and the router that they speak to.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use loods::bgp::types::{Asn, RouterId};
use loods::demo::router::{Router, Setup};
use loods::k8s::store::{Kind, Name, Store};
use loods::runtime::{self, Settings};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

/// What is not there by then will not come.
const DEADLINE: Duration = Duration::from_secs(30);
/// Each world has a network of its own on loopback: 127.77.N.0/24.
static NEXT: AtomicU8 = AtomicU8::new(0);

/// The nodes, by name.
pub const NODES: [&str; 3] = ["n1", "n2", "n3"];

/// Everything.
pub struct World {
    pub store: Store,
    pub router: Router,
    network: u8,
    router_port: u16,
    running: BTreeMap<&'static str, Daemon>,
}

struct Daemon {
    stop: CancellationToken,
    task: AbortOnDropHandle<Result<(), runtime::Error>>,
}

/// Since when each route has stood, by prefix and next hop.
pub type Since = BTreeMap<String, BTreeMap<IpAddr, Instant>>;

/// Runs a scenario.
pub fn play<F: Future<Output = ()>>(scenario: impl FnOnce(World) -> F) {
    let done = runtime::block_on(async {
        let played = tokio::time::timeout(4 * DEADLINE, scenario(World::new()));
        played.await.expect("the scenario ends");
        Ok(())
    });
    done.expect("a runtime");
}

impl World {
    /// Three nodes, the article's pool, and everything running.
    fn new() -> World {
        let network = NEXT.fetch_add(1, Ordering::Relaxed);
        let address = |last: u8| IpAddr::V4(Ipv4Addr::new(127, 77, network, last));
        let setup = Setup {
            asn: Asn(65559),
            router_id: RouterId::new(Ipv4Addr::LOCALHOST).expect("not 0.0.0.0"),
            neighbours: (101..=103).map(address).collect(),
        };
        let (router, listens) =
            Router::open(setup, (address(1), 0).into(), None).expect("a port on loopback");
        let mut world = World {
            store: Store::default(),
            router,
            network,
            router_port: listens.port(),
            running: BTreeMap::new(),
        };
        for name in NODES {
            world.apply(json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}}));
        }
        world.configure("1.2.3.4-1.2.3.8");
        for name in ["allocator"].into_iter().chain(NODES) {
            world.start(name);
        }
        world
    }

    /// Puts the configuration, with one pool.
    pub fn configure(&self, addresses: &str) {
        let text = format!(
            "peers: [{{peer-address: 127.77.{}.1, peer-port: {}, peer-asn: 65559, my-asn: 65559}}]\n\
             address-pools: [{{name: public-pool, protocol: bgp, addresses: [{addresses}]}}]\n",
            self.network, self.router_port
        );
        self.apply(json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"namespace": "metallb-system", "name": "config"},
            "data": {"config": text},
        }));
    }

    /// Starts the allocator or the speaker of a node.
    pub fn start(&mut self, name: &'static str) {
        let node = NODES.iter().position(|node| *node == name);
        let source = node.map(|nth| {
            let last = 101 + u8::try_from(nth).expect("three nodes");
            IpAddr::V4(Ipv4Addr::new(127, 77, self.network, last))
        });
        let settings = Settings {
            allocates: node.is_none(),
            speaks: node.is_some(),
            node_name: name.into(),
            namespace: "metallb-system".into(),
            config_name: "config".into(),
            lb_class: None,
            listen: None,
            state: None,
            ignore_exclude_lb: false,
            source,
            alone: true,
        };
        let stop = CancellationToken::new();
        let work = runtime::daemon(settings, self.store.client(), None, stop.clone());
        let task = AbortOnDropHandle::new(tokio::spawn(work));
        self.running.insert(name, Daemon { stop, task });
    }

    /// Ends it as a crash does.
    pub fn kill(&mut self, name: &str) {
        self.running.remove(name).expect("it runs");
    }

    /// Ends it in good order.
    pub async fn stop(&mut self, name: &str) {
        let daemon = self.running.remove(name).expect("it runs");
        daemon.stop.cancel();
        let ended = daemon.task.await.expect("no panic");
        ended.expect("a clean stop");
    }

    /// A Service of policy Local, with a ready pod on each of these nodes.
    pub fn service(&self, name: &str, pods: &[&str]) {
        self.apply(json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"name": name},
            "spec": {"type": "LoadBalancer", "externalTrafficPolicy": "Local", "ports": [{"port": 80}]},
        }));
        self.pods(name, pods);
    }

    /// From now on the Service has these pods.
    pub fn pods(&self, service: &str, nodes: &[&str]) {
        let endpoints: Vec<Value> = nodes
            .iter()
            .map(|node| json!({"addresses": ["10.0.0.1"], "nodeName": node}))
            .collect();
        self.apply(json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": {"name": service, "labels": {"kubernetes.io/service-name": service}},
            "addressType": "IPv4",
            "endpoints": endpoints,
        }));
    }

    /// Changes nothing about Services but their version: their watch shows them again.
    pub fn touch(&self, services: &[&str]) {
        for service in services {
            let held = self
                .store
                .get(&Name::new(Kind::Service, "default", service));
            let mut object = (*held.expect("it is there")).clone();
            object["metadata"]["labels"] = json!({"touched": "yes"});
            self.apply(object);
        }
    }

    /// Takes a Service away.
    pub fn remove(&self, service: &str) {
        for kind in [Kind::Service, Kind::EndpointSlice] {
            assert!(self.store.delete(&Name::new(kind, "default", service)));
        }
    }

    /// Waits until [`Self::told`] is this.
    #[track_caller]
    pub fn expect(&self, wanted: &str) -> impl Future<Output = ()> {
        let place = std::panic::Location::caller();
        let wanted: String = wanted
            .lines()
            .map(|line| line.trim().to_owned() + "\n")
            .collect();
        async move {
            let (mut objects, mut tables) = (self.store.changes(), self.router.changes());
            let deadline = tokio::time::Instant::now() + DEADLINE;
            while self.told() != wanted {
                tokio::select! {
                    Ok(()) = objects.changed() => {}
                    Ok(()) = tables.changed() => {}
                    () = tokio::time::sleep_until(deadline) => {
                        panic!("{place}: wanted\n{wanted}and not\n{}", self.told())
                    }
                }
            }
        }
    }

    /// Every Service with its address, its condition's reason, and the nodes
    /// that announce the address; then routes that belong to none.
    pub fn told(&self) -> String {
        let mut routes = self.hops();
        let mut page = String::new();
        for service in self.store.all(Kind::Service) {
            let text = |pointer: &str| service.pointer(pointer).and_then(Value::as_str);
            let address = text("/status/loadBalancer/ingress/0/ip").unwrap_or("-");
            let nodes = routes.remove(&format!("{address}/32")).unwrap_or_default();
            let name = text("/metadata/name").unwrap_or_default();
            let reason = text("/status/conditions/0/reason").unwrap_or("-");
            let _ = writeln!(page, "{name} {address} {reason} by {}", nodes.join(" "));
        }
        for (prefix, nodes) in routes {
            let _ = writeln!(page, "{prefix} by {}", nodes.join(" "));
        }
        page.lines()
            .map(|line| line.trim().to_owned() + "\n")
            .collect()
    }

    /// Since when each route has stood.
    pub fn since(&self) -> Since {
        let routes = self.router.routes().into_iter();
        routes
            .map(|(prefix, hops)| (prefix.to_string(), hops))
            .collect()
    }

    fn hops(&self) -> BTreeMap<String, Vec<&'static str>> {
        let node = |address: &IpAddr| match address {
            IpAddr::V4(v4) => NODES[usize::from(v4.octets()[3]) - 101],
            IpAddr::V6(_) => "IPv6",
        };
        let routes = self.since().into_iter();
        routes
            .map(|(prefix, hops)| (prefix, hops.keys().map(node).collect()))
            .collect()
    }

    fn apply(&self, object: Value) {
        self.store.apply(object).expect("a kind that Loods reads");
    }
}
