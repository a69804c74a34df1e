//! The cluster of the bench: a real control plane in a network namespace of
//! its own, three Nodes that are only objects, a router that listens, and
//! Services whose EndpointSlices the bench writes itself. They have no
//! selector, so Kubernetes' own endpoint controllers leave them alone, and
//! policy Local, so each has its own health check port.

use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use loods::bgp::types::{Asn, Prefix};
use serde_json::{Value, json};

use crate::api::Api;
use crate::router::{AllTold, Router};
use crate::support::control_plane::ControlPlane;
use crate::support::lab::Lab;

/// The namespace of Loods and its ConfigMap.
pub const SYSTEM: &str = "metallb-system";
/// The ConfigMap.
pub const CONFIG: &str = "/api/v1/namespaces/metallb-system/configmaps/config";
/// The slices of the bench's Services.
pub const SLICES: &str = "/apis/discovery.k8s.io/v1/namespaces/bench/endpointslices";
/// The article's own.
pub const ASN: Asn = Asn(65559);
/// Three, as in the article.
pub const NODES: u8 = 3;

const SERVICES: &str = "/api/v1/namespaces/bench/services";
const ROUTER_PORT: u16 = 1790;

/// Everything but Loods. Dropping it ends and removes all of it.
pub struct World<'a> {
    /// The control plane, to be killed and started again.
    pub plane: ControlPlane,
    /// The bench's own client, as admin.
    pub api: Api,
    /// The admin's kubeconfig.
    pub admin: PathBuf,
    /// What hears the speakers.
    pub router: Router,
    /// The namespaces, directories and logs.
    pub lab: &'a Lab,
}

impl<'a> World<'a> {
    /// Starts everything. The process is in the laboratory's core namespace already.
    pub fn start(lab: &'a Lab) -> Self {
        let plane = ControlPlane::start(lab);
        let admin = lab.core().dir.join("kube/admin.conf");
        let api = Api::connect(&admin);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, ROUTER_PORT)).expect("a free port");
        let world = Self {
            plane,
            api,
            admin,
            router: Router::serve(listener, ASN),
            lab,
        };
        world.furnish();
        world
    }

    fn furnish(&self) {
        let manifests = Path::new(env!("CARGO_MANIFEST_DIR")).join("../manifests");
        let read = |name: &str| {
            let path = manifests.join(name);
            std::fs::read_to_string(&path)
                .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        };
        self.plane.apply(&read("namespace.yaml"));
        // The accounts and their rights; the bench itself is what runs the programs.
        let rights: Vec<String> = read("loods.yaml")
            .split("\n---\n")
            .filter(|document| {
                !document.contains("\nkind: Deployment\n")
                    && !document.contains("\nkind: DaemonSet\n")
            })
            .map(str::to_owned)
            .collect();
        self.plane.apply(&rights.join("\n---\n"));
        self.api.create(
            "/api/v1/namespaces",
            &json!({"metadata": {"name": "bench"}}),
        );
        for node in 1..=NODES {
            let name = format!("n{node}");
            let labels = json!({"kubernetes.io/hostname": name});
            self.api.create(
                "/api/v1/nodes",
                &json!({"metadata": {"name": name, "labels": labels}}),
            );
        }
        let object = json!({"metadata": {"name": "config"}, "data": {"config": config(1)}});
        self.api
            .create(&format!("/api/v1/namespaces/{SYSTEM}/configmaps"), &object);
    }

    /// Creates Services and their slices one after the other, and says how long that took.
    pub fn create_services(&self, numbers: Range<usize>) -> Duration {
        let begun = Instant::now();
        for number in numbers {
            self.api.create(SERVICES, &service(number));
            self.api.create(SLICES, &slice(number));
        }
        begun.elapsed()
    }

    /// Deletes Services and all slices.
    pub fn delete_services(&self, numbers: Range<usize>) {
        self.api.delete(SLICES);
        for number in numbers {
            self.api.delete(&format!("{SERVICES}/{}", name(number)));
        }
    }

    /// Deletes one Service and its slice.
    pub fn delete_one(&self, number: usize) {
        for collection in [SLICES, SERVICES] {
            self.api.delete(&format!("{collection}/{}", name(number)));
        }
    }

    /// The address that each Service holds, by the Service's number.
    pub fn prefixes(&self, count: usize) -> Vec<Prefix> {
        let listed = self.api.read(SERVICES);
        let items = listed["items"].as_array().expect("a list has items");
        assert_eq!(items.len(), count, "Services in the namespace");
        // Listed by name, and the names sort as the numbers.
        let address = |service: &Value| {
            let ip = &service["status"]["loadBalancer"]["ingress"][0]["ip"];
            let ip: IpAddr = ip
                .as_str()
                .and_then(|ip| ip.parse().ok())
                .expect("every Service has its address");
            ip.into()
        };
        items.iter().map(address).collect()
    }

    /// Sets whether a Service's endpoint on a node is ready; answers the slice's new version.
    pub fn set_ready(&self, number: usize, node: u8, ready: bool) -> String {
        let conditions = format!("/endpoints/{}/conditions", node - 1);
        let answer = self.api.patch(
            &format!("{SLICES}/{}", name(number)),
            &json!([
                {"op": "replace", "path": format!("{conditions}/ready"), "value": ready},
                {"op": "replace", "path": format!("{conditions}/serving"), "value": ready},
            ]),
        );
        version(&answer)
    }

    /// Writes the ConfigMap with another community; answers its new version.
    pub fn set_community(&self, low: u16) -> String {
        version(
            &self
                .api
                .merge(CONFIG, &json!({"data": {"config": config(low)}})),
        )
    }

    /// Waits until each of the three speakers announces just so many prefixes;
    /// answers when the last of these came.
    pub fn all_announced(&self, count: usize, limit: Duration) -> Instant {
        let all = |told: &AllTold| {
            let mut last = None;
            for node in 1..=NODES {
                let told = told
                    .get(&speaker_address(node))
                    .filter(|told| !told.down && told.routes.len() == count)?;
                last = last.max(told.last_update);
            }
            last
        };
        match self.router.wait(limit, all) {
            Some(last) => last,
            None => panic!(
                "not all {count} prefixes from {NODES} speakers in {} s; {}",
                limit.as_secs(),
                self.router.summary()
            ),
        }
    }
}

