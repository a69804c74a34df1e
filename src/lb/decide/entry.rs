//! One Service on the leader: what the API server has of it, what it holds, and
//! the write that makes both agree.

use std::cmp::Ordering;
use std::net::IpAddr;
use std::sync::Arc;

use crate::alloc::{Allocator, Refusal, Terms};
use crate::config::{Pool, Protocol};
use crate::facts::{ConditionFact, IngressFact, ServiceFact};
use crate::lb::reason::Reason;
use crate::lb::status::StatusWrite;

use super::waiting::{Need, Order};

/// Reason of condition `loods.io/Allocated`: a pool has the address.
pub(super) const IN_POOL: &str = "InPool";
/// Reason of condition `loods.io/Allocated`: no pool has the address any more.
pub(super) const ORPHANED: &str = "Orphaned";

/// Reason of condition `loods.io/Allocated`: a pool has the address, and nobody
/// announces it. The word that speakers show.
pub(super) const LAYER2: &str = Reason::PoolIsLayer2.word();

/// Whether, and how, a Service is ours to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// It gets its addresses from us.
    Ours,
    /// `spec.loadBalancerClass` is not the one that we serve. Never written.
    OtherClass,
    /// Its status has addresses outside our pools, and nothing shows that we
    /// wrote them. Never written.
    ForeignStatus,
    /// No longer of type LoadBalancer: what is ours in its status is cleared.
    NotLoadBalancer,
}

/// One address that a Service was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Held {
    pub address: IpAddr,
    /// The pool that it came from; its present pool, once that took it over.
    pub pool: Arc<str>,
}

impl Held {
    /// The pool that it came from does not have it now.
    pub fn is_orphan(&self, allocator: &Allocator) -> bool {
        let pool = allocator.pool_of(self.address);
        pool.is_none_or(|pool| pool.name != self.pool)
    }
}

/// Whether a write makes sense now, or what must be known first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pace {
    Free,
    /// The version is not the newest: the watch will show that.
    Conflict,
    /// One of several writes was accepted: the watch will show which.
    Unsure,
}

#[derive(Debug)]
pub(super) struct Entry {
    /// What the API server has, as last watched, or as last written by us.
    pub fact: ServiceFact,
    pub terms: Arc<Terms>,
    pub standing: Standing,
    /// Firm, in the order of the families.
    pub held: Vec<Held>,
    /// All addresses for which the allocator has this Service, firm or trailing.
    pub occupied: Vec<IpAddr>,
    pub refusal: Option<Refusal>,
    pub needs: Vec<Need>,
    /// The status has shown addresses of ours since this Service was new: from
    /// then on memory is the truth, and a status is compared with it.
    pub trusted: bool,
    /// What annotation `loods.io/orphan-attributes` should say, for orphans.
    pub orphan_text: Option<Box<str>>,
    /// Whether the user was told that an address is an orphan; `None`: ask the status.
    pub orphaned: Option<bool>,
    /// The layer 2 pool that the user was told of, if any; outer `None`: ask the status.
    pub told_layer2: Option<Option<Arc<str>>>,
    /// An address was moved because annotation `loods.io/reassign` allows it.
    pub obeyed: bool,
    /// The word and summary of the refusal that was told to the user last.
    pub told: Option<(Box<str>, Box<str>)>,
    pub told_foreign: bool,
    /// The write handed out for the present version.
    pub sent: Option<Box<StatusWrite>>,
    /// Another was handed out for the same version before: which of them was
    /// accepted is not known until the watch shows it.
    pub superseded: bool,
    /// Addresses of writes handed out for the present version: any of them may
    /// still reach the status.
    pub flying: Vec<IpAddr>,
    pub pace: Pace,
    /// The relist in which it was seen last.
    pub round: u64,
}

/// Whether version `a` is known to be older than `b`. Kubernetes' versions are
/// numbers that grow; of any other text only sameness can be said.
pub(super) fn older(a: &str, b: &str) -> bool {
    match (a.parse::<u64>(), b.parse::<u64>()) {
        (Ok(a), Ok(b)) => a.cmp(&b) == Ordering::Less,
        _ => false,
    }
}

impl Entry {
    pub fn new(fact: ServiceFact, round: u64) -> Self {
        let told = fact.condition.as_ref().filter(|c| !c.status);
        Self {
            terms: Arc::new(Terms::of(&fact)),
            standing: Standing::Ours,
            held: Vec::new(),
            occupied: Vec::new(),
            refusal: None,
            needs: Vec::new(),
            trusted: false,
            orphan_text: None,
            orphaned: None,
            told_layer2: None,
            obeyed: false,
            told: told.map(|c| (c.reason.clone(), c.message.clone())),
            told_foreign: false,
            sent: None,
            superseded: false,
            flying: Vec::new(),
            pace: Pace::Free,
            round,
            fact,
        }
    }

    pub fn order(&self) -> Order {
        (self.fact.created, self.fact.key.clone())
    }

    /// The addresses that the status shows, each once.
    pub fn shown(&self) -> Vec<IpAddr> {
        let mut shown = Vec::with_capacity(self.fact.ingress.len());
        for ip in self.fact.ingress.iter().filter_map(|entry| entry.ip) {
            if !shown.contains(&ip) {
                shown.push(ip);
            }
        }
        shown
    }

    /// What the status shows beyond what is held.
    pub fn trailing(&self) -> Vec<IpAddr> {
        let mut shown = self.shown();
        shown.retain(|address| self.held.iter().all(|held| held.address != *address));
        shown
    }

