//! One node's view of the cluster, and what changes in it.
//!
//! ```text
//!   facts ──▶ service / slice / node / config      remember what was touched
//!                          │
//!                        take ──▶ advertise (touched Services only)
//!                          │           │ verdicts that differ
//!                          │           ▼
//!                          │       prefixes ──▶ routes that differ
//!                          ▼
//!              Changes { routes, peers, events }
//! ```
//!
//! A fact that says what was known already costs a comparison and nothing
//! more. Facts between two calls of [`take`](Index::take) are decided on
//! together, so what comes and goes between them was never there.
//!
//! What the index remembers beyond the facts: the last routes of each address
//! (an address whose pool vanishes keeps them until the status says more), and
//! whether it has spoken of a Service before (Events tell changes, and a fresh
//! process cannot know what changed). It has no clock: how often Events may be
//! written is the writer's rule.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use super::advertise::{Node, Service, Verdict, advertise};
use super::backends::Backends;
use super::event::{Event, EventKind};
use super::facts::{self, NodeFact, ServiceFact, ServiceKey, SliceFact, SliceKey, TrafficPolicy};
use super::prefixes::{Interner, Prefixes, Route};
use super::reason::Reason;
use crate::bgp::types::{Attributes, Family, Prefix};
use crate::config::{Config, Peer};

/// Above this many nodes no speaker writes Events: each would tell the API
/// server the same, and a rollout would be a flood.
pub const EVENTS_UP_TO_NODES: usize = 20;

/// What does not change while the process lives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// The node whose view this is.
    pub node_name: Box<str>,
    /// `--lb-class`: the class of Services that are ours; `None`: those without one.
    pub lb_class: Option<Box<str>>,
    /// `--ignore-exclude-lb`.
    pub ignore_exclude_lb: bool,
}

/// What differs since the last [`Index::take`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Prefixes to announce with these attributes, or to withdraw; in order,
    /// each once.
    pub routes: Vec<(Prefix, Option<Arc<Attributes>>)>,
    /// The peers of this node, if their list changed: in the order of the
    /// configuration. A peer that did not change is the same `Arc` as before.
    pub peers: Option<Vec<Arc<Peer>>>,
    /// What users should be told.
    pub events: Vec<Event>,
}

/// See the head of this module.
pub struct Index {
    settings: Settings,
    config: Option<Arc<Config>>,
    labels_and_conditions: Option<NodeFact>,
    services: BTreeMap<ServiceKey, Entry>,
    services_listed: bool,
    generation: u32,
    backends: Backends,
    cluster_size: Option<usize>,

    peers: Vec<Arc<Peer>>,
    node: Node,
    prefixes: Prefixes,
    interner: Interner,

    touched: Touched,
    reselect: bool,
    spoken: bool,
}

/// Which Services the next [`Index::take`] decides on.
#[derive(Debug)]
enum Touched {
    All,
    Some(BTreeSet<ServiceKey>),
}

struct Entry {
    service: Service,
    generation: u32,
    /// One for each address, in the same order, as of the last take.
    verdicts: Vec<(IpAddr, Verdict)>,
}

