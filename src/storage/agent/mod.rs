//! The agent of one storage host: bricks, and `gluster` by its command line.
//!
//! [`api`] is what the manager may ask, and nothing else can be asked.

pub mod api;
