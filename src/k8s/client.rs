//! One client of the API server, and what can go wrong with a call.
//!
//! kube's own request functions are passed by: on a body that does not decode
//! they log all of it, passwords included, and they have no time limit. Here
//! every call has one, and an error is one line that names what was asked.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::http::header::{HeaderValue, RETRY_AFTER, USER_AGENT};
use hyper::{Request, Response};
use kube::client::Body;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::Status;
use serde::de::DeserializeOwned;

/// Belongs into every log filter. kube prints whole bodies at WARN where they
/// do not decode, and an ERROR for each try while the server is away; what
/// matters of both is logged here, once.
pub const LOG_FILTER: &str = "kube_client=off";

/// How long a TCP connection and its TLS handshake may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// The longest answer that is read, in bytes: 500 Services come to some
/// megabytes, 100 EndpointSlices of 1,000 endpoints each to some 30.
const LONGEST: usize = 256 << 20;

/// How much of a reply that is no Kubernetes Status an error quotes, in bytes.
const QUOTE: usize = 200;

/// Talks to one API server. Clones share its connections.
#[derive(Clone)]
pub struct Client {
    kube: kube::Client,
    url: Arc<str>,
}

/// There is no usable way to reach an API server.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The file given cannot be read or makes no sense.
    #[error("kubeconfig {path}: {cause}")]
    Kubeconfig {
        /// As given.
        path: Box<str>,
        /// In kube's words.
        cause: Box<str>,
    },
    /// Neither a service account nor a kubeconfig in the usual places.
    #[error("no way to the API server: {0}; run inside a cluster, or give --kubeconfig")]
    Infer(Box<str>),
    /// The certificates or addresses make no client.
    #[error("API server {url}: {cause}")]
    Client {
        /// Its address.
        url: Box<str>,
        /// In kube's words.
        cause: Box<str>,
    },
}

/// A call that brought nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    /// The server answered no.
    #[error("{asked}: the API server says {code} {reason}: {message}")]
    Refused {
        /// Verb and path.
        asked: Box<str>,
        /// The HTTP status.
        code: u16,
        /// `reason` of the Status, a word.
        reason: Box<str>,
        /// `message` of the Status.
        message: Box<str>,
        /// When to come back: header Retry-After or `details.retryAfterSeconds`.
        retry_after: Option<Duration>,
    },
    /// No answer in time.
    #[error("{asked}: no answer within {limit:?}")]
    TimedOut {
        /// Verb and path.
        asked: Box<str>,
        /// How long we waited.
        limit: Duration,
    },
    /// No connection, or it broke.
    #[error("{asked}: {cause}")]
    Unreachable {
        /// Verb and path.
        asked: Box<str>,
        /// Down to the root cause.
        cause: Box<str>,
    },
    /// The answer is not what was asked for.
    #[error("{asked}: the answer does not decode: {cause}")]
    Unreadable {
        /// Verb and path.
        asked: Box<str>,
        /// Where it broke; never the text itself.
        cause: Box<str>,
    },
    /// No request could be made of the names given.
    #[error("no valid request: {0}")]
    Malformed(Box<str>),
}

impl ApiError {
    /// From the server's own words; `header` is Retry-After, in seconds.
    pub(super) fn of_status(asked: &str, code: u16, status: Status, header: Option<u64>) -> Self {
        let details = status
            .details
            .as_ref()
            .map(|details| u64::from(details.retry_after_seconds));
        ApiError::Refused {
            asked: asked.into(),
            code,
            reason: status.reason.into(),
            message: status.message.into(),
            retry_after: header
                .or(details)
                .filter(|&seconds| seconds > 0)
                .map(Duration::from_secs),
        }
    }

