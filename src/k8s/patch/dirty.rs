//! Writes that wait, one per Service. Pure: time is an argument.
//!
//! The newest intent for a Service replaces the one that was not yet sent.
//! While one is on its way the next waits, since it was decided on the same
//! version and would conflict; once ours is written it moves on to the version
//! that our own write made. So this never holds more than one intent per
//! Service, and nothing is dropped for want of room.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use crate::facts::ServiceKey;
use crate::k8s::backoff::Backoff;
use crate::lb::status::StatusWrite;

/// A write and what must be known to send it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Intent {
    pub(super) write: StatusWrite,
    /// Status of our condition in the version that the write was decided on.
    pub(super) stands: Option<bool>,
    /// The term of leadership it was decided in.
    pub(super) term: u64,
}

/// How a write ended, as far as the queue cares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Landing {
    /// Taken: the Service now has this version.
    Written(Box<str>),
    /// To be tried again, not before so long.
    Retry(Duration),
    /// Never to be tried again as it is.
    Over,
}

#[derive(Debug, Default)]
pub(super) struct Dirty {
    waiting: BTreeMap<ServiceKey, Intent>,
    /// When each may be sent: one entry for each that waits and is not on its way.
    ready: BTreeSet<(Instant, ServiceKey)>,
    flying: BTreeMap<ServiceKey, Intent>,
    failures: BTreeMap<ServiceKey, Backoff>,
}

impl Dirty {
    /// Wants this written, instead of what waits for the same Service.
    pub(super) fn submit(&mut self, intent: Intent, now: Instant) {
        let key = intent.write.key.clone();
        // What waits already keeps its place, and its backoff.
        if self.waiting.insert(key.clone(), intent).is_none() && !self.flying.contains_key(&key) {
            self.ready.insert((now, key));
        }
    }

    /// The next to be sent now.
    pub(super) fn take(&mut self, now: Instant) -> Option<Intent> {
        let (when, _) = self.ready.first()?;
        if *when > now {
            return None;
        }
        let (_, key) = self.ready.pop_first()?;
        let intent = self.waiting.remove(&key)?;
        self.flying.insert(key, intent.clone());
        Some(intent)
    }

    /// When the next may be sent.
    pub(super) fn next_ready(&self) -> Option<Instant> {
        self.ready.first().map(|(when, _)| *when)
    }

    /// How many wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// How many are on their way.
    pub(super) fn flying(&self) -> usize {
        self.flying.len()
    }

    /// One that was taken has ended. `fraction` is the random part of a delay.
    pub(super) fn landed(
        &mut self,
        key: &ServiceKey,
        landing: Landing,
        now: Instant,
        fraction: f64,
    ) {
        let Some(flown) = self.flying.remove(key) else {
            return;
        };
        let mut when = now;
        match landing {
            Landing::Written(version) => {
                self.failures.remove(key);
                if let Some(next) = self.waiting.get_mut(key) {
                    rebase(next, &flown, version);
                }
            }
            Landing::Retry(at_least) => {
                let backoff = self.failures.entry(key.clone()).or_insert_with(|| {
                    Backoff::new(Duration::from_millis(200), Duration::from_secs(30))
                });
                when = now + backoff.next(fraction).max(at_least);
                self.waiting.entry(key.clone()).or_insert(flown);
            }
            Landing::Over => {
                self.failures.remove(key);
            }
        }
        if self.waiting.contains_key(key) {
            self.ready.insert((when, key.clone()));
        }
    }

    /// Forgets all that waits: we lead no longer.
    pub(super) fn clear(&mut self) {
        self.waiting.clear();
        self.ready.clear();
        self.failures.clear();
    }
}

/// Between the version that both were decided on and the new one lies only our
/// own write, so the later intent holds on the new one too.
fn rebase(next: &mut Intent, flown: &Intent, version: Box<str>) {
    let (write, before) = (&mut next.write, &flown.write);
    if write.uid == before.uid && write.resource_version == before.resource_version {
        write.resource_version = version;
        if before.drop_condition {
            next.stands = None;
        } else if let Some(condition) = &before.condition {
            next.stands = Some(condition.status);
        }
    }
}

#[cfg(test)]
mod tests;
