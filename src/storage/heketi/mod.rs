//! Heketi's REST API: what goes over the wire, and who may ask.
//!
//! [`wire`] has the shapes, for the client and for our manager alike, so that
//! both mean the same. The figures and texts are Heketi's (version 10).

pub mod answer;
pub mod client;
pub mod ensure;
pub mod error;
pub mod loods;
mod names;
pub mod token;
pub mod wire;
