//! One Service in the [index](super::index): what is known of it, what was
//! last decided, and how a new decision takes the old one's place.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::advertise::{Node, Service, Verdict};
use super::backends::{Backends, Presence};
use super::prefixes::{Interner, Prefixes, Route};
use super::proxy::Proxy;
use crate::bgp::types::{Attributes, Family, Prefix};
use crate::config::Config;
use crate::facts::ServiceKey;

/// The signature of [`advertise`](super::advertise::advertise).
pub(super) type Rule =
    fn(&Service, IpAddr, Presence, &Node, &Config, &[Route]) -> Verdict<(Prefix, Attributes)>;

pub(super) struct Entry {
    pub service: Service,
    /// Which list it was last seen in.
    pub generation: u32,
    /// One for each address, in their order, as of the last decision.
    pub verdicts: Box<[Verdict]>,
    /// The last decision failed, and the verdicts are those before it.
    pub fault: bool,
    /// Prefixes that are announced with other attributes than this Service
    /// wants, since other Services have them too: so that it is told once.
    pub differing: Box<[Prefix]>,
}

/// Which Services the next pass decides on.
pub(super) enum Touched {
    All,
    Some(BTreeSet<ServiceKey>),
}

/// What every decision of one pass has in common.
pub(super) struct Pass<'a> {
    pub rule: Rule,
    pub config: &'a Config,
    pub node: &'a Node,
    pub backends: &'a Backends,
    pub prefixes: &'a mut Prefixes,
    pub interner: &'a mut Interner,
    pub proxy: &'a mut Proxy,
}

impl Touched {
    pub fn add(&mut self, service: &ServiceKey) {
        if let Touched::Some(keys) = self {
            keys.insert(service.clone());
        }
    }
}

impl Entry {
    pub fn new(service: Service, generation: u32) -> Self {
        Self {
            service,
            generation,
            verdicts: Box::default(),
            fault: false,
            differing: Box::default(),
        }
    }

    /// What this node sends for the Service, before it is merged with others.
    pub fn announced(&self) -> impl Iterator<Item = &Route> {
        self.verdicts.iter().flat_map(Verdict::announced)
    }

    /// Withdraws what was decided, and forgets it.
    pub fn clear(&mut self, prefixes: &mut Prefixes) {
        for verdict in std::mem::take(&mut self.verdicts) {
            prefixes.remove(&verdict.routes, verdict.refusal.is_none());
        }
        self.differing = Box::default();
    }
}

impl Pass<'_> {
    /// Decides on one Service. If that differs from the last decision, the old
    /// one is returned: it has been replaced.
    ///
    /// A panic in the rule is a fault of ours on one odd object. It must cost
    /// neither the other Services nor this one's announcement: the entry is
    /// marked and stays as it was.
    pub fn decide(&mut self, key: &ServiceKey, entry: &mut Entry) -> Option<Box<[Verdict]>> {
        let seen = &*self;
        // Nothing is changed inside, so nothing can be left half done.
        let decided = catch_unwind(AssertUnwindSafe(|| seen.verdicts(key, entry)));
        let had_fault = std::mem::replace(&mut entry.fault, decided.is_err());
        let verdicts: Box<[Verdict]> = match decided {
            Ok(verdicts) => {
                let shared = verdicts
                    .into_iter()
                    .map(|verdict| verdict.share(self.interner));
                shared.collect()
            }
            Err(_) if had_fault => return None,
            Err(_) => return Some(entry.verdicts.clone()),
        };
        let presences = self.backends.of(key);
        let ready_here = |family| presences.of(family).ready_here;
        self.proxy
            .settle(key, &entry.service, &verdicts, ready_here);
        if verdicts == entry.verdicts && !had_fault {
            return None;
        }
        for old in &entry.verdicts {
            self.prefixes.remove(&old.routes, old.refusal.is_none());
        }
        for new in &verdicts {
            self.prefixes.add(&new.routes, new.refusal.is_none());
        }
        Some(std::mem::replace(&mut entry.verdicts, verdicts))
    }

    fn verdicts(&self, key: &ServiceKey, entry: &Entry) -> Vec<Verdict<(Prefix, Attributes)>> {
        let presences = self.backends.of(key);
        let decide = |&address: &IpAddr| {
            let last = entry.verdicts.iter().find(|last| last.address == address);
            let held = last.map_or(&[][..], |last| &last.routes);
            let family = Family::of(address);
            let mut endpoints = presences.of(family);
            endpoints.proxy_behind = last.is_none_or(|last| last.refusal.is_some())
                && entry.service.health_port.is_some()
                && self.node.has_proxy(family)
                && !self.proxy.forwards(key, family);
            (self.rule)(
                &entry.service,
                address,
                endpoints,
                self.node,
                self.config,
                held,
            )
        };
        entry.service.addresses.iter().map(decide).collect()
    }
}

impl Verdict<(Prefix, Attributes)> {
    fn share(self, interner: &mut Interner) -> Verdict {
        let routes = self.routes.into_iter();
        Verdict {
            address: self.address,
            routes: routes
                .map(|(prefix, attributes)| (prefix, interner.share(attributes)))
                .collect(),
            grant: self.grant,
            refusal: self.refusal,
        }
    }
}
