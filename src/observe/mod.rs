//! What the daemon counts and shows: plain values below everything that
//! counts, above nothing. `admin` serves them.
//!
//! Counters live where they are counted, as atomics. What follows from state
//! (a session that is up, an address that is announced) is not counted but
//! asked of its owner when somebody looks, so nothing is kept twice.

pub mod exposition;
pub mod histogram;
pub mod process;
pub mod readiness;
pub mod views;
