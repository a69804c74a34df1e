//! Makes something that has a name, once.

use super::{Call, HeketiError, Machine, Next, Outcome, Patience, Pauses, astray, untold};

/// Looks the name up before it makes anything, and after every answer that
/// leaves a doubt.
#[derive(Clone, Debug)]
pub struct Make {
    state: State,
    patience: Patience,
    /// Index of the cluster that is asked now, and how many there are. One at a
    /// time, since a name is unique within a cluster only: a repeated request
    /// that is free to choose could make the same name in two.
    cluster: usize,
    clusters: usize,
    /// The server said that it failed: believed if the name is not found now.
    end: Option<HeketiError>,
}

#[derive(Clone, Debug)]
enum State {
    Finding,
    Making,
    Polling(Box<str>),
    Reading(Box<str>),
}

impl Make {
    /// `clusters`: how many candidates there are, at least one (which may mean
    /// "any that the server likes").
    pub fn new(clusters: usize, pauses: Pauses) -> Self {
        Self {
            state: State::Finding,
            patience: Patience::new(pauses),
            cluster: 0,
            clusters,
            end: None,
        }
    }

    fn find<T>(&mut self) -> Next<T> {
        self.state = State::Finding;
        Next::now(Call::Find)
    }

    fn find_later<T>(&mut self, error: HeketiError) -> Next<T> {
        self.state = State::Finding;
        self.patience.retry(error, Call::Find)
    }

    fn make<T>(&mut self) -> Next<T> {
        self.state = State::Making;
        Next::now(Call::Make(self.cluster))
    }

    /// The name is not there.
    fn absent<T>(&mut self) -> Next<T> {
        match self.end.take() {
            None => self.make(),
            Some(error) if error.is_of_cluster() && self.cluster + 1 < self.clusters => {
                self.cluster += 1;
                self.make()
            }
            Some(error) => Next::Failed(error),
        }
    }

    /// Making it or waiting for it failed, or seemed to.
    fn doubt<T>(&mut self, error: HeketiError) -> Next<T> {
        if error.is_name_taken() {
            // By a volume, then it is found; or by an operation, then it will be.
            return self.find_later(error);
        }
        if error.is_end() {
            self.end = Some(error);
            return self.find();
        }
        self.find_later(error)
    }
}

impl<T> Machine<T> for Make {
    type End = T;

    fn begin(&self) -> Call {
        Call::Find
    }

    fn next(&mut self, outcome: Outcome<T>) -> Next<T> {
        match (self.state.clone(), outcome) {
            (State::Finding | State::Reading(_), Outcome::Found(thing)) => Next::Done(thing),
            (State::Finding, Outcome::Absent) => self.absent(),
            (State::Finding, Outcome::Trouble(error)) => self.patience.retry(error, Call::Find),

            (State::Making, Outcome::Accepted(queue)) => {
                // Whoever makes the name already is not hurried: the queue takes an
                // order for it too, and refuses it in the end.
                let trouble = self.patience.trouble.as_ref();
                if !trouble.is_some_and(HeketiError::is_name_taken) {
                    self.patience.progress();
                }
                self.state = State::Polling(queue.clone());
                Next::now(Call::Poll(queue))
            }
            (State::Making, Outcome::Trouble(error)) => self.doubt(error),

            (State::Polling(queue), Outcome::Pending) => {
                Next::Ask(self.patience.pause(), Call::Poll(queue))
            }
            (State::Polling(_), Outcome::SeeOther(path)) => {
                self.state = State::Reading(path.clone());
                Next::now(Call::ReadAt(path))
            }
            (State::Polling(queue), Outcome::Absent | Outcome::Nothing) => {
                self.find_later(untold(&queue))
            }
            (State::Polling(queue), Outcome::Trouble(error)) if !error.is_end() => {
                self.patience.retry(error, Call::Poll(queue))
            }
            (State::Polling(_), Outcome::Trouble(error)) => self.doubt(error),

            // Removed meanwhile, or never there: the name tells.
            (State::Reading(path), Outcome::Absent) => self.find_later(untold(&path)),
            // Another volume's, perhaps: the name tells here, too.
            (State::Reading(_), Outcome::Trouble(error @ HeketiError::Unreadable { .. })) => {
                self.find_later(error)
            }
            (State::Reading(path), Outcome::Trouble(error)) => {
                self.patience.retry(error, Call::ReadAt(path))
            }
            (state, _) => self.find_later(astray(&format!("{state:?}"))),
        }
    }

    fn trouble(&self) -> Option<&HeketiError> {
        self.patience.trouble.as_ref()
    }
}
