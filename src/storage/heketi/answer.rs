//! What an answer of Heketi's means (pure).
//!
//! An answer is believed only where it is one of Heketi's. A proxy's page with
//! status 404 does not mean that a volume is gone: whoever believed that would
//! forget volumes that are there.

use std::time::Duration;

use serde::de::DeserializeOwned;

use super::error::HeketiError;

/// How much of a text is quoted, in characters.
const QUOTE: usize = 300;

/// The head of an answer, and its body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Header Location.
    pub location: Option<Box<str>>,
    /// Header X-Pending is `true`.
    pub pending: bool,
    /// Header X-Loods.
    pub loods: Option<Box<str>>,
    /// Header Retry-After, in seconds.
    pub retry_after: Option<u64>,
    /// Header Date, in seconds since 1970.
    pub date: Option<i64>,
    /// The body.
    pub body: Vec<u8>,
}

/// An answer, understood as far as all calls have it in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// 200 or 201: the body is for whoever asked.
    Body(Vec<u8>),
    /// 202: what becomes of it is told at this path.
    Accepted(Box<str>),
    /// 200 with X-Pending: it is not done yet.
    Pending,
    /// 303: it is done, and stands at this path.
    SeeOther(Box<str>),
    /// 204: it is done.
    Nothing,
    /// 404 in Heketi's words: there is no such thing, or it was told before.
    Absent,
}

/// Reads an answer. `asked` is method and URL; `now` is our clock, in seconds
/// since 1970.
///
/// # Errors
/// Whatever is no success; [`HeketiError::Unreadable`] for what Heketi never says.
pub fn read(asked: &str, answer: Answer, now: i64) -> Result<Said, HeketiError> {
    let status = answer.status;
    let unreadable = |cause: &str| HeketiError::Unreadable {
        asked: asked.into(),
        cause: cause.into(),
    };
    match status {
        200 | 201 if answer.pending => return Ok(Said::Pending),
        200 | 201 => return Ok(Said::Body(answer.body)),
        202 => {
            let to = answer.location.as_deref();
            return to
                .and_then(bare)
                .map(Said::Accepted)
                .ok_or_else(|| unreadable("202 without a Location on the same server"));
        }
        204 => return Ok(Said::Nothing),
        300..400 => {
            let to = answer.location.as_deref().unwrap_or_default();
            return match bare(to) {
                Some(path) if status == 303 => Ok(Said::SeeOther(path)),
                _ => Err(HeketiError::Redirected {
                    asked: asked.into(),
                    status,
                    to: cut(to),
                }),
            };
        }
        _ => {}
    }
    let asked: Box<str> = asked.into();
    let page = is_page(&answer.body);
    let text = if page {
        "(a page for a browser: something else than Heketi answers there)".into()
    } else {
        cut(&String::from_utf8_lossy(&answer.body))
    };
    Err(match status {
        // Its own words: a proxy's 404 says nothing about volumes.
        404 if !page && text.contains("Id not found") => return Ok(Said::Absent),
        401 if text.contains("is expired") || text.contains("before issued") => {
            HeketiError::ClockSkew {
                asked,
                text,
                ours: now,
                theirs: answer.date,
            }
        }
        401 => HeketiError::Unauthorized { asked, text },
        429 => HeketiError::Busy {
            asked,
            text,
            after: answer.retry_after.map(Duration::from_secs),
        },
        500.. if text.contains("No space") => HeketiError::NoSpace { asked, text },
        400.. => HeketiError::Refused {
            asked,
            status,
            text,
        },
        _ => unreadable(&format!("status {status}")),
    })
}

/// Decodes the body of a success. The error tells the place and never the text.
///
/// # Errors
/// [`HeketiError::Unreadable`].
pub fn decode<T: DeserializeOwned>(asked: &str, body: &[u8]) -> Result<T, HeketiError> {
    serde_json::from_slice(body).map_err(|cause| HeketiError::Unreadable {
        asked: asked.into(),
        cause: if is_page(body) {
            "it is a page for a browser".into()
        } else {
            format!(
                "{:?} error at line {}, column {}",
                cause.classify(),
                cause.line(),
                cause.column()
            )
            .into()
        },
    })
}

/// A path on the same server, as Heketi puts it into Location: nothing that
/// could name another server, and nothing that needs escapes.
fn bare(location: &str) -> Option<Box<str>> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._".contains(&byte);
    let good = location.len() <= 256
        && location.starts_with('/')
        && !location.contains("//")
        && !location.contains("..")
        && location.bytes().all(plain);
    good.then(|| location.into())
}

fn is_page(body: &[u8]) -> bool {
    body.trim_ascii_start().starts_with(b"<")
}

/// On one line, without control characters, not too long.
fn cut(text: &str) -> Box<str> {
    let mut line: String = text
        .trim()
        .chars()
        .take(QUOTE)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if text.trim().chars().nth(QUOTE).is_some() {
        line.push('…');
    }
    line.into()
}

#[cfg(test)]
mod tests;
