//! The parts of the daemon and the channels between them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::configuration::{self, Standing};
use super::speaker::{self, Fact};
use super::{Settings, allocator, status};
use crate::facts::Event;
use crate::k8s::events::{EventSink, Reporter};
use crate::k8s::lease::LeaderState;
use crate::k8s::lease::rule::Timing;
use crate::k8s::objects::{ConfigMaps, Nodes, Services, Slices};
use crate::k8s::{self, Client, Counters, lastgood, list};
use crate::lb;
use crate::observe::histogram::Histogram;
use crate::observe::readiness::Readiness;
use crate::observe::views::{AllocatorView, SpeakerView};

/// Key in the ConfigMap, as MetalLB has it.
const CONFIG_KEY: &str = "config";
/// `metadata.name` of the Lease.
const LEASE: &str = "loods-allocator";
/// Facts that may wait for their task: a full channel holds the watch back.
pub(super) const FACTS: usize = 512;
/// Between two tries to read or write the last good configuration.
pub(super) const RETRY: Duration = Duration::from_secs(2);
/// The parts that must live, each by its name.
type Parts = JoinSet<&'static str>;

/// What the parts are made of.
pub(super) struct Wiring {
    pub settings: Arc<Settings>,
    client: Client,
    pub counters: Arc<Counters>,
    pub readiness: Readiness,
    stop: CancellationToken,
    pub parts: Parts,
}

impl Wiring {
    /// Nothing runs yet.
    pub fn new(settings: Arc<Settings>, client: Client, stop: CancellationToken) -> Self {
        Self {
            settings,
            client,
            counters: Arc::default(),
            readiness: Readiness::default(),
            stop,
            parts: JoinSet::new(),
        }
    }

    pub fn configuration(&mut self) -> watch::Receiver<Standing> {
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

    pub fn allocator(
        &mut self,
        config: watch::Receiver<Standing>,
    ) -> mpsc::Sender<status::Question<AllocatorView>> {
        let instance = std::env::var("LOODS_POD_NAME").or_else(|_| std::env::var("HOSTNAME"));
        let identity = k8s::lease::identity(instance.as_deref().unwrap_or("loods"));
        let (led, release) = self.leadership(&identity);

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
            if allocator::run(inputs, stop).await {
                release.cancel();
            }
            "allocator"
        });
        questions
    }

    /// Who leads, and the token that gives the Lease up: that is done last,
    /// when nothing more can be written.
    fn leadership(&mut self, identity: &str) -> (watch::Receiver<LeaderState>, CancellationToken) {
        let (leader, led) = watch::channel(LeaderState::Following { holder: None });
        let release = CancellationToken::new();
        let election = if self.settings.alone {
            k8s::lease::alone(leader, release.clone()).left_future()
        } else {
            let lease = k8s::lease::Options {
                namespace: (*self.settings.namespace).into(),
                name: LEASE.into(),
                identity: identity.into(),
                timing: Timing::default(),
                counters: Arc::clone(&self.counters),
            };
            k8s::lease::run(self.client.clone(), lease, leader, release.clone()).right_future()
        };
        self.parts.spawn(async {
            election.await;
            "Lease"
        });
        (led, release)
    }

    pub fn speaker(
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
                Event::Rewound => Event::Rewound,
                Event::Begin => Event::Begin,
                Event::Apply(fact) => Event::Apply(fact),
                Event::Delete((), version) => Event::Delete(name.clone(), version),
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
            source: self.settings.source,
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
            // A first list waits for nothing: a rollout is spread by itself, and a
            // relist after trouble by the watch's own backoff.
            spread: Duration::ZERO,
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
        tokio::select! {
            () = tokio::time::sleep(RETRY) => {}
            // Nobody is left who would want to know.
            () = facts.closed() => return,
        }
    }
}

/// Asks for the kept copy until the API server answers.
fn last_good(client: Client, namespace: Arc<str>) -> configuration::ReadLastGood {
    Box::new(move || -> BoxFuture<'static, Option<Arc<str>>> {
        let (client, namespace) = (client.clone(), Arc::clone(&namespace));
        Box::pin(async move {
            let mut trouble = None;
            loop {
                match lastgood::read(&client, &namespace).await {
                    Ok(fact) => return fact.and_then(|fact| fact.text).map(Arc::from),
                    Err(error) if error.code() == Some(403) => {
                        tracing::error!("cannot read the last good configuration: {error}");
                        return None;
                    }
                    // Said when it changes, not at every try.
                    Err(error) => {
                        if trouble.replace(error.kind()) != Some(error.kind()) {
                            tracing::warn!("cannot read the last good configuration yet: {error}");
                        }
                    }
                }
                tokio::time::sleep(RETRY).await;
            }
        })
    })
}
