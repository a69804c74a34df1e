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
//!              Changes { routes, peers, events, services }
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
use std::sync::Arc;

use super::advertise::{Node, Service, advertise};
use super::backends::Backends;
use super::entry::{Entry, Pass, Rule, Touched};
use super::event::Event;
use super::notices;
use super::peers;
use super::prefixes::{Interner, Prefixes};
use super::proxy::{Proxy, Question};
use crate::bgp::types::{Attributes, Family, Prefix};
use crate::config::{Config, Peer};
use crate::facts::{self, NodeFact, ServiceFact, ServiceKey, SliceFact, SliceKey};

/// Above this many nodes no speaker makes Events: each would tell the API
/// server much the same, and a rollout would be a flood.
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
    /// Prefixes to announce with these attributes, or to withdraw (`None`); in
    /// order, each once.
    pub routes: Vec<(Prefix, Option<Arc<Attributes>>)>,
    /// The peers of this node, if their list changed: in the order of the
    /// configuration. A peer that did not change is the same `Arc` as before.
    pub peers: Option<Vec<Arc<Peer>>>,
    /// What to ask the node's proxy, in order.
    pub questions: Vec<Question>,
    /// What users should be told.
    pub events: Vec<Event>,
    /// Services of which something was decided otherwise than before, and those
    /// that are gone, in order: what a log would tell. [`Index::view`] shows
    /// the ones that are there.
    pub services: Vec<ServiceKey>,
}

/// See the head of this module.
pub struct Index {
    settings: Settings,
    rule: Rule,

    config: Option<Arc<Config>>,
    /// Our Node object as last seen.
    own_node: Option<NodeFact>,
    services: BTreeMap<ServiceKey, Entry>,
    services_listed: bool,
    /// Which list of Services is the newest.
    generation: u32,
    backends: Backends,
    cluster_size: Option<usize>,

    peers: Vec<Arc<Peer>>,
    node: Node,
    prefixes: Prefixes,
    interner: Interner,
    proxy: Proxy,

    touched: Touched,
    /// Services that went since the last take.
    gone: BTreeSet<ServiceKey>,
    /// Peers are to be selected anew.
    reselect: bool,
    /// A first complete pass is done: from now on there are changes to tell.
    settled: bool,
}

