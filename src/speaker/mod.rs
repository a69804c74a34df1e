//! Drives the BGP sessions of one node.
//!
//! ```text
//!   owner of the routes ──update()──> Rib of each peer (a lock held for
//!                                      microseconds) ──wake──> session task
//!   session task: one TcpStream, one timer, the pure machines of `bgp`
//! ```
//!
//! Nothing queues between the owner and a session: a route that changes twice
//! before a slow router can take it is sent once. The session tasks share no
//! state with each other, so a slow or silent router delays nobody.

pub(crate) mod connection;
mod identity;
mod next_hop;
mod session;
pub(crate) mod socket;
mod view;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::future::join_all;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::bgp::rib::Rib;
use crate::bgp::types::{Attributes, Prefix};
use crate::config::Peer;
use crate::observe::histogram::Histogram;
use crate::observe::views::{Depth, PeerView};
use view::Standing;

/// How long a stop may take before sessions are cut.
const STOP_LIMIT: Duration = Duration::from_millis(1500);
/// How long a session whose task failed is left alone.
const AFTER_PANIC: Duration = Duration::from_secs(5);

/// All sessions of one node.
pub struct Speakers {
    node_name: Arc<str>,
    latency: Arc<Histogram>,
    open: bool,
    sessions: Vec<Session>,
    /// Sessions of peers that are gone, while they say goodbye.
    leaving: Vec<Task>,
}

struct Session {
    shared: Arc<Shared>,
    stop: Stop,
    task: Task,
}

/// Ends with its owner: a node that is dropped says nothing more.
type Task = AbortOnDropHandle<()>;

/// Tells a session to end, and with which words to the router.
#[derive(Clone, Default)]
struct Stop {
    token: CancellationToken,
    text: Arc<Mutex<String>>,
}

/// What a session shares with the owner of the routes.
struct Shared {
    peer: Arc<Peer>,
    node_name: Arc<str>,
    rib: Mutex<Rib>,
    /// The rib has something due.
    wake: Notify,
    /// When the oldest change was received that this session has not written yet.
    oldest: Mutex<Option<Instant>>,
    latency: Arc<Histogram>,
    standing: Mutex<Standing>,
    updates_sent: AtomicU64,
    prefixes_received: AtomicU64,
    update_faults: AtomicU64,
}

impl Speakers {
    /// Without peers, and closed: sessions come up, but no UPDATE goes out
    /// before [`Speakers::open`]. `latency` takes the time from a change
    /// received to its UPDATE written.
    pub fn new(node_name: Arc<str>, latency: Arc<Histogram>) -> Self {
        Self {
            node_name,
            latency,
            open: false,
            sessions: Vec::new(),
            leaving: Vec::new(),
        }
    }

    /// Every list is in: tables and their End-of-RIB may go out.
    pub fn open(&mut self) {
        self.open = true;
        for session in &self.sessions {
            session.shared.rib().open();
            session.shared.wake.notify_one();
        }
    }

    /// Speaks to these peers and no others. A session whose peer is the same
    /// stays as it is; a new one starts with `routes`.
    pub fn set_peers(&mut self, peers: &[Arc<Peer>], routes: &BTreeMap<Prefix, Arc<Attributes>>) {
        let mut before = std::mem::take(&mut self.sessions);
        let kept: Vec<Option<Session>> = peers
            .iter()
            .map(|peer| {
                let mut sessions = before.iter();
                let place = sessions.position(|session| session.shared.peer.same_session(peer))?;
                Some(before.swap_remove(place))
            })
            .collect();
        for (peer, kept) in peers.iter().zip(kept) {
            if let Some(session) = kept {
                self.sessions.push(session);
                continue;
            }
            // A router takes one session from an address: the new one waits
            // until the old one has said goodbye.
            let endpoint = |peer: &Peer| (peer.address, peer.port, peer.zone.clone());
            let changed = before
                .iter()
                .position(|session| endpoint(&session.shared.peer) == endpoint(peer));
            let predecessor = changed.map(|place| before.swap_remove(place));
            let predecessor = predecessor.map(|old| old.end("peer changed in the configuration"));
            let session = self.start(Arc::clone(peer), routes, predecessor);
            self.sessions.push(session);
        }
        self.leaving.retain(|task| !task.is_finished());
        let gone = before.into_iter();
        self.leaving
            .extend(gone.map(|old| old.end("peer removed from the configuration")));
    }

