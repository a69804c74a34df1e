//! A scripted API server for tests: the nth request gets the nth reply, and
//! after the last one every request hangs. What was asked is kept.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::stream::{self, BoxStream, StreamExt};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Bytes, Frame};
use hyper::{Request, Response};
use kube::client::Body;
use tower::BoxError;

use super::client::Client;

/// One scripted answer.
#[derive(Clone, Debug)]
pub(super) struct Reply {
    code: u16,
    retry_after: Option<u32>,
    text: String,
    end: End,
}

/// What follows the text of a reply.
#[derive(Clone, Copy, Debug)]
pub(super) enum End {
    /// The body ends.
    Closed,
    /// Nothing, for ever.
    Silent,
    /// The body ends when the watch's `timeoutSeconds` are over.
    InTime,
    /// The connection breaks.
    Broken,
}

impl Reply {
    pub(super) fn ok(text: impl Into<String>) -> Self {
        Self {
            code: 200,
            retry_after: None,
            text: text.into(),
            end: End::Closed,
        }
    }

    /// A watch: each line as given, with its newline.
    pub(super) fn lines(lines: &[&str], end: End) -> Self {
        let text = lines
            .iter()
            .map(|line| format!("{line}\n"))
            .collect::<String>();
        Self {
            end,
            ..Self::ok(text)
        }
    }

    pub(super) fn refused(code: u16) -> Self {
        let text = format!(
            r#"{{"kind":"Status","status":"Failure","code":{code},"reason":"R","message":"m"}}"#
        );
        Self {
            code,
            ..Self::ok(text)
        }
    }

    /// A refusal in these words.
    pub(super) fn status(code: u16, text: &str) -> Self {
        Self {
            code,
            ..Self::ok(text)
        }
    }

    pub(super) fn retry_after(self, seconds: u32) -> Self {
        Self {
            retry_after: Some(seconds),
            ..self
        }
    }

    pub(super) fn then(self, end: End) -> Self {
        Self { end, ..self }
    }

    /// Headers never come.
    pub(super) fn hang() -> Self {
        Self {
            code: 0,
            ..Self::ok("")
        }
    }
}

type Scripted = StreamBody<BoxStream<'static, std::io::Result<Frame<Bytes>>>>;

/// What was asked so far: `VERB path?query` and the body.
#[derive(Clone, Default)]
pub(super) struct Asked(Arc<Mutex<Vec<(String, String)>>>);

impl Asked {
    pub(super) fn all(&self) -> Vec<(String, String)> {
        self.0.lock().unwrap().clone()
    }

    /// Each request in a word: `list`, `probe`, `watch@VERSION` or its verb.
    pub(super) fn words(&self) -> Vec<String> {
        self.all().iter().map(|(asked, _)| word(asked)).collect()
    }
}

fn word(asked: &str) -> String {
    let query = asked.split_once('?').map_or("", |(_, query)| query);
    let field = |name: &str| {
        query
            .split('&')
            .find_map(|term| term.strip_prefix(name)?.strip_prefix('='))
            .unwrap_or("")
    };
    match asked.split(' ').next().unwrap_or("") {
        "GET" if field("watch") == "true" => format!("watch@{}", field("resourceVersion")),
        "GET" if field("limit") == "1" => "probe".into(),
        "GET" if !field("continue").is_empty() => format!("list+{}", field("continue")),
        "GET" if !field("limit").is_empty() => "list".into(),
        verb => verb.into(),
    }
}

/// A client of a server that follows the script.
pub(super) fn server(script: Vec<Reply>) -> (Client, Asked) {
    let script = Arc::new(Mutex::new(VecDeque::from(script)));
    let asked = Asked::default();
    let log = asked.clone();
    let service = tower::service_fn(move |request: Request<Body>| {
        answer(script.clone(), log.clone(), request)
    });
    (
        Client::of(kube::Client::new(service, "default"), "test"),
        asked,
    )
}

async fn answer(
    script: Arc<Mutex<VecDeque<Reply>>>,
    log: Asked,
    request: Request<Body>,
) -> Result<Response<Scripted>, BoxError> {
    let line = format!("{} {}", request.method(), request.uri());
    let life = line
        .split("timeoutSeconds=")
        .nth(1)
        .and_then(|rest| rest.split('&').next()?.parse().ok())
        .unwrap_or(0);
    let body = request.into_body().collect().await?.to_bytes();
    log.0
        .lock()
        .unwrap()
        .push((line, String::from_utf8(body.to_vec())?));
    let reply = script.lock().unwrap().pop_front();
    let Some(reply) = reply.filter(|reply| reply.code != 0) else {
        return std::future::pending().await;
    };
    let text = Frame::data(Bytes::from(reply.text));
    let rest = match reply.end {
        End::Closed => stream::empty().boxed(),
        End::Silent => stream::pending().boxed(),
        End::InTime => {
            let wait = tokio::time::sleep(Duration::from_secs(life));
            stream::once(wait).filter_map(|()| async { None }).boxed()
        }
        End::Broken => stream::iter([Err(std::io::Error::other("reset by peer"))]).boxed(),
    };
    let mut response = Response::builder().status(reply.code);
    if let Some(seconds) = reply.retry_after {
        response = response.header("Retry-After", seconds);
    }
    let frames = stream::iter([Ok(text)]).chain(rest);
    Ok(response.body(StreamBody::new(frames.boxed()))?)
}
