//! The speaker's half: one task owns the index and the sessions.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::configuration::Standing;
use super::proxy::Prober;
use super::status::Question;
use crate::bgp::types::{Attributes, Origin, Prefix};
use crate::config::Peer;
use crate::facts::{Event, NodeFact, ServiceFact, ServiceKey, SliceFact, SliceKey};
use crate::k8s::events::EventSink;
use crate::lb::index::{Index, Settings};
use crate::lb::view::ServiceView;
use crate::observe::histogram::Histogram;
use crate::observe::readiness::Readiness;
use crate::observe::views::{AddressView, AnnouncementView, Depth, RouteView, SpeakerView};
use crate::speaker::Speakers;

/// The condition of readiness that this half brings.
pub(super) const LISTED: &str = "configuration and every list read by the speaker";
/// What the routers are told when this process ends in good order.
const GOODBYE: &str = "Loods stops on this node";
/// Facts applied before the answer is worked out once for all of them.
const TOGETHER: usize = 1024;
/// Services that changed together and still get a line in the log each.
const NAMED: usize = 50;

/// One thing that a watch told, as the index takes it.
#[derive(Debug)]
pub(super) enum Fact {
    /// Boxed: a Service is ten times the size of the others.
    Service(Box<Event<ServiceFact, ServiceKey>>),
    Slice(Event<SliceFact, SliceKey>),
    Node(Event<NodeFact, Box<str>>),
    /// How many nodes the cluster has, at least.
    ClusterSize(usize),
}

/// What the task is given.
pub(super) struct Inputs {
    pub settings: Settings,
    /// Where to dial from, where a peer does not say.
    pub source: Option<IpAddr>,
    /// Each with the moment at which it was received.
    pub facts: mpsc::Receiver<(Instant, Fact)>,
    pub config: watch::Receiver<Standing>,
    pub questions: mpsc::Receiver<Question<SpeakerView>>,
    pub events: EventSink,
    pub readiness: Readiness,
    pub latency: Arc<Histogram>,
}

/// Runs until `stop`, then says goodbye to every router.
pub(super) async fn run(mut inputs: Inputs, stop: CancellationToken) {
    let mut speakers = Speakers::new(
        Arc::from(&*inputs.settings.node_name),
        Arc::clone(&inputs.latency),
    );
    let mut index = Index::new(inputs.settings.clone());
    let mut prober = Prober::new();
    let mut facts = Vec::with_capacity(TOGETHER);
    let mut open = false;
    loop {
        let mut received = Instant::now();
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            Some(question) = inputs.questions.recv() => {
                let _ = question.answer.send(view(&index, &speakers, question.depth));
                continue;
            }
            Ok(()) = inputs.config.changed() => {
                let config = inputs.config.borrow_and_update().config.clone();
                if let Some(config) = config {
                    index.config(config);
                }
            }
            (service, family) = prober.next() => index.forwards(&service, family),
            count = inputs.facts.recv_many(&mut facts, TOGETHER) => {
                if count == 0 {
                    break;
                }
                for (n, (when, fact)) in facts.drain(..).enumerate() {
                    if n == 0 {
                        received = when;
                    }
                    if matches!(fact, Fact::Node(Event::End)) && !index.knows_node() {
                        tracing::warn!(
                            node = %inputs.settings.node_name,
                            "there is no Node of this name yet, and nothing is announced before; is --node-name (LOODS_NODE_NAME) right?"
                        );
                    }
                    apply(&mut index, fact);
                }
            }
        }
        let changes = index.take();
        if let Some(peers) = &changes.peers {
            speakers.set_peers(&from(peers, inputs.source), index.announcements());
        }
        if !changes.routes.is_empty() {
            speakers.update(&changes.routes, received);
        }
        for question in changes.questions {
            prober.put(question, index.node_addresses());
        }
        log(&changes.services, &index);
        for event in changes.events {
            inputs.events.publish(event);
        }
        if !open && index.complete() {
            open = true;
            speakers.open();
            inputs.readiness.set(LISTED, true);
            tracing::info!(routes = index.announcements().len(), "every list is in");
        }
    }
    speakers.stop(GOODBYE).await;
}

fn apply(index: &mut Index, fact: Fact) {
    match fact {
        Fact::Service(event) => index.service(*event),
        Fact::Slice(event) => index.slice(event),
        Fact::Node(event) => index.node(event),
        Fact::ClusterSize(nodes) => index.cluster_size(nodes),
    }
}

/// The peers, dialled from `source` where they name no source-address.
fn from(peers: &[Arc<Peer>], source: Option<IpAddr>) -> Vec<Arc<Peer>> {
    let with_source = |peer: &Arc<Peer>| match source {
        Some(source) if peer.source.is_none() && peer.address.is_ipv4() == source.is_ipv4() => {
            let mut peer = Peer::clone(peer);
            peer.source = Some(source);
            Arc::new(peer)
        }
        _ => Arc::clone(peer),
    };
    peers.iter().map(with_source).collect()
}

/// A line for each Service, or one for many: a start with 10,000 of them, times
/// 5,000 nodes, would bury every other line.
fn log(services: &[ServiceKey], index: &Index) {
    let many = services.len() > NAMED;
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for key in services {
        let (word, line) = match index.view(key).map(|view| view.outcome()) {
            Some(Ok(prefixes)) => {
                let prefixes: Vec<String> = prefixes.iter().map(Prefix::to_string).collect();
                ("announced", format!("announced: {}", prefixes.join(", ")))
            }
            Some(Err(reason)) => (reason.word(), format!("not announced: {reason}")),
            None => ("gone", "not announced: the Service is gone".to_owned()),
        };
        if many {
            *counts.entry(word).or_default() += 1;
            tracing::debug!(service = %key, "{line}");
        } else {
            tracing::info!(service = %key, "{line}");
        }
    }
    if many {
        let counts: Vec<_> = counts
            .iter()
            .map(|(word, n)| format!("{word} {n}"))
            .collect();
        tracing::info!(
            "{} Services decided at once: {}",
            services.len(),
            counts.join(", ")
        );
    }
}

fn view(index: &Index, speakers: &Speakers, depth: Depth) -> SpeakerView {
    let routes = match depth {
        Depth::Figures => None,
        Depth::Whole => Some(index.announcements()),
    };
    SpeakerView {
        peers: speakers.views(depth),
        services: index
            .services()
            .map(|service| announcement(&service))
            .collect(),
        routes: routes
            .into_iter()
            .flatten()
            .map(|(prefix, attributes)| route(prefix, attributes))
            .collect(),
    }
}

fn announcement(service: &ServiceView<'_>) -> AnnouncementView {
    let addresses = service.verdicts.iter().map(|verdict| AddressView {
        address: verdict.address.to_string(),
        announced: verdict
            .announced()
            .iter()
            .map(|(prefix, _)| prefix.to_string())
            .collect(),
        reason: verdict.refusal.map(|reason| reason.word()),
    });
    AnnouncementView {
        service: service.key.to_string(),
        addresses: addresses.collect(),
        reason: service.refusal.map(|reason| reason.word()),
    }
}

fn route(prefix: &Prefix, attributes: &Attributes) -> RouteView {
    RouteView {
        prefix: prefix.to_string(),
        origin: match attributes.origin {
            Origin::Igp => "igp",
            Origin::Incomplete => "incomplete",
        },
        local_pref: attributes.local_pref,
        communities: attributes
            .communities
            .iter()
            .map(ToString::to_string)
            .collect(),
    }
}
