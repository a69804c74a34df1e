//! CSI as a kubelet and a test suite of the specification meet it: over a unix
//! socket. Without root the mounts are a list in memory; with root they are
//! the kernel's.

#[path = "../support/mod.rs"]
mod support;

mod fake;
mod fuse;
mod heal;
mod keeper;
mod node;
mod registration;
mod sanity;
mod scene;
