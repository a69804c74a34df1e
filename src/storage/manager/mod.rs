//! The volume manager: Heketi's REST API in front, agents behind.
//!
//! ```text
//!   Heketi client --REST--> server --> routes --> flows --Agents--> agent on each storage host
//!                                        |          |
//!                                        '-- State -'   rebuilt by `rebuild` from what agents report
//! ```
//!
//! [`state`] knows clusters, nodes, devices, bricks and volumes; [`placement`]
//! chooses devices; [`validate`] refuses what Heketi refuses, in its words:
//! all three are pure. [`flows`] carries out one operation by asking agents,
//! in an order in which every beginning can be repeated or undone:
//!
//! - make: bricks, each with the record of its volume; the volume in glusterd;
//!   its options, the record among them, at once; start; then its bricks are
//!   marked as settled. So a volume without its record never started, and holds
//!   nothing.
//! - remove: that mark is taken back; stop, delete in glusterd, then bricks.
//!
//! There is no database: [`rebuild`] asks the agents at the start, finishes a
//! volume that only lacks its start, and removes what an interrupted make or
//! remove left.
//!
//! What nobody keeps: a cluster without nodes lives in memory alone, and an
//! operation that was under way when the manager ended is forgotten, so that
//! its client asks by name again.

pub mod adopt;
mod agents;
mod away;
mod flows;
mod health;
mod metrics;
pub mod placement;
mod queue;
mod rebuild;
mod rounds;
mod routes;
mod server;
mod shown;
pub mod state;
#[cfg(test)]
mod tests;
mod topology_file;
pub mod validate;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::heketi::token::Keys;
use agents::Agents;
use queue::Queue;
use state::State;

/// Between two looks at all hosts: their space, and hosts that were away.
const LOOK: Duration = Duration::from_secs(60);
/// The same while a host has not been seen yet.
const LOOK_SOON: Duration = Duration::from_secs(2);

/// Between a failed operation and the look for what it left.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// What the user asked for.
pub struct Settings {
    /// Where the REST API is served.
    pub listen: SocketAddr,
    /// Agents that are asked at the start, `HOST` or `HOST:PORT`.
    pub agents: Vec<Box<str>>,
    /// Who may ask; `None`: everybody.
    pub keys: Option<Keys>,
    /// Addresses that may mount volumes, besides the storage hosts.
    pub allow: Vec<Box<str>>,
    /// A Heketi topology file to load at the start.
    pub topology: Option<PathBuf>,
    /// Where /metrics, /healthz and /readyz are served, to everybody.
    pub metrics: Option<SocketAddr>,
}

/// Why the manager ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody can be served.
    #[error("cannot listen on {address}: {cause}; --listen names another address")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// The system's words.
        cause: std::io::Error,
    },
    /// The topology file makes no sense.
    #[error("--topology {path}: {why}")]
    Topology {
        /// As given.
        path: Box<str>,
        /// What is wrong with it.
        why: String,
    },
}

/// What all parts share.
pub(crate) struct Manager {
    agents: Arc<dyn Agents>,
    /// Ports of agents, by host: from `--agents`.
    ports: BTreeMap<Box<str>, Box<str>>,
    allow: Vec<Box<str>>,
    state: Mutex<State>,
    queue: Mutex<Queue>,
    /// True once a look was whole: before, names and ids are not known.
    looked: watch::Sender<bool>,
    /// Something may be left: look again soon.
    doubt: Notify,
    /// Held while peers come or go.
    peering: tokio::sync::Mutex<()>,
}

