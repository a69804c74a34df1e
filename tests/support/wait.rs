//! Waiting for something to come true. A condition answers `Ok` with what it
//! was waited for, or `Err` with what it saw instead; the last of those is
//! what the reader of a failed test gets.
//!
//! There is no way here to wait for nothing to happen: make a later change,
//! wait for that one, and look at what lies between.

use std::time::{Duration, Instant};

/// How long anything in these tests may take. Ten times and more what it
/// takes on a quiet machine: a deadline is there to end a test, not to time it.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// Between two looks. Each look may cost a process.
const PAUSE: Duration = Duration::from_millis(25);

/// Polls `condition` until it answers `Ok`, for [`DEADLINE`] at most.
#[track_caller]
pub fn until<T>(what: &str, condition: impl FnMut() -> Result<T, String>) -> T {
    until_within(DEADLINE, what, condition)
}

/// [`until`], for what takes longer by its nature (a Lease that must expire).
#[track_caller]
pub fn until_within<T>(
    limit: Duration,
    what: &str,
    mut condition: impl FnMut() -> Result<T, String>,
) -> T {
    let start = Instant::now();
    loop {
        let seen = match condition() {
            Ok(value) => return value,
            Err(seen) => seen,
        };
        assert!(
            start.elapsed() < limit,
            "{what}: not within {} s; last seen: {seen}",
            limit.as_secs()
        );
        std::thread::sleep(PAUSE);
    }
}

/// `Ok` when `holds`, else `Err` with what was seen: the usual last line of a condition.
pub fn check<S: std::fmt::Debug>(holds: bool, seen: S) -> Result<(), String> {
    if holds {
        Ok(())
    } else {
        Err(format!("{seen:?}"))
    }
}
