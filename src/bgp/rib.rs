//! What one peer should have from us, and what it has (Adj-RIB-Out, RFC 4271 §3.2).
//!
//! ```text
//!   want ----> wanted --+
//!                       +-- due: where they differ --> take --> UPDATEs
//!   take -> advertised -+
//! ```
//!
//! There is no queue. A newer wish replaces an older one in place, so a slow peer
//! piles nothing up, and a wish that is taken back in time is never sent. There
//! is no Loc-RIB either: nothing that a peer sends comes here.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::types::{Attributes, Family, Prefix};

#[cfg(test)]
mod tests;

/// One prefix. An entry without any route is not kept.
#[derive(Debug, Default)]
struct Entry {
    wanted: Option<Arc<Attributes>>,
    advertised: Option<Arc<Attributes>>,
    /// The peer asked for it again, whatever it has.
    again: bool,
}

impl Entry {
    fn in_sync(&self) -> bool {
        !self.again && same(self.wanted.as_ref(), self.advertised.as_ref())
    }
}

/// What to send now, in the order of prefixes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// Each prefix once; `None` withdraws it.
    pub routes: Vec<(Prefix, Option<Arc<Attributes>>)>,
    /// Families whose first table is complete with `routes` (RFC 4724 §2). Send
    /// the markers behind them.
    pub end_of_rib: Vec<Family>,
}

impl Batch {
    /// There is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.routes.is_empty() && self.end_of_rib.is_empty()
    }
}

/// Wanted against advertised, of one peer.
#[derive(Debug, Default)]
pub struct Rib {
    entries: BTreeMap<Prefix, Entry>,
    /// Prefixes of the session's families that are not in sync.
    due: BTreeSet<Prefix>,
    /// The families of the session that stands; empty without one.
    families: BTreeSet<Family>,
    /// Families whose End-of-RIB is still to come.
    end_of_rib: BTreeSet<Family>,
    /// Families asked for again since a route was last taken: a peer that asks
    /// a thousand times in one breath costs one walk.
    asked_again: BTreeSet<Family>,
    /// Every list is in.
    opened: bool,
    wanted: usize,
    advertised: usize,
}

impl Rib {
    /// Empty, and closed until [`Self::open`].
    pub fn new() -> Self {
        Self::default()
    }

    /// The peer should have `prefix` with these attributes, or not at all. Says
    /// whether this is news.
    pub fn want(&mut self, prefix: Prefix, attributes: Option<Arc<Attributes>>) -> bool {
        let in_session = self.families.contains(&Family::of_prefix(&prefix));
        let entry = match (self.entries.get_mut(&prefix), &attributes) {
            (Some(entry), _) => entry,
            (None, None) => return false,
            (None, Some(_)) => self.entries.entry(prefix).or_default(),
        };
        if same(entry.wanted.as_ref(), attributes.as_ref()) {
            return false;
        }
        self.wanted -= usize::from(entry.wanted.is_some());
        self.wanted += usize::from(attributes.is_some());
        entry.wanted = attributes;
        if entry.in_sync() || !in_session {
            self.due.remove(&prefix);
        } else {
            self.due.insert(prefix);
        }
        if entry.wanted.is_none() && entry.advertised.is_none() {
            self.entries.remove(&prefix);
            self.due.remove(&prefix);
        }
        true
    }

    /// Every list is in: what is wanted is all there is to want, so it may go. A
    /// table sent earlier would withdraw what a restart has only not read yet.
    pub fn open(&mut self) {
        self.opened = true;
    }

    /// A session stands, and the peer has nothing yet.
    pub fn session_up(&mut self, families: &BTreeSet<Family>) {
        self.session_down();
        self.families.clone_from(families);
        self.end_of_rib.clone_from(families);
        let prefixes = self.entries.keys().copied();
        self.due = prefixes
            .filter(|prefix| families.contains(&Family::of_prefix(prefix)))
            .collect();
    }

    /// The session is over, and with it all that the peer had.
    pub fn session_down(&mut self) {
        self.families.clear();
        self.end_of_rib.clear();
        self.asked_again.clear();
        self.due.clear();
        self.advertised = 0;
        self.entries.retain(|_, entry| {
            entry.advertised = None;
            entry.again = false;
            entry.wanted.is_some()
        });
    }

    /// The peer asks for all routes of `family` again (RFC 2918 §4).
    pub fn refresh(&mut self, family: Family) {
        if !self.families.contains(&family) || !self.asked_again.insert(family) {
            return;
        }
        for (prefix, entry) in &mut self.entries {
            // What it never had is due anyway.
            if Family::of_prefix(prefix) == family && entry.advertised.is_some() {
                entry.again = true;
                self.due.insert(*prefix);
            }
        }
    }

    /// Takes at most `limit` routes that are to be sent, and counts them as advertised.
    pub fn take(&mut self, limit: usize) -> Batch {
        let mut batch = Batch::default();
        if !self.opened {
            return batch;
        }
        batch.routes.reserve_exact(limit.min(self.due.len()));
        while batch.routes.len() < limit
            && let Some(prefix) = self.due.pop_first()
        {
            let Some(entry) = self.entries.get_mut(&prefix) else {
                continue;
            };
            self.advertised -= usize::from(entry.advertised.is_some());
            self.advertised += usize::from(entry.wanted.is_some());
            entry.again = false;
            entry.advertised.clone_from(&entry.wanted);
            batch.routes.push((prefix, entry.wanted.clone()));
            if entry.wanted.is_none() {
                self.entries.remove(&prefix);
            }
        }
        if !batch.routes.is_empty() {
            self.asked_again.clear();
        }
        self.end_of_rib.retain(|family| {
            let complete = !is_due(&self.due, *family);
            if complete {
                batch.end_of_rib.push(*family);
            }
            !complete
        });
        batch
    }

    /// Whether [`Self::take`] would give something.
    pub fn due(&self) -> bool {
        // A marker waits only for due routes of its family.
        self.opened && !(self.due.is_empty() && self.end_of_rib.is_empty())
    }

    /// How many prefixes the peer should have.
    pub fn wanted_len(&self) -> usize {
        self.wanted
    }

    /// How many prefixes the peer has.
    pub fn advertised_len(&self) -> usize {
        self.advertised
    }

    /// How many prefixes are to be sent.
    pub fn due_len(&self) -> usize {
        self.due.len()
    }

    /// What the peer has, in the order of prefixes.
    pub fn advertised(&self) -> impl Iterator<Item = (&Prefix, &Arc<Attributes>)> {
        let entries = self.entries.iter();
        entries.filter_map(|(prefix, entry)| Some((prefix, entry.advertised.as_ref()?)))
    }
}

/// IPv4 sorts before IPv6, so the ends of `due` tell.
fn is_due(due: &BTreeSet<Prefix>, family: Family) -> bool {
    let end = match family {
        Family::Ipv4 => due.first(),
        Family::Ipv6 => due.last(),
    };
    end.is_some_and(|prefix| Family::of_prefix(prefix) == family)
}

/// Equal attributes are nearly always one allocation.
fn same(one: Option<&Arc<Attributes>>, other: Option<&Arc<Attributes>>) -> bool {
    match (one, other) {
        (None, None) => true,
        (Some(one), Some(other)) => Arc::ptr_eq(one, other) || one == other,
        _ => false,
    }
}
