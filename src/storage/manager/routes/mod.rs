//! Paths of Heketi's REST API, and what each answers.

mod beyond;
mod bricks;
mod operations;
mod topology;
mod volumes;

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Manager;
use super::queue::{End, Told};
use super::validate::Refusal;

/// One request.
pub(super) struct Ask<'a> {
    pub method: &'a str,
    /// Without its query.
    pub path: &'a str,
    pub query: &'a str,
    pub body: &'a [u8],
}

impl Ask<'_> {
    /// Unknown fields are passed over, as Heketi does.
    fn parse<T: DeserializeOwned>(&self) -> Result<T, Refusal> {
        serde_json::from_slice(self.body)
            .map_err(|_| (422, "request unable to be parsed".to_owned()))
    }
}

/// One answer.
#[derive(Clone, Debug, Default)]
pub(super) struct Answer {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
}

/// How long a request waits for the first look at all hosts.
const FIRST_LOOK: Duration = Duration::from_secs(20);

const JSON: &str = "application/json; charset=UTF-8";
const HTML: &str = "text/html; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";

impl Answer {
    fn json(status: u16, body: &impl Serialize) -> Self {
        match serde_json::to_vec(body) {
            Ok(mut body) => {
                body.push(b'\n');
                Self {
                    status,
                    headers: vec![("content-type", JSON.into())],
                    body,
                }
            }
            Err(error) => Self::error(500, &error.to_string()),
        }
    }

    fn empty(status: u16) -> Self {
        Self {
            status,
            ..Self::default()
        }
    }

    /// A sentence and a line end, as Heketi's errors have it.
    pub(super) fn error(status: u16, text: &str) -> Self {
        Self {
            status,
            headers: vec![
                ("content-type", TEXT.into()),
                ("x-content-type-options", "nosniff".into()),
            ],
            body: format!("{text}\n").into(),
        }
    }

    fn see_other(path: &str) -> Self {
        Self {
            status: 303,
            headers: vec![("content-type", HTML.into()), ("location", path.to_owned())],
            body: format!("<a href=\"{path}\">See Other</a>.\n\n").into(),
        }
    }
}

fn not_found(text: &str) -> Refusal {
    (404, text.to_owned())
}

fn absent() -> Refusal {
    not_found("Id not found")
}

fn no_path() -> Refusal {
    not_found("Invalid path or request")
}

/// 32 lower-case hexadecimal digits.
fn is_id(text: &str) -> bool {
    text.len() == 32
        && text
            .bytes()
            .all(|octet| matches!(octet, b'0'..=b'9' | b'a'..=b'f'))
}

/// Answers a request whose token was found good.
pub(super) async fn answer(manager: &Arc<Manager>, ask: Ask<'_>) -> Answer {
    let parts: Vec<&str> = ask.path.trim_start_matches('/').split('/').collect();
    if !matches!(ask.method, "GET" | "POST" | "DELETE") {
        return Answer::empty(405);
    }
    // Where an id is wanted, Heketi's router takes nothing else.
    if let [
        "volumes" | "nodes" | "devices" | "clusters" | "queue",
        id,
        ..,
    ] = parts[..]
        && !is_id(id)
    {
        return Answer::error(404, "Invalid path or request");
    }
    // Hosts may be added before all that are named answer.
    let of_volumes = matches!(parts[..], ["volumes" | "loods", ..]);
    if of_volumes && !has_looked(manager).await {
        return Answer::error(429, "Server busy. Retry operation later.");
    }
    let done = match parts[..] {
        ["hello"] => Ok(Answer {
            status: 200,
            headers: vec![
                ("content-type", TEXT.into()),
                (
                    crate::storage::heketi::loods::HEADER,
                    env!("CARGO_PKG_VERSION").into(),
                ),
            ],
            body: "Hello from Loods\n".into(),
        }),
        ["clusters", ..] => topology::clusters(manager, &ask, &parts).await,
        ["bricks", "to-evict", id] if ask.method == "POST" => bricks::evict(manager, id),
        ["nodes", ..] => topology::nodes(manager, &ask, &parts).await,
        ["devices", ..] => topology::devices(manager, &ask, &parts).await,
        ["volumes", ..] => volumes::answer(manager, &ask, &parts),
        ["queue", id] if ask.method == "GET" => Ok(poll(manager, id)),
        ["loods", "v1", ..] => beyond::answer(manager, &ask, &parts[2..]).await,
        _ => operations::answer(manager, &ask, &parts),
    };
    done.unwrap_or_else(|(status, text)| Answer::error(status, &text))
}

/// Waits for the first look at all hosts: before it a volume that is there would
/// be answered as absent, and one of its name be made.
async fn has_looked(manager: &Manager) -> bool {
    let mut looked = manager.looked.subscribe();
    let looking = looked.wait_for(|looked| *looked);
    tokio::time::timeout(FIRST_LOOK, looking).await.is_ok()
}

fn poll(manager: &Manager, id: &str) -> Answer {
    match manager.queue().ask(id) {
        Told::Unknown => Answer::error(404, "Id not found"),
        Told::Pending => Answer {
            headers: vec![("x-pending", "true".into())],
            ..Answer::empty(200)
        },
        Told::Ended(End::At(path)) => Answer::see_other(&path),
        Told::Ended(End::Done) => Answer::empty(204),
        Told::Ended(End::Failed(text)) => Answer::error(500, &text),
    }
}

/// Begins an operation that goes on after the answer.
fn spawn(
    manager: &Arc<Manager>,
    kind: &'static str,
    work: impl Future<Output = Result<End, String>> + Send + 'static,
) -> Result<Answer, Refusal> {
    let id = super::new_id();
    if !manager.queue().begin(id.clone(), kind) {
        return Err((429, "Server busy. Retry operation later.".into()));
    }
    let queue = format!("/queue/{id}");
    let manager = Arc::clone(manager);
    tokio::spawn(async move {
        // A panic in one operation is told to whoever waits for it.
        let pinging = Arc::clone(&manager);
        let done = tokio::spawn(async move {
            pinging.ping().await;
            work.await
        });
        let done = done.await;
        let end = match done {
            Ok(Ok(end)) => end,
            Ok(Err(text)) => End::Failed(text),
            Err(_) => End::Failed("the server failed inside: its log has the place".into()),
        };
        if let End::Failed(text) = &end {
            tracing::warn!(kind, text, "an operation failed");
            manager.doubt.notify_one();
        }
        manager.queue().end(&id, end);
    });
    Ok(Answer {
        headers: vec![("location", queue)],
        ..Answer::empty(202)
    })
}
