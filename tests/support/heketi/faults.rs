//! What goes wrong between a client and the stand-in.

use std::time::Duration;

/// What goes wrong with one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It never arrives: the connection is closed.
    LoseRequest,
    /// It is carried out, and the connection is closed before the answer.
    LoseAnswer,
    /// It is carried out, and its answer comes late.
    Delay(Duration),
    /// It arrives twice; the second answer is given.
    Repeat,
    /// 500, and nothing is done.
    Error,
    /// It is done to the end, and the answer is 500.
    ErrorAfter,
    /// The operation that it begins fails in the end, with this text.
    Fail(&'static str),
    /// 429, with header Retry-After if there are seconds.
    Busy(Option<u64>),
    /// 503, as a Heketi in maintenance.
    Maintenance,
    /// Another answer: status and body, of the type that the body looks like.
    Answer(u16, &'static str),
    /// 200 and so many bytes.
    Huge(usize),
    /// A redirect: status and Location.
    Redirect(u16, &'static str),
    /// The server was restarted before: ends of operations are forgotten.
    Restart,
}

/// Faults that have yet to happen.
#[derive(Default)]
pub(super) struct Faults(Vec<(String, Fault)>);

impl Faults {
    pub(super) fn add(&mut self, line: &str, fault: Fault) {
        self.0.push((line.to_owned(), fault));
    }

    pub(super) fn left(&self) -> usize {
        self.0.len()
    }

    /// The first that is for this request.
    pub(super) fn take(&mut self, line: &str) -> Option<Fault> {
        let at = self.0.iter().position(|(begin, _)| {
            // "POST /volumes" is not "POST /volumes/1/expand".
            line.strip_prefix(&**begin).is_some_and(|rest| {
                begin.ends_with('/') || rest.is_empty() || rest.starts_with('?')
            })
        })?;
        Some(self.0.remove(at).1)
    }
}
