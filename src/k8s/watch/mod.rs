//! One kind of object, listed and then watched for ever.
//!
//! ```text
//!   list (paged) --> watch --+--> ended in time ----------> watch on
//!    ^                       +--> broke --> wait --> probe --+
//!    |                       |              older version    |
//!    +---- 410, older version <------------------------------+
//! ```
//!
//! What comes out is [`Event`]s: `Begin`, `Apply`*, `End` for a list, `Apply`
//! and `Delete` for a watch. A list that fails half-way is begun again, so a
//! `Begin` may follow a `Begin`. `Rewound` stands before the `Begin` of a list
//! from an older history. After a relist nothing says what vanished:
//! the receiver sweeps what no `Apply` named. While the server is away nothing
//! comes out, and so nothing is withdrawn.
//!
//! The server ends each watch after 60 to 120 s, at random, so that a dead
//! link shows soon and 5,000 clients never move in step. A watch that ends
//! otherwise may mean a new server with another history (see `version.rs`): a
//! probe compares before the watch goes on. Errors are counted each time, and
//! logged when they change.

mod end;
mod lines;
#[cfg(test)]
mod tests;
mod version;

use std::sync::Arc;
use std::time::Duration;

use kube::api::WatchParams;
use kube::core::Request;
use serde_json::value::RawValue;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use super::backoff::{Backoff, fraction};
use super::client::{ApiError, Client, asked, malformed, unreadable};
use super::counters::Counters;
use super::list::{self, Page};
use super::objects::{Named, Subject};
pub use crate::facts::Event;
use end::{Closed, End, Halt, Line, Next, broke, failure, next_bytes};
use lines::Lines;
use version::Highest;

/// Shortest and longest life of one watch, in seconds.
const LIFE: (u32, u32) = (60, 120);
/// How long the head of a watch's answer may take.
const OPEN_LIMIT: Duration = Duration::from_secs(15);
/// A server that ends a watch this much before its time did not mean to.
const EARLY: Duration = Duration::from_secs(2);
/// A server that ends a watch this much after its time is gone.
const LATE: Duration = Duration::from_secs(10);
/// The longest that a server's Retry-After is obeyed.
const LONGEST_AWAY: Duration = Duration::from_secs(60);

/// How a watch is run.
#[derive(Clone, Debug)]
pub struct Options {
    /// The first list waits a random part of this. Zero: it starts at once.
    pub spread: Duration,
    /// Where things are counted.
    pub counters: Arc<Counters>,
}

/// Lists and watches until the receiver is gone. `wrap` makes the receiver's
/// message of an event; a full channel holds the watch back.
pub async fn run<S, M, W>(
    client: Client,
    subject: S,
    options: Options,
    facts: mpsc::Sender<M>,
    wrap: W,
) where
    S: Subject,
    M: Send,
    W: Fn(Event<S::Fact, S::Key>) -> M + Send,
{
    sleep(options.spread.mul_f64(fraction())).await;
    let mut watch = Watch {
        client,
        subject,
        facts,
        wrap,
        counters: options.counters,
        highest: Highest::default(),
        rewound: false,
        backoff: Backoff::new(Duration::from_millis(800), Duration::from_secs(30)),
        relists: Backoff::new(Duration::from_millis(800), Duration::from_secs(30)),
        trouble: None,
    };
    let Err(Closed) = watch.run().await;
}

struct Watch<S, M, W> {
    client: Client,
    subject: S,
    facts: mpsc::Sender<M>,
    wrap: W,
    counters: Arc<Counters>,
    highest: Highest,
    /// The history went backwards, and the receiver does not know it yet.
    rewound: bool,
    backoff: Backoff,
    /// Apart from that of errors: a server that is back after an hour knows no
    /// old version, and is not to be left alone for that.
    relists: Backoff,
    /// The kind of error logged last, while it lasts.
    trouble: Option<String>,
}

