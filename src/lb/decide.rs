//! The leader's machine: facts of Services in; statuses to write and Events out.
//!
//! ```text
//!   a new, consistent list -> build: claims first, then who has none, in order
//!   watch events, a new configuration -> settle: which addresses -> what to write
//!   the writer: written, failed -> the fact as it is since
//! ```
//!
//! Memory is the truth from [`Decider::build`] on, and statuses are compared with
//! it. What keeps an address from being given twice, or from moving by itself:
//!
//! - A *claim*, an address in a status, is reserved before anything is given out.
//! - A Service only goes forward: a fact of a version before the one known, be it
//!   watched or written by us, changes nothing. When the server's history went
//!   backwards, versions begin anew, and what is held is written again.
//! - An address that a Service lost stays reserved while its status, or a write
//!   that may yet arrive, shows it.
//! - Each write names the version on which it was decided.
//!
//! An Event is told when something changes. The condition in the status
//! remembers what was told, so that a new leader does not tell it again.
//!
//! Not here: the Lease, the order and the repetition of writes (`k8s`), and
//! which node announces what (`lb::index`).

mod choose;
mod entry;
mod settle;
#[cfg(test)]
mod simulation;
mod tell;
#[cfg(test)]
mod tests;
mod view;
mod waiting;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::alloc::Allocator;
use crate::config::Config;

use super::event::Event;
use super::status::StatusWrite;
use crate::facts::{self, ServiceFact, ServiceKey};

pub use entry::Standing;
use entry::{Entry, Pace, assume, older};
pub use view::{Decision, PoolUse};
use waiting::{Order, Waiting};

/// What the user set by flags.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// `--lb-class`: the class of Services that are ours; `None`: those without one.
    pub lb_class: Option<Box<str>>,
}

/// What became due.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// To be written, at most one for each Service: those that left, then older ones first.
    pub writes: Vec<StatusWrite>,
    /// To be told, in the order in which it was decided.
    pub events: Vec<Event>,
}

/// See the module's essay.
#[derive(Debug)]
pub struct Decider {
    settings: Settings,
    config: Arc<Config>,
    allocator: Allocator,
    services: BTreeMap<ServiceKey, Box<Entry>>,
    waiting: Waiting,
    /// Whose status may differ from what is wanted.
    dirty: BTreeSet<Order>,
    /// For Services that are gone, or not of type LoadBalancer any more.
    farewells: Vec<StatusWrite>,
    events: Vec<Event>,
    /// Counts relists.
    round: u64,
    relisting: bool,
}

impl Decider {
    /// Built once when the Lease was won, from a list read *then* and
    /// consistently. `previous` is the last good configuration before this one,
    /// if it is known: it tells how addresses of pools that are gone were announced.
    ///
    /// The events for [`handle`](Self::handle) must be of a watch that begins at
    /// this list or later.
    pub fn build(
        settings: Settings,
        config: Arc<Config>,
        previous: Option<&Config>,
        services: Vec<ServiceFact>,
    ) -> Self {
        let mut decider = Self {
            settings,
            allocator: Allocator::new(&config.pools),
            config,
            services: BTreeMap::new(),
            waiting: Waiting::default(),
            dirty: BTreeSet::new(),
            farewells: Vec::new(),
            events: Vec::new(),
            round: 0,
            relisting: false,
        };
        for fact in services {
            decider
                .services
                .insert(fact.key.clone(), Box::new(Entry::new(fact, 0)));
        }
        let mut orders: Vec<Order> = decider
            .services
            .values()
            .map(|entry| entry.order())
            .collect();
        orders.sort_unstable();
        for (_, key) in &orders {
            decider.claim(key, previous);
        }
        decider.settle_all(orders, previous);
        decider
    }

    /// Takes what the watch says. A relist must not be older than what the watch
    /// said before; a Service that it leaves out is gone.
    pub fn handle(&mut self, event: facts::Event<ServiceFact, ServiceKey>) {
        match event {
            facts::Event::Rewound => self.services.values_mut().for_each(|entry| entry.rewind()),
            facts::Event::Begin => {
                self.round += 1;
                self.relisting = true;
            }
            facts::Event::Apply(fact) => self.apply(fact),
            facts::Event::Delete(key, version) => self.leave(&key, version),
            facts::Event::End => {
                if std::mem::take(&mut self.relisting) {
                    let gone: Vec<ServiceKey> = self
                        .services
                        .values()
                        .filter(|entry| entry.round != self.round)
                        .map(|entry| entry.fact.key.clone())
                        .collect();
                    gone.iter().for_each(|key| self.forget(key));
                }
            }
        }
        self.retry();
    }

    /// Another configuration is in force.
    pub fn set_config(&mut self, config: Arc<Config>) {
        let former = std::mem::replace(&mut self.config, config);
        self.allocator.replace_pools(&self.config.pools);
        let mut orders: Vec<Order> = self.services.values().map(|entry| entry.order()).collect();
        orders.sort_unstable();
        self.settle_all(orders, Some(&former));
    }

