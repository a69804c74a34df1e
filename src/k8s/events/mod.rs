//! Kubernetes Events: what `kubectl describe` shows below an object.
//!
//! Whoever has something to say never waits: notices go into a bounded queue
//! and one task writes them, one at a time, so that Events never crowd out
//! statuses. Each becomes an Event of its own in events.k8s.io/v1, which the
//! API server also shows as core/v1. Without a server they wait.

mod pace;
mod queue;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use k8s_openapi::jiff::Timestamp;
use kube::api::{ObjectMeta, PostParams};
use kube::core::Request;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use super::FIELD_MANAGER;
use super::backoff::{Backoff, fraction};
use super::client::{ApiError, Client, malformed};
use super::counters::Counters;
use crate::lb::event;
pub use crate::lb::event::EventKind;
use pace::Pace;
use queue::Queue;

/// One write may take this long.
const LIMIT: Duration = Duration::from_secs(10);
/// Answers of 429 or 5xx to one Event, then it is given up.
const TRIES: u32 = 5;
/// The API server refuses a longer note, in bytes.
const LONGEST_NOTE: usize = 1024;
/// Leaves room for the unique part within the 253 bytes of a name.
const LONGEST_STEM: usize = 200;
/// `reportingInstance` takes so many bytes.
const LONGEST_INSTANCE: usize = 128;

/// The object that a notice is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Regarding {
    /// `Service`, `ConfigMap`, `PersistentVolumeClaim` or `PersistentVolume`.
    pub kind: &'static str,
    /// Its namespace; "" if it has none.
    pub namespace: Box<str>,
    /// Its name.
    pub name: Box<str>,
    /// Its uid; `kubectl describe` finds its Events by it. "" if it does not exist.
    pub uid: Box<str>,
}

impl Regarding {
    fn id(&self) -> Box<str> {
        format!(
            "{}/{}/{}/{}",
            self.kind, self.namespace, self.name, self.uid
        )
        .into()
    }
}

/// An Event to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// What it is about.
    pub regarding: Regarding,
    /// Normal or Warning.
    pub kind: EventKind,
    /// A word that people alert on.
    pub reason: &'static str,
    /// What happened. Cut at 1,024 bytes.
    pub note: String,
}

impl From<event::Event> for Notice {
    fn from(event: event::Event) -> Self {
        let regarding = Regarding {
            kind: "Service",
            namespace: event.service.namespace().into(),
            name: event.service.name().into(),
            uid: event.uid,
        };
        Self {
            regarding,
            kind: event.kind,
            reason: event.reason,
            note: event.note,
        }
    }
}

/// Who says so.
#[derive(Clone, Debug)]
pub struct Reporter {
    /// `reportingController`: `loods-allocator` or `loods-speaker`.
    pub controller: &'static str,
    /// `reportingInstance`: the pod or node.
    pub instance: Box<str>,
    /// `action`: what was being done, such as `Allocate` or `Announce`.
    pub action: &'static str,
}

/// Where notices are handed in. Clones share one queue.
#[derive(Clone)]
pub struct EventSink(Arc<Shared>);

struct Shared {
    queue: Mutex<Queue>,
    wake: Notify,
    counters: Arc<Counters>,
}

impl EventSink {
    /// A sink that nobody empties yet; [`EventSink::run`] does.
    pub fn new(counters: Arc<Counters>) -> Self {
        Self(Arc::new(Shared {
            queue: Mutex::default(),
            wake: Notify::new(),
            counters,
        }))
    }

    /// Wants an Event written. Never blocks; may be dropped, see `queue.rs`.
    pub fn publish(&self, notice: impl Into<Notice>) {
        let now = Instant::now().into_std();
        if self.queue(|queue| queue.push(notice.into(), now)) {
            self.0.wake.notify_one();
        } else {
            self.0.counters.events_dropped.add_one();
        }
    }

    /// Writes what is handed in, for ever.
    pub async fn run(&self, client: Client, reporter: Reporter) {
        let mut pace = Pace::new(Instant::now().into_std());
        loop {
            let Some(notice) = self.queue(Queue::pop) else {
                self.0.wake.notified().await;
                continue;
            };
            sleep(pace.next(Instant::now().into_std())).await;
            self.write(&client, &reporter, &notice).await;
        }
    }