/// The source address of a node's speaker.
pub fn speaker_address(node: u8) -> IpAddr {
    Ipv4Addr::new(127, 0, 0, 100 + node).into()
}

fn version(object: &Value) -> String {
    object["metadata"]["resourceVersion"]
        .as_str()
        .expect("an object has a version")
        .to_owned()
}

fn name(number: usize) -> String {
    format!("s{number:05}")
}

fn service(number: usize) -> Value {
    json!({
        "metadata": {"name": name(number)},
        "spec": {
            "type": "LoadBalancer",
            "externalTrafficPolicy": "Local",
            "ports": [{"name": "web", "port": 80, "protocol": "TCP"}],
        },
    })
}

/// One ready endpoint on each node, as a Deployment spread over them would give.
fn slice(number: usize) -> Value {
    let endpoint = |node: u8| {
        json!({
            "addresses": [format!("10.244.{node}.{}", number % 250 + 1)],
            "nodeName": format!("n{node}"),
            "conditions": {"ready": true, "serving": true, "terminating": false},
        })
    };
    json!({
        "metadata": {
            "name": name(number),
            "labels": {
                "kubernetes.io/service-name": name(number),
                "endpointslice.kubernetes.io/managed-by": "bench",
            },
        },
        "addressType": "IPv4",
        "ports": [{"name": "web", "port": 8080, "protocol": "TCP"}],
        "endpoints": (1..=NODES).map(endpoint).collect::<Vec<_>>(),
    })
}

/// Three peers, which are one router: each for one node, from its own address.
fn config(community: u16) -> String {
    let mut text = String::from("peers:\n");
    for node in 1..=NODES {
        text += &format!(
            "- peer-address: 127.0.0.1\n  peer-port: {ROUTER_PORT}\n  peer-asn: {ASN}\n  my-asn: {ASN}\n  \
             source-address: {}\n  node-selectors:\n  - match-labels:\n      kubernetes.io/hostname: n{node}\n",
            speaker_address(node)
        );
    }
    text + &format!(
        "address-pools:\n- name: public-pool\n  protocol: bgp\n  addresses:\n  - 10.64.0.0/16\n  \
         bgp-advertisements:\n  - communities:\n    - 64512:{community}\n"
    )
}
