//! The one model of a configuration, whatever it was read from.
//!
//! Every value here is already checked: readers of the model ask nothing twice.
//! How the text was written (line, spelling, alias) is gone by now.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use super::selector::Selector;
use crate::bgp::types::{Asn, Attributes, Community, Family, Origin, Prefix, RouterId};

/// One accepted configuration, whole. An empty text is an empty, valid one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// Routers to speak to, in the order written.
    pub peers: Vec<Arc<Peer>>,
    /// Pools to allocate from, in the order written: the order is the preference.
    pub pools: Vec<Arc<Pool>>,
    /// BFD profiles by name.
    pub bfd_profiles: BTreeMap<Arc<str>, BfdProfile>,
    /// ORIGIN of all routes (key `origin`).
    pub origin: Origin,
    /// What happens to an address whose pool is gone (key `on-removed-pool`).
    pub on_removed_pool: OnRemovedPool,
}

/// What happens to an address in use that no pool holds any more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnRemovedPool {
    /// The Service keeps it, marked as an orphan.
    #[default]
    Keep,
    /// The Service gets another one.
    Reassign,
}

/// A router, as each selected node sees it.
#[derive(Clone, PartialEq, Eq)]
pub struct Peer {
    /// Our AS (`my-asn`).
    pub my_asn: Asn,
    /// The router's AS (`peer-asn`).
    pub peer_asn: Asn,
    /// Where to dial (`peer-address`).
    pub address: IpAddr,
    /// The interface of a link-local address, written `fe80::1%eth0`.
    pub zone: Option<Arc<str>>,
    /// `peer-port`, 179 unless written.
    pub port: u16,
    /// `source-address`: the local address to dial from.
    pub source: Option<IpAddr>,
    /// `hold-time`, whole seconds: zero, or 3 s to 65535 s. 90 s unless written.
    pub hold_time: Duration,
    /// `keepalive-time`, at most the hold time; a third of the negotiated one unless written.
    pub keepalive_time: Option<Duration>,
    /// `router-id`; derived from the node's address unless written.
    pub router_id: Option<RouterId>,
    /// Nodes that speak to this router: any of these. Never empty: no key means all nodes.
    pub node_selectors: Vec<Selector>,
    /// TCP MD5 key (`password`).
    pub password: Option<Password>,
    /// `bfd-profile`, a name in [`Config::bfd_profiles`].
    pub bfd_profile: Option<Arc<str>>,
    /// `ebgp-multihop` as written; only a written `false` limits the TTL to 1.
    pub ebgp_multihop: Option<bool>,
}

/// A TCP MD5 key. It never shows: neither in Debug nor in Display.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(pub Arc<str>);

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// How a pool's addresses reach clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Announced by our speakers.
    Bgp,
    /// Allocated, but not announced: Loods has no layer 2 mode.
    Layer2,
}

/// Addresses that may be given out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pool {
    /// Unique.
    pub name: Arc<str>,
    /// `protocol`.
    pub protocol: Protocol,
    /// In the order written; no overlaps with any other range of the config.
    pub ranges: Vec<AddressRange>,
    /// Skip IPv4 addresses that end in .0 or .255.
    pub avoid_buggy_ips: bool,
    /// False: only for Services that ask for it.
    pub auto_assign: bool,
    /// How its addresses are announced; never empty for [`Protocol::Bgp`].
    pub advertisements: Vec<Advertisement>,
}

/// First and last address, one family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressRange {
    /// Both ends are of one family and in order.
    pub bounds: RangeInclusive<IpAddr>,
}

/// One entry of `bgp-advertisements`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Advertisement {
    /// `aggregation-length`, 32 unless written.
    pub aggregation_length: u8,
    /// `aggregation-length-v6`, 128 unless written.
    pub aggregation_length_v6: u8,
    /// `localpref` as written.
    pub local_pref: Option<u32>,
    /// `communities`, aliases resolved.
    pub communities: BTreeSet<Community>,
}

/// One entry of `bfd-profiles`; `None` = not written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BfdProfile {
    /// Milliseconds, 10 to 60000.
    pub receive_interval: Option<u32>,
    /// Milliseconds, 10 to 60000.
    pub transmit_interval: Option<u32>,
    /// 2 to 255.
    pub detect_multiplier: Option<u8>,
    /// Milliseconds, 10 to 60000.
    pub echo_interval: Option<u32>,
    /// `echo-mode`.
    pub echo_mode: bool,
    /// `passive-mode`.
    pub passive_mode: bool,
    /// 1 to 254.
    pub minimum_ttl: Option<u8>,
}

impl Config {
    /// The pool that holds an address, with `avoid-buggy-ips` not considered:
    /// an address given by hand is still of its pool.
    pub fn pool_of(&self, addr: IpAddr) -> Option<&Arc<Pool>> {
        self.pools.iter().find(|pool| pool.contains(addr))
    }
}

impl AddressRange {
    /// How many addresses it holds; all of IPv6 counts as one less.
    pub fn size(&self) -> u128 {
        let between = match (self.bounds.start(), self.bounds.end()) {
            (IpAddr::V4(first), IpAddr::V4(last)) => {
                u128::from(last.to_bits().saturating_sub(first.to_bits()))
            }
            (IpAddr::V6(first), IpAddr::V6(last)) => last.to_bits().saturating_sub(first.to_bits()),
            _ => return 0,
        };
        between.saturating_add(1)
    }
}

impl Pool {
    /// Whether an address is in one of the ranges.
    pub fn contains(&self, addr: IpAddr) -> bool {
        self.ranges.iter().any(|range| range.bounds.contains(&addr))
    }
}

impl Advertisement {
    /// The prefix under which this rule announces an address, and its attributes.
    pub fn announce(&self, addr: IpAddr, origin: Origin) -> (Prefix, Attributes) {
        let length = match Family::of(addr) {
            Family::Ipv4 => self.aggregation_length,
            Family::Ipv6 => self.aggregation_length_v6,
        };
        let host = Prefix::new_assert(addr, length.min(Family::of(addr).bits()));
        let attributes = Attributes {
            origin,
            local_pref: self.local_pref,
            communities: self.communities.clone(),
        };
        (host.trunc(), attributes)
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} as {}", self.endpoint(), self.peer_asn)
    }
}

impl Peer {
    /// `192.0.2.1:179` or `[fe80::1%eth0]:179`: what the log, metrics and
    /// `/state` call the peer.
    pub fn endpoint(&self) -> String {
        let port = self.port;
        match (self.address, &self.zone) {
            (IpAddr::V6(address), Some(zone)) => format!("[{address}%{zone}]:{port}"),
            (address, _) => SocketAddr::new(address, port).to_string(),
        }
    }

    /// Whether a session with `self` serves `other` as well: everything that
    /// the session was made of is the same. Which nodes are selected, and a BFD
    /// profile, change nothing in it.
    pub fn same_session(&self, other: &Peer) -> bool {
        let essence = |peer: &Peer| Peer {
            node_selectors: Vec::new(),
            bfd_profile: None,
            ..peer.clone()
        };
        essence(self) == essence(other)
    }
}
