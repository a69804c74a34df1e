//! The controller: watches claims, PVs and classes, and carries out what
//! [`provision`](super::provision) decides. No policy here.
//!
//! ```text
//!   watches --Fact--> desk --next--> Task --spawned--> hands --> API server, Heketi
//!                      ^  '--Notice--> Events             |
//!                      '--------------done(Outcome)-------'
//!   Lease --> only the leader hands out tasks; when the lead ends, what is on its way is dropped
//! ```
//!
//! Two may run: both watch, so that the second one knows everything when it
//! takes over. All memory is in the objects; a controller that dies anywhere is
//! replaced by one that starts from nothing.

mod backends;
mod content;
pub mod csi;
mod desk;
mod hands;
mod page;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::csi::serve::{Socket, SocketError};
use super::heketi::client::{Heketi, Limits, Trust};
use super::provision::{FINALIZER, Fact, MARK, Options};
use super::{DRIVER, IN_TREE};
use crate::k8s::events::{EventSink, Reporter};
use crate::k8s::lease::rule::Timing;
use crate::k8s::lease::{self, LeaderState};
use crate::k8s::objects::{Claims, Classes, Subject, Volumes};
use crate::k8s::volumes::Calls;
use crate::k8s::watch::{self as watches, Event};
use crate::k8s::{Client, Counters};
use crate::observe::readiness::Readiness;
use backends::Backends;
use desk::Desk;
use hands::Hands;

/// `metadata.name` of the Lease.
pub const LEASE: &str = "loods-storage";
/// Facts that may wait: a full channel holds the watches back.
const FACTS: usize = 512;
/// A clean stop takes no longer than this.
const STOP_LIMIT: Duration = Duration::from_millis(1900);
/// Shown as "not ready: …".
const LISTED: &str = "claims, volumes and classes listed";
const STOPPING: &str = "stopping";

/// The provisioner names that are served unless others are given.
pub const PROVISIONERS: [&str; 2] = [IN_TREE, DRIVER];

/// What the user asked for.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Namespace of the Lease.
    pub namespace: Box<str>,
    /// This process, for people: the pod's name.
    pub instance: Box<str>,
    /// Classes of these provisioners are served.
    pub provisioners: Vec<Box<str>>,
    /// The manager that a class of our own may leave out.
    pub manager: Option<Box<str>>,
    /// Who may sign the certificate of an https Heketi.
    pub trust: Trust,
    /// Steps on their way at one time.
    pub in_flight: usize,
    /// Between two rounds in which the health of all volumes is looked at;
    /// `None`: it is not.
    pub health: Option<Duration>,
    /// Where /metrics, /healthz and /readyz are served.
    pub listen: SocketAddr,
    /// The CSI Controller service, for those who bring their own provisioner.
    pub csi: Option<Csi>,
}

/// Where CSI is served, and whose volumes.
#[derive(Clone, Debug)]
pub struct Csi {
    /// The unix socket.
    pub socket: PathBuf,
    /// The one server that calls are about.
    pub heketi: Heketi,
}