    /// Writes one; waits for a server that is away, gives up on one that
    /// refuses, or that fails on this one again and again: others wait behind it.
    async fn write(&self, client: &Client, reporter: &Reporter, notice: &Notice) {
        let event = event(reporter, notice, Timestamp::now());
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
        let mut failed = 0;
        loop {
            let Err(error) = create(client, &event).await else {
                self.0.counters.events.add_one();
                return;
            };
            match error.code() {
                // An earlier try landed after all.
                Some(409) => return,
                Some(code) if failed >= TRIES || (400..500).contains(&code) && code != 429 => {
                    self.0.counters.events_dropped.add_one();
                    tracing::warn!(%error, reason = notice.reason, "an Event is refused");
                    return;
                }
                code => {
                    failed += u32::from(code.is_some());
                    let asked_for = error.retry_after().unwrap_or_default().min(LIMIT);
                    sleep(backoff.next(fraction()).max(asked_for)).await;
                }
            }
        }
    }

    fn queue<T>(&self, work: impl FnOnce(&mut Queue) -> T) -> T {
        // A panic elsewhere leaves the queue whole: each step is complete in itself.
        work(&mut self.0.queue.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

async fn create(client: &Client, event: &Event) -> Result<(), ApiError> {
    let namespace = event.metadata.namespace.as_deref().unwrap_or("default");
    let body = serde_json::to_vec(event).map_err(malformed)?;
    let params = PostParams {
        field_manager: Some(FIELD_MANAGER.into()),
        ..PostParams::default()
    };
    let request = Request::new(format!(
        "/apis/events.k8s.io/v1/namespaces/{namespace}/events"
    ))
    .create(&params, body)
    .map_err(malformed)?;
    client.call(request, LIMIT).await.map(drop)
}

fn event(reporter: &Reporter, notice: &Notice, time: Timestamp) -> Event {
    let regarding = &notice.regarding;
    let namespace = Some(&*regarding.namespace).filter(|namespace| !namespace.is_empty());
    let unique = format!(
        "{:x}{:04x}",
        time.as_microsecond(),
        (fraction() * 65536.0) as u16
    );
    Event {
        metadata: ObjectMeta {
            name: Some(format!(
                "{}.{unique}",
                cut(&regarding.name, LONGEST_STEM, "").trim_end_matches(['.', '-'])
            )),
            // An Event has one in any case.
            namespace: Some(namespace.unwrap_or("default").into()),
            ..ObjectMeta::default()
        },
        regarding: Some(ObjectReference {
            api_version: Some("v1".into()),
            kind: Some(regarding.kind.into()),
            namespace: namespace.map(Into::into),
            name: Some(regarding.name.to_string()),
            uid: (!regarding.uid.is_empty()).then(|| regarding.uid.to_string()),
            ..ObjectReference::default()
        }),
        event_time: Some(MicroTime(time)),
        reporting_controller: Some(reporter.controller.into()),
        reporting_instance: Some(cut(&reporter.instance, LONGEST_INSTANCE, "")),
        action: Some(reporter.action.into()),
        reason: Some(notice.reason.into()),
        note: Some(cut(&notice.note, LONGEST_NOTE, "…")),
        type_: Some(
            match notice.kind {
                EventKind::Normal => "Normal",
                EventKind::Warning => "Warning",
            }
            .into(),
        ),
        ..Event::default()
    }
}

/// At most `most` bytes of a text, its end marked where it is cut.
fn cut(text: &str, most: usize, mark: &str) -> String {
    if text.len() <= most {
        return text.into();
    }
    let room = most.saturating_sub(mark.len());
    // A character has four bytes at most, and 0 is always a boundary.
    let end = (0..=room)
        .rev()
        .find(|&end| text.is_char_boundary(end))
        .unwrap_or(0);
    format!("{}{mark}", &text[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(note: &str, name: &str) -> Event {
        let regarding = Regarding {
            kind: "Service",
            namespace: "d".into(),
            name: name.into(),
            uid: "u".into(),
        };
        let notice = Notice {
            regarding,
            kind: EventKind::Warning,
            reason: "AllocationFailed",
            note: note.into(),
        };
        let reporter = Reporter {
            controller: "loods-allocator",
            instance: "pod-1".into(),
            action: "Allocate",
        };
        event(&reporter, &notice, Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn a_long_note_is_cut_between_characters() {
        let note = of(&"é".repeat(1000), "web").note.unwrap();
        assert!(note.len() <= 1024 && note.len() > 1018, "{}", note.len());
        assert!(note.ends_with("é…"));
        assert_eq!(of("short", "web").note.unwrap(), "short");
    }

    #[test]
    fn the_longest_name_leaves_room_for_a_unique_one() {
        let name = of("", &"a.".repeat(126)).metadata.name.unwrap();
        assert!(name.len() <= 253, "{}", name.len());
        assert!(!name.contains(".."));
        assert_ne!(name, of("", &"a.".repeat(126)).metadata.name.unwrap());
    }

    const REASONS: [&str; 3] = ["IPAllocated", "AllocationFailed", "ClearAssignment"];

    /// Publishes one Event of each reason; answers what was sent, in order: the
    /// reason, verb and path, the body.
    async fn sent(
        replies: Vec<crate::k8s::fake::Reply>,
        counters: &Arc<Counters>,
    ) -> Vec<(&'static str, String, String)> {
        let (client, asked) = crate::k8s::fake::server(replies);
        let sink = EventSink::new(Arc::clone(counters));
        for reason in REASONS {
            sink.publish(event::Event {
                service: crate::facts::ServiceKey::new("d", "web"),
                uid: "u".into(),
                kind: EventKind::Normal,
                reason,
                note: "n".into(),
            });
        }
        let reporter = Reporter {
            controller: "loods-speaker",
            instance: "n1".into(),
            action: "Announce",
        };
        let work = sink.run(client, reporter);
        let ended = tokio::time::timeout(Duration::from_secs(600), work).await;
        assert!(ended.is_err(), "it never ends by itself");
        let all = asked.all().into_iter();
        let of = |body: &str| REASONS.into_iter().find(|reason| body.contains(*reason));
        all.filter_map(|(asked, body)| Some((of(&body)?, asked.to_string(), body)))
            .collect()
    }

    #[tokio::test(start_paused = true)]
    async fn events_wait_for_the_server_and_yield_to_a_refusal() {
        use crate::k8s::fake::Reply;
        let counters = Arc::new(Counters::default());
        let replies = vec![
            Reply::refused(503),
            Reply::refused(409),
            Reply::refused(403),
            Reply::ok("{}"),
        ];
        let [first, second, third] = REASONS;
        let mut sent = sent(replies, &counters).await;
        let reasons: Vec<_> = sent.iter().map(|(reason, ..)| *reason).collect();
        assert_eq!(reasons, [first, first, second, third]);
        assert_eq!(
            (counters.events.count(), counters.events_dropped.count()),
            (1, 1)
        );
        let (_, asked, body) = sent.remove(3);
        assert_eq!(
            asked,
            "POST /apis/events.k8s.io/v1/namespaces/d/events?&fieldManager=loods"
        );
        assert!(body.contains(r#""regarding":{"apiVersion":"v1","kind":"Service","name":"web","namespace":"d","uid":"u"}"#), "{body}");
    }

    #[tokio::test(start_paused = true)]
    async fn an_event_on_which_the_server_fails_again_and_again_holds_up_no_other() {
        use crate::k8s::fake::Reply;
        let counters = Arc::new(Counters::default());
        let mut replies: Vec<Reply> = (0..=TRIES).map(|_| Reply::refused(500)).collect();
        replies.extend([Reply::ok("{}"), Reply::ok("{}")]);
        let sent = sent(replies, &counters).await;
        let reasons: Vec<_> = sent.iter().map(|(reason, ..)| *reason).collect();
        let [first, second, third] = REASONS;
        let tries = TRIES as usize + 1;
        assert_eq!(reasons[..tries], vec![first; tries]);
        assert_eq!(reasons[tries..], [second, third]);
        assert_eq!(counters.events_dropped.count(), 1);
    }
}
