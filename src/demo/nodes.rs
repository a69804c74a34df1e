//! Three nodes, each a speaker of its own, and the allocator: daemons in this
//! process that share nothing but the store.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::k8s::store::Store;
use crate::runtime::log::Level;
use crate::runtime::{self, Settings};

/// The allocator's place in [`Nodes`].
pub(super) const ALLOCATOR: &str = "allocator";
/// Their names; their addresses are 127.0.0.101 and so on.
pub(super) const NAMES: [&str; 3] = ["node1", "node2", "node3"];
/// Where each daemon serves /state, on an address of its own.
const STATE_PORT: u16 = 7473;

/// Running daemons, by name.
pub(super) struct Nodes {
    store: Store,
    level: Level,
    running: BTreeMap<&'static str, Daemon>,
}

struct Daemon {
    stop: CancellationToken,
    task: AbortOnDropHandle<Result<(), runtime::Error>>,
}

/// The address that a daemon has for itself on loopback.
pub(super) fn address(name: &str) -> IpAddr {
    let nth = NAMES.iter().position(|node| *node == name);
    let last = nth.map_or(100, |nth| 101 + u8::try_from(nth).unwrap_or_default());
    Ipv4Addr::new(127, 0, 0, last).into()
}

/// Where a daemon serves /state.
pub(super) fn state(name: &str) -> SocketAddr {
    (address(name), STATE_PORT).into()
}

impl Nodes {
    /// Nothing runs yet.
    pub(super) fn new(store: Store, level: Level) -> Self {
        Self {
            store,
            level,
            running: BTreeMap::new(),
        }
    }

    /// Starts a daemon: the allocator, or the speaker of a node.
    pub(super) fn start(&mut self, name: &'static str) {
        let allocates = name == ALLOCATOR;
        let settings = Settings {
            allocates,
            speaks: !allocates,
            node_name: if allocates { "" } else { name }.into(),
            namespace: "metallb-system".into(),
            config_name: "config".into(),
            lb_class: None,
            listen: None,
            state: Some(state(name)),
            ignore_exclude_lb: false,
            source: (!allocates).then(|| address(name)),
            alone: true,
        };
        let stop = CancellationToken::new();
        let work = runtime::daemon(
            settings,
            self.store.client(),
            Some(self.level.clone()),
            stop.clone(),
        );
        let task = AbortOnDropHandle::new(tokio::spawn(work));
        self.running.insert(name, Daemon { stop, task });
    }

    /// As by SIGKILL: nobody is told anything, but the kernel closes what was open.
    pub(super) fn kill(&mut self, name: &str) {
        self.running.remove(name);
    }

    /// As in an upgrade: the routers are told.
    pub(super) async fn stop(&mut self, name: &str) {
        if let Some(daemon) = self.running.remove(name) {
            daemon.stop.cancel();
            // What failed is in its log.
            let _ = daemon.task.await;
        }
    }

    /// Stops all, side by side.
    pub(super) async fn stop_all(&mut self) {
        for daemon in self.running.values() {
            daemon.stop.cancel();
        }
        while let Some((_, daemon)) = self.running.pop_first() {
            let _ = daemon.task.await;
        }
    }
}
