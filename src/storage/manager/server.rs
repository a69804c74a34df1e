//! The HTTP side: connections, bounds, tokens.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::AUTHORIZATION;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::Manager;
use super::routes::{self, Answer, Ask};
use crate::storage::heketi::token::{self, Keys};

/// Connections at one time; others wait in the kernel's queue.
const CONNECTIONS: usize = 128;
/// Largest body, in octets: a volume's options are the longest there is.
const BODY: usize = 256 << 10;
/// How long a client may take for its headers, and for its body.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a connection may last. A client makes a new one without notice.
const LIFETIME: Duration = Duration::from_secs(600);
/// After a failed accept.
const RETRY: Duration = Duration::from_secs(1);

/// Serves until `stop`.
pub(super) async fn serve(
    listener: TcpListener,
    manager: Arc<Manager>,
    keys: Option<Keys>,
    stop: CancellationToken,
) {
    let keys = Arc::new(keys);
    let permits = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let permit = stop.run_until_cancelled(Arc::clone(&permits).acquire_owned());
        let Some(Ok(permit)) = permit.await else {
            return;
        };
        let stream = match stop.run_until_cancelled(listener.accept()).await {
            None => return,
            Some(Ok((stream, _))) => stream,
            Some(Err(error)) => {
                tracing::warn!(%error, "cannot accept a connection");
                let _ = stop.run_until_cancelled(tokio::time::sleep(RETRY)).await;
                continue;
            }
        };
        let (manager, keys, stop) = (Arc::clone(&manager), Arc::clone(&keys), stop.clone());
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                respond(Arc::clone(&manager), Arc::clone(&keys), request)
            });
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(PATIENCE)
                .max_buf_size(32 << 10)
                .serve_connection(TokioIo::new(stream), service);
            // A client that goes away in the middle is its own business.
            let _ = stop
                .run_until_cancelled(tokio::time::timeout(LIFETIME, connection))
                .await;
            drop(permit);
        });
    }
}

async fn respond(
    manager: Arc<Manager>,
    keys: Arc<Option<Keys>>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let (head, body) = request.into_parts();
    let path = head.uri.path();
    if let Some(keys) = keys.as_ref()
        && path != "/hello"
    {
        let given = head.headers.get(AUTHORIZATION);
        let given = given.and_then(|value| value.to_str().ok());
        let now = jiff::Timestamp::now().as_second();
        let judged = token::verify(given, keys, head.method.as_str(), path, now);
        // Heketi lets its user `user` begin a volume and not see it, which only
        // leaks volumes: here that user may list, and no more.
        let judged = judged.and_then(|user| match head.method.as_str() {
            "GET" => user.may(path),
            _ => user.may("/"),
        });
        if let Err(denied) = judged {
            return Ok(response(Answer::error(
                denied.status(),
                &denied.to_string(),
            )));
        }
    }
    let body = Limited::new(body, BODY).collect();
    let answer = match tokio::time::timeout(PATIENCE, body).await {
        Ok(Ok(body)) => {
            let ask = Ask {
                method: head.method.as_str(),
                path,
                query: head.uri.query().unwrap_or_default(),
                body: &body.to_bytes(),
            };
            routes::answer(&manager, ask).await
        }
        Ok(Err(_)) => Answer::error(
            413,
            &format!("the body is cut off, or longer than {BODY} octets"),
        ),
        Err(_) => Answer::error(408, "the body did not come"),
    };
    Ok(response(answer))
}

fn response(answer: Answer) -> Response<Full<Bytes>> {
    let mut builder = Response::builder().status(answer.status);
    for (name, value) in answer.headers {
        builder = builder.header(name, value);
    }
    builder
        .body(Full::from(answer.body))
        .unwrap_or_else(|_| Response::new(Full::from("an answer that is no HTTP\n")))
}
