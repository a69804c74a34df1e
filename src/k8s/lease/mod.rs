//! One leader among the allocators, by a Lease (coordination.k8s.io/v1).
//!
//! The rule is in [`rule`], pure; here is what carries it out: every 2 s, a
//! little at random, GET the Lease, ask the rule, PUT with the resourceVersion
//! that was read. A leader may act until 10 s after it *sent* the last write
//! that was taken; the state says so with an instant. It ends then also while
//! a call hangs. The others wait 15 s from when they saw that write, so at
//! least 5 s lie between two leaders.

pub mod rule;

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::api::{GetParams, ObjectMeta, PostParams};
use kube::core::Request;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;

use super::FIELD_MANAGER;
use super::backoff::fraction;
use super::client::{ApiError, Client, malformed};
use super::counters::Counters;
use rule::{Record, Rule, Step, Timing};

/// One read or write may take this long, so that a second try fits into the
/// time that a leader has left.
const CALL_LIMIT: Duration = Duration::from_secs(4);
/// At a clean stop the release may take this long: the process ends within 2 s.
const RELEASE_LIMIT: Duration = Duration::from_secs(1);

/// Whether this process leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeaderState {
    /// Another one leads, or nobody, or we do not know.
    Following {
        /// The other's identity, if the Lease names one.
        holder: Option<Box<str>>,
    },
    /// We lead.
    Leading {
        /// Nothing may be written after this instant, unless a later state moves it.
        until: Instant,
        /// Counts the times we began to lead: what was decided in an earlier term is void.
        term: u64,
    },
}

impl LeaderState {
    /// The instant until which writes are allowed, if it has not passed.
    pub fn writes_until(&self, now: Instant) -> Option<Instant> {
        match self {
            LeaderState::Leading { until, .. } if *until > now => Some(*until),
            _ => None,
        }
    }
}

/// Leads from the first moment until `release`, without a Lease: for an API
/// that nobody shares.
pub async fn alone(state: watch::Sender<LeaderState>, release: CancellationToken) {
    // A century: no write of a process that nobody competes with is late.
    let until = Instant::now() + Duration::from_secs(100 * 365 * 24 * 3600);
    state.send_replace(LeaderState::Leading { until, term: 1 });
    release.cancelled().await;
}

/// Which Lease, and who we are.
#[derive(Clone, Debug)]
pub struct Options {
    /// Namespace of the Lease.
    pub namespace: Box<str>,
    /// Name of the Lease.
    pub name: Box<str>,
    /// Ours alone: no other process, an earlier one of the same pod included, may have it.
    pub identity: Box<str>,
    /// 15, 10 and 2 s unless a test wants otherwise.
    pub timing: Timing,
    /// Where things are counted.
    pub counters: Arc<Counters>,
}

/// An identity that no other process has: a name people know, and a random part.
pub fn identity(name: &str) -> Box<str> {
    format!("{name}_{:013x}", (fraction() * (1u64 << 52) as f64) as u64).into()
}

/// Stands for election until `stop`, then releases the Lease if it is ours and
/// returns. Whoever acts as the leader must have stopped before `stop`: the
/// next leader begins at once.
pub async fn run(
    client: Client,
    options: Options,
    state: watch::Sender<LeaderState>,
    stop: CancellationToken,
) {
    let mut candidate = Candidate {
        rule: Rule::new(options.identity.clone(), options.timing),
        client,
        options,
        state,
        term: 0,
        trouble: None,
    };
    stop.run_until_cancelled(candidate.stand()).await;
    candidate.publish(false);
    candidate.release().await;
}

struct Candidate {
    rule: Rule,
    client: Client,
    options: Options,
    state: watch::Sender<LeaderState>,
    term: u64,
    trouble: Option<String>,
}

impl Candidate {
    async fn stand(&mut self) {
        loop {
            let until = self.rule.leads_until(now()).map(Instant::from_std);
            // A call that hangs must not outlive our right to lead.
            let deadline = (Instant::now() + CALL_LIMIT).min(until.unwrap_or_else(far));
            let outcome = match timeout_at(deadline, self.try_once()).await {
                Ok(outcome) => outcome,
                Err(_) => Err(ApiError::TimedOut {
                    asked: "the Lease".into(),
                    limit: CALL_LIMIT,
                }),
            };
            self.note(outcome);
            self.publish(true);
            let pause = sleep(self.options.timing.retry.mul_f64(1.0 + fraction() / 5.0));
            let end = self
                .rule
                .leads_until(now())
                .map_or_else(far, Instant::from_std);
            tokio::select! {
                () = pause => {}
                () = sleep_until(end) => self.publish(true),
            }
        }
    }

    /// Reads the Lease and writes it, if the rule says so.
    async fn try_once(&mut self) -> Result<(), ApiError> {
        let read = self.read().await?;
        let found = read.as_ref().map(record);
        match self.rule.read(now(), found) {
            Step::Wait => Ok(()),
            Step::Write(wanted) => {
                let sent = now();
                match self.write(read, &wanted).await {
                    Ok(()) => {
                        self.rule.written(sent, now(), wanted);
                        self.options.counters.lease_renewals.add_one();
                        Ok(())
                    }
                    // Another one was quicker: the next read tells who.
                    Err(error) if error.code() == Some(409) => Ok(()),
                    Err(error) => Err(error),
                }
            }
        }
    }

