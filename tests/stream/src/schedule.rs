//! When the next connection is due. It depends on nothing but the beginning
//! and the rate: who is behind catches up, and nobody is left out.

use std::time::Duration;
use tokio::time::Instant;

/// A steady rate from a beginning on.
pub struct Schedule {
    start: Instant,
    rate: u32,
    given: u64,
}

impl Schedule {
    /// The first connection is due at `start`; `rate` of them each second.
    pub fn start(start: Instant, rate: u32) -> Self {
        Self {
            start,
            rate,
            given: 0,
        }
    }

    /// When the next one is due.
    pub fn next(&self) -> Instant {
        let rate = u64::from(self.rate);
        // Whole seconds apart from the rest: no rounding adds up.
        let rest = 1_000_000_000 * (self.given % rate) / rate;
        self.start + Duration::from_secs(self.given / rate) + Duration::from_nanos(rest)
    }

    /// The next one, if it is due: the moment that it was due at.
    pub fn take(&mut self, now: Instant) -> Option<Instant> {
        let due = self.next();
        if due > now {
            return None;
        }
        self.given += 1;
        Some(due)
    }

    /// How many were given out.
    pub fn given(&self) -> u64 {
        self.given
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_behind_gets_all_that_were_due_each_with_its_own_moment() {
        let start = Instant::now();
        let mut schedule = Schedule::start(start, 500);
        let now = start + Duration::from_millis(9);
        let due: Vec<u128> = std::iter::from_fn(|| schedule.take(now))
            .map(|due| (due - start).as_millis())
            .collect();
        assert_eq!(due, [0, 2, 4, 6, 8]);
        assert_eq!(schedule.next(), start + Duration::from_millis(10));
    }

    #[test]
    fn a_rate_that_divides_no_second_is_kept_over_an_hour() {
        let start = Instant::now();
        let mut schedule = Schedule::start(start, 700);
        let end = start + Duration::from_secs(3600);
        while schedule.take(end).is_some() {}
        assert_eq!(schedule.given(), 700 * 3600 + 1);
    }
}
