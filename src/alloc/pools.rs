//! Pools as sets of intervals: which addresses nobody holds.
//!
//! A range of the config is never expanded. What is free in it is a set of
//! intervals; a fresh pool is one interval however large it is, and each held
//! address cuts one in two.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::RangeInclusive;
use std::sync::Arc;

use rangemap::RangeInclusiveSet;

use crate::bgp::types::Family;
use crate::config::Pool;

use super::{Fullness, Usage};

#[derive(Debug)]
pub(super) struct Pools {
    spaces: Vec<Space>,
    /// First address of a range -> its last, position of the pool and of the range.
    places: BTreeMap<IpAddr, (IpAddr, usize, usize)>,
    names: BTreeMap<Arc<str>, usize>,
}

#[derive(Debug)]
struct Space {
    pool: Arc<Pool>,
    /// For each range as listed: held by nobody. An address that
    /// avoid-buggy-ips skips is taken out when a search first meets it.
    free: Vec<RangeInclusiveSet<u128>>,
    in_use: BTreeMap<Family, u128>,
    total: BTreeMap<Family, u128>,
}

impl Pools {
    pub fn new(pools: &[Arc<Pool>]) -> Self {
        let spaces: Vec<_> = pools.iter().map(Space::new).collect();
        let mut places = BTreeMap::new();
        for (at, space) in spaces.iter().enumerate() {
            for (index, range) in space.pool.ranges.iter().enumerate() {
                places.insert(*range.bounds.start(), (*range.bounds.end(), at, index));
            }
        }
        let names = spaces
            .iter()
            .enumerate()
            .map(|(at, space)| (Arc::clone(&space.pool.name), at))
            .collect();
        Self {
            spaces,
            places,
            names,
        }
    }

    /// Positions of the pool and the range that have this address.
    fn place(&self, address: IpAddr) -> Option<(usize, usize)> {
        let (_, &(last, pool, range)) = self.places.range(..=address).next_back()?;
        (address <= last).then_some((pool, range))
    }

    pub fn of(&self, address: IpAddr) -> Option<&Arc<Pool>> {
        self.place(address).map(|(pool, _)| &self.spaces[pool].pool)
    }

    pub fn position(&self, name: &str) -> Option<usize> {
        self.names.get(name).copied()
    }

    pub fn named(&self, name: &str) -> Option<&Arc<Pool>> {
        self.position(name).map(|at| &self.spaces[at].pool)
    }

    pub fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.spaces.iter().map(|space| &space.pool.name)
    }

    pub fn name(&self, pool: usize) -> Arc<str> {
        Arc::clone(&self.spaces[pool].pool.name)
    }

    pub fn name_list(&self, pools: &[usize]) -> Vec<Arc<str>> {
        pools.iter().map(|&pool| self.name(pool)).collect()
    }

    /// Pools with auto-assign, in order.
    pub fn automatic(&self) -> Vec<usize> {
        (0..self.spaces.len())
            .filter(|&at| self.spaces[at].pool.auto_assign)
            .collect()
    }

    pub fn ranges(&self, pool: usize) -> usize {
        self.spaces[pool].free.len()
    }

    /// The bounds of a range, if it is of this family.
    pub fn bounds(
        &self,
        pool: usize,
        range: usize,
        family: Family,
    ) -> Option<RangeInclusive<IpAddr>> {
        let bounds = &self.spaces[pool].pool.ranges[range].bounds;
        (Family::of(*bounds.start()) == family).then(|| bounds.clone())
    }

    pub fn has_family(&self, pool: usize, family: Family) -> bool {
        self.spaces[pool].total.contains_key(&family)
    }

    /// Whether the pool gives this address of its ranges without being asked for it.
    pub fn gives_out(&self, pool: usize, address: IpAddr) -> bool {
        !(self.spaces[pool].pool.avoid_buggy_ips && is_buggy(address))
    }

    /// The lowest address of a range that nobody holds.
    pub fn lowest_free(&mut self, pool: usize, range: usize) -> Option<IpAddr> {
        let space = &mut self.spaces[pool];
        let family = Family::of(*space.pool.ranges[range].bounds.start());
        loop {
            let lowest = *space.free[range].first()?.start();
            let address = address(family, lowest);
            if !(space.pool.avoid_buggy_ips && is_buggy(address)) {
                return Some(address);
            }
            space.free[range].remove(lowest..=lowest);
        }
    }

    /// The address got its first holder.
    pub fn occupy(&mut self, address: IpAddr) {
        if let Some((pool, range)) = self.place(address) {
            let space = &mut self.spaces[pool];
            let at = number(address);
            space.free[range].remove(at..=at);
            *space.in_use.entry(Family::of(address)).or_default() += 1;
        }
    }

    /// The address lost its last holder.
    pub fn vacate(&mut self, address: IpAddr) {
        if let Some((pool, range)) = self.place(address) {
            let space = &mut self.spaces[pool];
            let at = number(address);
            space.free[range].insert(at..=at);
            let in_use = space.in_use.entry(Family::of(address)).or_default();
            *in_use = in_use.saturating_sub(1);
        }
    }

    pub fn fullness(&self, pool: usize, family: Family) -> Fullness {
        let space = &self.spaces[pool];
        Fullness {
            family,
            in_use: space.in_use.get(&family).copied().unwrap_or(0),
            total: space.total.get(&family).copied().unwrap_or(0),
        }
    }

    pub fn usage(&self) -> impl Iterator<Item = Usage> + '_ {
        (0..self.spaces.len()).map(|pool| Usage {
            name: self.name(pool),
            ipv4: self.fullness(pool, Family::Ipv4),
            ipv6: self.fullness(pool, Family::Ipv6),
        })
    }
}

impl Space {
    fn new(pool: &Arc<Pool>) -> Self {
        let mut free = Vec::with_capacity(pool.ranges.len());
        let mut total = BTreeMap::<Family, u128>::new();
        for range in &pool.ranges {
            let (first, last) = (*range.bounds.start(), *range.bounds.end());
            let mut set = RangeInclusiveSet::new();
            set.insert(number(first)..=number(last));
            free.push(set);
            let mut size = range.size();
            if let (true, IpAddr::V4(first), IpAddr::V4(last)) = (pool.avoid_buggy_ips, first, last)
            {
                size -= buggy_between(first, last);
            }
            let sum = total.entry(Family::of(first)).or_default();
            *sum = sum.saturating_add(size);
        }
        Self {
            pool: Arc::clone(pool),
            free,
            in_use: BTreeMap::new(),
            total,
        }
    }
}

/// Some old networks drop traffic to IPv4 addresses that end so.
fn is_buggy(address: IpAddr) -> bool {
    matches!(address, IpAddr::V4(v4) if matches!(v4.octets()[3], 0 | 255))
}

/// How many addresses of a range [`is_buggy`] says yes to.
fn buggy_between(first: Ipv4Addr, last: Ipv4Addr) -> u128 {
    // Of 0..n, ceil(n/256) end in 0 and floor(n/256) in 255.
    let below = |n: u64| n.div_ceil(256) + n / 256;
    u128::from(below(u64::from(last.to_bits()) + 1) - below(u64::from(first.to_bits())))
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_bits().into(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

/// The inverse of [`number`].
fn address(family: Family, number: u128) -> IpAddr {
    match family {
        Family::Ipv4 => {
            let bits = u32::try_from(number).expect("came from an IPv4 address");
            Ipv4Addr::from_bits(bits).into()
        }
        Family::Ipv6 => Ipv6Addr::from_bits(number).into(),
    }
}
