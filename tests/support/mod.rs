//! The laboratory of the real-part tests: network namespaces, real routers,
//! a real Kubernetes control plane and real nodes, made by the test that needs
//! them.
//!
//! Nothing here knows how Loods works inside. It starts programs, asks them
//! what they see, and clears up behind itself, also after a panic or a kill.
//! What a test proves stays in the test.

// Each test binary compiles this module for itself and uses its own part.
#![allow(dead_code)]

pub mod announce;
pub mod apiproxy;
pub mod bird;
pub mod cluster;
pub mod control_plane;
pub mod frr;
#[cfg(feature = "storage")]
pub mod gluster;
#[cfg(feature = "storage")]
pub mod heketi;
pub mod lab;
pub mod node;
pub mod process;
#[cfg(feature = "storage")]
pub mod python;
pub mod readme;
pub mod stream;
pub mod tools;
pub mod wait;
