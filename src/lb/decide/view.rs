//! What the leader shows of itself: for metrics and `/state`.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::alloc::{Refusal, Usage};
use crate::facts::ServiceKey;

use super::Decider;
use super::entry::{IN_POOL, LAYER2, ORPHANED, Standing};

/// How a pool is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolUse {
    /// Its name, and how full it is.
    pub usage: Usage,
    /// How many Services hold an address of it.
    pub services: usize,
}

/// What stands for one Service, for `/state`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision<'a> {
    /// Namespace and name.
    pub service: &'a ServiceKey,
    /// Whether it is ours.
    pub standing: Standing,
    /// In the order of its families.
    pub addresses: Vec<IpAddr>,
    /// The pool of the first of them; for an orphan the former one.
    pub pool: Option<&'a str>,
    /// A pool lost one of its addresses.
    pub orphaned: bool,
    /// One of its addresses is in a layer 2 pool.
    pub layer2: bool,
    /// Why it has none, or not those that it asks for.
    pub refusal: Option<&'a Refusal>,
}

impl Decision<'_> {
    /// One word: InPool, Orphaned, poolIsLayer2, or why it has no address of ours.
    pub fn reason(&self) -> &'static str {
        match (self.refusal, self.standing) {
            (Some(refusal), _) => refusal.word(),
            (None, Standing::Ours) if self.orphaned => ORPHANED,
            (None, Standing::Ours) if self.layer2 => LAYER2,
            (None, Standing::Ours) => IN_POOL,
            (None, Standing::OtherClass) => "otherClass",
            (None, Standing::ForeignStatus) => "foreignStatus",
            (None, Standing::NotLoadBalancer) => "notLoadBalancer",
        }
    }
}

impl Decider {
    /// How the pools are used, in the order written.
    pub fn pools(&self) -> Vec<PoolUse> {
        let mut services = BTreeMap::<&str, usize>::new();
        for entry in self.services.values() {
            let mut last = None;
            for held in &entry.held {
                // A pair of one pool is one Service.
                if !held.is_orphan(&self.allocator) && last != Some(&held.pool) {
                    *services.entry(&held.pool).or_default() += 1;
                    last = Some(&held.pool);
                }
            }
        }
        let usage = self.allocator.usage();
        usage
            .map(|usage| PoolUse {
                services: services.get(&*usage.name).copied().unwrap_or(0),
                usage,
            })
            .collect()
    }

    /// What stands for each Service, by namespace and name.
    pub fn decisions(&self) -> impl Iterator<Item = Decision<'_>> {
        self.services.values().map(|entry| {
            let orphan = entry.held.iter().find(|h| h.is_orphan(&self.allocator));
            Decision {
                service: &entry.fact.key,
                standing: entry.standing,
                addresses: entry.held.iter().map(|held| held.address).collect(),
                pool: orphan.or(entry.held.first()).map(|held| &*held.pool),
                orphaned: orphan.is_some(),
                layer2: entry.layer2_pool(&self.allocator).is_some(),
                refusal: entry.refusal.as_ref(),
            }
        })
    }
}