/// A part that everything rests on is gone: better a restart than half a life.
#[derive(Debug, thiserror::Error)]
pub enum Ended {
    /// A task.
    #[error("the {0} ended by itself, and with it this process")]
    Part(&'static str),
    /// The socket of CSI cannot be made.
    #[error("--csi-socket: {0}")]
    Socket(#[from] SocketError),
}

/// Runs until `stop`.
pub async fn run(settings: Settings, client: Client, stop: CancellationToken) -> Result<(), Ended> {
    tracing::info!(version = env!("CARGO_PKG_VERSION"), provisioners = ?settings.provisioners, server = client.url(), "starting the storage controller");
    let mut parts = Parts {
        set: JoinSet::new(),
        client: client.clone(),
        counters: Arc::default(),
        last: vec!["Lease"],
    };
    let readiness = Readiness::default();
    readiness.expect(LISTED);
    let facts = parts.watches(&settings);
    let (led, release) = parts.election(&settings);
    let events = parts.events(&settings);
    let figures = Arc::new(page::Figures::default());
    if let Some(csi) = &settings.csi {
        parts.csi(csi, stop.clone())?;
    }

    let calls = Calls {
        client,
        claims: claims(),
        volumes: volumes(),
    };
    let backends = Backends::new(calls.clone(), settings.trust.clone(), Limits::default());
    let desk = Desk::new(
        Options {
            manager: settings.manager.clone(),
            in_flight: settings.in_flight,
            health: settings.health,
        },
        Arc::new(Hands { calls, backends }),
        events,
        readiness.clone(),
        Arc::clone(&figures),
    );
    let ending = stop.clone();
    parts.set.spawn(async move {
        desk.run(facts, led, ending).await;
        // Nothing can be written any more: the next one may begin.
        release.cancel();
        "desk"
    });
    let served = CancellationToken::new();
    let _served = served.clone().drop_guard();
    let route = page::route(readiness.clone(), figures, Arc::clone(&parts.counters));
    tokio::spawn(crate::admin::serve(
        "metrics",
        settings.listen,
        route,
        served,
    ));

    let result = tokio::select! {
        biased;
        () = stop.cancelled() => Ok(()),
        ended = parts.set.join_next() => Err(Ended::Part(match ended {
            Some(Ok(name)) => name,
            // The panic's own message is in the log already.
            Some(Err(_)) | None => "part that failed above",
        })),
    };
    readiness.expect(STOPPING);
    stop.cancel();
    parts.goodbye().await;
    result
}

/// How claims are read.
pub fn claims() -> Claims {
    Claims {
        driver: DRIVER,
        mark: MARK,
    }
}

/// How PVs are read.
pub fn volumes() -> Volumes {
    Volumes {
        driver: DRIVER,
        finalizer: FINALIZER,
    }
}

/// The parts that must live, each by its name.
struct Parts {
    set: JoinSet<&'static str>,
    client: Client,
    counters: Arc<Counters>,
    /// Those that a clean stop waits for.
    last: Vec<&'static str>,
}

impl Parts {
    fn watches(&mut self, settings: &Settings) -> mpsc::Receiver<Fact> {
        let (sender, facts) = mpsc::channel(FACTS);
        let classes = Classes {
            provisioners: settings.provisioners.clone(),
        };
        self.watch("StorageClasses watch", classes, sender.clone(), Fact::Class);
        self.watch(
            "PersistentVolumes watch",
            volumes(),
            sender.clone(),
            Fact::Volume,
        );
        self.watch(
            "PersistentVolumeClaims watch",
            claims(),
            sender,
            Fact::Claim,
        );
        facts
    }

    fn watch<S: Subject>(
        &mut self,
        name: &'static str,
        subject: S,
        facts: mpsc::Sender<Fact>,
        wrap: impl Fn(Event<S::Fact, S::Key>) -> Fact + Send + Sync + 'static,
    ) {
        let options = watches::Options {
            // Two in a cluster make no wave.
            spread: Duration::ZERO,
            counters: Arc::clone(&self.counters),
        };
        let run = watches::run(self.client.clone(), subject, options, facts, wrap);
        self.set.spawn(async move {
            run.await;
            name
        });
    }

    /// Who leads, and the token that gives the Lease up.
    fn election(
        &mut self,
        settings: &Settings,
    ) -> (watch::Receiver<LeaderState>, CancellationToken) {
        let (leader, led) = watch::channel(LeaderState::Following { holder: None });
        let release = CancellationToken::new();
        let options = lease::Options {
            namespace: settings.namespace.clone(),
            name: LEASE.into(),
            identity: lease::identity(&settings.instance),
            timing: Timing::default(),
            counters: Arc::clone(&self.counters),
        };
        let election = lease::run(self.client.clone(), options, leader, release.clone());
        self.set.spawn(async {
            election.await;
            "Lease"
        });
        (led, release)
    }

    fn events(&mut self, settings: &Settings) -> EventSink {
        let sink = EventSink::new(Arc::clone(&self.counters));
        let reporter = Reporter {
            controller: "loods-storage",
            instance: settings.instance.clone(),
            action: "Provision",
        };
        let (writer, client) = (sink.clone(), self.client.clone());
        self.set.spawn(async move {
            writer.run(client, reporter).await;
            "Events"
        });
        sink
    }

    /// Answers whether it leads or not, and whether the API server does: what a
    /// call asks for is between its caller and the manager.
    fn csi(&mut self, csi: &Csi, stop: CancellationToken) -> Result<(), SocketError> {
        let socket = Socket::bind(&csi.socket)?;
        tracing::info!(socket = %csi.socket.display(), manager = csi.heketi.url(), "serving CSI Controller");
        self.last.push("CSI socket");
        let service = csi::Controller::of(csi.heketi.clone());
        self.set.spawn(async move {
            if let Err(error) = service.serve(socket, Readiness::default(), stop).await {
                tracing::error!("the CSI socket failed: {error}");
            }
            "CSI socket"
        });
        Ok(())
    }

    /// Waits for the desk, the Lease and CSI; watches and Events never end by themselves.
    async fn goodbye(mut self) {
        let goodbye = async {
            while let Some(ended) = self.set.join_next().await {
                self.last
                    .retain(|name| !matches!(ended, Ok(done) if done == *name));
                if self.last.is_empty() {
                    return;
                }
            }
        };
        if tokio::time::timeout(STOP_LIMIT, goodbye).await.is_err() {
            tracing::warn!("not everything ended within {STOP_LIMIT:?}");
        }
    }
}
