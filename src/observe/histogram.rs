//! Counts of durations in fixed buckets, without a lock.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Upper bounds in microseconds: from a tenth of a millisecond to ten seconds,
/// the range between "nobody can feel it" and "somebody is being called".
const BOUNDS: [u64; 16] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000, 2_500_000, 5_000_000, 10_000_000,
];

/// A histogram of durations.
#[derive(Debug, Default)]
pub struct Histogram {
    buckets: [AtomicU64; BOUNDS.len()],
    over: AtomicU64,
    sum_micros: AtomicU64,
}

/// What a [`Histogram`] held at one moment.
#[derive(Debug)]
pub struct Reading {
    /// Upper bound in seconds, and how many were at most that long.
    pub cumulative: Vec<(f64, u64)>,
    /// How many in all.
    pub count: u64,
    /// Their sum.
    pub sum: Duration,
}

impl Histogram {
    /// Counts one duration.
    pub fn observe(&self, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let place = BOUNDS.iter().position(|bound| micros <= *bound);
        place
            .map_or(&self.over, |i| &self.buckets[i])
            .fetch_add(1, Relaxed);
        self.sum_micros.fetch_add(micros, Relaxed);
    }

    /// The counts now.
    pub fn read(&self) -> Reading {
        let mut count = 0;
        let mut cumulative = Vec::with_capacity(BOUNDS.len());
        for (bound, bucket) in BOUNDS.iter().zip(&self.buckets) {
            count += bucket.load(Relaxed);
            #[allow(clippy::cast_precision_loss)] // at most ten million
            cumulative.push((*bound as f64 / 1e6, count));
        }
        count += self.over.load(Relaxed);
        Reading {
            cumulative,
            count,
            sum: Duration::from_micros(self.sum_micros.load(Relaxed)),
        }
    }
}
