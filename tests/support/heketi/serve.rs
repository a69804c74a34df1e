//! Connections of the stand-in: tokens, faults, and the record of what came.

use std::net::TcpListener;
use std::sync::Arc;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::AUTHORIZATION;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use loods::storage::heketi::token::verify;
use tokio::sync::oneshot;

use super::faults::Fault;
use super::routes::Reply;
use super::{Asked, Shared, lock};

/// Serves until told to stop; then every connection is closed.
pub(super) fn serve(listener: TcpListener, shared: Arc<Shared>, stop: oneshot::Receiver<()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
        tokio::select! {
            _ = stop => {}
            () = accept(&listener, &shared) => {}
        }
    });
}

async fn accept(listener: &tokio::net::TcpListener, shared: &Arc<Shared>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        let shared = Arc::clone(shared);
        tokio::spawn(async move {
            let service = service_fn(|request| respond(&shared, request));
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            // A lost answer ends the connection with an error, as it should.
            let _ = connection.await;
        });
    }
}

/// The connection is to be closed without an answer.
#[derive(Debug, thiserror::Error)]
#[error("lost")]
struct Lost;

async fn respond(
    shared: &Shared,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Lost> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Lost)?.to_bytes();
    let method = head.method.as_str();
    let line = match head.uri.path_and_query() {
        Some(path) => format!("{method} {path}"),
        None => format!("{method} {}", head.uri.path()),
    };
    let authorization = head.headers.get(AUTHORIZATION);
    let authorization = authorization.and_then(|value| value.to_str().ok());
    let ask = || {
        shared.answer(
            method,
            head.uri.path(),
            head.uri.query().unwrap_or_default(),
            authorization,
            &body,
        )
    };
    let fault = lock(&shared.faults).take(&line);
    let mut asked = Asked {
        line,
        body: String::from_utf8_lossy(&body).into_owned(),
        status: 0,
    };
    let reply = match fault {
        None => Some(ask()),
        Some(Fault::LoseRequest) => None,
        Some(Fault::LoseAnswer) => {
            ask();
            None
        }
        Some(Fault::Delay(time)) => {
            let reply = ask();
            tokio::time::sleep(time).await;
            Some(reply)
        }
        Some(Fault::Repeat) => {
            ask();
            Some(ask())
        }
        Some(Fault::Error) => Some(Reply::error(500, "database is down")),
        Some(Fault::ErrorAfter) => {
            ask();
            lock(&shared.model).finish();
            Some(Reply::error(500, "database is down"))
        }
        Some(Fault::Fail(text)) => {
            lock(&shared.model).fails = Some(text);
            Some(ask())
        }
        Some(Fault::Busy(after)) => {
            let reply = Reply::error(429, "Server busy. Retry operation later.");
            Some(match after {
                Some(seconds) => reply.with("retry-after", seconds.to_string()),
                None => reply,
            })
        }
        Some(Fault::Maintenance) => Some(Reply::error(503, "Service disabled for maintenance")),
        Some(Fault::Answer(status, text)) => Some(Reply::text(status, text)),
        Some(Fault::Huge(size)) => Some(Reply::text(200, &"[".repeat(size))),
        Some(Fault::Redirect(status, to)) => Some(Reply::text(status, "").with("location", to)),
        Some(Fault::Restart) => {
            let mut model = lock(&shared.model);
            model.finish();
            model.queue.clear();
            drop(model);
            Some(ask())
        }
    };
    asked.status = reply.as_ref().map_or(0, |reply| reply.status);
    lock(&shared.asked).push(asked);
    Ok(response(shared, reply.ok_or(Lost)?))
}

fn response(shared: &Shared, reply: Reply) -> Response<Full<Bytes>> {
    let mut response = Response::builder().status(reply.status);
    for (name, value) in reply.headers {
        response = response.header(name, value);
    }
    let date = jiff::Timestamp::from_second(shared.now()).expect("a time of ours");
    let date = jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&date);
    response
        .header("date", date.expect("it has four digits for the year"))
        .body(Full::from(reply.body))
        .expect("headers of our own")
}

impl Shared {
    /// By the server's clock.
    fn now(&self) -> i64 {
        jiff::Timestamp::now().as_second() + lock(&self.model).skew
    }

    fn answer(
        &self,
        method: &str,
        path: &str,
        query: &str,
        authorization: Option<&str>,
        body: &[u8],
    ) -> Reply {
        let is_hello = (method, path) == ("GET", "/hello");
        if let Some(keys) = self.keys.as_ref().filter(|_| !is_hello) {
            let judged = verify(authorization, keys, method, path, self.now());
            if let Err(denied) = judged.and_then(|user| user.may(path)) {
                return Reply::error(denied.status(), &denied.to_string());
            }
        }
        lock(&self.model).answer(method, path, query, body)
    }
}
