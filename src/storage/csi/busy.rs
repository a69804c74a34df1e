//! One call at a time for one thing. CSI asks for it: who calls again while the
//! first call is at work is answered ABORTED, and comes again.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use tonic::Status;

/// What is being worked at.
#[derive(Clone, Debug, Default)]
pub struct Busy(Arc<Mutex<HashSet<String>>>);

/// A thing that nobody else works at. Dropping it lets others.
#[derive(Debug)]
pub struct Held {
    thing: String,
    busy: Busy,
}

impl Busy {
    /// Holds a thing, or answers ABORTED.
    pub fn hold(&self, thing: &str) -> Result<Held, Status> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !held.insert(thing.to_owned()) {
            return Err(Status::aborted(format!(
                "{thing} is being worked at already: wait for that to end"
            )));
        }
        Ok(Held {
            thing: thing.to_owned(),
            busy: self.clone(),
        })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut held = self.busy.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.remove(&self.thing);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thing_is_held_once_and_free_again() {
        let busy = Busy::default();
        let first = busy.hold("a").expect("free");
        let second = busy.hold("a").expect_err("held");
        assert_eq!(second.code(), tonic::Code::Aborted);
        busy.hold("b").expect("another");
        drop(first);
        busy.hold("a").expect("free again");
    }
}
