//! A line to the manager on which each kind of call goes wrong once.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, client, server};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use crate::support::lab::Host;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The call never arrives.
    LoseRequest,
    /// It arrives, and its answer is lost.
    LoseAnswer,
    /// It arrives, and its answer comes later than anybody waits.
    Delay,
    /// It arrives twice.
    Repeat,
}

/// Longer than a call may take.
pub const LATE: Duration = Duration::from_secs(3);

/// Ends when dropped.
pub struct Line {
    /// For the client.
    pub url: String,
    calls: Arc<Mutex<BTreeMap<String, usize>>>,
    /// Dropped, it ends the thread.
    _stop: oneshot::Sender<()>,
}

impl Line {
    /// From a host's network to the manager.
    pub fn lay(host: &Host, manager: SocketAddr, fault: Fault) -> Line {
        let namespace = host.open_namespace();
        let calls = Arc::<Mutex<BTreeMap<String, usize>>>::default();
        let seen = Arc::clone(&calls);
        let (stop, stopped) = oneshot::channel();
        let (tell, told) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            nix::sched::setns(namespace, nix::sched::CloneFlags::CLONE_NEWNET)
                .expect("root may enter a namespace");
            let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
            listener.set_nonblocking(true).expect("it is ours");
            tell.send(listener.local_addr().expect("it is bound"))
                .expect("somebody waits");
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
                tokio::select! {
                    _ = stopped => {}
                    () = accept(&listener, manager, fault, &seen) => {}
                }
            });
        });
        let address = told.recv().expect("it listens");
        Line {
            url: format!("http://{address}"),
            calls,
            _stop: stop,
        }
    }

    /// How often each kind of call was made.
    pub fn calls(&self) -> BTreeMap<String, usize> {
        lock(&self.calls).clone()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(
    listener: &tokio::net::TcpListener,
    manager: SocketAddr,
    fault: Fault,
    calls: &Arc<Mutex<BTreeMap<String, usize>>>,
) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        let calls = Arc::clone(calls);
        tokio::spawn(async move {
            let service = service_fn(|request| pass(manager, fault, &calls, request));
            let http = server::conn::http1::Builder::new();
            // What is lost ends the connection with an error, as it should.
            let _ = http.serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

/// The connection is to be closed without an answer.
#[derive(Debug, thiserror::Error)]
#[error("lost")]
struct Lost;

async fn pass(
    manager: SocketAddr,
    fault: Fault,
    calls: &Mutex<BTreeMap<String, usize>>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Lost> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Lost)?.to_bytes();
    // Without ids.
    let segments = head.uri.path().split('/');
    let segments = segments.map(|one| if one.len() == 32 { "ID" } else { one });
    let kind = format!("{} {}", head.method, segments.collect::<Vec<_>>().join("/"));
    let first = {
        let mut calls = lock(calls);
        let times = calls.entry(kind).or_default();
        *times += 1;
        *times == 1
    };
    let send = || forward(manager, head.clone(), body.clone());
    match fault {
        _ if !first => send().await,
        Fault::LoseRequest => Err(Lost),
        Fault::LoseAnswer => {
            send().await?;
            Err(Lost)
        }
        Fault::Delay => {
            let answer = send().await;
            tokio::time::sleep(LATE).await;
            answer
        }
        Fault::Repeat => {
            send().await?;
            send().await
        }
    }
}

async fn forward(
    manager: SocketAddr,
    head: hyper::http::request::Parts,
    body: Bytes,
) -> Result<Response<Full<Bytes>>, Lost> {
    let stream = TcpStream::connect(manager).await.map_err(|_| Lost)?;
    let (mut sender, connection) = client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|_| Lost)?;
    tokio::spawn(connection);
    let request = Request::from_parts(head, Full::new(body));
    let answer = sender.send_request(request).await.map_err(|_| Lost)?;
    let (head, body) = answer.into_parts();
    let body = body.collect().await.map_err(|_| Lost)?.to_bytes();
    Ok(Response::from_parts(head, Full::new(body)))
}
