//! Deciding for one Service: is it ours, what does it claim, what should it
//! have.

use std::net::IpAddr;
use std::sync::Arc;

use crate::alloc::{Allocator, Terms};
use crate::bgp::types::{Attributes, Family, Prefix};
use crate::config::{Config, OnRemovedPool};
use crate::facts::ServiceKey;
use crate::lb::event::{Event, EventKind};
use crate::lb::orphan;

use super::choose::{Choice, Present, choose};
use super::entry::{Entry, Held, ORPHANED, Standing};
use super::tell::{tell, tell_layer2, tell_refusal, tell_unwritten};
use super::{Decider, Settings};

/// Stands for the pool of an orphan when nothing tells its name.
const UNKNOWN_POOL: &str = "unknown";

impl Decider {
    /// Reserves what a Service's status shows, without deciding more.
    pub(super) fn claim(&mut self, key: &ServiceKey, former: Option<&Config>) {
        let Some(entry) = self.services.get_mut(key) else {
            return;
        };
        entry.standing = standing(entry, &self.settings, &self.allocator);
        if entry.standing == Standing::Ours {
            adopt(entry, &self.allocator, former, &mut self.events);
        }
        occupy(entry, &mut self.allocator);
    }

    /// Decides anew. `former`: the configuration before, when that is what changed.
    pub(super) fn settle(&mut self, key: &ServiceKey, former: Option<&Config>) {
        let Some(entry) = self.services.get_mut(key) else {
            return;
        };
        let order = entry.order();
        self.waiting.remove(&entry.needs, &order);
        entry.needs.clear();
        let terms = Terms::of(&entry.fact);
        if terms != *entry.terms {
            entry.terms = Arc::new(terms);
        }
        entry.standing = standing(entry, &self.settings, &self.allocator);
        if entry.standing == Standing::Ours {
            if adopt(entry, &self.allocator, former, &mut self.events) {
                occupy(entry, &mut self.allocator);
            }
            rehome(entry, &self.allocator);
            if entry.fact.deleting {
                // It keeps what its users know of until it is gone; nothing is asked any more.
                entry.refusal = None;
                if !entry.trusted {
                    entry.held.clear();
                }
            } else {
                let annotated = entry.fact.asks.reassign.as_deref() == Some("true");
                let moving = annotated || self.config.on_removed_pool == OnRemovedPool::Reassign;
                entry.obeyed &= annotated;
                let choice = choose(
                    &mut self.allocator,
                    &entry.fact,
                    &entry.terms,
                    &Present {
                        held: &entry.held,
                        trailing: &entry.trailing(),
                        shown: entry.trusted,
                        moving,
                    },
                );
                accept(entry, choice, &self.allocator, annotated, &mut self.events);
            }
            mark_orphans(entry, &self.allocator, former, &mut self.events);
            tell_layer2(entry, &self.allocator, &mut self.events);
        } else {
            entry.held.clear();
            entry.refusal = None;
            entry.orphan_text = None;
            entry.trusted = false;
            tell_unwritten(entry, &self.allocator, &mut self.events);
        }
        occupy(entry, &mut self.allocator);
        self.waiting.add(&entry.needs, &order);
        self.dirty.insert(order);
    }
}

fn standing(entry: &Entry, settings: &Settings, allocator: &Allocator) -> Standing {
    let fact = &entry.fact;
    let outside = |ip: Option<IpAddr>| ip.is_none_or(|ip| allocator.pool_of(ip).is_none());
    if !fact.load_balancer {
        Standing::NotLoadBalancer
    } else if fact.class != settings.lb_class {
        Standing::OtherClass
    } else if !entry.is_marked_ours() && fact.ingress.iter().any(|entry| outside(entry.ip)) {
        Standing::ForeignStatus
    } else {
        Standing::Ours
    }
}

