//! Who has which prefix, and how it is announced.
//!
//! Several Services can have one prefix: they share an address, or their
//! addresses lie in one aggregate. All of them, on whatever node they can be
//! announced, say how it is announced, so that every node sends the same
//! attributes and a router's equal-cost paths stay equal. Only those that are
//! announced from this node decide whether it is sent from here.
//!
//! A prefix keeps a count for each distinct set of attributes, not a list of
//! Services: an aggregate of 10,000 Services costs what one of two costs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::bgp::types::{Attributes, Prefix};

/// A prefix with the attributes that one Service wants for it.
pub type Route = (Prefix, Arc<Attributes>);

/// What LOCAL_PREF counts as where the user wrote none: it is sent as 100.
const DEFAULT_LOCAL_PREF: u32 = 100;

/// LOCAL_PREF as an iBGP peer gets it.
fn effective(local_pref: Option<u32>) -> u32 {
    local_pref.unwrap_or(DEFAULT_LOCAL_PREF)
}

/// Adds one opinion on a prefix to another: communities united, the highest
/// LOCAL_PREF, the better ORIGIN (RFC 4271 §9.1.2.2 c: the lower). The order
/// and the number of the opinions do not matter.
pub fn merge(into: &mut Attributes, other: &Attributes) {
    into.origin = into.origin.min(other.origin);
    into.communities.extend(&other.communities);
    into.local_pref = match (into.local_pref, other.local_pref) {
        (None, None) => None,
        (a, b) => Some(effective(a).max(effective(b))),
    };
}

/// Whether two sets of attributes are the same on the wire.
pub fn same_on_the_wire(a: &Attributes, b: &Attributes) -> bool {
    a.origin == b.origin
        && a.communities == b.communities
        && effective(a.local_pref) == effective(b.local_pref)
}

/// One value for each distinct set of attributes, shared by all that have it.
#[derive(Debug, Default)]
pub struct Interner(BTreeSet<Arc<Attributes>>);

impl Interner {
    /// The shared value that equals this one.
    pub fn share(&mut self, attributes: Attributes) -> Arc<Attributes> {
        if let Some(known) = self.0.get(&attributes) {
            return known.clone();
        }
        let shared = Arc::new(attributes);
        self.0.insert(shared.clone());
        shared
    }

    /// Forgets what nobody else holds any more.
    pub fn sweep(&mut self) {
        self.0.retain(|shared| Arc::strong_count(shared) > 1);
    }
}

/// All prefixes of the cluster's Services.
#[derive(Debug, Default)]
pub struct Prefixes {
    holders: BTreeMap<Prefix, Holders>,
    announced: BTreeMap<Prefix, Arc<Attributes>>,
    /// Whose holders want different things.
    contested: BTreeSet<Prefix>,
    /// Whose holders changed since the last [`settle`](Prefixes::settle).
    touched: BTreeSet<Prefix>,
}

/// What [`Prefixes::settle`] found.
#[derive(Debug, Default)]
pub struct Settled {
    /// What changed on the wire, in order; `None` = withdrawn.
    pub routes: Vec<(Prefix, Option<Arc<Attributes>>)>,
    /// Those of them whose holders want, or wanted until now, different things.
    pub contested: BTreeSet<Prefix>,
}

/// The Services of one prefix, counted.
#[derive(Debug, Default)]
struct Holders {
    /// For each distinct set of attributes how many want it; a handful at most.
    wanted: Vec<(Arc<Attributes>, u32)>,
    /// How many of them are announced from here.
    here: u32,
}

impl Prefixes {
    /// What this node announces now.
    pub fn announced(&self) -> &BTreeMap<Prefix, Arc<Attributes>> {
        &self.announced
    }

    /// A Service has these routes, and announces them from `here` or not.
    pub fn add(&mut self, routes: &[Route], here: bool) {
        for (prefix, attributes) in routes {
            let holders = self.holders.entry(*prefix).or_default();
            match holders
                .wanted
                .iter_mut()
                .find(|(known, _)| known == attributes)
            {
                Some((_, count)) => *count += 1,
                None => {
                    // Nearly always the only one: room for one, not for four.
                    holders.wanted.reserve_exact(1);
                    holders.wanted.push((attributes.clone(), 1));
                }
            }
            holders.here += u32::from(here);
            self.touched.insert(*prefix);
        }
    }

    /// Takes back exactly what [`add`](Prefixes::add) was given.
    pub fn remove(&mut self, routes: &[Route], here: bool) {
        for (prefix, attributes) in routes {
            self.touched.insert(*prefix);
            let Some(holders) = self.holders.get_mut(prefix) else {
                continue;
            };
            if let Some(at) = holders
                .wanted
                .iter()
                .position(|(known, _)| known == attributes)
            {
                holders.wanted[at].1 -= 1;
                if holders.wanted[at].1 == 0 {
                    holders.wanted.swap_remove(at);
                }
            }
            holders.here -= u32::from(here);
            if holders.wanted.is_empty() {
                self.holders.remove(prefix);
            }
        }
    }

