//! The words that BGP shares with the rest of the program.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

/// A prefix as announced: always a network address (host bits zero).
pub type Prefix = ipnet::IpNet;

/// An autonomous system number, four octets wide (RFC 6793).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Asn(pub u32);

impl Asn {
    /// What a number over 65535 is called in the two-octet fields (RFC 6793 §4.2.2).
    pub const TRANS: Asn = Asn(23456);

    /// This number in a two-octet field: itself, or AS_TRANS.
    pub fn two_octet(self) -> u16 {
        u16::try_from(self.0).unwrap_or(23456)
    }
}

impl fmt::Display for Asn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A BGP Identifier: any four octets but zero (RFC 6286).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RouterId(Ipv4Addr);

impl RouterId {
    /// `None` for 0.0.0.0, which RFC 6286 §2.1 forbids.
    pub fn new(id: Ipv4Addr) -> Option<Self> {
        (!id.is_unspecified()).then_some(Self(id))
    }

    /// As a dotted quad.
    pub fn addr(self) -> Ipv4Addr {
        self.0
    }
}

impl fmt::Display for RouterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The two address families that Loods announces, unicast (AFI 1 and 2, SAFI 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// AFI 1, SAFI 1.
    Ipv4,
    /// AFI 2, SAFI 1.
    Ipv6,
}

impl Family {
    /// The family of an address.
    pub fn of(addr: IpAddr) -> Self {
        match addr {
            IpAddr::V4(_) => Family::Ipv4,
            IpAddr::V6(_) => Family::Ipv6,
        }
    }

    /// The family of a prefix.
    pub fn of_prefix(prefix: &Prefix) -> Self {
        match prefix {
            Prefix::V4(_) => Family::Ipv4,
            Prefix::V6(_) => Family::Ipv6,
        }
    }

    /// How many bits an address has: 32 or 128.
    pub fn bits(self) -> u8 {
        match self {
            Family::Ipv4 => 32,
            Family::Ipv6 => 128,
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Family::Ipv4 => "IPv4",
            Family::Ipv6 => "IPv6",
        })
    }
}

/// A standard community, shown as `high:low` (RFC 1997).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Community(pub u32);

impl Community {
    /// Do not leave the neighbouring AS (RFC 1997).
    pub const NO_EXPORT: Community = Community(0xFFFF_FF01);
    /// Do not pass on at all (RFC 1997).
    pub const NO_ADVERTISE: Community = Community(0xFFFF_FF02);
}

impl fmt::Display for Community {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.0 >> 16, self.0 & 0xFFFF)
    }
}

/// ORIGIN (RFC 4271 §5.1.1). Loods never originates EGP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Origin {
    /// 0: the default.
    #[default]
    Igp,
    /// 2: what MetalLB sent up to v0.12.
    Incomplete,
}

/// What policy says of a route. Next hop and AS path belong to the session
/// that sends it, so they are not here.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Attributes {
    /// ORIGIN.
    pub origin: Origin,
    /// LOCAL_PREF, sent to iBGP peers only. `None` (the user wrote no key) is
    /// sent as 100, a written value as written.
    pub local_pref: Option<u32>,
    /// COMMUNITIES, sorted.
    pub communities: BTreeSet<Community>,
}

/// What both sides of one session agreed on: all that writing routes needs to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Negotiated {
    /// Our AS.
    pub local_asn: Asn,
    /// The peer's AS; equal to ours for iBGP.
    pub peer_asn: Asn,
    /// The peer's BGP Identifier.
    pub peer_router_id: RouterId,
    /// Both know four-octet AS numbers (RFC 6793).
    pub four_octet_as: bool,
    /// Both know messages of up to 65535 octets (RFC 8654).
    pub extended_messages: bool,
    /// The peer may ask for the table again (RFC 2918).
    pub route_refresh: bool,
    /// Families that both sides offered. Without any Multiprotocol capability
    /// from the peer this is IPv4 alone (RFC 4760 §8).
    pub families: BTreeSet<Family>,
    /// The lower of both hold times; zero means no timers (RFC 4271 §4.2).
    pub hold_time: Duration,
}

impl Negotiated {
    /// Both speakers are in one AS.
    pub fn is_ibgp(&self) -> bool {
        self.local_asn == self.peer_asn
    }

    /// The largest message that may be sent, in octets.
    pub fn message_limit(&self) -> usize {
        if self.extended_messages { 65535 } else { 4096 }
    }
}

/// The addresses that routes of this session point to: the local end of its
/// TCP connection (RFC 4271 §5.1.3; RFC 2545 §3 for IPv6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NextHop {
    /// The local address, for routes of its own family.
    pub address: IpAddr,
    /// For IPv6 only: a link-local address to send beside the global one, when
    /// the peer is on the same link.
    pub link_local: Option<Ipv6Addr>,
}
