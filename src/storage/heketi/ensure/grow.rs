//! Grows a volume to a size, and never beyond.
//!
//! Heketi takes the difference, not the size. So the size is read when no
//! volume is being grown, right before the request. A request whose answer is
//! lost is not repeated: whoever asks again later reads the size again.

use super::{Call, HeketiError, Machine, Next, Outcome, Patience, Pauses, astray, untold};
use crate::storage::heketi::wire::VolumeInfo;

/// Grows one volume.
#[derive(Clone, Debug)]
pub struct Grow {
    /// In GiB.
    target: i64,
    state: State,
    patience: Patience,
    /// What the request ended with, if not well: the size tells whether it is so.
    end: Option<HeketiError>,
}

#[derive(Clone, Debug, PartialEq)]
enum State {
    /// The size, to begin with.
    Reading,
    /// Whether something is being grown; then the size once more.
    Waiting,
    /// The size while nothing is being grown.
    Settled,
    Growing,
    Polling(Box<str>),
    /// The size, after the request.
    Judging,
}

impl Grow {
    /// To `target` GiB; a volume that is larger stays.
    pub fn new(target: i64, pauses: Pauses) -> Self {
        Self {
            target,
            state: State::Reading,
            patience: Patience::new(pauses),
            end: None,
        }
    }

    fn ask(&mut self, state: State, call: Call) -> Next<VolumeInfo> {
        self.state = state;
        Next::now(call)
    }

    /// The request is over or lost: wait until nothing grows, and look.
    fn settle(&mut self, end: HeketiError) -> Next<VolumeInfo> {
        self.end = Some(end);
        self.ask(State::Waiting, Call::Operations)
    }

    fn read(&mut self, volume: VolumeInfo) -> Next<VolumeInfo> {
        if volume.size >= self.target {
            return Next::Done(volume);
        }
        match (&self.state, self.end.take()) {
            (_, Some(error)) => Next::Failed(error),
            (State::Reading, None) => self.ask(State::Waiting, Call::Operations),
            (State::Settled, None) => {
                let (from, by) = (volume.size, self.target - volume.size);
                self.ask(State::Growing, Call::Grow { from, by })
            }
            (_, None) => Next::Failed(HeketiError::Unreadable {
                asked: format!("growing volume {:?} to {} GiB", volume.id, self.target).into(),
                cause: format!("it says that it is done, and has {} GiB", volume.size).into(),
            }),
        }
    }
}

impl Machine<VolumeInfo> for Grow {
    type End = VolumeInfo;

    fn begin(&self) -> Call {
        Call::Read
    }

    fn next(&mut self, outcome: Outcome<VolumeInfo>) -> Next<VolumeInfo> {
        match (self.state.clone(), outcome) {
            (State::Reading | State::Settled | State::Judging, Outcome::Found(volume)) => {
                self.read(volume)
            }
            (State::Reading | State::Settled | State::Judging, Outcome::Absent) => {
                Next::Failed(HeketiError::Refused {
                    asked: "growing a volume".into(),
                    status: 404,
                    text: "Id not found".into(),
                })
            }
            (State::Reading | State::Settled | State::Judging, Outcome::Trouble(error)) => {
                self.patience.retry(error, Call::Read)
            }

            (State::Waiting, Outcome::Running(true)) => {
                self.patience.trouble = Some(HeketiError::Busy {
                    asked: "GET /operations/pending".into(),
                    text: "a volume is being grown; waiting for its end, since two requests at once would add up".into(),
                    after: None,
                });
                Next::Ask(self.patience.pause(), Call::Operations)
            }
            (State::Waiting, Outcome::Running(false)) => self.ask(State::Settled, Call::Read),
            (State::Waiting, Outcome::Trouble(error)) => {
                self.patience.retry(error, Call::Operations)
            }

            (State::Growing, Outcome::Accepted(queue)) => {
                self.patience.progress();
                self.ask(State::Polling(queue.clone()), Call::Poll(queue))
            }
            (State::Growing, Outcome::Trouble(error @ HeketiError::Busy { .. })) => {
                self.state = State::Waiting;
                self.patience.retry(error, Call::Operations)
            }
            (State::Growing, Outcome::Trouble(error)) if error.may_have_happened() => {
                // A request that is still on its way shows as an operation soon.
                let next = self.patience.retry(error.clone(), Call::Operations);
                self.end = Some(error);
                self.state = State::Waiting;
                next
            }
            (State::Growing, Outcome::Trouble(error)) if error.is_end() => self.settle(error),
            (State::Growing, Outcome::Trouble(error)) => Next::Failed(error),

            (State::Polling(queue), Outcome::Pending) => {
                Next::Ask(self.patience.pause(), Call::Poll(queue))
            }
            (State::Polling(_), Outcome::SeeOther(_) | Outcome::Nothing) => {
                self.ask(State::Judging, Call::Read)
            }
            (State::Polling(queue), Outcome::Absent) => self.settle(untold(&queue)),
            (State::Polling(_), Outcome::Trouble(error)) if error.is_end() => self.settle(error),
            (State::Polling(queue), Outcome::Trouble(error)) => {
                self.patience.retry(error, Call::Poll(queue))
            }
            (state, _) => self.settle(astray(&format!("{state:?}"))),
        }
    }

    fn trouble(&self) -> Option<&HeketiError> {
        self.patience.trouble.as_ref()
    }
}