/// Takes over what the status shows, unless memory knows better. Whether it did.
fn adopt(
    entry: &mut Entry,
    allocator: &Allocator,
    former: Option<&Config>,
    events: &mut Vec<Event>,
) -> bool {
    let shown = entry.shown();
    let trusted = std::mem::replace(&mut entry.trusted, !shown.is_empty());
    if trusted || shown.is_empty() {
        return false;
    }
    let mut claims: Vec<Held> = Vec::with_capacity(2);
    for address in shown {
        let family = Family::of(address);
        if claims.iter().any(|held| Family::of(held.address) == family) {
            continue; // at most one of each family is a Service's
        }
        match allocator.blocker(address, &entry.fact.key, &entry.terms, false) {
            None => claims.push(Held {
                address,
                pool: origin_of(entry, address, allocator, former),
            }),
            Some(blocker) => {
                let note = format!(
                    "{address} is held by Service {}, which had it first: {}",
                    blocker.service, blocker.rule
                );
                tell(entry, EventKind::Warning, "ClearAssignment", note, events);
            }
        }
    }
    let any = !claims.is_empty();
    if any {
        let families = &entry.fact.families;
        claims.sort_by_key(|h| families.iter().position(|f| *f == Family::of(h.address)));
        entry.held = claims;
    }
    any
}

/// The name of the pool that a claimed address came from.
fn origin_of(
    entry: &Entry,
    address: IpAddr,
    allocator: &Allocator,
    former: Option<&Config>,
) -> Arc<str> {
    if let Some(condition) = entry.fact.condition.as_ref().filter(|c| c.status) {
        return Arc::from(&*condition.message);
    }
    let before = former.and_then(|config| config.pool_of(address));
    match allocator.pool_of(address).or(before) {
        Some(pool) => Arc::clone(&pool.name),
        None => UNKNOWN_POOL.into(),
    }
}

/// An address is of the pool that has it now. But where the Service asks for
/// the pool that it came from, it stays of that one, as an orphan: the
/// configuration moved the range, the user's wish is as it was.
fn rehome(entry: &mut Entry, allocator: &Allocator) {
    let asked = entry.fact.asks.pool.as_deref();
    for held in &mut entry.held {
        if let Some(pool) = allocator.pool_of(held.address)
            && asked != Some(&*held.pool)
        {
            held.pool = Arc::clone(&pool.name);
        }
    }
}

/// Makes the choice the Service's, and tells what changed by it.
fn accept(
    entry: &mut Entry,
    choice: Choice,
    allocator: &Allocator,
    annotated: bool,
    events: &mut Vec<Event>,
) {
    let before = std::mem::take(&mut entry.held);
    let had = |address: &IpAddr| before.iter().find(|held| held.address == *address);
    let gained: Vec<IpAddr> = choice
        .addresses
        .iter()
        .copied()
        .filter(|address| had(address).is_none())
        .collect();
    let after = choice.addresses.iter().map(|address| match had(address) {
        Some(held) => held.clone(),
        None => Held {
            address: *address,
            pool: match allocator.pool_of(*address) {
                Some(pool) => Arc::clone(&pool.name),
                None => UNKNOWN_POOL.into(),
            },
        },
    });
    entry.held = after.collect();
    for held in &before {
        if choice.addresses.contains(&held.address) {
            continue;
        }
        entry.obeyed |= annotated && held.is_orphan(allocator);
        let note = format!(
            "{} is given up: {}",
            held.address,
            why_lost(entry, held, allocator)
        );
        tell(entry, EventKind::Normal, "ClearAssignment", note, events);
    }
    if let (Some(pool), false) = (entry.held.first().map(|h| &h.pool), gained.is_empty()) {
        let list: Vec<_> = gained.iter().map(|a| format!("\"{a}\"")).collect();
        let note = format!("Assigned IP [{}] from pool {pool:?}", list.join(" "));
        tell(entry, EventKind::Normal, "IPAllocated", note, events);
    }
    entry.refusal = choice.refusal;
    entry.needs = choice.needs;
    tell_refusal(entry, events);
}

