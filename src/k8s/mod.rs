//! The API server: what is read from it and what is written to it.
//!
//! The only folder that names kube or k8s-openapi. It holds no policy: objects
//! come in as plain facts, decisions go out as plain values.
//!
//! ```text
//!   LIST, WATCH --> objects --> Event<Fact> --> (the caller's channel)
//!   StatusWrite --> patch::Writer ------------> PATCH services/status
//!   Notice -------> events::EventSink --------> POST events
//!   lease::run <--> PUT leases ---------------> watch<LeaderState>
//!   lastgood <----> ConfigMap loods-last-good
//!   volumes::Calls <> PVs, claims, one Secret by name
//!   Store: an API server in memory, below the same client
//! ```
//!
//! kube brings the kubeconfig, the service account, TLS and the connections.
//! Its watcher is not used, for three reasons. It shows neither bookmarks nor
//! the end of a stream, so an etcd restored from a backup goes unnoticed. One
//! object that does not decode fails its whole page for ever. And it holds a
//! page of objects, where [`watch`] turns each into its fact at once.

pub mod client;
pub mod counters;
pub mod events;
pub mod files;
pub mod lastgood;
pub mod lease;
pub mod list;
pub mod objects;
pub mod patch;
pub mod store;
pub mod volumes;
pub mod watch;

pub(crate) mod backoff;
#[cfg(test)]
mod fake;

pub use client::{ApiError, Client, connect};
pub use counters::Counters;
pub use lease::LeaderState;

/// Our name in `metadata.managedFields`.
pub const FIELD_MANAGER: &str = "loods";
