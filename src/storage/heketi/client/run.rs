//! Drives a machine by requests, within the time that a whole method has.

use std::time::Duration;

use hyper::Method;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::Heketi;
use super::calls::Calls;
use crate::k8s::backoff::fraction;
use crate::storage::heketi::answer::{Said, decode};
use crate::storage::heketi::ensure::{Call, Machine, Next, Outcome};
use crate::storage::heketi::error::HeketiError;

impl Heketi {
    pub(super) fn deadline(&self) -> Instant {
        Instant::now() + self.0.limits.whole
    }

    /// Tells a machine what comes of its calls, until it ends or time does.
    pub(super) async fn run<T, M: Machine<T>>(
        &self,
        method: &str,
        path: &str,
        deadline: Instant,
        mut machine: M,
        calls: impl Calls<T>,
    ) -> Result<M::End, HeketiError> {
        let mut call = machine.begin();
        loop {
            let Ok(outcome) = timeout_at(deadline, calls.ask(call)).await else {
                break;
            };
            match machine.next(outcome) {
                Next::Done(end) => return Ok(end),
                Next::Failed(error) => return Err(error),
                Next::Ask(pause, next) => {
                    // Out of step with the others that wait for the same server.
                    let at = Instant::now() + pause.mul_f64(1.0 + fraction() / 4.0);
                    if at >= deadline {
                        break;
                    }
                    if pause > Duration::ZERO {
                        sleep_until(at).await;
                    }
                    call = next;
                }
            }
        }
        // What was in the way says more than that time is up.
        Err(machine
            .trouble()
            .cloned()
            .unwrap_or_else(|| self.out_of_time(method, path, "it did not come to an end")))
    }

    pub(super) fn out_of_time(&self, method: &str, path: &str, what: &'static str) -> HeketiError {
        HeketiError::TimedOut {
            asked: self.0.exchange.asked(method, path),
            what,
            limit: self.0.limits.whole,
        }
    }

    /// A piece of a method, by its deadline.
    pub(super) async fn by<T>(
        &self,
        deadline: Instant,
        method: &str,
        path: &str,
        work: impl Future<Output = Result<T, HeketiError>>,
    ) -> Result<T, HeketiError> {
        match timeout_at(deadline, work).await {
            Ok(done) => done,
            Err(_) => Err(self.out_of_time(method, path, "it did not come to an end")),
        }
    }

    /// A whole method, by its limit.
    pub(super) async fn within<T>(
        &self,
        method: &str,
        path: &str,
        work: impl Future<Output = Result<T, HeketiError>>,
    ) -> Result<T, HeketiError> {
        self.by(self.deadline(), method, path, work).await
    }

    /// A request that begins an operation.
    pub(super) async fn begin<T>(
        &self,
        method: Method,
        path: &str,
        body: Option<Vec<u8>>,
    ) -> Outcome<T> {
        match self.0.exchange.ask(method.clone(), path, body).await {
            Ok(Said::Accepted(queue)) => Outcome::Accepted(queue),
            Ok(Said::Absent) => Outcome::Absent,
            Ok(Said::Nothing) => Outcome::Nothing,
            Ok(said) => Outcome::Trouble(self.unexpected(method.as_str(), path, &said)),
            Err(error) => Outcome::Trouble(error),
        }
    }

    /// The call that every operation has. Whatever else comes here is a call
    /// that this operation does not make.
    pub(super) async fn poll_or<T>(&self, call: Call) -> Outcome<T> {
        let Call::Poll(path) = call else {
            return Outcome::Trouble(HeketiError::Invalid(
                format!("{call:?} is no part of this operation").into(),
            ));
        };
        match self.0.exchange.ask_at(Method::GET, &path).await {
            // 200 without X-Pending has not been seen; it is no end either.
            Ok(Said::Pending) => Outcome::Pending,
            Ok(Said::SeeOther(path)) => Outcome::SeeOther(path),
            Ok(Said::Nothing) => Outcome::Nothing,
            Ok(Said::Absent) => Outcome::Absent,
            Ok(said) => Outcome::Trouble(self.unexpected("GET", &path, &said)),
            Err(error) => Outcome::Trouble(error),
        }
    }

    /// What stands at a path of a Location.
    pub(super) async fn read_at<T: DeserializeOwned>(&self, path: &str) -> Outcome<T> {
        match self.0.exchange.ask_at(Method::GET, path).await {
            Ok(Said::Body(body)) => match decode(&self.0.exchange.asked("GET", path), &body) {
                Ok(thing) => Outcome::Found(thing),
                Err(error) => Outcome::Trouble(error),
            },
            Ok(Said::Absent) => Outcome::Absent,
            Ok(said) => Outcome::Trouble(self.unexpected("GET", path, &said)),
            Err(error) => Outcome::Trouble(error),
        }
    }

    pub(super) fn unexpected(&self, method: &str, path: &str, said: &Said) -> HeketiError {
        let cause = match said {
            Said::Body(_) => "200, where something else was due",
            Said::Accepted(_) => "202, where something else was due",
            Said::Pending => "X-Pending, where nothing is waited for",
            Said::SeeOther(_) => "303, where nothing was begun",
            Said::Nothing => "204, where a body was due",
            Said::Absent => "404 for the list itself",
        };
        self.unreadable(method, path, cause)
    }

    pub(super) fn unreadable(&self, method: &str, path: &str, cause: &str) -> HeketiError {
        HeketiError::Unreadable {
            asked: self.0.exchange.asked(method, path),
            cause: cause.into(),
        }
    }
}
