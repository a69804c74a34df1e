//! What the session machine has to know of a peer and of this node.

use std::net::IpAddr;

use super::{Shared, socket};
use crate::bgp::peer::PeerSettings;
use crate::bgp::types::{Family, RouterId};

/// What the machine has to know of the configured peer.
pub(super) fn settings(shared: &Shared) -> PeerSettings {
    let peer = &shared.peer;
    PeerSettings {
        local_asn: peer.my_asn,
        peer_asn: peer.peer_asn,
        router_id: router_id(shared),
        hold_time: peer.hold_time,
        keepalive_time: peer.keepalive_time,
        families: [Family::of(peer.address)].into(),
        dial: true,
        connect_timeout: PeerSettings::CONNECT_TIMEOUT,
    }
}

/// The one of the configuration, else the address that leads to the peer now:
/// a node that boots may get both address and route later than its speaker.
pub(super) fn router_id(shared: &Shared) -> RouterId {
    let peer = &shared.peer;
    let address = || match socket::local_address_towards(peer) {
        Some(IpAddr::V4(address)) => RouterId::new(address),
        _ => None,
    };
    let found = peer.router_id.or_else(address);
    found.unwrap_or_else(|| named_router_id(&shared.node_name))
}

/// A router id for a node without an IPv4 address: any non-zero number that is
/// its own will do (RFC 6286 §2.1), and the same one after a restart.
fn named_router_id(node: &str) -> RouterId {
    let hash = u32::try_from(fnv(node.as_bytes()) >> 32)
        .unwrap_or(1)
        .max(1);
    RouterId::new(hash.into()).expect("it is at least 1")
}

/// Each peer of each node gets its own jitter.
pub(super) fn seed(shared: &Shared) -> u64 {
    fnv(format!("{} {}", shared.node_name, shared.name()).as_bytes())
}

/// FNV-1a, 64 bits: the same for the same name, today and after an upgrade.
fn fnv(octets: &[u8]) -> u64 {
    octets.iter().fold(0xcbf2_9ce4_8422_2325, |hash, octet| {
        (hash ^ u64::from(*octet)).wrapping_mul(0x0100_0000_01b3)
    })
}
