//! Who waits for what: so that a freed address wakes those whom it could help,
//! in order, and nobody else.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::ops::Bound;

use crate::alloc::{Allocator, Refusal, Terms, Want};
use crate::bgp::types::Family;
use crate::facts::ServiceKey;

/// The order in which Services are served: the older first, then by name.
pub(super) type Order = (i64, ServiceKey);

/// What a waiting Service could be helped by. `sharer`: it has a sharing key, so
/// that an address helps it even while others hold it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Need {
    /// This very address.
    Address(IpAddr),
    /// An address of this pool.
    Pool {
        name: Box<str>,
        family: Family,
        sharer: bool,
    },
    /// An address of any pool with auto-assign.
    Automatic { family: Family, sharer: bool },
}

/// All who wait.
#[derive(Debug, Default)]
pub(super) struct Waiting(BTreeMap<Need, BTreeSet<Order>>);

impl Need {
    /// What would help a Service that was refused. Empty: only a change of the
    /// Service or of the configuration.
    pub fn after(refusal: &Refusal, want: &Want, terms: &Terms) -> Vec<Need> {
        let sharer = terms.sharing_key.is_some();
        match refusal {
            Refusal::InUse { .. } => want.addresses.iter().copied().map(Need::Address).collect(),
            Refusal::Exhausted { families, .. } => families
                .iter()
                .map(|&family| match &want.pool {
                    Some(name) => Need::Pool {
                        name: name.clone(),
                        family,
                        sharer,
                    },
                    None => Need::Automatic { family, sharer },
                })
                .collect(),
            _ => Vec::new(),
        }
    }
}

impl Waiting {
    pub fn add(&mut self, needs: &[Need], order: &Order) {
        for need in needs {
            self.0
                .entry(need.clone())
                .or_default()
                .insert(order.clone());
        }
    }

    pub fn remove(&mut self, needs: &[Need], order: &Order) {
        for need in needs {
            if let Some(orders) = self.0.get_mut(need) {
                orders.remove(order);
                if orders.is_empty() {
                    self.0.remove(need);
                }
            }
        }
    }

    /// The next Service, after this one, that one of the freed addresses could help.
    pub fn next(
        &self,
        freed: &[IpAddr],
        allocator: &Allocator,
        after: Option<&Order>,
    ) -> Option<Order> {
        let after = after.map_or(Bound::Unbounded, Bound::Excluded);
        let first = |need: &Need| self.0.get(need)?.range((after, Bound::Unbounded)).next();
        // Many addresses freed at once are still few needs.
        let mut looked = BTreeSet::new();
        let mut found: Option<&Order> = None;
        for &address in freed {
            let family = Family::of(address);
            let pool = allocator.pool_of(address);
            for sharer in [false, true] {
                if !sharer && !allocator.is_free(address) {
                    continue;
                }
                let Some(pool) = pool else { continue };
                let named = Need::Pool {
                    name: (*pool.name).into(),
                    family,
                    sharer,
                };
                let needs = [
                    Some(named),
                    pool.auto_assign
                        .then_some(Need::Automatic { family, sharer }),
                ];
                for need in needs.into_iter().flatten() {
                    if !looked.contains(&need) {
                        found = [found, first(&need)].into_iter().flatten().min();
                        looked.insert(need);
                    }
                }
            }
            found = [found, first(&Need::Address(address))]
                .into_iter()
                .flatten()
                .min();
        }
        found.cloned()
    }
}