    /// Brings what is announced up to date with all that was added and removed.
    pub fn settle(&mut self, interner: &mut Interner) -> Settled {
        let mut settled = Settled::default();
        for prefix in std::mem::take(&mut self.touched) {
            let holders = self.holders.get(&prefix);
            let was_contested = self.contested.remove(&prefix);
            let is_contested = holders.is_some_and(|holders| holders.wanted.len() > 1);
            if is_contested {
                self.contested.insert(prefix);
            }
            let wanted = holders
                .filter(|holders| holders.here > 0)
                .and_then(|holders| holders.merged(interner));
            if self.announced.get(&prefix) == wanted.as_ref() {
                continue;
            }
            match &wanted {
                Some(attributes) => self.announced.insert(prefix, attributes.clone()),
                None => self.announced.remove(&prefix),
            };
            if was_contested || is_contested {
                settled.contested.insert(prefix);
            }
            settled.routes.push((prefix, wanted));
        }
        settled
    }
}

impl Holders {
    fn merged(&self, interner: &mut Interner) -> Option<Arc<Attributes>> {
        let ((first, _), others) = self.wanted.split_first()?;
        if others.is_empty() {
            return Some(first.clone());
        }
        let mut merged = (**first).clone();
        for (other, _) in others {
            merge(&mut merged, other);
        }
        Some(interner.share(merged))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::fixture::{attributes, prefix};
    use super::*;
    use crate::bgp::types::Origin;

    fn any_attributes() -> impl Strategy<Value = Attributes> {
        let local_pref = prop::option::of(prop::sample::select(vec![0, 50, 100, 200]));
        let communities = prop::collection::vec(0..4u32, 0..3);
        (local_pref, communities, any::<bool>()).prop_map(|(local_pref, communities, igp)| {
            Attributes {
                origin: if igp { Origin::Igp } else { Origin::Incomplete },
                ..attributes(local_pref, &communities)
            }
        })
    }

    fn merged(opinions: &[Attributes]) -> Attributes {
        let (first, others) = opinions.split_first().expect("at least one");
        others.iter().fold(first.clone(), |mut merged, other| {
            merge(&mut merged, other);
            merged
        })
    }

    #[test]
    fn no_local_pref_counts_as_100_and_is_written_only_against_a_written_one() {
        let table = [
            (None, None, None),
            (None, Some(50), Some(100)),
            (Some(50), None, Some(100)),
            (None, Some(200), Some(200)),
            (Some(0), Some(50), Some(50)),
        ];
        for (a, b, expected) in table {
            let mut merged = attributes(a, &[1]);
            merge(&mut merged, &attributes(b, &[2]));
            assert_eq!(merged, attributes(expected, &[1, 2]), "{a:?} and {b:?}");
        }
    }

    proptest! {
        #[test]
        fn a_merge_depends_neither_on_order_nor_on_repetition(
            mut opinions in prop::collection::vec(any_attributes(), 1..5),
            rotation in 0..4usize,
        ) {
            let expected = merged(&opinions);
            let by = rotation % opinions.len();
            opinions.rotate_left(by);
            prop_assert_eq!(merged(&opinions), expected.clone());
            opinions.reverse();
            opinions.extend(opinions.clone());
            prop_assert_eq!(merged(&opinions), expected);
        }

        #[test]
        fn what_is_added_and_removed_again_leaves_nothing(
            all in prop::collection::vec((0..3usize, any_attributes(), any::<bool>()), 1..12),
        ) {
            let names = ["192.0.2.0/24", "192.0.2.1/32", "2001:db8::1/128"];
            let mut interner = Interner::default();
            let mut prefixes = Prefixes::default();
            let routes: Vec<(Route, bool)> = all
                .into_iter()
                .map(|(name, own, here)| ((prefix(names[name]), interner.share(own)), here))
                .collect();
            for (route, here) in &routes {
                prefixes.add(std::slice::from_ref(route), *here);
            }
            let announced: BTreeSet<Prefix> =
                routes.iter().filter(|(_, here)| *here).map(|(route, _)| route.0).collect();
            let up = prefixes.settle(&mut interner).routes;
            prop_assert_eq!(up.iter().map(|(prefix, _)| *prefix).collect::<BTreeSet<_>>(), announced.clone());
            for (route, here) in &routes {
                prefixes.remove(std::slice::from_ref(route), *here);
            }
            let down = prefixes.settle(&mut interner).routes;
            prop_assert_eq!(down, announced.into_iter().map(|prefix| (prefix, None)).collect::<Vec<_>>());
            prop_assert!(prefixes.holders.is_empty() && prefixes.contested.is_empty());
            drop((routes, up));
            interner.sweep();
            prop_assert!(interner.0.is_empty());
        }
    }
}
