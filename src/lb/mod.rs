//! Facts in; wanted statuses and announcements, or a reason, out.
//!
//! Here is all policy about Services: the shell around it only carries. It has
//! no clock and no memory but what it is shown, and knows Kubernetes' objects
//! only as [`facts`].
//!
//! Seen from a node, [`index`] keeps what was told and finds what a change
//! touches, with [`backends`] for the endpoints; [`advertise`] decides on one
//! address; [`prefixes`] merges what several Services want of one prefix;
//! [`proxy`] knows for which pods the node's own proxy is waited for;
//! [`notices`] says what is worth an [`event`]; [`view`] shows the outcome.
//! Every refusal is a [`reason`].

pub mod advertise;
pub mod ask;
pub mod backends;
pub mod decide;
pub mod event;
pub mod index;
pub mod notices;
pub mod orphan;
pub mod prefixes;
pub mod proxy;
pub mod reason;
pub mod status;
pub mod view;

mod entry;
#[cfg(test)]
pub(crate) mod fixture;
mod peers;
