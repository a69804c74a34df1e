//! Which addresses a Service should have now: those it has, where they still
//! fit; else others; else those it has, as long as they harm nobody.
//!
//! Traffic that works is not broken to say no. A Service that asks for an
//! address it cannot have keeps the one it has and is told why; only an
//! address that others now share on terms it does not meet, or of a family that
//! it no longer has, is taken away without another in its place.

use std::net::IpAddr;
use std::sync::Arc;

use crate::alloc::{Allocator, Refusal, Terms, Want};
use crate::bgp::types::Family;
use crate::facts::{FamilyPolicy, ServiceFact};
use crate::lb::ask;

use super::entry::Held;
use super::waiting::Need;

/// What was decided.
#[derive(Debug, Default)]
pub(super) struct Choice {
    /// In the order of the Service's families.
    pub addresses: Vec<IpAddr>,
    /// Why it is not as asked.
    pub refusal: Option<Refusal>,
    /// What could change that.
    pub needs: Vec<Need>,
}

/// What the Service has when the decision is made.
pub(super) struct Present<'a> {
    pub held: &'a [Held],
    /// Lost, but its status still shows them.
    pub trailing: &'a [IpAddr],
    /// The status has shown it: there may be traffic to it.
    pub shown: bool,
    /// An address that its pool lost is to be replaced.
    pub moving: bool,
}

/// Decides.
pub(super) fn choose(
    allocator: &mut Allocator,
    fact: &ServiceFact,
    terms: &Terms,
    present: &Present<'_>,
) -> Choice {
    let sits = |allocator: &Allocator, held: &Held| {
        fact.families.contains(&Family::of(held.address))
            && allocator
                .blocker(held.address, &fact.key, terms, false)
                .is_none()
    };
    let keep = |allocator: &Allocator, refusal: Refusal, needs: Vec<Need>| Choice {
        addresses: in_order(
            present
                .held
                .iter()
                .filter(|h| present.shown && sits(allocator, h)),
            &fact.families,
        ),
        refusal: Some(refusal),
        needs,
    };
    let want = match ask::want(fact) {
        Ok(want) => want,
        Err(refusal) => return keep(allocator, refusal, Vec::new()),
    };
    // Where the configuration took the range from the asked pool, nobody is evicted.
    let pool_fits = |allocator: &Allocator, held: &Held| match &want.pool {
        Some(name) => {
            let pool = allocator.pool_of(held.address);
            *held.pool == **name || pool.is_some_and(|pool| *pool.name == **name)
        }
        None => true,
    };
    let fits = |held: &&Held| {
        want.families.contains(&Family::of(held.address))
            && sits(allocator, held)
            && (want.addresses.is_empty() || want.addresses.contains(&held.address))
            && pool_fits(allocator, held)
            && !(present.moving && held.is_orphan(allocator))
    };
    let mut kept: Vec<Held> = present.held.iter().filter(fits).cloned().collect();
    if want.addresses.is_empty() {
        regain(allocator, fact, terms, &want, present.trailing, &mut kept);
    }
    let enough = match want.addresses.len() {
        0 => kept.len() == want.families.len() && !kept.is_empty(),
        asked => kept.len() == asked,
    };
    if enough {
        return settled(in_order(&kept, &want.families), Vec::new());
    }
    if let ([one], true) = (kept.as_slice(), want.addresses.is_empty()) {
        let mut families = want.families.iter().copied();
        let missing = families.find(|family| *family != Family::of(one.address));
        if let Some(family) = missing {
            let second = (!one.is_orphan(allocator))
                .then(|| allocator.find_second(&one.pool, family, &fact.key, terms))
                .flatten();
            if let Some(second) = second {
                let mut both = vec![one.address, second];
                sort(&mut both, &want.families);
                return settled(both, Vec::new());
            }
            if want.policy == FamilyPolicy::PreferDualStack {
                let need = Need::Pool {
                    name: (*one.pool).into(),
                    family,
                    sharer: terms.sharing_key.is_some(),
                };
                return settled(vec![one.address], vec![need]);
            }
        }
    }
    match allocator.find(&fact.key, terms, &want) {
        Ok(addresses) => {
            let needs = half(allocator, &want, terms, &addresses);
            settled(addresses, needs)
        }
        Err(refusal) => {
            let needs = Need::after(&refusal, &want, terms);
            keep(allocator, refusal, needs)
        }
    }
}

/// Back to what the status still shows, rather than on to a third address.
fn regain(
    allocator: &Allocator,
    fact: &ServiceFact,
    terms: &Terms,
    want: &Want,
    trailing: &[IpAddr],
    kept: &mut Vec<Held>,
) {
    for &address in trailing {
        let family = Family::of(address);
        let missing = kept.iter().all(|held| Family::of(held.address) != family);
        let Some(pool) = allocator.pool_of(address) else {
            continue;
        };
        let may_give = match &want.pool {
            Some(name) => **name == *pool.name,
            None => pool.auto_assign,
        };
        if missing
            && may_give
            && want.families.contains(&family)
            && kept.iter().all(|held| held.pool == pool.name)
            && allocator.blocker(address, &fact.key, terms, true).is_none()
        {
            kept.push(Held {
                address,
                pool: Arc::clone(&pool.name),
            });
        }
    }
}

/// With PreferDualStack and one address by luck of the pool, the other may come later.
fn half(allocator: &Allocator, want: &Want, terms: &Terms, got: &[IpAddr]) -> Vec<Need> {
    let [one] = got else { return Vec::new() };
    if !want.addresses.is_empty() {
        return Vec::new();
    }
    let Some(pool) = allocator.pool_of(*one) else {
        return Vec::new();
    };
    let missing = want.families.iter().filter(|f| **f != Family::of(*one));
    missing
        .map(|&family| Need::Pool {
            name: (*pool.name).into(),
            family,
            sharer: terms.sharing_key.is_some(),
        })
        .collect()
}

fn settled(addresses: Vec<IpAddr>, needs: Vec<Need>) -> Choice {
    Choice {
        addresses,
        refusal: None,
        needs,
    }
}

fn in_order<'a>(held: impl IntoIterator<Item = &'a Held>, families: &[Family]) -> Vec<IpAddr> {
    let mut addresses: Vec<IpAddr> = held.into_iter().map(|held| held.address).collect();
    sort(&mut addresses, families);
    addresses
}

fn sort(addresses: &mut [IpAddr], families: &[Family]) {
    addresses.sort_by_key(|a| families.iter().position(|f| *f == Family::of(*a)));
}