impl<S, M, W> Watch<S, M, W>
where
    S: Subject,
    M: Send,
    W: Fn(Event<S::Fact, S::Key>) -> M + Send,
{
    async fn run(&mut self) -> Result<std::convert::Infallible, Closed> {
        loop {
            match self.list().await {
                Ok(version) => self.watch(version).await?,
                Err(Halt::Api(error)) => self.wait_after(&error).await,
                Err(Halt::Closed) => return Err(Closed),
            }
        }
    }

    /// Lists anew and tells the version of the list.
    async fn list(&mut self) -> Result<String, Halt> {
        let mut token = String::new();
        let mut begun = false;
        loop {
            let page = Page::fetch(&self.client, &self.subject, &token).await?;
            let parts = page.parts()?;
            if !begun {
                if !self.highest.is_reached_by(&parts.metadata.resource_version) {
                    self.older(&parts.metadata.resource_version);
                }
                if std::mem::take(&mut self.rewound) {
                    self.send(Event::Rewound).await?;
                }
                self.send(Event::Begin).await?;
                begun = true;
            }
            for object in parts.items.iter().flatten() {
                self.counters.updates.add_one();
                match self.subject.fact(object.get()) {
                    Ok(Some(fact)) => self.send(Event::Apply(fact)).await?,
                    Ok(None) => {}
                    Err(error) => self.skip(object, &error),
                }
            }
            token = parts.metadata.next;
            if token.is_empty() {
                self.send(Event::End).await?;
                self.counters.lists.add_one();
                let version = parts.metadata.resource_version;
                // Lower than its own first page it cannot be.
                let _reached = self.highest.see(&version);
                return Ok(version);
            }
        }
    }

    /// Watches on from a version until a new list is needed.
    async fn watch(&mut self, mut version: String) -> Result<(), Closed> {
        loop {
            match self.follow(&mut version).await? {
                End::InTime => self.calm(),
                End::Gone => {
                    tracing::info!(
                        kind = S::PLURAL,
                        "the server no longer knows our version: listing again"
                    );
                    sleep(self.relists.next(fraction())).await;
                    return Ok(());
                }
                End::Older => return Ok(()),
                End::Broken(error) => {
                    self.wait_after(&error).await;
                    if !self.still_the_same_history().await? {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Asks, until there is an answer, whether the server is at least where we are.
    async fn still_the_same_history(&mut self) -> Result<bool, Closed> {
        loop {
            match list::version(&self.client, &self.subject).await {
                Ok(version) if self.highest.is_reached_by(&version) => return Ok(true),
                Ok(version) => {
                    self.older(&version);
                    return Ok(false);
                }
                Err(error) => self.wait_after(&error).await,
            }
        }
    }

    /// One watch request, from its start to its end. `version` moves with it.
    async fn follow(&mut self, version: &mut String) -> Result<End, Closed> {
        let seconds = LIFE.0 + (f64::from(LIFE.1 - LIFE.0) * fraction()) as u32;
        let params = WatchParams {
            field_selector: self.subject.field_selector(),
            timeout: Some(seconds),
            bookmarks: true,
            ..WatchParams::default()
        };
        let request = match Request::new(self.subject.path()).watch(&params, version) {
            Ok(request) => request,
            Err(error) => return Ok(End::Broken(malformed(error))),
        };
        let asked = asked(&request);
        let life = Duration::from_secs(seconds.into());
        let opened = Instant::now();
        let mut body = match self.client.open(request, OPEN_LIMIT).await {
            Ok(body) => body,
            Err(error) if error.code() == Some(410) => return Ok(End::Gone),
            Err(error) => return Ok(End::Broken(error)),
        };
        self.recovered();
        let mut lines = Lines::default();
        loop {
            let bytes = match next_bytes(&mut body, opened + life + LATE, &asked).await {
                Ok(Some(bytes)) => bytes,
                Ok(None) if opened.elapsed() + EARLY >= life => return Ok(End::InTime),
                Ok(None) => return Ok(End::Broken(broke(&asked, "the watch ended early"))),
                Err(error) => return Ok(End::Broken(error)),
            };
            if !lines.push(&bytes) {
                return Ok(End::Broken(broke(&asked, "a line longer than any object")));
            }
            while let Some(line) = lines.next() {
                if let Next::End(end) = self.line(line, version, &asked).await? {
                    return Ok(end);
                }
            }
        }
    }

    async fn line(
        &mut self,
        line: &[u8],
        version: &mut String,
        asked: &str,
    ) -> Result<Next, Closed> {
        let line: Line<'_> = match serde_json::from_slice(line) {
            Ok(line) => line,
            Err(error) => return Ok(Next::End(End::Broken(unreadable(asked, &error)))),
        };
        let json = line.object.get();
        if line.kind == "ERROR" {
            return Ok(Next::End(failure(json, asked)));
        }
        let named: Named<'_> = match serde_json::from_str(json) {
            Ok(named) => named,
            Err(error) => {
                self.skip(line.object, &error);
                return Ok(Next::Line);
            }
        };
        if !self.highest.see(named.resource_version()) {
            self.older(named.resource_version());
            return Ok(Next::End(End::Older));
        }
        let event = match &*line.kind {
            "ADDED" | "MODIFIED" => match self.subject.fact(json) {
                Ok(Some(fact)) => Some(Event::Apply(fact)),
                // It may have been of interest before.
                Ok(None) => Some(gone::<S>(&named)),
                Err(error) => {
                    self.skip(line.object, &error);
                    None
                }
            },
            "DELETED" => Some(gone::<S>(&named)),
            // BOOKMARK brings a version and nothing else; so does a word of the future.
            _ => None,
        };
        if let Some(event) = event {
            self.counters.updates.add_one();
            self.send(event).await?;
        }
        self.calm();
        if !named.resource_version().is_empty() {
            named.resource_version().clone_into(version);
        }
        Ok(Next::Line)
    }

    async fn send(&self, event: Event<S::Fact, S::Key>) -> Result<(), Closed> {
        self.facts
            .send((self.wrap)(event))
            .await
            .map_err(|_| Closed)
    }

    /// An object that does not decode. What was known of it stays known.
    fn skip(&self, object: &RawValue, error: &serde_json::Error) {
        self.counters.undecodable.add_one();
        let named: Option<Named<'_>> = serde_json::from_str(object.get()).ok();
        let (namespace, name) = named
            .as_ref()
            .map_or(("", "?"), |named| (named.namespace(), named.name()));
        // The place and not the words: those may quote a value.
        let at = error.column();
        tracing::warn!(
            kind = S::PLURAL,
            namespace,
            name,
            at,
            "this object does not decode and is skipped"
        );
    }

    /// The server's history went backwards: what we know may never have happened.
    fn older(&mut self, version: &str) {
        self.counters.regressions.add_one();
        tracing::warn!(
            kind = S::PLURAL,
            version,
            highest = ?self.highest,
            "the server's resourceVersion went backwards (etcd restored?): listing again"
        );
        self.highest.forget();
        self.rewound = true;
    }

    async fn wait_after(&mut self, error: &ApiError) {
        self.counters.update_errors.add_one();
        let kind = error.kind();
        if self.trouble.as_deref() != Some(&*kind) {
            tracing::warn!(kind = S::PLURAL, %error, "no news from the API server; what is known stays in force");
            self.trouble = Some(kind);
        }
        let asked_for = error.retry_after().unwrap_or_default().min(LONGEST_AWAY);
        sleep(self.backoff.next(fraction()).max(asked_for)).await;
    }

    /// The watch does what it should: the next trouble is a new one.
    fn calm(&mut self) {
        self.backoff.reset();
        self.relists.reset();
    }

    fn recovered(&mut self) {
        if self.trouble.take().is_some() {
            tracing::info!(kind = S::PLURAL, "news from the API server again");
        }
    }
}

/// The version in a DELETED event is that of the change: also where the object
/// is shown as it was when it still was one of those that are watched.
fn gone<S: Subject>(named: &Named<'_>) -> Event<S::Fact, S::Key> {
    let key = S::key(named.namespace(), named.name());
    Event::Delete(key, named.resource_version().into())
}
