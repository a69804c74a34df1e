//! How fast Events are written: a burst, then one at a time. Pure.
//!
//! Nobody waits for an Event, and each costs the API server as much as a
//! status. A thousand Services made at once have their addresses and routes
//! first, and their Events after.

use std::time::{Duration, Instant};

/// Written at once after a quiet time.
const BURST: u32 = 50;
/// Then one in so long.
const INTERVAL: Duration = Duration::from_millis(100);

/// Says when the next one may go.
#[derive(Debug)]
pub(super) struct Pace {
    /// When the whole burst is there again.
    whole: Instant,
}

impl Pace {
    pub(super) fn new(now: Instant) -> Self {
        Self { whole: now }
    }

    /// Counts one more, and answers how long it has to wait.
    pub(super) fn next(&mut self, now: Instant) -> Duration {
        self.whole = self.whole.max(now) + INTERVAL;
        let ahead = self.whole.saturating_duration_since(now);
        ahead.saturating_sub(INTERVAL * BURST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_goes_at_once_and_the_rest_at_a_pace() {
        let mut now = Instant::now();
        let mut pace = Pace::new(now);
        let start = now;
        for _ in 0..BURST {
            assert_eq!(pace.next(now), Duration::ZERO);
        }
        for _ in 0..20 {
            now += pace.next(now);
        }
        assert_eq!(now - start, INTERVAL * 20);
        now += INTERVAL * BURST * 2;
        assert_eq!(
            pace.next(now),
            Duration::ZERO,
            "a quiet time brings the burst back"
        );
    }
}