impl Index {
    /// An index that knows nothing yet.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            rule: advertise,
            config: None,
            own_node: None,
            services: BTreeMap::new(),
            services_listed: false,
            generation: 0,
            backends: Backends::default(),
            cluster_size: None,
            peers: Vec::new(),
            node: Node::default(),
            prefixes: Prefixes::default(),
            interner: Interner::default(),
            proxy: Proxy::default(),
            touched: Touched::All,
            gone: BTreeSet::new(),
            reselect: false,
            settled: false,
        }
    }

    /// Takes in what the watch of Services says.
    pub fn service(&mut self, event: facts::Event<ServiceFact, ServiceKey>) {
        match event {
            // Nothing here goes by versions.
            facts::Event::Rewound => {}
            facts::Event::Begin => self.generation = self.generation.wrapping_add(1),
            facts::Event::Apply(fact) => self.apply(fact),
            facts::Event::Delete(key, _) => {
                if let Some((key, mut entry)) = self.services.remove_entry(&key) {
                    entry.clear(&mut self.prefixes);
                    self.proxy.forget(&key);
                    self.gone.insert(key);
                }
            }
            facts::Event::End => {
                self.services_listed = true;
                let Self {
                    services,
                    prefixes,
                    proxy,
                    gone,
                    ..
                } = self;
                services.retain(|key, entry| {
                    let listed = entry.generation == self.generation;
                    if !listed {
                        entry.clear(prefixes);
                        proxy.forget(key);
                        gone.insert(key.clone());
                    }
                    listed
                });
            }
        }
    }

    fn apply(&mut self, fact: ServiceFact) {
        let service = Service::of(&fact, self.settings.lb_class.as_deref());
        let Some(entry) = self.services.get_mut(&fact.key) else {
            self.touched.add(&fact.key);
            self.services
                .insert(fact.key, Entry::new(service, self.generation));
            return;
        };
        entry.generation = self.generation;
        if entry.service == service {
            return;
        }
        if entry.service.uid != service.uid {
            // Another Service under the same name: what the old one was
            // granted is not its.
            entry.clear(&mut self.prefixes);
            self.proxy.forget(&fact.key);
        }
        entry.service = service;
        self.touched.add(&fact.key);
    }

    /// Takes in what the watch of EndpointSlices says.
    pub fn slice(&mut self, mut event: facts::Event<SliceFact, SliceKey>) {
        if let facts::Event::Apply(fact) = &mut event
            && let Some((known, _)) = self.services.get_key_value(&fact.service)
        {
            fact.service = known.clone();
        }
        let touched = &mut self.touched;
        self.backends.handle(event, |service| touched.add(service));
    }

    /// Takes in what the watch of Nodes says. Only the node of the settings
    /// counts. Its deletion is not obeyed: a Node object that goes while its
    /// speaker runs is about to be registered anew.
    pub fn node(&mut self, event: facts::Event<NodeFact, Box<str>>) {
        if let facts::Event::Apply(fact) = event
            && fact.name == self.settings.node_name
            && self.own_node.as_ref() != Some(&fact)
        {
            self.own_node = Some(fact);
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

    /// Takes in how many nodes the cluster has. Unknown counts as too many for Events.
    pub fn cluster_size(&mut self, nodes: usize) {
        self.cluster_size = Some(nodes);
    }

    /// Takes in that the node's proxy sends to pods of a Service on this node.
    pub fn forwards(&mut self, service: &ServiceKey, family: Family) {
        if self.proxy.answer(service, family) {
            self.touched.add(service);
        }
    }

    /// Decides on all that was touched, and says what differs.
    pub fn take(&mut self) -> Changes {
        let mut changes = Changes {
            peers: self.reselect(),
            ..Changes::default()
        };
        let (Some(config), Some(own_node)) = (&self.config, &self.own_node) else {
            return changes;
        };
        if !self.complete() {
            return changes;
        }
        let config = config.clone();
        let peers = self.peers.iter().map(|peer| &**peer);
        let node = Node::of(own_node, self.settings.ignore_exclude_lb, peers);
        if node != self.node {
            self.node = node;
            self.touched = Touched::All;
        }
        let all = matches!(self.touched, Touched::All);
        let mut told = self.decide(&config, &mut changes);
        let settled = self.prefixes.settle(&mut self.interner);
        if all {
            // The attributes of an old configuration go with it.
            self.interner.sweep();
        }
        told.extend(self.compare(&settled.contested, &changes.services));
        changes.routes = settled.routes;
        changes.questions = self.proxy.take();
        if !self.gone.is_empty() {
            let mut named = std::mem::take(&mut self.gone);
            named.extend(std::mem::take(&mut changes.services));
            changes.services = named.into_iter().collect();
        }
        if self
            .cluster_size
            .is_some_and(|nodes| nodes <= EVENTS_UP_TO_NODES)
        {
            changes.events = told;
        }
        self.settled = true;
        changes
    }

    /// Decides on the touched Services; returns what that gives to tell.
    fn decide(&mut self, config: &Config, changes: &mut Changes) -> Vec<Event> {
        let mut pass = Pass {
            rule: self.rule,
            config,
            node: &self.node,
            backends: &self.backends,
            prefixes: &mut self.prefixes,
            interner: &mut self.interner,
            proxy: &mut self.proxy,
        };
        let mut events = Vec::new();
        let (settled, node_name) = (self.settled, &self.settings.node_name);
        let mut decide = |key: &ServiceKey, entry: &mut Entry| {
            let Some(before) = pass.decide(key, entry) else {
                return;
            };
            changes.services.push(key.clone());
            if settled {
                events.extend(notices::node_assigned(key, entry, &before, node_name));
            }
        };
        match std::mem::replace(&mut self.touched, Touched::Some(BTreeSet::new())) {
            Touched::All => {
                for (key, entry) in &mut self.services {
                    decide(key, entry);
                }
            }
            Touched::Some(keys) => {
                for key in &keys {
                    if let Some(entry) = self.services.get_mut(key) {
                        decide(key, entry);
                    }
                }
            }
        }
        events
    }

    /// Compares what Services want with what is announced, where that can have
    /// changed: for the decided ones, and for all holders of a contested prefix.
    fn compare(&mut self, contested: &BTreeSet<Prefix>, decided: &[ServiceKey]) -> Vec<Event> {
        let mut found = BTreeMap::new();
        let Self {
            services, prefixes, ..
        } = self;
        let mut compare = |key: &ServiceKey, entry: &mut Entry| {
            let new = notices::newly_differing(entry, prefixes);
            if !new.is_empty() {
                found.insert(key.clone(), new);
            }
        };
        if contested.is_empty() {
            for key in decided {
                if let Some(entry) = services.get_mut(key) {
                    compare(key, entry);
                }
            }
        } else {
            for (key, entry) in services.iter_mut() {
                compare(key, entry);
            }
        }
        if self.settled {
            notices::attributes_differ(&found, &self.services, &self.prefixes)
        } else {
            Vec::new()
        }
    }

    fn reselect(&mut self) -> Option<Vec<Arc<Peer>>> {
        if !std::mem::take(&mut self.reselect) {
            return None;
        }
        let labels = self.own_node.as_ref().map(|node| &node.labels);
        let selected = peers::select(self.config.as_deref()?, labels, &self.peers)?;
        self.peers.clone_from(&selected);
        Some(selected)
    }
}

mod shown;
#[cfg(test)]
mod tests;
