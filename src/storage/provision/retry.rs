//! When a failed step is tried again.

use std::time::{Duration, Instant};

/// First and longest wait after a failure that may pass.
const PASSING: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// The same after one that lasts until somebody changes something.
const LASTING: (Duration, Duration) = (Duration::from_secs(15), Duration::from_secs(600));
/// No wait is longer, whatever a server asks for.
const LONGEST: Duration = Duration::from_secs(900);

/// Waits of one thing.
#[derive(Clone, Debug, Default)]
pub(super) struct Retry {
    failures: u32,
    not_before: Option<Instant>,
}

impl Retry {
    /// Counts a failure. `fraction`, 0 to 1, shortens the wait by up to a
    /// quarter: a hundred claims that failed together do not come back together.
    pub(super) fn failed(
        &mut self,
        now: Instant,
        lasting: bool,
        after: Option<Duration>,
        fraction: f64,
    ) {
        let (first, most) = if lasting { LASTING } else { PASSING };
        let wait = (first * 2u32.pow(self.failures.min(12))).min(most);
        let wait = wait.mul_f64(1.0 - fraction.clamp(0.0, 1.0) / 4.0);
        self.failures = self.failures.saturating_add(1);
        self.not_before = Some(now + wait.max(after.unwrap_or_default()).min(LONGEST));
    }

    /// Waits without having failed.
    pub(super) fn pause(&mut self, until: Instant) {
        self.not_before = Some(until);
    }

    /// What was in the way may have changed.
    pub(super) fn reset(&mut self) {
        *self = Self::default();
    }

    /// Until when to wait.
    pub(super) fn until(&self, now: Instant) -> Option<Instant> {
        self.not_before.filter(|until| *until > now)
    }

    /// As new.
    pub(super) fn is_idle(&self) -> bool {
        self.failures == 0 && self.not_before.is_none()
    }

    /// Failed and not yet successful.
    pub(super) fn is_failing(&self) -> bool {
        self.failures > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(lasting: bool) -> Vec<u64> {
        let (now, mut retry) = (Instant::now(), Retry::default());
        let mut wait = || {
            retry.failed(now, lasting, None, 0.0);
            (retry.until(now).unwrap() - now).as_secs()
        };
        (0..9).map(|_| wait()).collect()
    }

    #[test]
    fn what_lasts_is_tried_more_seldom() {
        assert_eq!(waits(false), [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(waits(true), [15, 30, 60, 120, 240, 480, 600, 600, 600]);
    }

    #[test]
    fn a_server_may_ask_for_more_but_not_for_ever() {
        let (now, mut retry) = (Instant::now(), Retry::default());
        retry.failed(now, false, Some(Duration::from_secs(20)), 1.0);
        assert_eq!(retry.until(now), Some(now + Duration::from_secs(20)));
        retry.failed(now, false, Some(Duration::MAX), 0.0);
        assert_eq!(retry.until(now), Some(now + LONGEST));
        retry.reset();
        assert!(retry.until(now).is_none() && !retry.is_failing());
    }
}
