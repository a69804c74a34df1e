//! Removes something, and takes it as done when it is gone.

use super::{Call, HeketiError, Machine, Next, Outcome, Patience, Pauses, astray, untold};

/// Asks until the server says that there is no such thing.
#[derive(Clone, Debug)]
pub struct Remove {
    state: State,
    patience: Patience,
    /// The server said that it failed: believed if the thing is still there.
    end: Option<HeketiError>,
}

#[derive(Clone, Debug)]
enum State {
    Removing,
    Polling(Box<str>),
    Reading,
}

impl Remove {
    /// Removes what the caller's calls are about.
    pub fn new(pauses: Pauses) -> Self {
        Self {
            state: State::Removing,
            patience: Patience::new(pauses),
            end: None,
        }
    }

    fn read(&mut self, end: Option<HeketiError>) -> Next<()> {
        self.end = end;
        self.state = State::Reading;
        Next::now(Call::Read)
    }

    fn again(&mut self, error: HeketiError) -> Next<()> {
        self.state = State::Removing;
        self.patience.retry(error, Call::Remove)
    }
}

impl<T> Machine<T> for Remove {
    type End = ();

    fn begin(&self) -> Call {
        Call::Remove
    }

    fn next(&mut self, outcome: Outcome<T>) -> Next<()> {
        match (self.state.clone(), outcome) {
            (State::Removing, Outcome::Accepted(queue)) => {
                // Not progress: a server that always forgets is not asked for ever.
                self.state = State::Polling(queue.clone());
                Next::now(Call::Poll(queue))
            }
            (_, Outcome::Nothing) | (State::Removing | State::Reading, Outcome::Absent) => {
                Next::Done(())
            }
            (State::Removing | State::Polling(_), Outcome::Trouble(error)) if error.is_end() => {
                self.read(Some(error))
            }
            (State::Removing, Outcome::Trouble(error)) => self.again(error),

            (State::Polling(queue), Outcome::Pending) => {
                Next::Ask(self.patience.pause(), Call::Poll(queue))
            }
            (State::Polling(queue), Outcome::Absent) => self.read(Some(untold(&queue))),
            (State::Polling(queue), Outcome::Trouble(error)) => {
                self.patience.retry(error, Call::Poll(queue))
            }

            (State::Reading, Outcome::Found(_)) => match self.end.take() {
                Some(error) => self.again(error),
                None => self.again(astray("removing it")),
            },
            (State::Reading, Outcome::Trouble(error)) => self.patience.retry(error, Call::Read),
            (state, _) => self.again(astray(&format!("{state:?}"))),
        }
    }

    fn trouble(&self) -> Option<&HeketiError> {
        self.patience.trouble.as_ref()
    }
}