impl Index {
    /// An index that knows nothing yet.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            config: None,
            labels_and_conditions: None,
            services: BTreeMap::new(),
            services_listed: false,
            generation: 0,
            backends: Backends::default(),
            cluster_size: None,
            peers: Vec::new(),
            node: Node::default(),
            prefixes: Prefixes::default(),
            interner: Interner::default(),
            touched: Touched::All,
            reselect: false,
            spoken: false,
        }
    }

    /// Takes in what the watch of Services says.
    pub fn service(&mut self, event: facts::Event<ServiceFact, ServiceKey>) {
        match event {
            facts::Event::Begin => self.generation = self.generation.wrapping_add(1),
            facts::Event::Apply(fact) => self.apply(fact),
            facts::Event::Delete(key) => {
                if let Some(entry) = self.services.remove(&key) {
                    entry.leave(&mut self.prefixes);
                }
            }
            facts::Event::End => {
                self.services_listed = true;
                let current = self.generation;
                let prefixes = &mut self.prefixes;
                self.services.retain(|_, entry| {
                    let listed = entry.generation == current;
                    if !listed {
                        entry.leave(prefixes);
                    }
                    listed
                });
            }
        }
    }

    fn apply(&mut self, fact: ServiceFact) {
        let service = Service::of(&fact, self.settings.lb_class.as_deref());
        match self.services.get_mut(&fact.key) {
            Some(entry) => {
                entry.generation = self.generation;
                if entry.service == service {
                    return;
                }
                if entry.service.uid != service.uid {
                    // Another Service under the same name: what the old one
                    // was granted is not its.
                    entry.leave(&mut self.prefixes);
                    entry.verdicts.clear();
                }
                entry.service = service;
            }
            None => {
                let entry = Entry {
                    service,
                    generation: self.generation,
                    verdicts: Vec::new(),
                };
                self.services.insert(fact.key.clone(), entry);
            }
        }
        self.touched.add(&fact.key);
    }

    /// Takes in what the watch of EndpointSlices says.
    pub fn slice(&mut self, event: facts::Event<SliceFact, SliceKey>) {
        let touched = &mut self.touched;
        self.backends.handle(event, |service| touched.add(service));
    }

    /// Takes in what the watch of Nodes says. Only the node of the settings
    /// counts; once known it stays as it was last seen, since a Node object
    /// that is deleted under a running speaker comes back.
    pub fn node(&mut self, event: facts::Event<NodeFact, Box<str>>) {
        if let facts::Event::Apply(fact) = event
            && fact.name == self.settings.node_name
            && self.labels_and_conditions.as_ref() != Some(&fact)
        {
            self.labels_and_conditions = Some(fact);
            self.reselect = true;
        }
    }

    /// Takes in a new configuration.
    pub fn config(&mut self, config: Arc<Config>) {
        let same_routes = self
            .config
            .as_ref()
            .is_some_and(|old| old.pools == config.pools && old.origin == config.origin);
        if !same_routes {
            self.touched = Touched::All;
        }
        self.config = Some(config);
        self.reselect = true;
    }

    /// How many nodes the cluster has. Until it is told no Events are made.
    pub fn cluster_size(&mut self, nodes: usize) {
        self.cluster_size = Some(nodes);
    }

    /// Whether the configuration, this node and both first lists are in.
    /// Before that no route is announced.
    pub fn complete(&self) -> bool {
        self.config.is_some()
            && self.labels_and_conditions.is_some()
            && self.services_listed
            && self.backends.listed()
    }

    /// Decides on all that was touched, and says what differs.
    pub fn take(&mut self) -> Changes {
        let mut changes = Changes {
            peers: self.select_peers(),
            ..Changes::default()
        };
        let Some(config) = self.config.clone().filter(|_| self.complete()) else {
            return changes;
        };
        if let Some(fact) = &self.labels_and_conditions {
            let peers = self.peers.iter().map(|peer| &**peer);
            let node = Node::of(fact, self.settings.ignore_exclude_lb, peers);
            if node != self.node {
                self.node = node;
                self.touched = Touched::All;
            }
        }
        match std::mem::replace(&mut self.touched, Touched::Some(BTreeSet::new())) {
            Touched::All => {
                let mut services = std::mem::take(&mut self.services);
                for (key, entry) in &mut services {
                    self.decide(key, entry, &config, &mut changes.events);
                }
                self.services = services;
            }
            Touched::Some(keys) => {
                for key in keys {
                    if let Some((key, mut entry)) = self.services.remove_entry(&key) {
                        self.decide(&key, &mut entry, &config, &mut changes.events);
                        self.services.insert(key, entry);
                    }
                }
            }
        }
        changes.routes = self.prefixes.settle(&mut self.interner);
        self.spoken = true;
        changes
    }

    fn decide(
        &mut self,
        key: &ServiceKey,
        entry: &mut Entry,
        config: &Config,
        _events: &mut Vec<Event>,
    ) {
        let presences = self.backends.of(key);
        let service = &entry.service;
        let verdicts: Vec<_> = service
            .addresses
            .iter()
            .map(|&address| {
                let held = entry
                    .verdict(address)
                    .map_or(&[][..], |verdict| &verdict.routes);
                let endpoints = presences.of(Family::of(address));
                let verdict = advertise(service, address, endpoints, &self.node, config, held);
                (address, verdict.share(&mut self.interner))
            })
            .collect();
        if verdicts != entry.verdicts {
            entry.leave(&mut self.prefixes);
            entry.verdicts = verdicts;
            entry.join(&mut self.prefixes);
        }
    }

    /// The peers whose node selectors mean this node, if that list changed.
    fn select_peers(&mut self) -> Option<Vec<Arc<Peer>>> {
        if !std::mem::take(&mut self.reselect) {
            return None;
        }
        let config = self.config.as_ref()?;
        let node = self.labels_and_conditions.as_ref();
        let selected: Vec<Arc<Peer>> = config
            .peers
            .iter()
            .filter(|peer| {
                peer.node_selectors.iter().any(|selector| match node {
                    Some(node) => selector.matches(&node.labels),
                    // Labels are not known yet: only "every node" is certain.
                    None => selector.terms.is_empty(),
                })
            })
            .map(|peer| {
                self.peers
                    .iter()
                    .find(|old| *old == peer)
                    .unwrap_or(peer)
                    .clone()
            })
            .collect();
        if selected == self.peers {
            return None;
        }
        self.peers = selected.clone();
        Some(selected)
    }

    /// All that this node announces now.
    pub fn announcements(&self) -> &BTreeMap<Prefix, Arc<Attributes>> {
        self.prefixes.announced()
    }
}

impl Touched {
    fn add(&mut self, service: &ServiceKey) {
        if let Touched::Some(keys) = self {
            keys.insert(service.clone());
        }
    }
}

impl Entry {
    fn verdict(&self, address: IpAddr) -> Option<&Verdict> {
        let found = self.verdicts.iter().find(|(known, _)| *known == address);
        found.map(|(_, verdict)| verdict)
    }

    fn join(&self, prefixes: &mut Prefixes) {
        for (_, verdict) in &self.verdicts {
            prefixes.add(&verdict.routes, verdict.refusal.is_none());
        }
    }

    fn leave(&self, prefixes: &mut Prefixes) {
        for (_, verdict) in &self.verdicts {
            prefixes.remove(&verdict.routes, verdict.refusal.is_none());
        }
    }
}

impl Verdict<(Prefix, Attributes)> {
    fn share(self, interner: &mut Interner) -> Verdict<Route> {
        Verdict {
            routes: self
                .routes
                .into_iter()
                .map(|(prefix, attributes)| (prefix, interner.share(attributes)))
                .collect(),
            grant: self.grant,
            refusal: self.refusal,
        }
    }
}
