//! How long to wait before the next dial.
//!
//! One second, doubled at each failure up to two minutes. Only a session that has
//! lasted starts it anew: a peer that lets us in and throws us out again is as
//! tiring as one that does not answer.

use std::time::Duration;

use super::DownReason;
use crate::bgp::iana::{cease, error};

const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(120);
/// So many doublings reach [`LONGEST`].
const MOST_DOUBLINGS: u32 = 7;
/// A session has lasted when it is older than this, and than its hold time.
const LASTING: Duration = Duration::from_secs(60);

/// Counts failures since a session last lasted.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Backoff {
    doublings: u32,
}

impl Backoff {
    pub(super) fn reset(&mut self) {
        self.doublings = 0;
    }

    /// A session has ended.
    pub(super) fn session_lasted(&mut self, lasted: Duration, hold_time: Duration) {
        if lasted > LASTING.max(hold_time) {
            self.reset();
        }
    }

    /// The wait after a failure, before jitter.
    pub(super) fn next(&mut self, reason: &DownReason) -> Duration {
        let doublings = self.doublings.max(least_doublings(reason));
        self.doublings = (doublings + 1).min(MOST_DOUBLINGS);
        (FIRST * (1 << doublings)).min(LONGEST)
    }
}

/// Where the peer says that it ended the session by intent, a second is too soon.
fn least_doublings(reason: &DownReason) -> u32 {
    match reason {
        DownReason::Received(fault) if fault.code == error::CEASE => match fault.subcode {
            // Nothing changes before an operator does something.
            cease::MAXIMUM_PREFIXES => MOST_DOUBLINGS,
            // Eight seconds only: a router that restarts says these too.
            cease::ADMINISTRATIVE_SHUTDOWN
            | cease::PEER_DECONFIGURED
            | cease::CONNECTION_REJECTED
            | cease::OUT_OF_RESOURCES => 3,
            _ => 0,
        },
        _ => 0,
    }
}
