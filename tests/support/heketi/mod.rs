//! A stand-in for a Heketi 10: its REST API as it was recorded, in this
//! process, in memory alone.
//!
//! ```text
//!   request --> fault? --> token? --> route --> Model   (clusters, nodes, devices, volumes, operations)
//!      ^          | lose, delay, repeat, lie              |
//!      '----------'<------------- answer <----------------'
//! ```
//!
//! It keeps to what was recorded: operations whose end is told once, a 303
//! whose body is HTML, options padded with "", volumes that nobody sees while
//! they are being made, and the error texts. What goes wrong on the way is told
//! beforehand by [`StandIn::fault`].
//!
//! ```ignore
//! let heketi = StandIn::start("adminkey-lab");
//! heketi.fault("POST /volumes", Fault::LoseAnswer);
//! let client = Heketi::new(&heketi.url(), …);
//! ```

// Each test binary compiles this module for itself and uses its own part.
#![allow(dead_code)]

mod faults;
mod model;
mod routes;
mod serve;
mod volumes;

use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use loods::storage::heketi::loods::{Health, HealthState, SnapshotInfo};
use loods::storage::heketi::token::{Key, Keys};
use loods::storage::heketi::wire::VolumeInfo;
use tokio::sync::oneshot;

pub use faults::Fault;
use faults::Faults;
use model::Model;

/// A request that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Method and path with query, as `GET /volumes`.
    pub line: String,
    /// The body.
    pub body: String,
    /// HTTP status that was answered; 0: none was, or it was lost.
    pub status: u16,
}

/// What all connections share.
struct Shared {
    keys: Option<Keys>,
    model: Mutex<Model>,
    faults: Mutex<Faults>,
    asked: Mutex<Vec<Asked>>,
}

/// A running server; ends when dropped.
pub struct StandIn {
    shared: Arc<Shared>,
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl StandIn {
    /// On a free port of 127.0.0.1, with three nodes of one device each, 500 GiB
    /// all of them. `key` is the administrator's; the other user's is `userkey-lab`.
    pub fn start(key: &str) -> Self {
        Self::at(key, "127.0.0.1:0".parse().expect("an address"))
    }

    /// At a given address.
    pub fn at(key: &str, address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address);
        Self::on(
            Some(key),
            listener.unwrap_or_else(|error| panic!("{address}: {error}")),
        )
    }

    /// On a socket that listens already, perhaps in another network namespace.
    /// No key: without tokens, which is Heketi's `use_auth: false`.
    pub fn on(key: Option<&str>, listener: TcpListener) -> Self {
        let of = |text: &str| Key::new(text.as_bytes()).expect("a key is not empty");
        let shared = Arc::new(Shared {
            keys: key.map(|key| Keys {
                admin: of(key),
                user: Some(of("userkey-lab")),
            }),
            model: Mutex::new(Model::new()),
            faults: Mutex::default(),
            asked: Mutex::default(),
        });
        let address = listener.local_addr().expect("it is bound");
        listener.set_nonblocking(true).expect("an option");
        let (stop, stopped) = oneshot::channel();
        let serving = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("stand-in".into())
            .spawn(move || serve::serve(listener, serving, stopped))
            .expect("a thread");
        Self {
            shared,
            address,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// What goes into `resturl`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The next request whose line begins so goes wrong, once. Several are kept
    /// in order.
    pub fn fault(&self, line: &str, fault: Fault) {
        lock(&self.shared.faults).add(line, fault);
    }

    /// How many faults have yet to happen.
    pub fn faults_left(&self) -> usize {
        lock(&self.shared.faults).left()
    }

    /// Its clock is so many seconds ahead.
    pub fn skew(&self, seconds: i64) {
        lock(&self.shared.model).skew = seconds;
    }

    /// How long an operation takes; 0 at first.
    pub fn slow(&self, operation: Duration) {
        lock(&self.shared.model).slow = operation;
    }

    /// Operations at one time, before it answers 429; 8 at first, as Heketi has it.
    pub fn in_flight(&self, most: usize) {
        lock(&self.shared.model).in_flight = most;
    }

    /// A volume fares so from now on. Only our manager tells.
    pub fn fares(&self, id: &str, state: HealthState, reason: &str) {
        let health = Health {
            state,
            reason: reason.into(),
            bricks: Vec::new(),
        };
        lock(&self.shared.model).health.insert(id.into(), health);
    }

    /// Answers as our manager does from now on: `X-Loods`, look-up by name,
    /// guarded growth, snapshots, health.
    pub fn as_loods(&self, loods: bool) {
        lock(&self.shared.model).loods = loods;
    }

    /// A cluster without nodes, or with three of so many GiB each. Its id.
    pub fn add_cluster(&self, gib: Option<u64>) -> String {
        lock(&self.shared.model).add_cluster(gib)
    }

    /// Ids of clusters, in order.
    pub fn clusters(&self) -> Vec<String> {
        lock(&self.shared.model).clusters.keys().cloned().collect()
    }

    /// All volumes, those too that are being made.
    pub fn volumes(&self) -> Vec<VolumeInfo> {
        let mut model = lock(&self.shared.model);
        model.advance();
        model.volumes.values().map(|v| v.info.clone()).collect()
    }

    /// The snapshots that are there.
    pub fn snapshots(&self) -> Vec<SnapshotInfo> {
        let mut model = lock(&self.shared.model);
        model.advance();
        model.snapshots.values().cloned().collect()
    }

    /// What was asked, in the order of the answers.
    pub fn asked(&self) -> Vec<Asked> {
        lock(&self.shared.asked).clone()
    }

    /// Lines of what was asked, with the status: `POST /volumes 202`.
    pub fn lines(&self) -> Vec<String> {
        let asked = lock(&self.shared.asked);
        let line = |asked: &Asked| format!("{} {}", asked.line, asked.status);
        asked.iter().map(line).collect()
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A test that fails has its own panic to show, not a poisoned lock.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
