//! Requests in, answers out: the part of the API's protocol that Loods speaks.

use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, BoxStream, StreamExt};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Bytes, Frame};
use hyper::{Method, Request, Response};
use kube::client::Body;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout_at};
use tower::BoxError;

use super::kinds::{Kind, Name};
use super::{Change, EVENTS, Fault, Held, Store, merge};
use crate::k8s::Client;

type Answer = Response<StreamBody<BoxStream<'static, Result<Frame<Bytes>, BoxError>>>>;

/// How long a watch lasts that names no end.
const WATCH_LIFE: u64 = 300;

/// A client of this store.
pub(super) fn client(store: Store) -> Client {
    let service = tower::service_fn(move |request: Request<Body>| {
        let store = store.clone();
        async move { answer(&store, request).await }
    });
    Client::of(kube::Client::new(service, "default"), "in memory")
}

/// What is asked for, from method, path and query.
struct Asked {
    kind: Option<Kind>,
    namespace: Option<Box<str>>,
    name: Option<Box<str>>,
    query: Vec<(String, String)>,
}

impl Asked {
    /// `/api/v1/…`, `/apis/GROUP/v1/…`: `[namespaces/NS/]PLURAL[/NAME[/SUBRESOURCE]]`.
    fn read(uri: &hyper::Uri) -> Self {
        let mut parts = uri.path().split('/').filter(|part| !part.is_empty());
        let root = parts.next();
        let skipped = if root == Some("apis") { 2 } else { 1 };
        let rest: Vec<&str> = parts.skip(skipped).collect();
        let (namespace, rest) = match rest.as_slice() {
            ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (Some(*namespace), rest),
            rest => (None, rest),
        };
        let plural = rest.first().copied().unwrap_or_default();
        let query = uri.query().unwrap_or_default().split('&');
        Self {
            kind: Kind::ALL.into_iter().find(|kind| kind.plural() == plural),
            namespace: namespace.map(Into::into),
            name: rest.get(1).map(|name| (*name).into()),
            query: query
                .filter_map(|term| term.split_once('='))
                .map(|(key, value)| {
                    (
                        key.to_owned(),
                        value.replace("%3D", "=").replace("%2F", "/"),
                    )
                })
                .collect(),
        }
    }

    fn field(&self, key: &str) -> Option<&str> {
        let mut found = self.query.iter().filter(|(name, _)| name == key);
        found.next().map(|(_, value)| value.as_str())
    }

    /// Whether an object is in the collection that is asked for.
    fn selects(&self, name: &Name, object: &Value) -> bool {
        let Some((path, wanted)) = self.field("fieldSelector").and_then(|s| s.split_once('='))
        else {
            return self.holds(name);
        };
        let pointer = format!("/{}", path.replace('.', "/"));
        self.holds(name) && object.pointer(&pointer).and_then(Value::as_str) == Some(wanted)
    }

    fn holds(&self, name: &Name) -> bool {
        let namespace = self.namespace.as_ref();
        Some(name.kind) == self.kind && namespace.is_none_or(|ns| **ns == *name.namespace)
    }
}

async fn answer(store: &Store, request: Request<Body>) -> Result<Answer, BoxError> {
    let asked = Asked::read(request.uri());
    let (head, body) = request.into_parts();
    if head.method == Method::POST && head.uri.path().ends_with("/events") {
        let body = body.collect().await?.to_bytes();
        return Ok(store.event(&body));
    }
    let Some(kind) = asked.kind else {
        return Ok(refusal(404, "NotFound", "the store has no such collection"));
    };
    let faults = store.held().faults;
    match (&head.method, asked.name.clone()) {
        (&Method::GET, None) if asked.field("watch") == Some("true") => {
            if let Fault::Refuse(code) = faults.watch {
                return Ok(refusal(code, "Injected", "as told"));
            }
            Ok(store.watch(asked))
        }
        (&Method::GET, None) => {
            let list = store.list(&asked);
            misbehave(faults.list, list).await
        }
        (&Method::GET, Some(name)) => {
            let namespace = asked.namespace.as_deref().unwrap_or_default();
            Ok(match store.get(&Name::new(kind, namespace, &name)) {
                Some(object) => whole(&object),
                None => refusal(404, "NotFound", "there is no such object"),
            })
        }
        (&Method::PATCH, Some(name)) => {
            let body = body.collect().await?.to_bytes();
            if let Fault::Refuse(code) = faults.patch {
                return Ok(refusal(code, "Injected", "as told"));
            }
            if let Fault::Delay(time) = faults.patch {
                sleep(time).await;
            }
            let apply = head
                .uri
                .query()
                .is_some_and(|query| query.contains("force=true"));
            let namespace = asked.namespace.as_deref().unwrap_or_default();
            let done = store.patch(&Name::new(kind, namespace, &name), &body, apply);
            match faults.patch {
                Fault::Lose => std::future::pending().await,
                _ => Ok(done),
            }
        }
        _ => Ok(refusal(
            405,
            "MethodNotAllowed",
            "the store does not do this",
        )),
    }
}

async fn misbehave(fault: Fault, answer: Answer) -> Result<Answer, BoxError> {
    match fault {
        Fault::None => Ok(answer),
        Fault::Refuse(code) => Ok(refusal(code, "Injected", "as told")),
        Fault::Lose => std::future::pending().await,
        Fault::Delay(time) => {
            sleep(time).await;
            Ok(answer)
        }
    }
}

impl Store {
    fn list(&self, asked: &Asked) -> Answer {
        let held = self.held();
        let objects = held.objects.iter();
        let items: Vec<&Value> = objects
            .filter(|(name, object)| asked.selects(name, object))
            .map(|(_, object)| &**object)
            .collect();
        let version = held.version.to_string();
        whole(&json!({"kind": "List", "metadata": {"resourceVersion": version}, "items": items}))
    }

