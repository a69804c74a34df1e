//! Spread for timers, so that peers that started together do not act together.
//!
//! The sequence follows from its seed alone: pure code has no randomness of its
//! own, and a test replays what it saw. This is not for secrets.

use std::time::Duration;

/// SplitMix64: one addition and a mixing step for each number.
#[derive(Clone, Debug)]
pub(crate) struct Jitter(u64);

impl Jitter {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A generator with a sequence of its own.
    pub(crate) fn split(&mut self) -> Self {
        Self(self.next())
    }

    /// 75 to 100 percent of `span` (RFC 4271 §10).
    pub(crate) fn spread(&mut self, span: Duration) -> Duration {
        const STEPS: u32 = 1 << 16;
        let step = (self.next() >> 48) as u32;
        span * 3 / 4 + span / 4 * step / STEPS
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spread_stays_within_its_bounds_and_uses_them() {
        let mut jitter = Jitter::new(7);
        let span = Duration::from_secs(100);
        let spans: Vec<_> = (0..10_000).map(|_| jitter.spread(span)).collect();
        let (least, most) = (spans.iter().min().unwrap(), spans.iter().max().unwrap());
        assert!(*least >= Duration::from_secs(75) && *least < Duration::from_secs(76));
        assert!(*most <= span && *most > Duration::from_secs(99));
    }
}
