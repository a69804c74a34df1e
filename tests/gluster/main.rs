//! The manager and its agents on real glusterds, asked by the client that the
//! controller uses, without Kubernetes.
//!
//! ```text
//!   test ── Heketi's REST ── manager (on gfs1) ── agents, glusterds: gfs1 … gfs4
//!   web1, web2: mount.glusterfs
//! ```

#[path = "../support/mod.rs"]
mod support;

mod adopt;
mod carried;
mod demo;
mod directories;
mod drain;
mod faults;
mod line;
mod losses;
mod lossy;
mod python;
mod sanity;
mod scene;
mod strangers;
mod volumes;