    fn watch(&self, asked: Asked) -> Answer {
        let number = |key| asked.field(key).and_then(|value| value.parse().ok());
        let from = number("resourceVersion").unwrap_or(0);
        let life = Duration::from_secs(number("timeoutSeconds").unwrap_or(WATCH_LIFE));
        let watcher = Watcher {
            store: self.clone(),
            version: self.changes(),
            seen: from,
            until: Instant::now() + life,
            asked,
            over: false,
        };
        let lines = stream::unfold(watcher, |mut watcher| async {
            let text = watcher.next().await?;
            Some((Ok(Frame::data(Bytes::from(text))), watcher))
        });
        respond(200, lines.boxed())
    }

    fn patch(&self, name: &Name, body: &[u8], apply: bool) -> Answer {
        let Ok(patch) = serde_json::from_slice::<Value>(body) else {
            return refusal(400, "BadRequest", "the patch is no JSON");
        };
        let mut held = self.held();
        let before = held.objects.get(name).cloned();
        if before.is_none() && !apply {
            return refusal(404, "NotFound", "there is no such object");
        }
        if before.is_none() {
            drop(held);
            return match self.apply(patch) {
                Ok(_) => whole(&self.get(name).as_deref().cloned().unwrap_or_default()),
                Err(error) => refusal(422, "Invalid", &error.to_string()),
            };
        }
        let mut object = before.as_deref().cloned().unwrap_or_default();
        for field in ["uid", "resourceVersion"] {
            let wanted = &patch["metadata"][field];
            if !wanted.is_null() && *wanted != object["metadata"][field] {
                return refusal(409, "Conflict", "the object has been modified");
            }
        }
        merge::merge(&mut object, &patch);
        if before.as_deref() != Some(&object) {
            held.put(name.clone(), Some(object));
            self.announce(&held);
        }
        let now = held.objects.get(name).cloned();
        whole(&now.as_deref().cloned().unwrap_or_default())
    }

    fn event(&self, body: &[u8]) -> Answer {
        let Ok(event) = serde_json::from_slice::<Value>(body) else {
            return refusal(400, "BadRequest", "the Event is no JSON");
        };
        let mut held = self.held();
        held.events.push_back(event);
        if held.events.len() > EVENTS {
            held.events.pop_front();
        }
        drop(held);
        self.0.version.send_modify(|_| {});
        whole(&json!({}))
    }
}

/// One watch request.
struct Watcher {
    store: Store,
    version: watch::Receiver<u64>,
    /// The version that was told last.
    seen: u64,
    until: Instant,
    asked: Asked,
    over: bool,
}

impl Watcher {
    /// The next lines; `None` at the end of the watch.
    async fn next(&mut self) -> Option<String> {
        loop {
            if self.over {
                return None;
            }
            let (changes, fault) = {
                let held: &Held = &self.store.held();
                (held.since(self.seen), held.faults.watch)
            };
            let Some(changes) = changes else {
                self.over = true;
                let gone = status(410, "Expired", "too old resource version");
                return Some(line("ERROR", &gone));
            };
            if let Fault::Lose = fault {
                // Frozen: it sees nothing until the fault is over.
            } else if let Some(last) = changes.last() {
                if let Fault::Delay(time) = fault {
                    sleep(time).await;
                }
                self.seen = last.version;
                let text: String = changes.iter().filter_map(|c| self.told(c)).collect();
                if !text.is_empty() {
                    return Some(text);
                }
                continue;
            }
            if !matches!(
                timeout_at(self.until, self.version.changed()).await,
                Ok(Ok(()))
            ) {
                return None;
            }
        }
    }

    /// A change as this watch tells it: an object that leaves the selection is deleted.
    fn told(&self, change: &Change) -> Option<String> {
        let selected = |object: &Option<Arc<Value>>| {
            let object = object.as_deref()?;
            self.asked
                .selects(&change.name, object)
                .then(|| object.clone())
        };
        match (selected(&change.before), selected(&change.after)) {
            (None, None) => None,
            (None, Some(after)) => Some(line("ADDED", &after)),
            (Some(_), Some(after)) => Some(line("MODIFIED", &after)),
            (Some(mut before), None) => {
                before["metadata"]["resourceVersion"] = json!(change.version.to_string());
                Some(line("DELETED", &before))
            }
        }
    }
}

fn line(kind: &str, object: &Value) -> String {
    format!("{}\n", json!({"type": kind, "object": object}))
}

fn status(code: u16, reason: &str, message: &str) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": message})
}

fn refusal(code: u16, reason: &str, message: &str) -> Answer {
    body(code, &status(code, reason, message))
}

fn whole(object: &Value) -> Answer {
    body(200, object)
}

fn body(code: u16, object: &Value) -> Answer {
    let frame = Frame::data(Bytes::from(object.to_string()));
    respond(code, stream::iter([Ok(frame)]).boxed())
}

fn respond(code: u16, body: BoxStream<'static, Result<Frame<Bytes>, BoxError>>) -> Answer {
    let mut answer = Response::new(StreamBody::new(body));
    *answer.status_mut() = hyper::StatusCode::from_u16(code).unwrap_or_default();
    answer
}

/// The HTTP status that a patch is answered with.
#[cfg(test)]
pub(super) fn patch_code(store: &Store, name: &Name, patch: &Value) -> u16 {
    store
        .patch(name, patch.to_string().as_bytes(), false)
        .status()
        .as_u16()
}
