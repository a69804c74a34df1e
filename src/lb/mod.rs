//! Facts in; wanted statuses and announcements, or a reason, out.

pub mod advertise;
pub mod backends;
pub mod event;
pub mod facts;
pub mod index;
pub mod notices;
pub mod orphan;
pub mod prefixes;
pub mod reason;
pub mod status;
pub mod view;

mod entry;
#[cfg(test)]
mod fixture;
