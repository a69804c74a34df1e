//! The octets of BGP messages, both ways.

pub mod message;
