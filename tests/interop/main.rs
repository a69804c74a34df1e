//! The speaker against real routers, each in a network namespace that the test
//! makes. What is asserted is what the router says of itself: its neighbours,
//! its table, the NOTIFICATION it got. Only when a session does *not* come up
//! is the speaker asked why, since that is what the person on call will do.

#[path = "../support/mod.rs"]
mod support;

mod attributes;
mod documented;
mod faults;
mod files;
mod link;
mod link_local;
mod more_routers;
mod routers;
mod sessions;
