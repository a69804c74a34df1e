//! Making a [`Failure`].

use std::io;
use std::path::Path;

use super::api::{Failure, FailureKind};
use crate::storage::gluster::name::BadName;

impl Failure {
    fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
        }
    }

    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(FailureKind::Invalid, message)
    }

    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self::new(FailureKind::NotFound, message)
    }

    pub(super) fn busy(message: impl Into<String>) -> Self {
        Self::new(FailureKind::Busy, message)
    }

    pub(super) fn no_space(message: impl Into<String>) -> Self {
        Self::new(FailureKind::NoSpace, message)
    }

    pub(super) fn unsupported(message: impl Into<String>) -> Self {
        Self::new(FailureKind::Unsupported, message)
    }

    pub(super) fn internal(message: impl Into<String>) -> Self {
        Self::new(FailureKind::Internal, message)
    }

    /// What the system said of a file.
    pub(super) fn io(what: &str, path: &Path, error: &io::Error) -> Self {
        let kind = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => FailureKind::NoSpace,
            _ => FailureKind::Internal,
        };
        Self::new(kind, format!("cannot {what} {}: {error}", path.display()))
    }
}

impl From<BadName> for Failure {
    fn from(bad: BadName) -> Self {
        Self::invalid(bad.0)
    }
}
