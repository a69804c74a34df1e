//! Who can take a Service's connections: EndpointSlices, added up.
//!
//! Of each slice only its counts are kept, and of each Service their sums. A
//! slice that changes costs one subtraction and one addition, however many
//! endpoints the Service has. The sums are compared with zero and nothing
//! else, so a Service is touched only when one of them meets or leaves zero.

use std::collections::HashMap;

use super::facts::{Endpoints, Event, ServiceKey, SliceFact, SliceKey};
use crate::bgp::types::Family;

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

/// All slices, by the Service that they belong to.
#[derive(Debug, Default)]
pub struct Backends {
    slices: HashMap<SliceKey, Slice>,
    sums: HashMap<ServiceKey, Sums>,
    generation: u32,
    listed: bool,
}

#[derive(Debug)]
struct Slice {
    service: ServiceKey,
    counts: Counts,
    generation: u32,
}

/// What one slice says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Counts {
    family: Family,
    here: Endpoints,
    elsewhere: Endpoints,
}

/// What all slices of one Service say: four numbers for each family.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    slices: u32,
    ipv4: [u32; 4],
    ipv6: [u32; 4],
}

impl Backends {
    /// The first list is in.
    pub fn listed(&self) -> bool {
        self.listed
    }

    /// What the slices of a Service add up to.
    pub fn of(&self, service: &ServiceKey) -> Presences {
        self.sums
            .get(service)
            .map(Sums::presences)
            .unwrap_or_default()
    }

    /// Takes one event in; `touched` is called with each Service whose
    /// [`Presences`] changed.
    pub fn handle(
        &mut self,
        event: Event<SliceFact, SliceKey>,
        mut touched: impl FnMut(&ServiceKey),
    ) {
        match event {
            Event::Begin => self.generation = self.generation.wrapping_add(1),
            Event::Apply(fact) => self.apply(fact, &mut touched),
            Event::Delete(key) => {
                if let Some(slice) = self.slices.remove(&key) {
                    self.subtract(&slice, &mut touched);
                }
            }
            Event::End => {
                self.listed = true;
                let current = self.generation;
                let gone: Vec<Slice> = self
                    .slices
                    .extract_if(|_, slice| slice.generation != current)
                    .map(|(_, slice)| slice)
                    .collect();
                for slice in &gone {
                    self.subtract(slice, &mut touched);
                }
            }
        }
    }

    fn apply(&mut self, fact: SliceFact, touched: &mut impl FnMut(&ServiceKey)) {
        let counts = Counts {
            family: fact.family,
            here: fact.here,
            elsewhere: fact.elsewhere,
        };
        let generation = self.generation;
        if let Some(known) = self.slices.get_mut(&fact.key) {
            known.generation = generation;
            if known.service == fact.service {
                if known.counts != counts {
                    let old = std::mem::replace(&mut known.counts, counts);
                    let service = known.service.clone();
                    self.change(&service, Some(old), Some(counts), touched);
                }
                return;
            }
        }
        if let Some(moved) = self.slices.remove(&fact.key) {
            self.subtract(&moved, touched);
        }
        // One text for the name of a Service, however many slices it has.
        let service = self
            .sums
            .get_key_value(&fact.service)
            .map_or(fact.service, |(known, _)| known.clone());
        self.change(&service, None, Some(counts), touched);
        self.slices.insert(
            fact.key,
            Slice {
                service,
                counts,
                generation,
            },
        );
    }

    fn subtract(&mut self, slice: &Slice, touched: &mut impl FnMut(&ServiceKey)) {
        self.change(&slice.service, Some(slice.counts), None, touched);
    }

    fn change(
        &mut self,
        service: &ServiceKey,
        old: Option<Counts>,
        new: Option<Counts>,
        touched: &mut impl FnMut(&ServiceKey),
    ) {
        let sums = self.sums.entry(service.clone()).or_default();
        let before = sums.presences();
        if let Some(new) = new {
            sums.add(new);
        }
        if let Some(old) = old {
            sums.subtract(old);
        }
        let after = sums.presences();
        if sums.slices == 0 {
            self.sums.remove(service);
        }
        if before != after {
            touched(service);
        }
    }
}

impl Counts {
    fn numbers(&self) -> [u32; 4] {
        [
            self.here.ready,
            self.here.serving,
            self.elsewhere.ready,
            self.elsewhere.serving,
        ]
        .map(u32::from)
    }
}

impl Sums {
    fn family(&mut self, family: Family) -> &mut [u32; 4] {
        match family {
            Family::Ipv4 => &mut self.ipv4,
            Family::Ipv6 => &mut self.ipv6,
        }
    }

    fn add(&mut self, counts: Counts) {
        self.slices += 1;
        for (sum, number) in self.family(counts.family).iter_mut().zip(counts.numbers()) {
            *sum += number;
        }
    }

    /// Only what was added is ever subtracted.
    fn subtract(&mut self, counts: Counts) {
        self.slices -= 1;
        for (sum, number) in self.family(counts.family).iter_mut().zip(counts.numbers()) {
            *sum -= number;
        }
    }

    fn presences(&self) -> Presences {
        let of = |sums: [u32; 4]| {
            let [ready_here, serving_here, ready_elsewhere, serving_elsewhere] =
                sums.map(|sum| sum > 0);
            Presence {
                ready_here,
                serving_here,
                ready_elsewhere,
                serving_elsewhere,
            }
        };
        Presences {
            ipv4: of(self.ipv4),
            ipv6: of(self.ipv6),
        }
    }
}
