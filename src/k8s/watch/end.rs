//! The lines of a watch, and how lists and watches end.

use std::borrow::Cow;

use http_body_util::BodyExt;
use kube::client::Body;
use kube::core::Status;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::{Instant, timeout_at};

use crate::k8s::client::{ApiError, unreachable, unreadable};

/// The receiver is gone.
pub(super) struct Closed;

/// Why a list came to no end.
pub(super) enum Halt {
    Closed,
    Api(ApiError),
}

impl From<ApiError> for Halt {
    fn from(error: ApiError) -> Self {
        Halt::Api(error)
    }
}

impl From<Closed> for Halt {
    fn from(_: Closed) -> Self {
        Halt::Closed
    }
}

/// How a watch ended.
pub(super) enum End {
    /// When it should.
    InTime,
    /// 410: the server no longer knows the version.
    Gone,
    /// The server's history went backwards.
    Older,
    Broken(ApiError),
}

/// What a line of the watch means for the rest of it.
pub(super) enum Next {
    Line,
    End(End),
}

/// One line of a watch.
#[derive(Deserialize)]
pub(super) struct Line<'a> {
    #[serde(borrow, rename = "type")]
    pub(super) kind: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) object: &'a RawValue,
}

/// The next piece of a body; `None` at its end.
pub(super) async fn next_bytes(
    body: &mut Body,
    deadline: Instant,
    asked: &str,
) -> Result<Option<Vec<u8>>, ApiError> {
    loop {
        match timeout_at(deadline, body.frame()).await {
            Err(_) => {
                return Err(broke(
                    asked,
                    "the watch outlived its time: the link is dead",
                ));
            }
            Ok(None) => return Ok(None),
            Ok(Some(Err(error))) => return Err(unreachable(asked, &error)),
            // Trailers mean nothing here.
            Ok(Some(Ok(frame))) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data.into()));
                }
            }
        }
    }
}

pub(super) fn broke(asked: &str, cause: &str) -> ApiError {
    ApiError::Unreachable {
        asked: asked.into(),
        cause: cause.into(),
    }
}

/// An ERROR line: a Status in the middle of a watch.
pub(super) fn failure(json: &str, asked: &str) -> End {
    match serde_json::from_str::<Status>(json) {
        Ok(status) if status.code == 410 => End::Gone,
        Ok(status) => End::Broken(ApiError::of_status(asked, status.code, status, None)),
        Err(error) => End::Broken(unreadable(asked, &error)),
    }
}
