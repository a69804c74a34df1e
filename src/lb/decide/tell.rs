//! What the user is told of one Service, and what was told already.

use std::net::IpAddr;
use std::sync::Arc;

use crate::alloc::Allocator;
use crate::lb::event::{Event, EventKind};

use super::entry::{Entry, Held, LAYER2, ORPHANED, Standing};

/// A refusal is told once: until its word or its summary changes.
pub(super) fn tell_refusal(entry: &mut Entry, events: &mut Vec<Event>) {
    let Some(refusal) = &entry.refusal else {
        entry.told = None;
        return;
    };
    let telling = Some((refusal.word().into(), refusal.summary().into()));
    if entry.told == telling {
        return;
    }
    let mut note = format!("{}: {refusal}", refusal.word());
    for (at, held) in entry.held.iter().enumerate() {
        let lead = if at == 0 { "; it keeps" } else { " and" };
        note.push_str(&format!("{lead} {}", held.address));
    }
    entry.told = telling;
    tell(entry, EventKind::Warning, "AllocationFailed", note, events);
}

/// Tells, once for each pool, that nobody announces what a layer 2 pool gives
/// out. The condition's reason remembers it. Where that says something else of
/// addresses that are in use, they were told of when they were given out.
pub(super) fn tell_layer2(entry: &mut Entry, allocator: &Allocator, events: &mut Vec<Event>) {
    let pool = entry
        .layer2_pool(allocator)
        .map(|pool| Arc::clone(&pool.name));
    let told = match (entry.told_layer2.take(), &entry.fact.condition) {
        (Some(told), _) => told,
        (None, Some(c)) if c.status && &*c.reason == LAYER2 => Some(Arc::from(&*c.message)),
        (None, Some(c)) if !c.status || &*c.reason == ORPHANED => {
            let shown = entry.shown();
            let of = |ip: &IpAddr| allocator.pool_of(*ip).map(|of| &of.name);
            pool.clone()
                .filter(|pool| shown.iter().any(|ip| of(ip) == Some(pool)))
        }
        (None, _) => None,
    };
    if let Some(name) = pool.as_ref().filter(|_| told != pool) {
        let of = |held: &&Held| {
            allocator
                .pool_of(held.address)
                .is_some_and(|of| of.name == *name)
        };
        let addresses: Vec<_> = entry
            .held
            .iter()
            .filter(of)
            .map(|held| held.address.to_string())
            .collect();
        let note = format!(
            "{LAYER2}: {} not announced: pool {name:?} has protocol layer2, and Loods announces by BGP only; set protocol: bgp in the pool",
            match &addresses[..] {
                [one] => format!("{one} is"),
                more => format!("{} are", more.join(" and ")),
            }
        );
        tell(entry, EventKind::Warning, "NotAnnounced", note, events);
    }
    entry.told_layer2 = Some(pool);
}

/// Tells, once, that a Service is left alone although it looks as if it were ours.
pub(super) fn tell_unwritten(entry: &mut Entry, allocator: &Allocator, events: &mut Vec<Event>) {
    if entry.told_foreign {
        return;
    }
    let note = match entry.standing {
        Standing::ForeignStatus => {
            "foreignStatus: its status has addresses that no pool has and that Loods did not write; Loods leaves the Service alone; clear the status, or add the addresses to a pool".to_string()
        }
        Standing::OtherClass if in_our_hands(entry, allocator) => {
            "otherClass: its status has addresses of our pools, but spec.loadBalancerClass is not the class that Loods serves (--lb-class); Loods leaves the Service alone".to_string()
        }
        _ => return,
    };
    entry.told_foreign = true;
    tell(entry, EventKind::Warning, "AllocationFailed", note, events);
}

fn in_our_hands(entry: &Entry, allocator: &Allocator) -> bool {
    let shown = entry.shown();
    let mut shown = shown.iter();
    entry.fact.condition.is_some() || shown.any(|ip| allocator.pool_of(*ip).is_some())
}

pub(super) fn tell(
    entry: &Entry,
    kind: EventKind,
    reason: &'static str,
    note: String,
    events: &mut Vec<Event>,
) {
    events.push(Event {
        service: entry.fact.key.clone(),
        uid: entry.fact.uid.clone(),
        kind,
        reason,
        note,
    });
}