    /// The HTTP status, if the server answered at all.
    pub fn code(&self) -> Option<u16> {
        match self {
            ApiError::Refused { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// Seconds the server asked us to stay away.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            ApiError::Refused { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// A word that stays the same while the same thing is wrong: for logs on change.
    pub fn kind(&self) -> String {
        match self {
            ApiError::Refused { code, .. } => code.to_string(),
            ApiError::TimedOut { .. } => "timedOut".into(),
            ApiError::Unreachable { .. } => "unreachable".into(),
            ApiError::Unreadable { .. } => "unreadable".into(),
            ApiError::Malformed(_) => "malformed".into(),
        }
    }
}

/// Makes a client from a kubeconfig file; without one from `$KUBECONFIG`,
/// `~/.kube/config` or the pod's service account, the first that is there.
/// Nothing is sent yet. `component` (`allocator`, `speaker`) goes into the
/// user agent, where the API server's audit log shows it.
pub async fn connect(kubeconfig: Option<&Path>, component: &str) -> Result<Client, ConnectError> {
    let mut config = match kubeconfig {
        Some(path) => from_file(path)
            .await
            .map_err(|cause| ConnectError::Kubeconfig {
                path: path.display().to_string().into(),
                cause: cause.to_string().into(),
            })?,
        None => kube::Config::infer()
            .await
            .map_err(|cause| ConnectError::Infer(cause.to_string().into()))?,
    };
    // kube's own retries go on for up to a thousand seconds without a word: a
    // Lease renewal must know of its failure at once.
    config.default_retry = false;
    config.connect_timeout = Some(CONNECT_LIMIT);
    config.write_timeout = Some(CONNECT_LIMIT);
    let agent = format!("loods-{component}/{}", env!("CARGO_PKG_VERSION"));
    if let Ok(agent) = HeaderValue::from_str(&agent) {
        config.headers.push((USER_AGENT, agent));
    }
    let url: Box<str> = config.cluster_url.to_string().into();
    let kube = kube::Client::try_from(config).map_err(|cause| ConnectError::Client {
        url: url.clone(),
        cause: root_cause(&cause),
    })?;
    Ok(Client {
        kube,
        url: url.into(),
    })
}

async fn from_file(path: &Path) -> Result<kube::Config, kube::config::KubeconfigError> {
    let file = Kubeconfig::read_from(path)?;
    kube::Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await
}

impl Client {
    /// The API server's address, for the log.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A client over a server that is no machine.
    pub(super) fn of(kube: kube::Client, url: &str) -> Self {
        Self {
            kube,
            url: url.into(),
        }
    }

    /// Sends a request; the whole body within the limit.
    pub(super) async fn call(
        &self,
        request: Request<Vec<u8>>,
        limit: Duration,
    ) -> Result<Vec<u8>, ApiError> {
        let asked = asked(&request);
        let work = async {
            let body = self.send(request, &asked).await?;
            read_all(body, LONGEST, &asked).await
        };
        within(limit, &asked, work).await
    }

    /// Sends a request and decodes the answer.
    pub(super) async fn decode<T: DeserializeOwned>(
        &self,
        request: Request<Vec<u8>>,
        limit: Duration,
    ) -> Result<T, ApiError> {
        let asked = asked(&request);
        let body = self.call(request, limit).await?;
        serde_json::from_slice(&body).map_err(|cause| unreadable(&asked, &cause))
    }

    /// Sends a request; the head of the answer within the limit, its body as it comes.
    pub(super) async fn open(
        &self,
        request: Request<Vec<u8>>,
        limit: Duration,
    ) -> Result<Body, ApiError> {
        let asked = asked(&request);
        within(limit, &asked, self.send(request, &asked)).await
    }

    async fn send(&self, request: Request<Vec<u8>>, asked: &str) -> Result<Body, ApiError> {
        let answer = self
            .kube
            .send(request.map(Body::from))
            .await
            .map_err(|cause| unreachable(asked, &cause))?;
        if answer.status().is_success() {
            return Ok(answer.into_body());
        }
        Err(refusal(answer, asked).await)
    }
}

async fn within<T>(
    limit: Duration,
    asked: &str,
    work: impl Future<Output = Result<T, ApiError>>,
) -> Result<T, ApiError> {
    match tokio::time::timeout(limit, work).await {
        Ok(done) => done,
        Err(_) => Err(ApiError::TimedOut {
            asked: asked.into(),
            limit,
        }),
    }
}

async fn read_all(body: Body, longest: usize, asked: &str) -> Result<Vec<u8>, ApiError> {
    match Limited::new(body, longest).collect().await {
        Ok(body) => Ok(body.to_bytes().into()),
        Err(cause) if cause.is::<LengthLimitError>() => Err(ApiError::Unreadable {
            asked: asked.into(),
            cause: format!("it is longer than {longest} bytes").into(),
        }),
        Err(cause) => Err(unreachable(asked, &*cause)),
    }
}

/// What a refusal says. The body is a Status, unless a proxy answered.
async fn refusal(answer: Response<Body>, asked: &str) -> ApiError {
    let code = answer.status().as_u16();
    let header = answer
        .headers()
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok()?.parse().ok());
    let body = match read_all(answer.into_body(), LONGEST, asked).await {
        Ok(body) => body,
        Err(error) => return error,
    };
    let status = serde_json::from_slice::<Status>(&body).unwrap_or_else(|_| {
        let quote = &body[..body.len().min(QUOTE)];
        Status::failure(String::from_utf8_lossy(quote).trim(), "NoStatus")
    });
    ApiError::of_status(asked, code, status, header)
}

/// Verb and path of a request, without its query.
pub(super) fn asked(request: &Request<Vec<u8>>) -> Box<str> {
    format!("{} {}", request.method(), request.uri().path()).into()
}

pub(super) fn unreadable(asked: &str, cause: &serde_json::Error) -> ApiError {
    // A custom message of serde may quote a value; category and place do not.
    let cause = format!(
        "{:?} at line {}, column {}",
        cause.classify(),
        cause.line(),
        cause.column()
    );
    ApiError::Unreadable {
        asked: asked.into(),
        cause: cause.into(),
    }
}

pub(super) fn unreachable(asked: &str, cause: &(dyn std::error::Error + 'static)) -> ApiError {
    ApiError::Unreachable {
        asked: asked.into(),
        cause: root_cause(cause),
    }
}

pub(super) fn malformed(cause: impl std::fmt::Display) -> ApiError {
    ApiError::Malformed(cause.to_string().into())
}

/// The innermost cause: "connection refused", not "client error".
pub(crate) fn root_cause(error: &(dyn std::error::Error + 'static)) -> Box<str> {
    let mut root = error;
    while let Some(source) = root.source() {
        root = source;
    }
    root.to_string().into()
}

#[cfg(test)]
mod tests;
