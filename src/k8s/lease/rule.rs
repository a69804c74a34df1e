//! Who may hold the Lease, by client-go's rule. Pure: time is an argument.
//!
//! - A holder is dead when its record has not *changed* for the duration that
//!   stands in the record, on our own monotonic clock, from when we first saw
//!   it. Clocks of other machines are never compared.
//! - A record is written only over the version that was read, so of two
//!   candidates one wins.
//! - Who wrote a record leads for `renew` from the moment the write was
//!   *sent*. The others see it later than that, and wait longer than that.

use std::time::{Duration, Instant};

/// The three times of leader election.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// A record that has not changed for so long is dead. Whole seconds.
    pub lease: Duration,
    /// A leader that could not renew for so long steps down. Less than `lease`.
    pub renew: Duration,
    /// Between two tries.
    pub retry: Duration,
}

impl Default for Timing {
    /// client-go's: 15, 10 and 2 s.
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(15),
            renew: Duration::from_secs(10),
            retry: Duration::from_secs(2),
        }
    }
}

/// What the Lease says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// `spec.holderIdentity`; `None`: released.
    pub holder: Option<Box<str>>,
    /// `spec.leaseDurationSeconds`.
    pub seconds: i32,
    /// `spec.renewTime`, microseconds since 1970: a mark that changes, not a time.
    pub renewed: i64,
    /// `spec.leaseTransitions`: how often the holder changed.
    pub transitions: i32,
    /// `metadata.resourceVersion`, which changes with every write.
    pub version: Box<str>,
}

/// What to do after a read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Another one holds it.
    Wait,
    /// Write this over the version just read. `renewed` and `version` are the writer's to fill.
    Write(Record),
}

/// One candidate.
#[derive(Clone, Debug)]
pub struct Rule {
    identity: Box<str>,
    timing: Timing,
    /// The record read last, and when it was first seen so.
    seen: Option<(Record, Instant)>,
    /// When the last write that was taken had been sent.
    renewed: Option<Instant>,
}

impl Rule {
    /// A candidate that has seen nothing yet.
    pub fn new(identity: Box<str>, timing: Timing) -> Self {
        Self {
            identity,
            timing,
            seen: None,
            renewed: None,
        }
    }

    /// The Lease was read; `None`: there is none.
    pub fn read(&mut self, now: Instant, found: Option<Record>) -> Step {
        let Some(found) = found else {
            self.seen = None;
            self.renewed = None;
            return Step::Write(self.claim(0));
        };
        let since = match &self.seen {
            Some((seen, since)) if *seen == found => *since,
            _ => now,
        };
        let alive = Duration::from_secs(u64::try_from(found.seconds).unwrap_or(0));
        let ours = found.holder.as_deref() == Some(&*self.identity);
        let step = match &found.holder {
            _ if ours => Step::Write(self.claim(found.transitions)),
            Some(_) if now < since + alive => Step::Wait,
            _ => Step::Write(self.claim(found.transitions.saturating_add(1))),
        };
        if !ours {
            // Another name in the Lease ends our term, whatever time was left.
            self.renewed = None;
        }
        self.seen = Some((found, since));
        step
    }

    /// The server took our write, which left at `sent`.
    pub fn written(&mut self, sent: Instant, now: Instant, record: Record) {
        self.renewed = Some(sent);
        self.seen = Some((record, now));
    }

    /// Until when we lead, if we lead now.
    pub fn leads_until(&self, now: Instant) -> Option<Instant> {
        self.renewed
            .map(|sent| sent + self.timing.renew)
            .filter(|until| *until > now)
    }

    /// Who holds the Lease, as far as we know.
    pub fn holder(&self) -> Option<&str> {
        self.seen
            .as_ref()
            .and_then(|(record, _)| record.holder.as_deref())
    }

    /// What to write over a Lease of ours so that others may take it at once:
    /// no holder, and a second as duration, as client-go does.
    pub fn release(&mut self, found: &Record) -> Option<Record> {
        self.renewed = None;
        (found.holder.as_deref() == Some(&*self.identity)).then(|| Record {
            holder: None,
            seconds: 1,
            transitions: found.transitions,
            ..Record::default()
        })
    }

    fn claim(&self, transitions: i32) -> Record {
        Record {
            holder: Some(self.identity.clone()),
            seconds: i32::try_from(self.timing.lease.as_secs()).unwrap_or(i32::MAX),
            transitions,
            ..Record::default()
        }
    }
}

#[cfg(test)]
mod tests;
