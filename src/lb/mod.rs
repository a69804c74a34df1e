//! Facts in; wanted statuses and announcements, or a reason, out.

pub mod event;
pub mod facts;
pub mod status;
