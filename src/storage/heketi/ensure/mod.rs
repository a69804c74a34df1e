//! What to ask next, so that a volume is made once, whatever is lost (pure).
//!
//! Heketi's calls are not idempotent: a create whose answer is lost has made a
//! volume nobody knows of, and what became of an operation is told once only.
//! What helps is that names are unique within a cluster. So each volume has a
//! name that the claim decides, and whoever does not know looks the name up.
//!
//! ```text
//!   Make    Find --absent--> Make --accepted--> Poll --303--> Read --> the volume
//!            ^ '--found--> the volume   |        |
//!            '--- lost, taken, 5xx, 429 '--------'     Found ends it; absent after
//!                                                      an error of the server is that error
//!   Remove  Remove --accepted--> Poll --204--> gone;   404 = gone;  lost: again
//!   Grow    Read --too small--> Operations --none--> Read --> Grow --> Poll --> Read
//! ```
//!
//! A machine is told what came of each [`Call`] and answers with the [`Next`].
//! It asks for no time: how long it goes on in all is the caller's limit.
//!
//! What it cannot do: a request to grow that a network delivers minutes late, or
//! twice, grows twice with an old Heketi. Our own manager is told the size that
//! the request is for ([`ExpandFrom`](super::loods::ExpandFrom)).

mod grow;
mod make;
mod remove;

use std::time::Duration;

use super::error::HeketiError;

pub use grow::Grow;
pub use make::Make;
pub use remove::Remove;

/// One call, to be translated into a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// Look the name up.
    Find,
    /// Make it, in the candidate cluster of this index.
    Make(usize),
    /// Remove it.
    Remove,
    /// Grow it by so many GiB; it has `from` now.
    Grow {
        /// What it has.
        from: i64,
        /// How much more.
        by: i64,
    },
    /// What became of the operation at this path.
    Poll(Box<str>),
    /// The thing itself, at this path of a Location.
    ReadAt(Box<str>),
    /// The thing itself, by its id.
    Read,
    /// Whether any volume is being grown.
    Operations,
}

/// What came of a call.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome<T> {
    /// There it is.
    Found(T),
    /// There is no such thing.
    Absent,
    /// Begun: ask at this path.
    Accepted(Box<str>),
    /// Not done yet.
    Pending,
    /// Done: it stands at this path.
    SeeOther(Box<str>),
    /// Done, and nothing is there.
    Nothing,
    /// Whether an operation of the kind is running.
    Running(bool),
    /// The call brought nothing.
    Trouble(HeketiError),
}

/// What to do next.
#[derive(Clone, Debug, PartialEq)]
pub enum Next<T> {
    /// Call, after a pause.
    Ask(Duration, Call),
    /// It is as it was wanted.
    Done(T),
    /// It is not, as far as we know.
    Failed(HeketiError),
}

impl<T> Next<T> {
    fn now(call: Call) -> Self {
        Self::Ask(Duration::ZERO, call)
    }
}

/// Something that is told what came of each call, and reads back a `T`.
pub trait Machine<T> {
    /// What it ends with.
    type End;
    /// The first call.
    fn begin(&self) -> Call;
    /// What to do after an outcome of the last call.
    fn next(&mut self, outcome: Outcome<T>) -> Next<Self::End>;
    /// What was in the way last, for when time runs out.
    fn trouble(&self) -> Option<&HeketiError>;
}

/// Of a pause to the one before it. What has ended is heard of within a quarter more
/// of the time that it took.
const GROWTH: f64 = 1.25;

/// How long to pause, and how often to try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pauses {
    /// The first between two polls; each is a quarter longer than the last.
    pub first: Duration,
    /// The longest.
    pub most: Duration,
    /// Calls in a row that may be lost.
    pub losses: u32,
}

impl Default for Pauses {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(50),
            most: Duration::from_secs(2),
            losses: 3,
        }
    }
}

/// Counts pauses. A server that is busy is waited for as long as the caller
/// likes; one that does not answer, a few times.
#[derive(Clone, Debug)]
struct Patience {
    pauses: Pauses,
    /// Pauses since the last progress.
    waited: u32,
    /// Lost calls in a row.
    lost: u32,
    trouble: Option<HeketiError>,
}

impl Patience {
    fn new(pauses: Pauses) -> Self {
        Self {
            pauses,
            waited: 0,
            lost: 0,
            trouble: None,
        }
    }

    /// The server got on with it.
    fn progress(&mut self) {
        self.waited = 0;
        self.lost = 0;
        self.trouble = None;
    }

    /// The server answered, and it is not done.
    fn pause(&mut self) -> Duration {
        self.lost = 0;
        self.longer()
    }

    fn longer(&mut self) -> Duration {
        let times = i32::try_from(self.waited.min(64)).unwrap_or(0);
        let pause = self.pauses.first.mul_f64(GROWTH.powi(times));
        self.waited = self.waited.saturating_add(1);
        pause.min(self.pauses.most)
    }

    /// After trouble: `call` once more if that makes sense.
    fn retry<T>(&mut self, error: HeketiError, call: Call) -> Next<T> {
        let pause = match &error {
            HeketiError::Busy { after, .. } => {
                let own = self.pause();
                // Whatever it says, an hour is too long for whoever waits.
                after.unwrap_or(own).clamp(own, self.pauses.most * 8)
            }
            _ if error.is_name_taken() => self.pause(),
            _ if error.may_have_happened() => {
                self.lost += 1;
                if self.lost > self.pauses.losses {
                    return Next::Failed(error);
                }
                self.longer()
            }
            _ => return Next::Failed(error),
        };
        self.trouble = Some(error);
        Next::Ask(pause, call)
    }
}

/// The server answered with something that the call cannot have.
fn astray(what: &str) -> HeketiError {
    HeketiError::Unreadable {
        asked: what.into(),
        cause: "it answers another question".into(),
    }
}

/// Heketi tells the end of an operation once, and this one was told to nobody.
fn untold(queue: &str) -> HeketiError {
    HeketiError::Unreadable {
        asked: queue.into(),
        cause: "it does not know the operation, or told its end before".into(),
    }
}

#[cfg(test)]
mod tests;
