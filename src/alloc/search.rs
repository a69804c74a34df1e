//! The one question: which addresses may a Service have, or why none.

use std::net::IpAddr;
use std::sync::Arc;

use super::{Allocator, Refusal, Terms, Want};
use crate::bgp::types::Family;
use crate::facts::{FamilyPolicy, ServiceKey};

impl Allocator {
    /// The addresses that the Service may have, in the order of its families,
    /// or why it gets none. What it holds itself does not stand in its way.
    /// Nothing is held by asking.
    pub fn find(
        &mut self,
        service: &ServiceKey,
        terms: &Terms,
        want: &Want,
    ) -> Result<Vec<IpAddr>, Refusal> {
        let Some(&primary) = want.families.first() else {
            return Err(Refusal::NoFamily);
        };
        if want.policy == FamilyPolicy::RequireDualStack && want.families.len() < 2 {
            return Err(Refusal::OneFamilyOnly { has: primary });
        }
        if !want.addresses.is_empty() {
            return self.check_asked(service, terms, want);
        }
        let candidates = self.candidates(want)?;
        if want.families.len() > 1 {
            for &pool in &candidates {
                let both = self.lowest_of_each(pool, &want.families, service, terms);
                if both.len() == want.families.len() {
                    return Ok(both);
                }
            }
        }
        if want.policy != FamilyPolicy::RequireDualStack {
            for &pool in &candidates {
                let single = self.lowest_of_each(pool, &[primary], service, terms);
                if !single.is_empty() {
                    return Ok(single);
                }
            }
        }
        Err(self.exhausted(&candidates, want, primary))
    }

    /// One more address of this family from the named pool, for a Service that
    /// has one of the other family from there.
    pub fn find_second(
        &mut self,
        pool: &str,
        family: Family,
        service: &ServiceKey,
        terms: &Terms,
    ) -> Option<IpAddr> {
        let pool = self.pools.position(pool)?;
        self.lowest(pool, family, service, terms)
    }

    /// Which pools may serve, in order, as positions.
    fn candidates(&self, want: &Want) -> Result<Vec<usize>, Refusal> {
        match &want.pool {
            Some(name) => match self.pools.position(name) {
                Some(pool) => Ok(vec![pool]),
                None => Err(Refusal::UnknownPool {
                    name: name.clone(),
                    known: self.pools.names().cloned().collect(),
                }),
            },
            None => {
                let automatic = self.pools.automatic();
                if automatic.is_empty() {
                    return Err(Refusal::NoAutomaticPool {
                        known: self.pools.names().cloned().collect(),
                    });
                }
                Ok(automatic)
            }
        }
    }

    fn lowest_of_each(
        &mut self,
        pool: usize,
        families: &[Family],
        service: &ServiceKey,
        terms: &Terms,
    ) -> Vec<IpAddr> {
        families
            .iter()
            .map_while(|&family| self.lowest(pool, family, service, terms))
            .collect()
    }

    /// The lowest address of a pool and family that is free or may be shared,
    /// range by range as listed.
    fn lowest(
        &mut self,
        pool: usize,
        family: Family,
        service: &ServiceKey,
        terms: &Terms,
    ) -> Option<IpAddr> {
        for range in 0..self.pools.ranges(pool) {
            let Some(bounds) = self.pools.bounds(pool, range, family) else {
                continue;
            };
            let free = self.pools.lowest_free(pool, range);
            // Nobody else sees the sharers' addresses: free ones are always taken first by others.
            let sharable = terms.sharing_key.as_ref().and_then(|key| {
                let upto = free.unwrap_or(*bounds.end());
                self.shared
                    .get(key)?
                    .range(*bounds.start()..=upto)
                    .copied()
                    .filter(|address| self.pools.gives_out(pool, *address))
                    .find(|address| self.blocker(*address, service, terms, true).is_none())
            });
            if let Some(found) = sharable.or(free) {
                return Some(found);
            }
        }
        None
    }

    fn check_asked(
        &self,
        service: &ServiceKey,
        terms: &Terms,
        want: &Want,
    ) -> Result<Vec<IpAddr>, Refusal> {
        if let Some(name) = &want.pool
            && self.pools.position(name).is_none()
        {
            return Err(Refusal::UnknownPool {
                name: name.clone(),
                known: self.pools.names().cloned().collect(),
            });
        }
        let mut common: Option<(IpAddr, Arc<str>)> = None;
        for &address in &want.addresses {
            if !want.families.contains(&Family::of(address)) {
                return Err(Refusal::FamilyNotOfService {
                    address,
                    families: want.families.clone(),
                });
            }
            let Some(pool) = self.pool_of(address) else {
                return Err(Refusal::NotInPool {
                    address,
                    known: self.pools.names().cloned().collect(),
                });
            };
            if let Some(name) = &want.pool
                && **name != *pool.name
            {
                return Err(Refusal::NotInAskedPool {
                    address,
                    asked: name.clone(),
                    pool: Arc::clone(&pool.name),
                });
            }
            match &common {
                Some((first, name)) if *name != pool.name => {
                    return Err(Refusal::TwoPools {
                        first: (*first, Arc::clone(name)),
                        second: (address, Arc::clone(&pool.name)),
                    });
                }
                _ => common = Some((address, Arc::clone(&pool.name))),
            }
        }
        if want.policy == FamilyPolicy::RequireDualStack && want.addresses.len() < 2 {
            return Err(Refusal::SecondNotAsked {
                address: want.addresses[0],
            });
        }
        for &address in &want.addresses {
            if let Some(blocker) = self.blocker(address, service, terms, true) {
                let pool = self.pool_of(address).map(|pool| Arc::clone(&pool.name));
                return Err(Refusal::InUse {
                    address,
                    pool,
                    blocker,
                });
            }
        }
        let mut found = want.addresses.clone();
        found.sort_by_key(|a| want.families.iter().position(|f| *f == Family::of(*a)));
        Ok(found)
    }

    fn exhausted(&self, candidates: &[usize], want: &Want, primary: Family) -> Refusal {
        let families = match want.policy {
            FamilyPolicy::RequireDualStack => want.families.clone(),
            _ => vec![primary],
        };
        let able: Vec<usize> = candidates
            .iter()
            .copied()
            .filter(|&pool| families.iter().all(|&f| self.pools.has_family(pool, f)))
            .collect();
        if able.is_empty() {
            return Refusal::NoPoolOfFamily {
                families,
                looked_at: self.pools.name_list(candidates),
            };
        }
        let fullness = able
            .iter()
            .flat_map(|&pool| families.iter().map(move |&f| (pool, f)))
            .map(|(pool, family)| (self.pools.name(pool), self.pools.fullness(pool, family)))
            .collect();
        Refusal::Exhausted { families, fullness }
    }
}