    async fn read(&self) -> Result<Option<Lease>, ApiError> {
        let request = self
            .request()
            .get(&self.options.name, &GetParams::default())
            .map_err(malformed)?;
        match self.client.decode(request, CALL_LIMIT).await {
            Ok(lease) => Ok(Some(lease)),
            Err(error) if error.code() == Some(404) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// With the resourceVersion that was read: a Lease changed since is a conflict.
    async fn write(&self, read: Option<Lease>, wanted: &Record) -> Result<(), ApiError> {
        let params = PostParams {
            field_manager: Some(FIELD_MANAGER.into()),
            ..PostParams::default()
        };
        let create = read.is_none();
        let mut lease = read.unwrap_or_else(|| Lease {
            metadata: ObjectMeta {
                name: Some(self.options.name.to_string()),
                namespace: Some(self.options.namespace.to_string()),
                ..ObjectMeta::default()
            },
            ..Lease::default()
        });
        fill(lease.spec.get_or_insert_default(), wanted);
        let body = serde_json::to_vec(&lease).map_err(malformed)?;
        let request = match create {
            true => self.request().create(&params, body),
            false => self.request().replace(&self.options.name, &params, body),
        };
        self.client
            .call(request.map_err(malformed)?, CALL_LIMIT)
            .await
            .map(drop)
    }

    fn request(&self) -> Request {
        Request::new(format!(
            "/apis/coordination.k8s.io/v1/namespaces/{}/leases",
            self.options.namespace
        ))
    }

    /// Tells the others where we stand. `standing` false: we stop.
    fn publish(&mut self, standing: bool) {
        let until = self.rule.leads_until(now()).filter(|_| standing);
        let led = matches!(*self.state.borrow(), LeaderState::Leading { .. });
        let next = match until {
            Some(until) => {
                if !led {
                    self.term += 1;
                    tracing::info!(
                        identity = &*self.options.identity,
                        term = self.term,
                        "this process leads"
                    );
                }
                LeaderState::Leading {
                    until: Instant::from_std(until),
                    term: self.term,
                }
            }
            None => {
                let holder = self.rule.holder().map(Into::into);
                match (led, standing) {
                    (true, true) => tracing::warn!(?holder, "this process no longer leads"),
                    (true, false) => tracing::info!("this process gives up its lead to stop"),
                    (false, _) => {}
                }
                LeaderState::Following { holder }
            }
        };
        self.state.send_if_modified(|state| {
            let changed = *state != next;
            *state = next;
            changed
        });
    }

    fn note(&mut self, outcome: Result<(), ApiError>) {
        match outcome {
            Ok(()) => {
                if self.trouble.take().is_some() {
                    tracing::info!("the Lease can be read and written again");
                }
            }
            Err(error) => {
                self.options.counters.lease_errors.add_one();
                let kind = error.kind();
                if self.trouble.as_deref() != Some(&*kind) {
                    tracing::warn!(%error, "the Lease cannot be read or written");
                    self.trouble = Some(kind);
                }
            }
        }
    }

    /// Gives the Lease back, so that another one need not wait 15 s.
    async fn release(&mut self) {
        if self.rule.leads_until(now()).is_none() {
            return;
        }
        let work = async {
            let read = self.read().await?;
            match read
                .as_ref()
                .map(record)
                .and_then(|found| self.rule.release(&found))
            {
                Some(free) => self.write(read, &free).await,
                None => Ok(()),
            }
        };
        match tokio::time::timeout(RELEASE_LIMIT, work).await {
            Ok(Ok(())) => tracing::info!("the Lease is released"),
            Ok(Err(error)) => {
                tracing::warn!(%error, "the Lease is not released; it runs out by itself")
            }
            Err(_) => tracing::warn!(
                "no answer in time: the Lease is not released; it runs out by itself"
            ),
        }
    }
}

fn now() -> std::time::Instant {
    Instant::now().into_std()
}

/// Later than anything waits for.
fn far() -> Instant {
    Instant::now() + Duration::from_secs(3600)
}

fn record(lease: &Lease) -> Record {
    let spec = lease.spec.clone().unwrap_or_default();
    Record {
        holder: spec
            .holder_identity
            .filter(|holder| !holder.is_empty())
            .map(Into::into),
        seconds: spec.lease_duration_seconds.unwrap_or(0),
        // Both are compared for change, never with our clock.
        renewed: spec.renew_time.map_or(0, |time| time.0.as_microsecond()),
        transitions: spec.lease_transitions.unwrap_or(0),
        version: lease
            .metadata
            .resource_version
            .clone()
            .unwrap_or_default()
            .into(),
    }
}

/// Times of day are for people who look; nobody decides by them.
fn fill(spec: &mut LeaseSpec, wanted: &Record) {
    let today = MicroTime(Timestamp::now());
    let holder = wanted.holder.as_deref().unwrap_or("");
    if spec.holder_identity.as_deref() != Some(holder) {
        spec.acquire_time = Some(today.clone());
    }
    spec.holder_identity = Some(holder.into());
    spec.lease_duration_seconds = Some(wanted.seconds);
    spec.renew_time = Some(today);
    spec.lease_transitions = Some(wanted.transitions);
}

#[cfg(test)]
mod tests;