impl Manager {
    fn new(agents: Arc<dyn Agents>, known: &[Box<str>], allow: Vec<Box<str>>) -> Self {
        let ports = known
            .iter()
            .map(|agent| (host_of(agent).into(), agent.clone()))
            .collect();
        Self {
            agents,
            ports,
            allow,
            state: Mutex::default(),
            queue: Mutex::default(),
            looked: watch::Sender::new(false),
            doubt: Notify::new(),
            peering: tokio::sync::Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each change of the state is complete in itself.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every address that may mount volumes of a cluster.
    fn allowed(&self, cluster: &str) -> Vec<String> {
        let hosts = self.state().storage_hosts(cluster).into_iter();
        hosts
            .chain(self.allow.iter().map(ToString::to_string))
            .collect()
    }

    /// Where the agent of a host listens.
    fn agent_of(&self, host: &str) -> String {
        self.ports
            .get(host)
            .map_or_else(|| host.to_owned(), |agent| agent.to_string())
    }
}

/// The host of `HOST` or `HOST:PORT`, an IPv6 address in brackets or alone.
fn host_of(agent: &str) -> &str {
    match agent.rsplit_once(':') {
        Some((host, port)) if port.parse::<u16>().is_ok() && !host.contains(':') => host,
        Some((host, port)) if port.parse::<u16>().is_ok() && host.ends_with(']') => host,
        _ => agent,
    }
}

/// 32 hexadecimal digits that nobody had before.
fn new_id() -> String {
    use std::fmt::Write;
    random().iter().fold(String::new(), |mut id, octet| {
        // Writing to a String cannot fail.
        let _ = write!(id, "{octet:02x}");
        id
    })
}

#[cfg(not(test))]
fn random() -> [u8; 16] {
    use ring::rand::SecureRandom;
    let mut octets = [0; 16];
    // Without random numbers there was no TLS, and so no agent either.
    ring::rand::SystemRandom::new()
        .fill(&mut octets)
        .expect("the system has random numbers");
    octets
}

// The order of ids decides in which order things are done: a case that failed
// must fail again.
#[cfg(test)]
use tests::random;

/// Serves until `stop`.
///
/// # Errors
/// The address is taken, or the topology file makes no sense.
pub async fn run(
    settings: Settings,
    agents: Arc<dyn Agents>,
    stop: CancellationToken,
) -> Result<(), Error> {
    let topology = settings
        .topology
        .as_deref()
        .map(topology_file::read)
        .transpose()?;
    let listener = tokio::net::TcpListener::bind(settings.listen)
        .await
        .map_err(|cause| Error::Listen {
            address: settings.listen,
            cause,
        })?;
    let manager = Arc::new(Manager::new(agents, &settings.agents, settings.allow));
    let looking =
        stop.run_until_cancelled(look_around(Arc::clone(&manager), settings.agents, topology));
    tracing::info!(address = %settings.listen, "serving Heketi's REST API");
    let healths = Arc::new(rounds::Healths::default());
    if let Some(listen) = settings.metrics {
        let route = metrics::route(Arc::clone(&manager), Arc::clone(&healths));
        tokio::spawn(crate::admin::serve("metrics", listen, route, stop.clone()));
    }
    let watching = rounds::go(Arc::clone(&manager), healths);
    let watching = stop.clone().run_until_cancelled_owned(watching);
    tokio::spawn(watching);
    let serving = server::serve(listener, Arc::clone(&manager), settings.keys, stop.clone());
    tokio::join!(looking, serving);
    Ok(())
}

/// Keeps the state what the hosts say it is, and loads the topology once.
async fn look_around(
    manager: Arc<Manager>,
    seeds: Vec<Box<str>>,
    mut topology: Option<topology_file::Topology>,
) {
    loop {
        let looked = rebuild::look(&manager, &seeds).await;
        if let Some(wanted) = topology.take() {
            let left = topology_file::load(&manager, wanted).await;
            topology = left;
        }
        if looked.whole {
            manager.looked.send_replace(true);
        }
        let soon = looked.missing || topology.is_some();
        let pause = if soon { LOOK_SOON } else { LOOK };
        if tokio::time::timeout(pause, manager.doubt.notified())
            .await
            .is_ok()
        {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }
}
