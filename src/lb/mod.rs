//! Facts in; wanted statuses and announcements, or a reason, out.

pub mod advertise;
pub mod backends;
pub mod event;
pub mod facts;
pub mod index;
pub mod orphan;
pub mod prefixes;
pub mod reason;
pub mod status;
