//! Wires the daemon, in reading order: client, configuration, allocator,
//! speaker, admin server, signals. No policy here.
//!
//! ```text
//!  ConfigMap watch --> configuration --watch<Standing>--+--------------+
//!                                                       v              v
//!  Services watch (leader only) ----------------> allocator        speaker <-- Services, slices,
//!       Lease <--> leader or not ------------------^   |              |        own Node watches
//!                                                      v              v
//!                                              Writer: status     sessions: UPDATE
//!                                                 Events             Events
//! ```
//!
//! Allocator and speaker share no channel of their own, also when both run in
//! this process: the Service's status in the API server connects them.

mod allocator;
mod configuration;
pub mod log;
pub mod signals;
mod speaker;
mod status;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::k8s::events::{EventSink, Reporter};
use crate::k8s::lease::LeaderState;
use crate::k8s::lease::rule::Timing;
use crate::k8s::objects::{ConfigMaps, Nodes, Services, Slices};
use crate::k8s::{self, Client, Counters, lastgood, list};
use crate::lb;
use crate::lb::facts::Event;
use crate::observe::histogram::Histogram;
use crate::observe::readiness::Readiness;
use crate::observe::views::{AllocatorView, SpeakerView};
use configuration::Standing;
use log::Level;
use speaker::Fact;

/// Key in the ConfigMap, as MetalLB has it.
const CONFIG_KEY: &str = "config";
/// `metadata.name` of the Lease.
const LEASE: &str = "loods-allocator";
/// Facts that may wait for their task: a full channel holds the watch back.
const FACTS: usize = 512;
/// Between two tries to read the last good configuration.
const RETRY: Duration = Duration::from_secs(2);
/// A clean stop takes no longer than this.
const STOP_LIMIT: Duration = Duration::from_millis(1900);
/// First lists are spread over this: 5,000 speakers that start together are no wave.
const SPREAD: Duration = Duration::from_millis(0);

/// What the user asked for.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Run the allocator.
    pub allocates: bool,
    /// Run the speaker.
    pub speaks: bool,
    /// The Node that the speaker speaks for.
    pub node_name: Arc<str>,
    /// Namespace of the ConfigMap, the Lease and the last good configuration.
    pub namespace: Arc<str>,
    /// Name of the ConfigMap.
    pub config_name: Arc<str>,
    /// The loadBalancerClass served; `None`: Services without one.
    pub lb_class: Option<Box<str>>,
    /// Where /metrics, /healthz and /readyz are served.
    pub listen: SocketAddr,
    /// Where /state and /log-level are served.
    pub state: SocketAddr,
    /// Announce from nodes with the exclude label too.
    pub ignore_exclude_lb: bool,
    /// Kubeconfig file; `None`: the pod's service account.
    pub kubeconfig: Option<PathBuf>,
}

