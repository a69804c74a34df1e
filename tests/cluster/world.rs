//! What all tests share: the control plane, the routers, the nodes.

use crate::support::bird::Bird;
use crate::support::control_plane::ControlPlane;
use crate::support::frr::{self, Frr};
use crate::support::lab::{Host, Lab};
use crate::support::tools;
use serde_json::json;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

/// The namespace of Loods' own objects.
pub const NAMESPACE: &str = "metallb-system";

/// Everything that outlives one test.
pub struct World {
    pub lab: Lab,
    pub plane: ControlPlane,
    pub frr: Frr,
    pub bird: Bird,
    /// Where the two allocators run.
    pub allocators: Vec<Host>,
    /// n1, n2, n3: where the speakers run.
    pub nodes: Vec<Host>,
}

impl World {
    /// The shared world, made by the first who asks. A test that failed leaves
    /// it usable: each test begins by clearing up.
    pub fn shared() -> MutexGuard<'static, World> {
        static WORLD: OnceLock<Mutex<World>> = OnceLock::new();
        WORLD
            .get_or_init(|| Mutex::new(World::new()))
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn new() -> World {
        let lab = Lab::new();
        let router = lab.host("frr", 2);
        let other = lab.host("bird", 3);
        let nodes: Vec<Host> = (1..=3)
            .map(|n| lab.host(&format!("n{n}"), 10 + n))
            .collect();
        let allocators: Vec<Host> = (1..=2)
            .map(|n| lab.host(&format!("a{n}"), 20 + n))
            .collect();
        let plane = ControlPlane::start(&lab);
        for file in ["namespace.yaml", "loods.yaml"] {
            let path = tools::repository().join("manifests").join(file);
            plane.kubectl(&["apply", "-f", &path.to_string_lossy()]);
        }
        for node in &nodes {
            plane.post(
                "/api/v1/nodes",
                &json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": node.name}}),
            );
            plane.patch(
                &format!("/api/v1/nodes/{}/status", node.name),
                &json!({"status": {
                    "conditions": [{"type": "Ready", "status": "True"}],
                }}),
            );
        }
        let frr = Frr::start(&router, &frr::article(&router, &nodes));
        let bird = Bird::start(&other, &bird_config(&other, &nodes));
        World {
            lab,
            plane,
            frr,
            bird,
            allocators,
            nodes,
        }
    }

    /// FRR's address, the article's `peer-address`.
    pub fn router(&self) -> String {
        "198.19.0.2".into()
    }

    /// FRR's address for sessions over IPv6, which have no password.
    pub fn router6(&self) -> String {
        "fd00:19::2".into()
    }

    /// A file of the article, with the router's address in place of `10.x.x.1`.
    pub fn article(&self, file: &str) -> String {
        tools::article(file, &self.router())
    }
}

fn bird_config(host: &Host, nodes: &[Host]) -> String {
    let mut config = String::from("router id 198.19.0.3;\nprotocol device {}\n");
    for node in nodes {
        config += &format!(
            "protocol bgp {} {{ local {} as 64999; neighbor {} as 65559; ipv4 {{ import all; export none; }}; }}\n",
            node.name, host.v4, node.v4
        );
    }
    config
}
