//! What this folder counts. Plain atomics: whoever shows them reads them.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// One more.
    pub fn add_one(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// How many so far.
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Counted since the process began.
#[derive(Debug, Default)]
pub struct Counters {
    /// Objects that a list or a watch brought.
    pub updates: Counter,
    /// Lists and watches that failed, each try.
    pub update_errors: Counter,
    /// Objects skipped because they did not decode.
    pub undecodable: Counter,
    /// Full lists taken, the first ones included.
    pub lists: Counter,
    /// Times the server's resourceVersion was lower than one seen before.
    pub regressions: Counter,
    /// Status patches that the server took.
    pub patches: Counter,
    /// Status patches refused since the Service had changed.
    pub patch_conflicts: Counter,
    /// Status patches that failed otherwise.
    pub patch_errors: Counter,
    /// Kubernetes Events written.
    pub events: Counter,
    /// Kubernetes Events dropped: too many about one object, too many waiting, or refused.
    pub events_dropped: Counter,
    /// Lease renewals that the server took.
    pub lease_renewals: Counter,
    /// Reads and writes of the Lease that failed.
    pub lease_errors: Counter,
}