/// Why the daemon ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No threads or no timer: the machine is in a bad way.
    #[error("cannot start: {0}")]
    Start(#[from] std::io::Error),
    /// No usable kubeconfig or service account.
    #[error(transparent)]
    Connect(#[from] k8s::client::ConnectError),
    /// A part that everything rests on is gone: better a restart than half a life.
    #[error("the {0} ended by itself, and with it this process")]
    Part(&'static str),
}

/// Runs the daemon until SIGTERM or SIGINT.
pub fn run(settings: Settings, level: Level) -> Result<(), Error> {
    // Fails only where a provider is there already, which serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let done = runtime.block_on(daemon(Arc::new(settings), level));
    runtime.shutdown_background();
    done
}

/// The parts that must live, each by its name.
type Parts = JoinSet<&'static str>;

async fn daemon(settings: Arc<Settings>, level: Level) -> Result<(), Error> {
    let stop = signals::stop_on_signal();
    let component = match (settings.allocates, settings.speaks) {
        (true, false) => "allocator",
        (false, true) => "speaker",
        _ => "both",
    };
    let client = k8s::connect(settings.kubeconfig.as_deref(), component).await?;
    tracing::info!(version = env!("CARGO_PKG_VERSION"), role = component, node = %settings.node_name, "starting");

    let mut wiring = Wiring {
        settings,
        client,
        counters: Arc::default(),
        readiness: Readiness::default(),
        stop: stop.clone(),
        parts: JoinSet::new(),
    };
    let config = wiring.configuration();
    let latency = Arc::new(Histogram::default());
    let allocator = wiring
        .settings
        .allocates
        .then(|| wiring.allocator(config.clone()));
    let speaker = wiring
        .settings
        .speaks
        .then(|| wiring.speaker(config.clone(), Arc::clone(&latency)));
    let sources = Arc::new(status::Sources {
        settings: Arc::clone(&wiring.settings),
        started: Instant::now(),
        readiness: wiring.readiness.clone(),
        config,
        allocator,
        speaker,
        counters: Arc::clone(&wiring.counters),
        latency,
    });
    let admin = CancellationToken::new();
    tokio::spawn(crate::admin::serve(
        "metrics",
        wiring.settings.listen,
        status::public(Arc::clone(&sources)),
        admin.clone(),
    ));
    tokio::spawn(crate::admin::serve(
        "state",
        wiring.settings.state,
        status::private(sources, level),
        admin.clone(),
    ));

    let result = tokio::select! {
        () = stop.cancelled() => Ok(()),
        ended = wiring.parts.join_next() => Err(Error::Part(name_of(ended))),
    };
    // Readiness goes first, then everything says its goodbye side by side.
    wiring.readiness.expect(STOPPING);
    stop.cancel();
    let goodbye = async { while wiring.parts.join_next().await.is_some() {} };
    if tokio::time::timeout(STOP_LIMIT, goodbye).await.is_err() {
        tracing::warn!("not everything ended within {STOP_LIMIT:?}");
    }
    admin.cancel();
    result
}

/// Shown as "not ready: stopping".
const STOPPING: &str = "stopping";

fn name_of(ended: Option<Result<&'static str, JoinError>>) -> &'static str {
    match ended {
        Some(Ok(name)) => name,
        // The panic's own message is in the log already.
        Some(Err(_)) | None => "part that failed above",
    }
}

/// What the parts are made of.
struct Wiring {
    settings: Arc<Settings>,
    client: Client,
    counters: Arc<Counters>,
    readiness: Readiness,
    stop: CancellationToken,
    parts: Parts,
}

impl Wiring {
    fn configuration(&mut self) -> watch::Receiver<Standing> {
        let (seen, sightings) = mpsc::channel(16);
        let (standing, receiver) = watch::channel(Standing::default());
        let maps = ConfigMaps {
            namespace: (*self.settings.namespace).into(),
            name: (*self.settings.config_name).into(),
            key: CONFIG_KEY.into(),
        };
        self.watch("ConfigMap watch", maps, seen, |event| event);
        self.readiness.expect(configuration::LOADED);
        let name = format!("{}/{}", self.settings.namespace, self.settings.config_name);
        let last_good = last_good(self.client.clone(), Arc::clone(&self.settings.namespace));
        let run = configuration::run(
            name,
            sightings,
            last_good,
            standing,
            self.readiness.clone(),
            self.stop.clone(),
        );
        self.parts.spawn(async {
            run.await;
            "configuration"
        });
        receiver
    }

    fn allocator(
        &mut self,
        config: watch::Receiver<Standing>,
    ) -> mpsc::Sender<status::Question<AllocatorView>> {
        let instance = std::env::var("LOODS_POD_NAME").or_else(|_| std::env::var("HOSTNAME"));
        let identity = k8s::lease::identity(instance.as_deref().unwrap_or("loods"));
        let (leader, led) = watch::channel(LeaderState::Following { holder: None });
        let lease = k8s::lease::Options {
            namespace: (*self.settings.namespace).into(),
            name: LEASE.into(),
            identity: identity.clone(),
            timing: Timing::default(),
            counters: Arc::clone(&self.counters),
        };
        // The Lease is released last, when nothing more can be written.
        let release = CancellationToken::new();
        let election = k8s::lease::run(self.client.clone(), lease, leader, release.clone());
        self.parts.spawn(async {
            election.await;
            "Lease"
        });

        let events = self.events("loods-allocator", "Allocate", &identity);
        let (questions, asked) = mpsc::channel(16);
        let inputs = allocator::Inputs {
            settings: Arc::clone(&self.settings),
            client: self.client.clone(),
            counters: Arc::clone(&self.counters),
            leader: led,
            config,
            questions: asked,
            events,
        };
        let stop = self.stop.clone();
        self.parts.spawn(async move {
            allocator::run(inputs, stop).await;
            release.cancel();
            "allocator"
        });
        questions
    }

    fn speaker(
        &mut self,
        config: watch::Receiver<Standing>,
        latency: Arc<Histogram>,
    ) -> mpsc::Sender<status::Question<SpeakerView>> {
        let (sender, facts) = mpsc::channel(FACTS);
        let node: Box<str> = (*self.settings.node_name).into();
        self.watch("Services watch", Services, sender.clone(), |event| {
            (Instant::now(), Fact::Service(Box::new(event)))
        });
        let slices = Slices { node: node.clone() };
        self.watch("EndpointSlices watch", slices, sender.clone(), |event| {
            (Instant::now(), Fact::Slice(event))
        });
        let name = node.clone();
        let nodes = Nodes { name: node.clone() };
        self.watch("Node watch", nodes, sender.clone(), move |event| {
            let event = match event {
                Event::Begin => Event::Begin,
                Event::Apply(fact) => Event::Apply(fact),
                Event::Delete(()) => Event::Delete(name.clone()),
                Event::End => Event::End,
            };
            (Instant::now(), Fact::Node(event))
        });
        tokio::spawn(count_nodes(self.client.clone(), sender));
        let events = self.events("loods-speaker", "Announce", &node);
        let (questions, asked) = mpsc::channel(16);
        self.readiness.expect(speaker::LISTED);
        let inputs = speaker::Inputs {
            settings: lb::index::Settings {
                node_name: node,
                lb_class: self.settings.lb_class.clone(),
                ignore_exclude_lb: self.settings.ignore_exclude_lb,
            },
            facts,
            config,
            questions: asked,
            events,
            readiness: self.readiness.clone(),
            latency,
        };
        let stop = self.stop.clone();
        self.parts.spawn(async {
            speaker::run(inputs, stop).await;
            "speaker"
        });
        questions
    }

    /// Watches one kind of object until the daemon stops.
    fn watch<S, M, W>(&mut self, name: &'static str, subject: S, facts: mpsc::Sender<M>, wrap: W)
    where
        S: k8s::objects::Subject,
        M: Send + 'static,
        W: Fn(Event<S::Fact, S::Key>) -> M + Send + Sync + 'static,
    {
        let options = k8s::watch::Options {
            spread: SPREAD,
            counters: Arc::clone(&self.counters),
        };
        let run = k8s::watch::run(self.client.clone(), subject, options, facts, wrap);
        let stop = self.stop.clone();
        self.parts.spawn(async move {
            stop.run_until_cancelled(run).await;
            name
        });
    }

    fn events(
        &mut self,
        controller: &'static str,
        action: &'static str,
        instance: &str,
    ) -> EventSink {
        let sink = EventSink::new(Arc::clone(&self.counters));
        let (running, client, stop) = (sink.clone(), self.client.clone(), self.stop.clone());
        let reporter = Reporter {
            controller,
            instance: instance.into(),
            action,
        };
        self.parts.spawn(async move {
            stop.run_until_cancelled(running.run(client, reporter))
                .await;
            "Events"
        });
        sink
    }
}

/// How many nodes the cluster has matters only up to the limit of nodeAssigned
/// Events, and may be a day old.
async fn count_nodes(client: Client, facts: mpsc::Sender<(Instant, Fact)>) {
    let most = u32::try_from(lb::index::EVENTS_UP_TO_NODES + 1).unwrap_or(u32::MAX);
    loop {
        match list::count_nodes(&client, most).await {
            Ok(nodes) => {
                let _ = facts.send((Instant::now(), Fact::ClusterSize(nodes))).await;
                return;
            }
            Err(error) => tracing::debug!("cannot count the nodes: {error}"),
        }
        tokio::time::sleep(RETRY).await;
    }
}

/// Asks for the kept copy until the API server answers.
fn last_good(client: Client, namespace: Arc<str>) -> configuration::ReadLastGood {
    Box::new(move || -> BoxFuture<'static, Option<Arc<str>>> {
        let (client, namespace) = (client.clone(), Arc::clone(&namespace));
        Box::pin(async move {
            loop {
                match lastgood::read(&client, &namespace).await {
                    Ok(fact) => return fact.and_then(|fact| fact.text).map(Arc::from),
                    Err(error) if error.code() == Some(403) => {
                        tracing::error!("cannot read the last good configuration: {error}");
                        return None;
                    }
                    Err(error) => {
                        tracing::warn!("cannot read the last good configuration yet: {error}")
                    }
                }
                tokio::time::sleep(RETRY).await;
            }
        })
    })
}
