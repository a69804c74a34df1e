//! Who can take a Service's connections: EndpointSlices, counted.
//!
//! Announcing asks whether there is somebody, never how many. So of a slice
//! four bits are kept, and of a Service how many slices have each of them set.
//! A slice that changes costs the same however many endpoints its Service has,
//! and a Service is touched only when the first comes or the last goes.

use std::collections::BTreeMap;

use crate::bgp::types::Family;
use crate::facts::{Event, ServiceKey, SliceFact, SliceKey};

/// Whether endpoints of one family can take connections, and where.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Presence {
    /// One on this node is ready.
    pub ready_here: bool,
    /// One on this node is not ready but serving: it terminates and still answers.
    pub serving_here: bool,
    /// One on another node, or on none, is ready.
    pub ready_elsewhere: bool,
    /// One on another node, or on none, terminates and still answers.
    pub serving_elsewhere: bool,
    /// The node's proxy is not known to send to those that are ready here.
    /// No slice tells it: see [`proxy`](super::proxy).
    pub proxy_behind: bool,
}

/// [`Presence`] for both families.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Presences {
    /// From IPv4 slices.
    pub ipv4: Presence,
    /// From IPv6 slices.
    pub ipv6: Presence,
}

impl Presences {
    /// Of one family. An address is served by endpoints of its own family
    /// alone: kube-proxy forwards no IPv6 address to IPv4 endpoints, so slices
    /// of the other family do not stand in where its own are missing.
    pub fn of(&self, family: Family) -> Presence {
        match family {
            Family::Ipv4 => self.ipv4,
            Family::Ipv6 => self.ipv6,
        }
    }
}

/// All slices, and how many of each Service's have somebody.
#[derive(Debug, Default)]
pub struct Backends {
    slices: BTreeMap<SliceKey, Slice>,
    /// Services without any endpoint that could take a connection are not in it.
    counts: BTreeMap<ServiceKey, Counts>,
    generation: u32,
    listed: bool,
}

/// What is kept of one slice.
#[derive(Debug)]
struct Slice {
    service: ServiceKey,
    family: Family,
    marks: Marks,
    generation: u32,
}

/// Whether one slice has endpoints that are ready here, serving here, ready
/// elsewhere, serving elsewhere.
type Marks = [bool; 4];

const NO_MARKS: Marks = [false; 4];

/// How many slices of a Service have each of the [`Marks`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    ipv4: [u32; 4],
    ipv6: [u32; 4],
}

impl Backends {
    /// The first list is in.
    pub fn listed(&self) -> bool {
        self.listed
    }

    /// What the slices of a Service say together.
    pub fn of(&self, service: &ServiceKey) -> Presences {
        self.counts
            .get(service)
            .map(Counts::presences)
            .unwrap_or_default()
    }

    /// The name of a Service as it is stored here, if it is: one text in
    /// memory serves everybody.
    pub fn name(&self, service: &ServiceKey) -> Option<ServiceKey> {
        self.counts
            .get_key_value(service)
            .map(|(known, _)| known.clone())
    }

    /// Takes one event in; `touched` is called with each Service whose
    /// [`Presences`] changed.
    pub fn handle(
        &mut self,
        event: Event<SliceFact, SliceKey>,
        mut touched: impl FnMut(&ServiceKey),
    ) {
        match event {
            // Nothing here goes by versions.
            Event::Rewound => {}
            Event::Begin => self.generation = self.generation.wrapping_add(1),
            Event::Apply(fact) => self.apply(fact, &mut touched),
            Event::Delete(key, _) => self.delete(&key, &mut touched),
            Event::End => {
                self.listed = true;
                let unseen = |slice: &Slice| slice.generation != self.generation;
                let slices = self.slices.iter().filter(|(_, slice)| unseen(slice));
                let gone: Vec<SliceKey> = slices.map(|(key, _)| key.clone()).collect();
                for key in &gone {
                    self.delete(key, &mut touched);
                }
            }
        }
    }

    fn delete(&mut self, key: &SliceKey, touched: &mut impl FnMut(&ServiceKey)) {
        if let Some(Slice {
            service,
            family,
            marks,
            ..
        }) = self.slices.remove(key)
        {
            self.change(&service, family, marks, NO_MARKS, touched);
        }
    }

    fn apply(&mut self, fact: SliceFact, touched: &mut impl FnMut(&ServiceKey)) {
        let marks = [
            fact.here.ready,
            fact.here.serving,
            fact.elsewhere.ready,
            fact.elsewhere.serving,
        ]
        .map(|endpoints| endpoints > 0);
        let known = self.slices.get_mut(&fact.key);
        if let Some(known) = known
            && known.service == fact.service
            && known.family == fact.family
        {
            known.generation = self.generation;
            if known.marks != marks {
                let old = std::mem::replace(&mut known.marks, marks);
                let service = known.service.clone();
                self.change(&service, fact.family, old, marks, touched);
            }
            return;
        }
        // It belonged to another Service or family, or to none yet.
        self.delete(&fact.key, touched);
        let service = self.name(&fact.service).unwrap_or(fact.service);
        self.change(&service, fact.family, NO_MARKS, marks, touched);
        self.slices.insert(
            fact.key,
            Slice {
                service,
                family: fact.family,
                marks,
                generation: self.generation,
            },
        );
    }

    /// One slice of a Service had the marks `old` and has `new`.
    fn change(
        &mut self,
        service: &ServiceKey,
        family: Family,
        old: Marks,
        new: Marks,
        touched: &mut impl FnMut(&ServiceKey),
    ) {
        if old == new {
            return;
        }
        let counts = self.counts.entry(service.clone()).or_default();
        let before = counts.presences();
        let numbers = match family {
            Family::Ipv4 => &mut counts.ipv4,
            Family::Ipv6 => &mut counts.ipv6,
        };
        for (number, (old, new)) in numbers.iter_mut().zip(old.into_iter().zip(new)) {
            // Only what was added is taken away, so this never goes below zero.
            *number = *number + u32::from(new) - u32::from(old);
        }
        let after = counts.presences();
        if *counts == Counts::default() {
            self.counts.remove(service);
        }
        if before != after {
            touched(service);
        }
    }
}

impl Counts {
    fn presences(&self) -> Presences {
        let of = |numbers: [u32; 4]| {
            let [ready_here, serving_here, ready_elsewhere, serving_elsewhere] =
                numbers.map(|number| number > 0);
            Presence {
                ready_here,
                serving_here,
                ready_elsewhere,
                serving_elsewhere,
                proxy_behind: false,
            }
        };
        Presences {
            ipv4: of(self.ipv4),
            ipv6: of(self.ipv6),
        }
    }
}
