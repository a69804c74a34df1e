//! Words for the user about one object: what becomes a Kubernetes Event.

use crate::facts::ServiceKey;

/// A Kubernetes Event to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The Service that it is about.
    pub service: ServiceKey,
    /// `metadata.uid` of that Service.
    pub uid: Box<str>,
    /// Normal or Warning.
    pub kind: EventKind,
    /// MetalLB's word, since people alert on it: IPAllocated, AllocationFailed,
    /// ClearAssignment, nodeAssigned; or one of ours where MetalLB has none.
    pub reason: &'static str,
    /// What happened, for the person on call. A refusal begins with our reason.
    pub note: String,
}

/// `type` of an Event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EventKind {
    /// As it should be.
    Normal,
    /// Somebody should look.
    Warning,
}
