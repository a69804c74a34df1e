//! What went wrong at the server, as CSI's codes say it (pure).

use tonic::{Code, Status};

use crate::storage::heketi::error::HeketiError;

/// The status of a failed call.
pub fn status(error: &HeketiError) -> Status {
    Status::new(code(error), error.to_string())
}

fn code(error: &HeketiError) -> Code {
    match error {
        HeketiError::Invalid(_) => Code::InvalidArgument,
        HeketiError::Unsupported { .. } => Code::Unimplemented,
        HeketiError::Unauthorized { .. } | HeketiError::ClockSkew { .. } => Code::Unauthenticated,
        HeketiError::NoSpace { .. } => Code::ResourceExhausted,
        HeketiError::Busy { .. } | HeketiError::Unreachable { .. } => Code::Unavailable,
        HeketiError::TimedOut { .. } => Code::DeadlineExceeded,
        HeketiError::Unreadable { .. } | HeketiError::Redirected { .. } => Code::Internal,
        HeketiError::Refused { status, .. } => match status {
            400 | 422 => Code::InvalidArgument,
            404 => Code::NotFound,
            409 => Code::FailedPrecondition,
            _ => Code::Internal,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn each_kind_has_its_code_and_keeps_its_words() {
        let asked = || "POST http://gfs1:8080/volumes".into();
        let refused = |status| HeketiError::Refused {
            asked: asked(),
            status,
            text: "no".into(),
        };
        let table = [
            (HeketiError::Invalid("bad".into()), Code::InvalidArgument),
            (
                HeketiError::Unsupported {
                    asked: asked(),
                    what: "a snapshot",
                },
                Code::Unimplemented,
            ),
            (
                HeketiError::NoSpace {
                    asked: asked(),
                    text: "No space".into(),
                },
                Code::ResourceExhausted,
            ),
            (
                HeketiError::Unreachable {
                    asked: asked(),
                    cause: "refused".into(),
                },
                Code::Unavailable,
            ),
            (
                HeketiError::TimedOut {
                    asked: asked(),
                    what: "no answer",
                    limit: Duration::from_secs(1),
                },
                Code::DeadlineExceeded,
            ),
            (refused(400), Code::InvalidArgument),
            (refused(404), Code::NotFound),
            (refused(409), Code::FailedPrecondition),
            (refused(500), Code::Internal),
        ];
        for (error, code) in table {
            let status = status(&error);
            assert_eq!(
                (status.code(), status.message()),
                (code, &*error.to_string())
            );
        }
    }
}
