//! The agent's listener: `POST /v1` over mutual TLS, bounded in connections,
//! sizes and time.
//!
//! What was asked for is done to its end, also when the manager goes away in
//! the middle: it asks again, and finds it done.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::api::{Failure, Reply};
use super::{Agent, tls};

/// Connections at one time; others wait in the kernel's queue. There is one
/// manager, and during an upgrade of it two.
const CONNECTIONS: usize = 32;
/// Largest request, in octets.
const REQUEST: usize = 1 << 20;
/// How long a client may take for its handshake, its headers and its body.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a connection may last. The manager makes a new one without notice.
const LIFETIME: Duration = Duration::from_secs(3600);
/// How long a stop waits for what is being done.
const FAREWELL: Duration = Duration::from_secs(20);
/// After a failed accept.
const RETRY: Duration = Duration::from_secs(1);

/// Listens. The error names the address and the mend.
pub async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address).await.map_err(|error| {
        io::Error::new(
            error.kind(),
            format!("cannot listen on {address}: {error}: is another agent running? (--listen names another address)"),
        )
    })
}

/// Serves until `stop`, and then until what was begun is done.
pub async fn serve(
    listener: TcpListener,
    config: ServerConfig,
    agent: Arc<Agent>,
    stop: CancellationToken,
) {
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let permits = Arc::new(Semaphore::new(CONNECTIONS));
    let work = tokio_util::task::TaskTracker::new();
    loop {
        let permit = stop.run_until_cancelled(Arc::clone(&permits).acquire_owned());
        let Some(Ok(permit)) = permit.await else {
            break;
        };
        let (stream, from) = match stop.run_until_cancelled(listener.accept()).await {
            None => break,
            Some(Ok(accepted)) => accepted,
            Some(Err(error)) => {
                tracing::warn!(%error, "cannot accept a connection");
                let _ = stop.run_until_cancelled(tokio::time::sleep(RETRY)).await;
                continue;
            }
        };
        let (acceptor, agent, work) = (acceptor.clone(), Arc::clone(&agent), work.clone());
        let stop = stop.clone();
        tokio::spawn(async move {
            let connection = converse(acceptor, stream, from, agent, work, &stop);
            // One that lasts is ended; the work of its last request is not.
            let _ = tokio::time::timeout(LIFETIME, connection).await;
            drop(permit);
        });
    }
    work.close();
    if tokio::time::timeout(FAREWELL, work.wait()).await.is_err() {
        tracing::warn!("stopping in the middle of a request: the manager will ask again");
    }
}

async fn converse(
    acceptor: TlsAcceptor,
    stream: TcpStream,
    from: SocketAddr,
    agent: Arc<Agent>,
    work: tokio_util::task::TaskTracker,
    stop: &CancellationToken,
) {
    let stream = match tokio::time::timeout(PATIENCE, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            tracing::warn!(%from, %error, "refused: no certificate of our authority");
            return;
        }
        Err(_) => return,
    };
    let certificates = stream.get_ref().1.peer_certificates().unwrap_or_default();
    if !certificates.first().is_some_and(tls::is_manager) {
        tracing::warn!(%from, "refused: its certificate is not for {}", tls::MANAGER);
        return;
    }
    let service = service_fn(move |request| respond(Arc::clone(&agent), work.clone(), request));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(LIFETIME)
        .max_buf_size(64 << 10)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        // A client that goes away in the middle is its own business.
        _ = connection.as_mut() => {}
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}

async fn respond(
    agent: Arc<Agent>,
    work: tokio_util::task::TaskTracker,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, hyper::Error> {
    if request.uri().path() != "/v1" {
        return Ok(refuse(StatusCode::NOT_FOUND, "an agent has POST /v1 alone"));
    }
    if request.method() != Method::POST {
        return Ok(refuse(StatusCode::METHOD_NOT_ALLOWED, "POST it"));
    }
    let body = Limited::new(request.into_body(), REQUEST).collect();
    let body = match tokio::time::timeout(PATIENCE, body).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(_)) => {
            return Ok(refuse(
                StatusCode::PAYLOAD_TOO_LARGE,
                &format!("the body is cut off, or longer than {REQUEST} octets"),
            ));
        }
        Err(_) => return Ok(refuse(StatusCode::REQUEST_TIMEOUT, "the body did not come")),
    };
    let asked = match serde_json::from_slice(&body) {
        Ok(asked) => asked,
        Err(error) => {
            // A manager of another version, mostly.
            let text = format!("not a request that this agent knows: {error}");
            return Ok(refuse(StatusCode::BAD_REQUEST, &text));
        }
    };
    let done = work.spawn(async move { agent.answer(asked).await }).await;
    let reply = done.unwrap_or_else(|error| {
        tracing::error!(%error, "a request ended in a panic");
        Reply::Failed(Failure::internal(
            "the agent failed inside: its log has the place",
        ))
    });
    if let Reply::Failed(failure) = &reply {
        tracing::warn!(kind = ?failure.kind, "{failure}");
    }
    Ok(match serde_json::to_vec(&reply) {
        Ok(body) => {
            let mut response = Response::new(Full::new(Bytes::from(body)));
            let json = HeaderValue::from_static("application/json");
            response.headers_mut().insert(CONTENT_TYPE, json);
            response
        }
        Err(error) => refuse(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    })
}

fn refuse(status: StatusCode, text: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(format!("{text}\n"))));
    *response.status_mut() = status;
    response
}
