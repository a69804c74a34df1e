//! The manager's side: asks agents over mutual TLS, with a limit of time for
//! each kind of request. Connections are used again.

use std::path::Path;
use std::time::Duration;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Bytes;
use hyper::{Method, StatusCode, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::api::{Failure, PORT, Reply, Request};
use super::tls::{self, BadFiles};
use crate::storage::gluster::command;

/// Largest reply, in octets: what `gluster` may print, as JSON.
const REPLY: usize = 48 << 20;
/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(5);
/// How long a host whose cable is out is waited for: after so much silence it
/// is probed, and what it does not acknowledge for so long is lost.
const SILENCE: Duration = Duration::from_secs(10);
/// Between two probes.
const PROBE: Duration = Duration::from_secs(3);
/// How long an unused connection is kept.
const IDLE: Duration = Duration::from_secs(60);
/// Unused connections kept to one agent.
const KEPT: usize = 4;

/// Why there is no reply, or one that says why not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AgentError {
    /// The agent could not be reached, or not with our certificates; it may
    /// have done what was asked nevertheless.
    #[error("agent {host} cannot be asked: {why}")]
    Unreachable {
        /// Which one.
        host: String,
        /// The whole chain of causes.
        why: String,
    },
    /// No reply in time; it may still come to be done.
    #[error("agent {host} did not answer within {} s", .limit.as_secs())]
    TimedOut {
        /// Which one.
        host: String,
        /// The limit.
        limit: Duration,
    },
    /// It answered something else: another version, or no agent at all.
    #[error("agent {host} answered what is no reply: {why}")]
    Unreadable {
        /// Which one.
        host: String,
        /// What it was.
        why: String,
    },
    /// It did not do it.
    #[error("agent {host}: {failure}")]
    Failed {
        /// Which one.
        host: String,
        /// Why not.
        failure: Failure,
    },
}

/// Asks agents.
#[derive(Clone, Debug)]
pub struct Client {
    http: hyper_util::client::legacy::Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

impl Client {
    /// With the manager's files: see [`tls`].
    pub fn new(directory: &Path) -> Result<Self, BadFiles> {
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_connect_timeout(Some(CONNECT));
        connector.set_nodelay(true);
        connector.set_keepalive(Some(SILENCE));
        connector.set_keepalive_interval(Some(PROBE));
        connector.set_keepalive_retries(Some(3));
        connector.set_tcp_user_timeout(Some(SILENCE));
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls::client(directory)?)
            .https_only()
            .enable_http1()
            .wrap_connector(connector);
        let http = hyper_util::client::legacy::Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(KEPT)
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            .build(connector);
        Ok(Self { http })
    }

    /// Asks the agent at `host`, a name or an address, with a port where it is
    /// not [`PORT`]. [`Reply::Failed`] is an error.
    pub async fn call(&self, host: &str, request: &Request) -> Result<Reply, AgentError> {
        let limit = time_limit(request);
        match tokio::time::timeout(limit, self.exchange(host, request)).await {
            Ok(Ok(Reply::Failed(failure))) => Err(AgentError::Failed {
                host: host.into(),
                failure,
            }),
            Ok(answer) => answer,
            Err(_) => Err(AgentError::TimedOut {
                host: host.into(),
                limit,
            }),
        }
    }

    async fn exchange(&self, host: &str, request: &Request) -> Result<Reply, AgentError> {
        let unreachable = |why: String| AgentError::Unreachable {
            host: host.into(),
            why,
        };
        let unreadable = |why: String| AgentError::Unreadable {
            host: host.into(),
            why,
        };
        let uri = address(host).ok_or_else(|| unreachable("it is not HOST or HOST:PORT".into()))?;
        let body = serde_json::to_vec(request).map_err(|error| unreadable(error.to_string()))?;
        let asked = hyper::Request::builder()
            .method(Method::POST)
            .uri(uri)
            .header(hyper::header::CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(body)))
            .map_err(|error| unreachable(error.to_string()))?;
        let response = self.http.request(asked).await;
        let response = response.map_err(|error| unreachable(causes(&error)))?;
        let status = response.status();
        let body = Limited::new(response.into_body(), REPLY).collect().await;
        let body = body
            .map_err(|error| unreachable(causes(&*error)))?
            .to_bytes();
        if status != StatusCode::OK {
            let text: String = String::from_utf8_lossy(&body)
                .trim()
                .chars()
                .take(200)
                .collect();
            return Err(unreadable(format!("{status}: {text}")));
        }
        serde_json::from_slice(&body).map_err(|error| unreadable(error.to_string()))
    }
}

/// `HOST`, `HOST:PORT`, `ADDRESS`, `[V6]:PORT` as a URI.
fn address(host: &str) -> Option<Uri> {
    let v6 = host.parse::<std::net::Ipv6Addr>().is_ok();
    let authority = if v6 { format!("[{host}]") } else { host.into() };
    if authority.is_empty() {
        return None;
    }
    let with_port = match authority.rsplit_once(':') {
        Some((_, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => {
            authority
        }
        _ => format!("{authority}:{PORT}"),
    };
    Uri::builder()
        .scheme("https")
        .authority(with_port)
        .path_and_query("/v1")
        .build()
        .ok()
}

/// How long the reply to a request may take: longer than the agent's own
/// limits for what it runs, so that its words arrive.
fn time_limit(request: &Request) -> Duration {
    match request {
        Request::Gluster(command) => {
            // A command may wait for others before its own time begins.
            command::time_limit(command) * 2 + Duration::from_secs(10)
        }
        Request::Ping => Duration::from_secs(3),
        Request::Look => Duration::from_secs(60),
        Request::PutNode(_) | Request::RemoveDevice { .. } | Request::MarkBrick { .. } => {
            Duration::from_secs(30)
        }
        Request::PutDevice(_) | Request::SnapshotBricks { .. } | Request::RemoveSnapshot { .. } => {
            Duration::from_secs(120)
        }
        Request::MakeBrick(_) | Request::GrowBrick { .. } | Request::RemoveBrick { .. } => {
            Duration::from_secs(400)
        }
    }
}

/// An error and what caused it, on one line.
fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        if !text.ends_with(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_has_our_port_unless_it_names_another() {
        let shown = |host: &str| address(host).map(|uri| uri.to_string());
        for (host, uri) in [
            ("gfs1", "https://gfs1:24100/v1"),
            ("gfs1:1", "https://gfs1:1/v1"),
            ("10.0.0.1", "https://10.0.0.1:24100/v1"),
            ("10.0.0.1:9", "https://10.0.0.1:9/v1"),
            ("fd00::1", "https://[fd00::1]:24100/v1"),
            ("[fd00::1]", "https://[fd00::1]:24100/v1"),
            ("[fd00::1]:9", "https://[fd00::1]:9/v1"),
        ] {
            assert_eq!(shown(host).as_deref(), Some(uri));
        }
        for bad in ["", "a b", "a/b", "a@b c"] {
            assert_eq!(shown(bad), None, "{bad:?}");
        }
    }
}
