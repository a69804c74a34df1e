//! The article's storage, whole: a real cluster of three nodes, three real
//! glusterds with agents and the built-in manager, installed as users install
//! it, and pods that share files.
//!
//! ```text
//!   kubectl apply -f manifests/storage*.yaml -f config/storage/
//!   n1, n2, n3    kubelet, keeper, node plugin ── mount.glusterfs ──┐
//!   controller ── http://gfs1:8080 ── manager ── mutual TLS ── agents, glusterds
//!                                                 gfs1 … gfs3, 198.19.0.41 … 43
//! ```

#[path = "../support/mod.rs"]
mod support;

mod article;
mod scene;
