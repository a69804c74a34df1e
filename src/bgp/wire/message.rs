//! BGP messages as values.

use std::net::IpAddr;

use super::super::types::{Asn, Family, Prefix, RouterId};

/// One BGP message (RFC 4271 §4, RFC 2918).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// Type 1.
    Open(Open),
    /// Type 2.
    Update(Update),
    /// Type 3.
    Notification(Notification),
    /// Type 4.
    Keepalive,
    /// Type 5 (RFC 2918). Other AFI/SAFI pairs than ours come as `None` and are ignored.
    RouteRefresh(Option<Family>),
}

/// OPEN (RFC 4271 §4.2), version 4.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Open {
    /// The sender's AS: the four-octet capability's number where there is one,
    /// else the two-octet field.
    pub asn: Asn,
    /// Proposed hold time in seconds: 0, or 3 and more.
    pub hold_time: u16,
    /// BGP Identifier.
    pub router_id: RouterId,
    /// In the order on the wire. Empty: no Capabilities parameter at all.
    pub capabilities: Vec<Capability>,
}

/// One capability (RFC 5492).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Capability {
    /// Code 1 for a family of ours (RFC 4760).
    Multiprotocol(Family),
    /// Code 2 (RFC 2918).
    RouteRefresh,
    /// Code 6 (RFC 8654).
    ExtendedMessage,
    /// Code 65 (RFC 6793).
    FourOctetAs(Asn),
    /// Any other, kept to be shown: code and value. Code 1 with other AFI/SAFI too.
    Other(u8, Vec<u8>),
}

/// What is kept of a received UPDATE: Loods counts routes and drops them; the
/// demo's router shows where they lead.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Update {
    /// Prefixes announced, all families.
    pub reach: Vec<Prefix>,
    /// Where those lead: NEXT_HOP, or the global address in MP_REACH_NLRI where
    /// that is there.
    pub next_hop: Option<IpAddr>,
    /// Prefixes withdrawn, all families; those that RFC 7606 treats as
    /// withdrawn among them.
    pub unreach: Vec<Prefix>,
    /// This UPDATE is the End-of-RIB marker of a family (RFC 4724 §2).
    pub end_of_rib: Option<Family>,
    /// What RFC 7606 let pass (attribute discard, treat-as-withdraw), in words.
    pub faults: Vec<String>,
}

/// NOTIFICATION (RFC 4271 §4.5). It is also the error of decoding and of the
/// session machine: a fault *is* the message that answers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    /// Error code.
    pub code: u8,
    /// Error subcode, 0 = unspecific.
    pub subcode: u8,
    /// Data, as the code's section says.
    pub data: Vec<u8>,
}