    /// What became due since the last call. A write replaces an earlier one of
    /// the same Service that was not sent yet.
    pub fn take(&mut self) -> Outcome {
        let mut writes = std::mem::take(&mut self.farewells);
        // One that is back, or made again under its name, is decided on anew.
        writes.retain(|write| !self.services.contains_key(&write.key));
        for (_, key) in std::mem::take(&mut self.dirty) {
            let Some(entry) = self.services.get_mut(&key) else {
                continue;
            };
            if entry.pace != Pace::Free {
                continue; // the next fact makes it dirty again
            }
            let Some(write) = entry.wanted_write(&self.allocator) else {
                continue;
            };
            if entry.sent.as_deref() == Some(&write) {
                continue;
            }
            entry.superseded |= entry.sent.is_some();
            for address in write.ingress.iter().flatten() {
                if !entry.flying.contains(address) {
                    entry.flying.push(*address);
                }
            }
            entry.sent = Some(Box::new(write.clone()));
            writes.push(write);
        }
        Outcome {
            writes,
            events: std::mem::take(&mut self.events),
        }
    }

    /// The API server accepted a write of this Service, which has this version
    /// since. `uid` is the one that the write named.
    pub fn written(&mut self, key: &ServiceKey, uid: &str, resource_version: &str) {
        let Some(entry) = self.services.get_mut(key) else {
            return;
        };
        let known = &entry.fact.resource_version;
        if *entry.fact.uid != *uid || **known == *resource_version || older(resource_version, known)
        {
            // The watch was faster: what was sent since is another write.
            return;
        }
        let Some(write) = entry.sent.take() else {
            return;
        };
        entry.fact.resource_version = resource_version.into();
        if entry.superseded {
            // One of several: the watch will show which. `flying` stays.
            entry.pace = Pace::Unsure;
        } else {
            assume(&mut entry.fact, *write);
            entry.forget_writes();
        }
        self.settle(key, None);
        self.retry();
    }

    /// A write of this Service was given up. After a conflict the next fact
    /// decides; else it is handed out again by the next [`take`](Self::take),
    /// and the caller says when.
    pub fn failed(&mut self, key: &ServiceKey, uid: &str, conflict: bool) {
        let Some(entry) = self.services.get_mut(key) else {
            return;
        };
        if *entry.fact.uid != *uid || entry.sent.take().is_none() {
            return; // it was for a version before the one that is known
        }
        if conflict {
            entry.pace = Pace::Conflict;
        } else {
            // Given up by us; the server may still have taken it.
            entry.superseded = true;
            self.dirty.insert(entry.order());
        }
    }

    /// The status of our condition in the Service as it is known to be: whoever
    /// writes needs it to keep the time of the last transition.
    pub fn condition_stands(&self, key: &ServiceKey) -> Option<bool> {
        let condition = self.services.get(key)?.fact.condition.as_ref()?;
        Some(condition.status)
    }

    fn apply(&mut self, fact: ServiceFact) {
        let key = fact.key.clone();
        if let Some(entry) = self.services.get_mut(&key) {
            let same = entry.fact.uid == fact.uid && entry.fact.created == fact.created;
            if same {
                entry.round = self.round;
                if older(&fact.resource_version, &entry.fact.resource_version) {
                    return;
                }
                let newer = fact.resource_version != entry.fact.resource_version;
                if newer || entry.pace == Pace::Unsure {
                    entry.forget_writes();
                } else if entry.pace == Pace::Conflict {
                    // Listed again: it is the newest. What is on its way may still land.
                    entry.pace = Pace::Free;
                    entry.superseded = true;
                } else if fact == entry.fact {
                    return;
                }
                entry.fact = fact;
                self.settle(&key, None);
                return;
            }
            self.forget(&key);
        }
        self.services
            .insert(key.clone(), Box::new(Entry::new(fact, self.round)));
        self.settle(&key, None);
    }

    /// The watch does not tell a Service that was deleted from one of another
    /// type since, on which our words would stay for ever. So both are bid
    /// farewell to: on this very version or not at all, and once, since nothing
    /// more is heard of it.
    fn leave(&mut self, key: &ServiceKey, version: Box<str>) {
        let entry = self.services.get(key);
        self.farewells
            .extend(entry.and_then(|entry| entry.farewell(version)));
        self.forget(key);
    }

    fn forget(&mut self, key: &ServiceKey) {
        let Some(entry) = self.services.remove(key) else {
            return;
        };
        for address in &entry.occupied {
            self.allocator.release(*address, key);
        }
        let order = entry.order();
        self.waiting.remove(&entry.needs, &order);
        self.dirty.remove(&order);
    }

    /// Decides for all: who holds an address first, then the others.
    fn settle_all(&mut self, orders: Vec<Order>, former: Option<&Config>) {
        let (holders, others): (Vec<_>, Vec<_>) = orders
            .into_iter()
            .partition(|(_, key)| self.services.get(key).is_some_and(|e| !e.held.is_empty()));
        for (_, key) in holders.iter().chain(&others) {
            self.settle(key, former);
        }
        self.retry();
    }

    /// Lets those who wait try again, in order, until what was freed is taken.
    fn retry(&mut self) {
        loop {
            let freed = self.allocator.take_freed();
            if freed.is_empty() {
                return;
            }
            let mut last = None;
            while let Some(order) = self.waiting.next(&freed, &self.allocator, last.as_ref()) {
                self.settle(&order.1, None);
                last = Some(order);
            }
        }
    }
}
