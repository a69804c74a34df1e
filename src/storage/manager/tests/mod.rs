//! The manager against storage hosts in memory: see [`hosts`].

mod acts;
mod crashes;
mod faults;
#[path = "../../../../tests/support/storage_hosts/mod.rs"]
mod hosts;
mod life;
mod model;
