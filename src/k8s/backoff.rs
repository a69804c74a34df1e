//! Waiting longer after each failure, and never in step with the neighbours.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// Delays that double from `first` to `most`, each shortened by up to a half.
#[derive(Clone, Debug)]
pub(super) struct Backoff {
    first: Duration,
    most: Duration,
    failures: u32,
}

impl Backoff {
    pub(super) fn new(first: Duration, most: Duration) -> Self {
        Self {
            first,
            most,
            failures: 0,
        }
    }

    /// The next delay. `fraction` (0 to 1) is the random part.
    pub(super) fn next(&mut self, fraction: f64) -> Duration {
        let delay = (self.first * 2u32.saturating_pow(self.failures.min(16))).min(self.most);
        self.failures = self.failures.saturating_add(1);
        delay.mul_f64(1.0 - fraction.clamp(0.0, 1.0) / 2.0)
    }

    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }
}

/// A fresh number from 0 to below 1. The standard library seeds each
/// `RandomState` differently, which is random enough to spread clients.
pub(crate) fn fraction() -> f64 {
    let bits = RandomState::new().hash_one(0u8) >> 11;
    // 53 bits: exact in an f64.
    bits as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_the_limit_and_starts_anew() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(5));
        let delays: Vec<u64> = (0..5).map(|_| backoff.next(0.0).as_secs()).collect();
        assert_eq!(delays, [1, 2, 4, 5, 5]);
        backoff.reset();
        assert_eq!(backoff.next(1.0), Duration::from_millis(500));
    }

    #[test]
    fn endless_failures_do_not_overflow() {
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(30));
        backoff.failures = u32::MAX;
        assert_eq!(backoff.next(0.0), Duration::from_secs(30));
    }

    #[test]
    fn fractions_differ_and_stay_in_range() {
        let (a, b) = (fraction(), fraction());
        assert!((0.0..1.0).contains(&a) && (0.0..1.0).contains(&b));
        assert_ne!(a, b);
    }
}
