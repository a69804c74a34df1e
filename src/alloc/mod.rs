//! Who holds which address.
//!
//! The [`Allocator`] knows the pools and, for each address in use, its holders.
//! It answers one question, [`Allocator::find`]: which addresses may this
//! Service have, or why none. It knows no statuses and no versions; `lb::decide`
//! does, and tells it what to hold and what to release.
//!
//! ```text
//!   pools, as listed -> ranges, as listed -> intervals of free addresses
//!   address -> holders: firm (it was given) or trailing (some status shows it)
//! ```
//!
//! A *firm* holder was given the address. A *trailing* holder was not, or no
//! longer, but the status in the API server may still show the address; until
//! it does not, nobody else may have it who could not share it.
//!
//! The same holders and the same question give the same answer: pools and
//! ranges in the order written, the lowest address that is free or may be shared.
//! Work per question is by the number of ranges, not of addresses or Services;
//! only a Service with a sharing key looks at the addresses of that key as well.

mod pools;
mod refusal;
mod search;
mod terms;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use crate::bgp::types::Family;
use crate::config::Pool;
use crate::facts::{FamilyPolicy, ServiceKey};

use pools::Pools;
pub use refusal::{Fullness, Refusal};
pub use terms::{Blocker, Rule, Terms};

/// Pools, and who holds which of their addresses. See the module's essay.
#[derive(Debug)]
pub struct Allocator {
    pools: Pools,
    holders: BTreeMap<IpAddr, Vec<Holder>>,
    /// By sharing key: the addresses that a Service with this key holds firmly.
    shared: BTreeMap<Box<str>, BTreeSet<IpAddr>>,
    /// What a holder left, or holds on other terms, since it was last asked.
    freed: Vec<IpAddr>,
}

#[derive(Debug)]
struct Holder {
    service: ServiceKey,
    terms: Arc<Terms>,
    firm: bool,
}

/// What a Service needs, once its fields and annotations are understood.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Want {
    /// Families of the Service, primary first; without repetition.
    pub families: Vec<Family>,
    /// Whether all of them are needed.
    pub policy: FamilyPolicy,
    /// Only from the pool of this name.
    pub pool: Option<Box<str>>,
    /// Exactly these, one per family.
    pub addresses: Vec<IpAddr>,
}

/// How full one pool is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage {
    /// The pool.
    pub name: Arc<str>,
    /// How many IPv4 addresses it gives out, and how many of them are held.
    pub ipv4: Fullness,
    /// The same for IPv6.
    pub ipv6: Fullness,
}

impl Allocator {
    /// Pools without holders.
    pub fn new(pools: &[Arc<Pool>]) -> Self {
        Self {
            pools: Pools::new(pools),
            holders: BTreeMap::new(),
            shared: BTreeMap::new(),
            freed: Vec::new(),
        }
    }

    /// Other pools for the same holders. An address that no pool has any more
    /// stays held.
    pub fn replace_pools(&mut self, pools: &[Arc<Pool>]) {
        self.pools = Pools::new(pools);
        for address in self.holders.keys() {
            self.pools.occupy(*address);
        }
    }

    /// The pool that has this address.
    pub fn pool_of(&self, address: IpAddr) -> Option<&Arc<Pool>> {
        self.pools.of(address)
    }

    /// The pool of this name.
    pub fn pool_named(&self, name: &str) -> Option<&Arc<Pool>> {
        self.pools.named(name)
    }

    /// How full each pool is, in the order written.
    pub fn usage(&self) -> impl Iterator<Item = Usage> + '_ {
        self.pools.usage()
    }

    /// Nobody holds it, not even trailing.
    pub fn is_free(&self, address: IpAddr) -> bool {
        !self.holders.contains_key(&address)
    }

    /// The first holder, in order of arrival, with which this Service may not
    /// share the address. `trailing`: those that merely trail count too.
    pub fn blocker(
        &self,
        address: IpAddr,
        service: &ServiceKey,
        terms: &Terms,
        trailing: bool,
    ) -> Option<Blocker> {
        self.holders
            .get(&address)?
            .iter()
            .filter(|holder| (trailing || holder.firm) && holder.service != *service)
            .find_map(|holder| {
                let rule = terms.conflict(&holder.terms)?;
                Some(Blocker {
                    service: holder.service.clone(),
                    rule,
                })
            })
    }

    /// Makes the Service a firm holder, on these terms. The caller has asked
    /// [`blocker`](Self::blocker) or [`find`](Self::find) first.
    pub fn hold(&mut self, address: IpAddr, service: &ServiceKey, terms: &Arc<Terms>) {
        self.put(address, service, terms, true);
    }

    /// Makes the Service a trailing holder, whoever else holds the address.
    pub fn trail(&mut self, address: IpAddr, service: &ServiceKey, terms: &Arc<Terms>) {
        self.put(address, service, terms, false);
    }

    fn put(&mut self, address: IpAddr, service: &ServiceKey, terms: &Arc<Terms>, firm: bool) {
        if let Some(holder) = self.holder(address, service) {
            if holder.firm == firm && *holder.terms == **terms {
                return;
            }
            if holder.terms.sharing_key.is_some() && *holder.terms != **terms {
                self.freed.push(address); // with other ports or another key, others may fit
            }
            self.take_out(address, service);
        }
        if let Some(key) = terms.sharing_key.as_ref().filter(|_| firm) {
            self.shared.entry(key.clone()).or_default().insert(address);
        }
        // Hardly ever more than one.
        let one = || Vec::with_capacity(1);
        let holders = self.holders.entry(address).or_insert_with(one);
        if holders.is_empty() {
            self.pools.occupy(address);
        }
        holders.push(Holder {
            service: service.clone(),
            terms: Arc::clone(terms),
            firm,
        });
    }

    fn holder(&self, address: IpAddr, service: &ServiceKey) -> Option<&Holder> {
        let holders = self.holders.get(&address)?;
        holders.iter().find(|holder| holder.service == *service)
    }

    /// Ends the Service's hold, firm or trailing, if it has one.
    pub fn release(&mut self, address: IpAddr, service: &ServiceKey) {
        if self.take_out(address, service) {
            self.freed.push(address);
        }
    }

    /// Addresses that a holder left, or holds on other terms, since the last
    /// call. Others may still hold them.
    pub fn take_freed(&mut self) -> Vec<IpAddr> {
        std::mem::take(&mut self.freed)
    }

    fn take_out(&mut self, address: IpAddr, service: &ServiceKey) -> bool {
        let Some(holders) = self.holders.get_mut(&address) else {
            return false;
        };
        let Some(at) = holders.iter().position(|h| h.service == *service) else {
            return false;
        };
        let gone = holders.remove(at);
        if let Some(key) = &gone.terms.sharing_key {
            let shared_still = holders
                .iter()
                .any(|h| h.firm && h.terms.sharing_key.as_ref() == Some(key));
            if !shared_still && let Some(addresses) = self.shared.get_mut(key) {
                addresses.remove(&address);
                if addresses.is_empty() {
                    self.shared.remove(key);
                }
            }
        }
        if holders.is_empty() {
            self.holders.remove(&address);
            self.pools.vacate(address);
        }
        true
    }
}