    /// The pool of the first held address that is in a layer 2 pool now.
    pub fn layer2_pool<'a>(&self, allocator: &'a Allocator) -> Option<&'a Arc<Pool>> {
        let pools = self
            .held
            .iter()
            .filter_map(|held| allocator.pool_of(held.address));
        pools
            .into_iter()
            .find(|pool| pool.protocol == Protocol::Layer2)
    }

    /// Something shows that we wrote the addresses in the status.
    pub fn is_marked_ours(&self) -> bool {
        self.fact.ingress_is_ours || self.fact.condition.as_ref().is_some_and(|c| c.status)
    }

    /// The write on a newer version takes the place of those for older ones:
    /// they cannot be accepted any more.
    pub fn forget_writes(&mut self) {
        self.sent = None;
        self.superseded = false;
        self.flying = Vec::new();
        self.pace = Pace::Free;
    }

    /// The versions known so far are of another history: any fact is news, and
    /// nothing can be written before it.
    pub fn rewind(&mut self) {
        self.fact.resource_version = Box::default();
        self.sent = None;
        self.pace = Pace::Conflict;
    }

    /// What should be written, if the status is not as wanted.
    pub fn wanted_write(&self, allocator: &Allocator) -> Option<StatusWrite> {
        let mut write = self.write_on(self.fact.resource_version.clone());
        match self.standing {
            Standing::Ours => self.ours(allocator, &mut write),
            Standing::NotLoadBalancer => self.clear(&mut write),
            Standing::OtherClass | Standing::ForeignStatus => return None,
        }
        changes(&write).then_some(write)
    }

    /// What takes away all that is ours from a Service that is no longer
    /// watched, if it is still there, at `version`.
    pub fn farewell(&self, version: Box<str>) -> Option<StatusWrite> {
        // What was being deleted is gone, and "" is the version of nothing.
        if self.standing != Standing::Ours || self.fact.deleting || version.is_empty() {
            return None;
        }
        let mut write = self.write_on(version);
        self.clear(&mut write);
        changes(&write).then_some(write)
    }

    fn write_on(&self, resource_version: Box<str>) -> StatusWrite {
        StatusWrite {
            key: self.fact.key.clone(),
            uid: self.fact.uid.clone(),
            resource_version,
            ingress: None,
            condition: None,
            drop_condition: false,
            orphan_attributes: None,
            clear_reassign: false,
        }
    }

    fn ours(&self, allocator: &Allocator, write: &mut StatusWrite) {
        if self.fact.deleting && self.held.is_empty() {
            return;
        }
        let condition = self.condition(allocator);
        if condition.is_some() && self.fact.condition != condition {
            write.condition = condition;
        }
        let seen = &self.fact.asks.orphan_attributes;
        if *seen != self.orphan_text {
            write.orphan_attributes = Some(self.orphan_text.clone());
        }
        write.clear_reassign = self.obeyed && self.fact.asks.reassign.is_some();
        // ipMode alone is no reason to write: a server that drops the field
        // would be written for ever.
        let other = write.condition.is_some() || write.orphan_attributes.is_some();
        let plain = self.fact.ingress.iter().any(|entry| !entry.vip);
        if !self.shows_held() || (other && plain) {
            write.ingress = Some(self.held.iter().map(|held| held.address).collect());
        }
    }

    /// The status lists exactly what is held, in order.
    pub fn shows_held(&self) -> bool {
        let seen = self.fact.ingress.iter().map(|entry| entry.ip);
        seen.eq(self.held.iter().map(|held| Some(held.address)))
    }

    fn clear(&self, write: &mut StatusWrite) {
        if !self.is_marked_ours() && self.fact.condition.is_none() {
            return;
        }
        if self.is_marked_ours() && !self.fact.ingress.is_empty() {
            write.ingress = Some(Vec::new());
        }
        write.drop_condition = self.fact.condition.is_some();
        if self.fact.asks.orphan_attributes.is_some() {
            write.orphan_attributes = Some(None);
        }
    }

    /// Condition `loods.io/Allocated` as it should be. Orphaned says more to
    /// the speakers than why the orphan could not be moved.
    fn condition(&self, allocator: &Allocator) -> Option<ConditionFact> {
        let orphan = self.held.iter().find(|held| held.is_orphan(allocator));
        if let Some(orphan) = orphan {
            return Some(ConditionFact {
                status: true,
                reason: ORPHANED.into(),
                message: (*orphan.pool).into(),
            });
        }
        if let Some(refusal) = &self.refusal {
            return Some(ConditionFact {
                status: false,
                reason: refusal.word().into(),
                message: refusal.summary().into(),
            });
        }
        if let Some(pool) = self.layer2_pool(allocator) {
            return Some(ConditionFact {
                status: true,
                reason: LAYER2.into(),
                message: (*pool.name).into(),
            });
        }
        let held = self.held.first()?;
        Some(ConditionFact {
            status: true,
            reason: IN_POOL.into(),
            message: (*held.pool).into(),
        })
    }
}

fn changes(write: &StatusWrite) -> bool {
    write.ingress.is_some()
        || write.condition.is_some()
        || write.drop_condition
        || write.orphan_attributes.is_some()
        || write.clear_reassign
}

/// The fact as it is once the write was accepted.
pub(super) fn assume(fact: &mut ServiceFact, write: StatusWrite) {
    if let Some(ingress) = write.ingress {
        fact.ingress_is_ours = !ingress.is_empty();
        let entry = |ip| IngressFact {
            ip: Some(ip),
            other: None,
            vip: true,
        };
        fact.ingress = ingress.into_iter().map(entry).collect();
    }
    if write.condition.is_some() || write.drop_condition {
        fact.condition = write.condition;
    }
    if let Some(text) = write.orphan_attributes {
        fact.asks.orphan_attributes = text;
    }
    if write.clear_reassign {
        fact.asks.reassign = None;
    }
}