fn why_lost(entry: &Entry, held: &Held, allocator: &Allocator) -> String {
    let family = Family::of(held.address);
    if !entry.fact.families.contains(&family) {
        return format!("spec.ipFamilies has no {family} any more");
    }
    let blocker = allocator.blocker(held.address, &entry.fact.key, &entry.terms, false);
    if let Some(blocker) = blocker {
        return format!(
            "it is shared with Service {}, and no longer may be: {}",
            blocker.service, blocker.rule
        );
    }
    if held.is_orphan(allocator) {
        return format!(
            "pool {:?} does not have it any more, and it is to be replaced",
            held.pool
        );
    }
    "the Service asks for another".into()
}

/// Notes for the speakers how orphans were announced, and tells the user.
fn mark_orphans(
    entry: &mut Entry,
    allocator: &Allocator,
    former: Option<&Config>,
    events: &mut Vec<Event>,
) {
    let orphan = |held: &&Held| held.is_orphan(allocator);
    let orphans: Vec<Held> = entry.held.iter().filter(orphan).cloned().collect();
    let condition = entry.fact.condition.as_ref();
    let said = condition.is_some_and(|c| c.status && &*c.reason == ORPHANED);
    let was = entry.orphaned.unwrap_or(said);
    entry.orphaned = Some(!orphans.is_empty());
    entry.orphan_text = orphan_text(entry, &orphans, former);
    if let (Some(first), false) = (orphans.first(), was) {
        let note = format!(
            "{} is in use, but pool {:?} does not have it any more; the Service keeps it and its announcement; annotation loods.io/reassign: \"true\" on the Service replaces it",
            first.address, first.pool
        );
        tell(entry, EventKind::Warning, "AddressOrphaned", note, events);
    } else if let (Some(held), true, true) = (entry.held.first(), orphans.is_empty(), was) {
        let note = format!("{} is in pool {:?} again", held.address, held.pool);
        tell(entry, EventKind::Normal, "AddressInPool", note, events);
    }
}

/// The text of annotation `loods.io/orphan-attributes`. For each orphan: what
/// the annotation says already, else what the former configuration says.
fn orphan_text(entry: &Entry, orphans: &[Held], former: Option<&Config>) -> Option<Box<str>> {
    let texts = [&entry.fact.asks.orphan_attributes, &entry.orphan_text];
    let texts = texts.map(|text| text.as_deref().and_then(orphan::parse));
    let mut known = false;
    let mut all: Vec<(Prefix, Attributes)> = Vec::new();
    for held in orphans {
        let of_held = |text: &Vec<(Prefix, Attributes)>| {
            let its = |route: &&(Prefix, Attributes)| route.0.contains(&held.address);
            let its: Vec<_> = text.iter().filter(its).cloned().collect();
            // A text without any route says that the pool announced nothing.
            (text.is_empty() || !its.is_empty()).then_some(its)
        };
        let routes = texts
            .iter()
            .flatten()
            .find_map(of_held)
            .or_else(|| orphan::routes(former?, held.address));
        if let Some(routes) = routes {
            known = true;
            all.extend(routes);
        }
    }
    all.sort();
    all.dedup();
    known.then(|| orphan::encode(&all).into())
}

/// Tells the allocator all that the Service holds, or may still be seen with.
fn occupy(entry: &mut Entry, allocator: &mut Allocator) {
    let mut occupied: Vec<IpAddr> = entry.held.iter().map(|held| held.address).collect();
    let firm = occupied.len();
    for address in entry
        .shown()
        .into_iter()
        .chain(entry.flying.iter().copied())
    {
        if !occupied.contains(&address) {
            occupied.push(address);
        }
    }
    for address in &entry.occupied {
        if !occupied.contains(address) {
            allocator.release(*address, &entry.fact.key);
        }
    }
    for (at, address) in occupied.iter().enumerate() {
        if at < firm {
            allocator.hold(*address, &entry.fact.key, &entry.terms);
        } else {
            allocator.trail(*address, &entry.fact.key, &entry.terms);
        }
    }
    entry.occupied = occupied;
}
