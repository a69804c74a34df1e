//! One request and its answer over HTTP, with a token of its own.

use std::fmt;
use std::time::Duration;

use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, DATE, HeaderMap, HeaderValue, LOCATION, RETRY_AFTER,
    USER_AGENT,
};
use hyper::{Method, Request, Response, Uri};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

use super::{Hello, Limits, Trust};
use crate::k8s::client::root_cause;
use crate::storage::heketi::answer::{Answer, Said, read};
use crate::storage::heketi::error::HeketiError;
use crate::storage::heketi::loods;
use crate::storage::heketi::token::{Key, User, sign};

/// How long a connection is kept that nobody uses.
const IDLE: Duration = Duration::from_secs(30);

/// Sends requests to one server.
pub(super) struct Exchange {
    http: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    url: Box<str>,
    /// Scheme, host and port: what a Location's path is put behind.
    origin: Box<str>,
    /// What stands in front of every path, mostly "".
    base: Box<str>,
    key: Option<Key>,
    limit: Duration,
    longest: usize,
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Exchange({})", self.url)
    }
}

impl Exchange {
    pub(super) fn new(
        url: &str,
        key: Option<Key>,
        trust: &Trust,
        limits: &Limits,
    ) -> Result<Self, HeketiError> {
        let invalid = |cause| HeketiError::Invalid(format!("URL {url:?}: {cause}").into());
        let uri: Uri = url.parse().map_err(|_| invalid("not a URL"))?;
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(invalid("it has no scheme or no host"));
        };
        let https = scheme.eq_ignore_ascii_case("https");
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(limits.connect));
        tcp.set_keepalive(Some(IDLE));
        let http = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE)
            .pool_timer(TokioTimer::new())
            .http1_max_buf_size(64 << 10)
            .build(trust.connector(tcp, https)?);
        Ok(Self {
            http,
            url: url.into(),
            origin: format!("{scheme}://{authority}").into(),
            base: uri.path().trim_end_matches('/').into(),
            key,
            limit: limits.call,
            longest: limits.body,
        })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Method and URL, for errors.
    pub(super) fn asked(&self, method: &str, path: &str) -> Box<str> {
        format!("{method} {}{path}", self.url).into()
    }

    /// `path` is below the URL, and may have a query.
    pub(super) async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<Vec<u8>>,
    ) -> Result<Said, HeketiError> {
        let asked = self.asked(method.as_str(), path);
        let path = format!("{}{path}", self.base);
        let answer = self.send(&asked, method, &path, body, true).await?;
        read(&asked, answer, now())
    }

    /// `path` is one of a Location: from the root of the server.
    pub(super) async fn ask_at(&self, method: Method, path: &str) -> Result<Said, HeketiError> {
        let asked: Box<str> = format!("{method} {}{path}", self.origin).into();
        let answer = self.send(&asked, method, path, None, true).await?;
        read(&asked, answer, now())
    }

    /// The one call that needs no token.
    pub(super) async fn hello(&self) -> Result<Hello, HeketiError> {
        let asked = self.asked("GET", "/hello");
        let path = format!("{}/hello", self.base);
        let answer = self.send(&asked, Method::GET, &path, None, false).await?;
        let loods = answer.loods.clone();
        match read(&asked, answer, now())? {
            Said::Body(_) => Ok(Hello { loods }),
            _ => Err(HeketiError::Unreadable {
                asked,
                cause: "it does not greet".into(),
            }),
        }
    }

    async fn send(
        &self,
        asked: &str,
        method: Method,
        path: &str,
        body: Option<Vec<u8>>,
        signed: bool,
    ) -> Result<Answer, HeketiError> {
        let uri = format!("{}{path}", self.origin);
        let mut request = Request::builder()
            .method(method.clone())
            .uri(uri)
            .header(ACCEPT, "application/json")
            .header(USER_AGENT, concat!("loods/", env!("CARGO_PKG_VERSION")));
        if body.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        if let Some(key) = self.key.as_ref().filter(|_| signed) {
            // The token is for the path without its query.
            let path = path.split('?').next().unwrap_or(path);
            let token = sign(User::Admin, key, method.as_str(), path, now());
            let mut value = HeaderValue::try_from(format!("bearer {token}"))
                .expect("a token is base64 and dots");
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        let request = request
            .body(Full::from(body.unwrap_or_default()))
            .map_err(|cause| HeketiError::Invalid(format!("{asked}: {cause}").into()))?;
        let exchange = async {
            let answer = self
                .http
                .request(request)
                .await
                .map_err(|cause| unreachable(asked, &cause))?;
            self.take(asked, answer).await
        };
        match tokio::time::timeout(self.limit, exchange).await {
            Ok(done) => done,
            Err(_) => Err(HeketiError::TimedOut {
                asked: asked.into(),
                what: "no answer",
                limit: self.limit,
            }),
        }
    }

    async fn take(&self, asked: &str, answer: Response<Incoming>) -> Result<Answer, HeketiError> {
        let (head, body) = answer.into_parts();
        let body = match Limited::new(body, self.longest).collect().await {
            Ok(body) => body.to_bytes().into(),
            Err(cause) if cause.is::<LengthLimitError>() => {
                return Err(HeketiError::Unreadable {
                    asked: asked.into(),
                    cause: format!("it is longer than {} bytes", self.longest).into(),
                });
            }
            Err(cause) => return Err(unreachable(asked, &*cause)),
        };
        let text = |name| text_of(&head.headers, name);
        Ok(Answer {
            status: head.status.as_u16(),
            location: text(LOCATION.as_str()).map(Into::into),
            pending: text("x-pending").is_some_and(|value| value.eq_ignore_ascii_case("true")),
            loods: text(loods::HEADER).map(Into::into),
            retry_after: text(RETRY_AFTER.as_str()).and_then(|value| value.parse().ok()),
            date: text(DATE.as_str()).and_then(|value| {
                let time = jiff::fmt::rfc2822::parse(value).ok()?;
                Some(time.timestamp().as_second())
            }),
            body,
        })
    }
}

fn text_of<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

fn unreachable(asked: &str, cause: &(dyn std::error::Error + 'static)) -> HeketiError {
    HeketiError::Unreachable {
        asked: asked.into(),
        cause: root_cause(cause),
    }
}
