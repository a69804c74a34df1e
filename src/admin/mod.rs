//! Serves what `observe` holds: a small HTTP/1.1 server for a few fixed paths.
//!
//! It decides nothing: a [`Route`] is given by whoever wires the daemon.
//! Bounded in connections, header size, body size and time.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// Connections served at one time; others wait in the kernel's queue.
const CONNECTIONS: usize = 64;
/// Largest request body, in octets: a log filter.
const BODY: usize = 4096;
/// How long a busy port is left alone before the next try.
const RETRY: Duration = Duration::from_secs(2);
/// How long a client may take for its headers, and for its body.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long one connection may last.
const LIFETIME: Duration = Duration::from_secs(60);

/// One request, reduced to what a few fixed paths need.
#[derive(Debug)]
pub struct Ask {
    /// GET or PUT; anything else is refused before.
    pub put: bool,
    /// The path, without a query.
    pub path: String,
    /// The body of a PUT, as text.
    pub body: String,
}

/// One answer.
#[derive(Debug)]
pub struct Answer {
    /// HTTP status code.
    pub status: StatusCode,
    /// `Content-Type`.
    pub content_type: &'static str,
    /// The body.
    pub body: String,
}

impl Answer {
    /// 200 with plain text.
    pub fn text(body: impl Into<String>) -> Self {
        Self {
            status: StatusCode::OK,
            content_type: "text/plain; charset=utf-8",
            body: body.into(),
        }
    }

    /// Another status with plain text.
    pub fn refuse(status: StatusCode, body: impl Into<String>) -> Self {
        Self {
            status,
            ..Self::text(body)
        }
    }

    /// 200 with a JSON document, indented for people.
    pub fn json(value: &impl serde::Serialize) -> Self {
        match serde_json::to_string_pretty(value) {
            Ok(mut body) => {
                body.push('\n');
                Self {
                    status: StatusCode::OK,
                    content_type: "application/json",
                    body,
                }
            }
            Err(error) => Self::refuse(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
        }
    }
}

/// What answers the requests of one listener.
pub type Route = Arc<dyn Fn(Ask) -> BoxFuture<'static, Answer> + Send + Sync>;

/// Listens and serves until `stop`. A port that is busy is tried again and
/// again: traffic does not depend on it.
pub async fn serve(what: &'static str, address: SocketAddr, route: Route, stop: CancellationToken) {
    let Some(listener) = stop.run_until_cancelled(bind(what, address)).await else {
        return;
    };
    tracing::info!(%address, "serving {what}");
    answer(what, listener, route, stop).await;
}

async fn answer(what: &'static str, listener: TcpListener, route: Route, stop: CancellationToken) {
    let permits = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let permit = stop.run_until_cancelled(Arc::clone(&permits).acquire_owned());
        let Some(permit) = permit.await else { return };
        let permit = permit.expect("the semaphore is never closed");
        let stream = match stop.run_until_cancelled(listener.accept()).await {
            None => return,
            Some(Ok((stream, _))) => stream,
            Some(Err(error)) => {
                // Out of descriptors, mostly: others are let go first.
                tracing::warn!(%error, "cannot accept a connection for {what}");
                let _ = stop.run_until_cancelled(tokio::time::sleep(RETRY)).await;
                continue;
            }
        };
        let route = Arc::clone(&route);
        let stop = stop.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| respond(Arc::clone(&route), request));
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(PATIENCE)
                .max_buf_size(8 << 10)
                .serve_connection(TokioIo::new(stream), service);
            // A client that goes away in the middle is its own business, and one
            // that does not read its answer must not keep a place for ever.
            let _ = stop
                .run_until_cancelled(tokio::time::timeout(LIFETIME, connection))
                .await;
            drop(permit);
        });
    }
}

async fn bind(what: &'static str, address: SocketAddr) -> TcpListener {
    let mut told = false;
    loop {
        let listener = match TcpListener::bind(address).await {
            // A host without IPv6 has no [::], and "all addresses" is what was meant.
            Err(_) if address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED) => {
                TcpListener::bind((Ipv4Addr::UNSPECIFIED, address.port())).await
            }
            other => other,
        };
        match listener {
            Ok(listener) => return listener,
            Err(error) => {
                if !told {
                    tracing::warn!(%address, %error, "cannot listen for {what} yet; trying again every two seconds");
                    told = true;
                }
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}

async fn respond(
    route: Route,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let put = match *request.method() {
        Method::GET => false,
        Method::PUT => true,
        _ => {
            return Ok(response(Answer::refuse(
                StatusCode::METHOD_NOT_ALLOWED,
                "GET or PUT\n",
            )));
        }
    };
    let path = request.uri().path().to_owned();
    let body = tokio::time::timeout(PATIENCE, Limited::new(request.into_body(), BODY).collect());
    let body = match body.await {
        Ok(Ok(body)) => String::from_utf8_lossy(&body.to_bytes()).into_owned(),
        Ok(Err(_)) => {
            return Ok(response(Answer::refuse(
                StatusCode::PAYLOAD_TOO_LARGE,
                "the body is too long\n",
            )));
        }
        Err(_) => {
            return Ok(response(Answer::refuse(
                StatusCode::REQUEST_TIMEOUT,
                "the body did not come\n",
            )));
        }
    };
    Ok(response(route(Ask { put, path, body }).await))
}

fn response(answer: Answer) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(answer.body)));
    *response.status_mut() = answer.status;
    let content_type = hyper::header::HeaderValue::from_static(answer.content_type);
    response
        .headers_mut()
        .insert(hyper::header::CONTENT_TYPE, content_type);
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use socket2::{Domain, Socket, Type};
    use tokio::time::Instant;

    #[tokio::test(start_paused = true)]
    async fn a_listener_that_accepts_nothing_ends_at_once_when_told() {
        let deaf = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        deaf.set_nonblocking(true).expect("an option");
        // It was never told to listen: the kernel refuses each accept.
        let listener = TcpListener::from_std(deaf.into()).expect("a socket");
        let refused = listener.accept().await.expect_err("it does not listen");
        assert_eq!(refused.raw_os_error(), Some(libc::EINVAL));
        let route: Route = Arc::new(|_| Box::pin(async { Answer::text("") }));
        let stop = CancellationToken::new();
        let serving = tokio::spawn(answer("nothing", listener, route, stop.clone()));
        let begun = Instant::now();
        tokio::time::sleep(RETRY / 2).await;
        assert!(!serving.is_finished(), "it goes on until it is told");
        stop.cancel();
        serving.await.expect("it ends");
        assert!(begun.elapsed() < RETRY, "{:?}", begun.elapsed());
    }
}
