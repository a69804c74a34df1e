//! Loods: load balancers for Kubernetes on one's own network.
//!
//! A guided map, from the inside out. The *pure* folders know nothing of
//! sockets, clocks or API objects: they are functions and small machines over
//! plain values, and are given `now` where time matters.
//!
//! - [`bgp`] (pure): the wire codec, the session machine, the rib of one peer.
//! - [`config`] (pure): what the user meant, read from MetalLB's ConfigMap.
//! - [`alloc`] (pure): who holds which address.
//! - [`lb`] (pure): facts in; wanted statuses and announcements, or a reason, out.
//!
//! The *shell* folders do the input and output, and hold no policy. They come
//! with the feature `daemon`:
//!
//! - `observe`: what the daemon counts and shows.
//! - `k8s`: watches, patches, the Lease and Events.
//! - `speaker`: drives one BGP peer over a socket each.
//! - `admin`: serves what `observe` holds.
//! - `runtime`: wires them together; `cli`: what the user typed.
//! - `demo`: three nodes and a router in one process, on loopback.
//!
//! The second capability, shared storage, is `storage` (feature `storage`),
//! with the same cut inside; it shares `k8s`, `admin` and `observe` alone.

// Some of tests/support is shared by unit tests and by tests of the whole.
#[cfg(test)]
extern crate self as loods;

// Pure folders do not ask the system for anything: clippy.toml lists what.
#[deny(clippy::disallowed_methods)]
pub mod alloc;
#[deny(clippy::disallowed_methods)]
pub mod bgp;
#[deny(clippy::disallowed_methods)]
pub mod config;
#[deny(clippy::disallowed_methods)]
pub mod facts;
#[deny(clippy::disallowed_methods)]
pub mod lb;

#[cfg(feature = "daemon")]
pub mod admin;
#[cfg(feature = "daemon")]
pub mod cli;
#[cfg(feature = "daemon")]
pub mod demo;
#[cfg(feature = "daemon")]
pub mod k8s;
#[cfg(feature = "daemon")]
pub mod observe;
#[cfg(feature = "daemon")]
mod page;
#[cfg(feature = "daemon")]
pub mod runtime;
#[cfg(feature = "daemon")]
pub mod speaker;
#[cfg(feature = "storage")]
pub mod storage;
