//! A call to Heketi that brought nothing: one line for the person on call.
//!
//! Each names what was asked of whom. What the server said is quoted, cut and
//! on one line; a key or a token never is.

use std::fmt;
use std::time::Duration;

/// Why a call brought nothing. `asked` is method and URL.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeketiError {
    /// It was not sent, since it could not have led to anything.
    #[error("{0}")]
    Invalid(Box<str>),
    /// This is an old Heketi, and only our own manager can do that.
    #[error("{asked}: {what} needs the manager of Loods, and a Heketi answers there")]
    Unsupported {
        /// Method and URL.
        asked: Box<str>,
        /// What was wanted of it.
        what: &'static str,
    },
    /// The server said no.
    #[error("{asked}: Heketi says {status} {text:?}")]
    Refused {
        /// Method and URL.
        asked: Box<str>,
        /// HTTP status.
        status: u16,
        /// What it said, cut.
        text: Box<str>,
    },
    /// The server does not take our token.
    #[error("{asked}: Heketi says 401 {text:?}: {}", mend(text))]
    Unauthorized {
        /// Method and URL.
        asked: Box<str>,
        /// What it said, cut.
        text: Box<str>,
    },
    /// The server does not take our token because of its time.
    #[error("{asked}: Heketi says 401 {text:?}: {}; synchronise the clocks of both hosts", Clocks(*ours, *theirs))]
    ClockSkew {
        /// Method and URL.
        asked: Box<str>,
        /// What it said, cut.
        text: Box<str>,
        /// Our clock, in seconds since 1970.
        ours: i64,
        /// The server's, from header Date.
        theirs: Option<i64>,
    },
    /// No device has room for it.
    #[error(
        "{asked}: Heketi says {text:?}: no set of devices on distinct hosts has that much room; add a device, or ask for less"
    )]
    NoSpace {
        /// Method and URL.
        asked: Box<str>,
        /// What it said, cut.
        text: Box<str>,
    },
    /// Not now.
    #[error("{asked}: Heketi is busy: {text}")]
    Busy {
        /// Method and URL.
        asked: Box<str>,
        /// What it said, cut, or what is being waited for.
        text: Box<str>,
        /// When to come back, if it says so.
        after: Option<Duration>,
    },
    /// No connection, or it broke.
    #[error("{asked}: cannot reach Heketi: {cause}")]
    Unreachable {
        /// Method and URL.
        asked: Box<str>,
        /// The root cause.
        cause: Box<str>,
    },
    /// No answer in time, or no end of the operation.
    #[error("{asked}: {what} within {limit:?}")]
    TimedOut {
        /// Method and URL.
        asked: Box<str>,
        /// What did not come.
        what: &'static str,
        /// How long we waited.
        limit: Duration,
    },
    /// The answer is not what was asked for.
    #[error("{asked}: that is no answer of Heketi's: {cause}")]
    Unreadable {
        /// Method and URL.
        asked: Box<str>,
        /// What is wrong with it.
        cause: Box<str>,
    },
    /// Sent to another server: our tokens are for this one, so we do not go.
    #[error(
        "{asked}: {status} to {to:?}, and Heketi never sends anybody elsewhere; put the URL of Heketi itself into resturl"
    )]
    Redirected {
        /// Method and URL.
        asked: Box<str>,
        /// HTTP status.
        status: u16,
        /// Where to, cut.
        to: Box<str>,
    },
}

impl HeketiError {
    /// No repetition helps until somebody changes the claim, the class or the server.
    pub fn is_final(&self) -> bool {
        match self {
            Self::Invalid(_) | Self::Unsupported { .. } => true,
            Self::Refused { status, .. } => {
                matches!(status, 400 | 403 | 404 | 405 | 413 | 414 | 415 | 422)
            }
            _ => false,
        }
    }

    /// The server may have done what was asked, or be at it: the answer is lost.
    pub fn may_have_happened(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. } | Self::TimedOut { .. } | Self::Unreadable { .. }
        )
    }

    /// The operation ended, or never began, by the server's own word. It has
    /// been seen to say so of what was done after all.
    pub(super) fn is_end(&self) -> bool {
        match self {
            Self::Refused { status, .. } => *status == 409 || *status >= 500,
            Self::NoSpace { .. } => true,
            _ => false,
        }
    }

    /// The cluster that was asked cannot hold it; another may.
    pub(super) fn is_of_cluster(&self) -> bool {
        match self {
            Self::NoSpace { .. } => true,
            Self::Refused { text, .. } => {
                text.contains("Failed to allocate new volume") && !self.is_name_taken()
            }
            _ => false,
        }
    }

    /// The name is taken: by a volume, or by an operation that will make one.
    pub fn is_name_taken(&self) -> bool {
        matches!(self, Self::Refused { text, .. } if text.contains("already in use"))
    }

    /// One word for logs, metrics and reasons.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "invalid",
            Self::Unsupported { .. } => "unsupported",
            Self::Refused { .. } => "refused",
            Self::Unauthorized { .. } => "unauthorized",
            Self::ClockSkew { .. } => "clockSkew",
            Self::NoSpace { .. } => "noSpace",
            Self::Busy { .. } => "busy",
            Self::Unreachable { .. } => "unreachable",
            Self::TimedOut { .. } => "timedOut",
            Self::Unreadable { .. } => "unreadable",
            Self::Redirected { .. } => "redirected",
        }
    }
}

/// What to do about a 401.
fn mend(text: &str) -> &'static str {
    if text.contains("signature is invalid") {
        "the key in the Secret is not the admin key of Heketi's jwt section"
    } else if text.contains("token not found") {
        "it wants a token: let the class name a Secret, and leave restauthenabled at true"
    } else if text.contains("Administrator") {
        "only restuser admin can see what it has made"
    } else if text.contains("qsh") {
        "what stands between us and Heketi changes paths; put the URL of Heketi itself into resturl"
    } else {
        "look at restuser and the Secret of the class"
    }
}

struct Clocks(i64, Option<i64>);

impl fmt::Display for Clocks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "our clock shows {}", Clock(self.0))?;
        match self.1 {
            Some(theirs) => write!(
                f,
                ", its clock {}, {} s apart",
                Clock(theirs),
                self.0.abs_diff(theirs)
            ),
            None => write!(f, ", its clock it does not tell"),
        }
    }
}

struct Clock(i64);

impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_second(self.0) {
            Ok(time) => write!(f, "{time}"),
            Err(_) => write!(f, "{} s after 1970", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_skew_names_both_clocks() {
        let skew = |theirs| HeketiError::ClockSkew {
            asked: "GET http://gfs1:8080/volumes".into(),
            text: "Invalid JWT token: Token is expired by 5s".into(),
            ours: 1_700_000_000,
            theirs,
        };
        assert_eq!(
            skew(Some(1_700_000_305)).to_string(),
            "GET http://gfs1:8080/volumes: Heketi says 401 \"Invalid JWT token: Token is expired by 5s\": \
             our clock shows 2023-11-14T22:13:20Z, its clock 2023-11-14T22:18:25Z, 305 s apart; \
             synchronise the clocks of both hosts"
        );
        assert!(skew(None).to_string().contains("it does not tell"));
    }

    #[test]
    fn what_nobody_can_repeat_into_success_is_final() {
        let refused = |status| HeketiError::Refused {
            asked: "POST /volumes".into(),
            status,
            text: "Invalid replica value".into(),
        };
        assert!(refused(400).is_final() && refused(422).is_final());
        assert!(!refused(500).is_final() && !refused(409).is_final());
        assert!(refused(500).is_end() && !refused(400).is_end());
    }
}