    /// Routes that changed; `received` is when the change came in.
    pub fn update(&mut self, routes: &[(Prefix, Option<Arc<Attributes>>)], received: Instant) {
        for session in &self.sessions {
            let mut rib = session.shared.rib();
            let mut changed = false;
            for (prefix, attributes) in routes {
                changed |= rib.want(*prefix, attributes.clone());
            }
            drop(rib);
            if changed {
                lock(&session.shared.oldest).get_or_insert(received);
                session.shared.wake.notify_one();
            }
        }
    }

    /// What each session holds now, in the order of the configuration.
    pub fn views(&self, depth: Depth) -> Vec<PeerView> {
        let sessions = self.sessions.iter();
        sessions.map(|session| session.shared.view(depth)).collect()
    }

    /// Says Cease with a text to every peer. The future ends when all have it,
    /// or after a second and a half.
    pub fn stop(&mut self, text: &str) -> impl Future<Output = ()> + use<> {
        let sessions = std::mem::take(&mut self.sessions);
        for session in &sessions {
            session.stop.now(text);
        }
        let tasks = sessions.into_iter().map(|session| session.task);
        let ends = join_all(tasks.chain(std::mem::take(&mut self.leaving)));
        async move {
            let _ = tokio::time::timeout(STOP_LIMIT, ends).await;
        }
    }

    /// `predecessor` is the session that this one takes the place of.
    fn start(
        &self,
        peer: Arc<Peer>,
        routes: &BTreeMap<Prefix, Arc<Attributes>>,
        predecessor: Option<Task>,
    ) -> Session {
        let mut rib = Rib::default();
        for (prefix, attributes) in routes {
            rib.want(*prefix, Some(Arc::clone(attributes)));
        }
        if self.open {
            rib.open();
        }
        let shared = Arc::new(Shared {
            peer,
            node_name: Arc::clone(&self.node_name),
            rib: Mutex::new(rib),
            wake: Notify::new(),
            oldest: Mutex::new(None),
            latency: Arc::clone(&self.latency),
            standing: Mutex::default(),
            updates_sent: AtomicU64::new(0),
            prefixes_received: AtomicU64::new(0),
            update_faults: AtomicU64::new(0),
        });
        let stop = Stop::default();
        let session = supervise(Arc::clone(&shared), stop.clone());
        let task = AbortOnDropHandle::new(tokio::spawn(async move {
            if let Some(predecessor) = predecessor {
                // It ends within its farewell, and never by a panic of its own.
                let _ = predecessor.await;
            }
            session.await;
        }));
        Session { shared, stop, task }
    }
}

/// Starts a session's task again should it ever panic: a fault in one peer's
/// session costs that session, not the node.
async fn supervise(shared: Arc<Shared>, stop: Stop) {
    loop {
        let driven = tokio::spawn(session::drive(Arc::clone(&shared), stop.clone()));
        let driven = AbortOnDropHandle::new(driven);
        let Err(failed) = driven.await else { return };
        tracing::error!(peer = %shared.name(), "internal error in this session, it starts again: {failed}");
        shared.rib().session_down();
        *lock(&shared.standing) = Standing::default();
        if stop
            .token
            .run_until_cancelled(tokio::time::sleep(AFTER_PANIC))
            .await
            .is_none()
        {
            return;
        }
    }
}

impl Session {
    /// Tells it to end, and answers what ends with it.
    fn end(self, why: &str) -> Task {
        tracing::info!(peer = %self.shared.name(), "{why}");
        self.stop.now(why);
        self.task
    }
}

impl Stop {
    fn now(&self, text: &str) {
        text.clone_into(&mut lock(&self.text));
        self.token.cancel();
    }

    fn text(&self) -> String {
        lock(&self.text).clone()
    }
}

impl Shared {
    fn rib(&self) -> MutexGuard<'_, Rib> {
        lock(&self.rib)
    }

    fn name(&self) -> String {
        self.peer.endpoint()
    }

    fn view(&self, depth: Depth) -> PeerView {
        let standing = lock(&self.standing).clone();
        let mut view = view::of(&self.peer, &standing, Instant::now());
        let rib = self.rib();
        view.wanted = rib.wanted_len();
        view.advertised = rib.advertised_len();
        let advertised: Vec<Prefix> = match depth {
            Depth::Figures => Vec::new(),
            Depth::Whole => rib.advertised().map(|(prefix, _)| *prefix).collect(),
        };
        // Words take longer than the session should have to wait.
        drop(rib);
        view.routes = advertised.iter().map(Prefix::to_string).collect();
        view.updates_sent = self.updates_sent.load(Relaxed);
        view.prefixes_received = self.prefixes_received.load(Relaxed);
        view.update_faults = self.update_faults.load(Relaxed);
        view
    }
}

/// A poisoned lock is still a lock: the values behind these are whole at every step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
