//! `peers`: the routers to speak to.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::bfd::Profiles;
use super::node_selector;
use crate::bgp::types::{Asn, Family, RouterId};
use crate::config::fields::{Fields, Item};
use crate::config::keys;
use crate::config::model::{Password, Peer};
use crate::config::report::Report;
use crate::config::scalar;
use crate::config::selector::Selector;
use crate::config::tree::Node;

const PORT: u16 = 179;
const HOLD_TIME: Duration = Duration::from_secs(90);
/// What the kernel takes as a TCP MD5 key (TCP_MD5SIG_MAXKEYLEN).
const MAX_PASSWORD: usize = 80;

/// A peer and where it was written.
type Placed = (Arc<Peer>, Rc<Node>);

/// The list; `profiles` is absent when they could not be read.
pub(super) fn peers(
    item: &Item,
    report: &mut Report<'_>,
    profiles: Option<&Profiles>,
) -> Option<Vec<Arc<Peer>>> {
    let mut peers = Some(Vec::new());
    let mut places: HashMap<IpAddr, Vec<Placed>> = HashMap::new();
    for item in item.list(report)? {
        let Some(peer) = peer(&item, report, profiles).map(Arc::new) else {
            peers = None;
            continue;
        };
        let same_place = places.entry(peer.address).or_default();
        if let Some((_, first)) = same_place.iter().find(|(other, _)| *other == peer) {
            let what = "the first one".to_owned();
            item.clash(
                report,
                "is the same as another peer",
                "remove one of them",
                (first, what),
            );
            peers = None;
            continue;
        }
        same_place.push((peer.clone(), item.node.clone()));
        if let Some(peers) = &mut peers {
            peers.push(peer);
        }
    }
    peers
}

fn peer(item: &Item, report: &mut Report<'_>, profiles: Option<&Profiles>) -> Option<Peer> {
    let fields = item.fields(report, &keys::PEER)?;
    let my_asn = fields.required(report, "my-asn", "write the AS number of the cluster", asn);
    let peer_asn = fields.required(report, "peer-asn", "write the AS number of the router", asn);
    let address = fields.required(
        report,
        "peer-address",
        "write the router's address",
        peer_address,
    );
    let port = fields.optional(report, "peer-port", |item, report| {
        scalar::number(item, report, 0u16, u16::MAX)
    });
    let source = fields.optional_text(report, "source-address", local_address);
    let hold_time = fields.optional_text(report, "hold-time", hold_time);
    let keepalive_time = fields.optional_text(report, "keepalive-time", scalar::seconds);
    let router_id = fields.optional_text(report, "router-id", router_id);
    let node_selectors = fields.optional(report, "node-selectors", node_selector::selectors);
    let password = fields.optional_text(report, "password", password);
    let bfd_profile = fields.optional_text(report, "bfd-profile", |item, report| {
        bfd_profile(item, report, profiles)
    });
    let ebgp_multihop = fields.optional(report, "ebgp-multihop", scalar::boolean);

    let source_fits = source_fits(&fields, report, address.as_ref(), source.flatten());
    let hold = hold_time.map(|time| time.unwrap_or(HOLD_TIME));
    let keepalive_time = keepalive_fits(&fields, report, keepalive_time, hold);
    let multihop_fits = multihop_fits(&fields, report, ebgp_multihop.flatten(), my_asn, peer_asn);

    let (address, zone) = address?;
    let selectors = node_selectors?.filter(|list| !list.is_empty());
    source_fits?;
    multihop_fits?;
    Some(Peer {
        my_asn: my_asn?,
        peer_asn: peer_asn?,
        address,
        zone,
        port: port?.filter(|port| *port != 0).unwrap_or(PORT),
        source: source?,
        hold_time: hold?,
        keepalive_time: keepalive_time?,
        router_id: router_id?,
        node_selectors: selectors.unwrap_or_else(|| vec![Selector::default()]),
        password: password?,
        bfd_profile: bfd_profile?,
        ebgp_multihop: ebgp_multihop?,
    })
}

/// RFC 7607: AS 0 is no one's.
fn asn(item: &Item, report: &mut Report<'_>) -> Option<Asn> {
    scalar::number(item, report, 1u32, u32::MAX).map(Asn)
}

const ADDRESS_MEND: &str = "write an IPv4 or IPv6 address such as `192.0.2.1`";

fn peer_address(item: &Item, report: &mut Report<'_>) -> Option<(IpAddr, Option<Arc<str>>)> {
    let text = scalar::text(item, report)?;
    let (plain, zone) = match text.split_once('%') {
        Some((plain, zone)) => (plain, Some(zone)),
        None => (text, None),
    };
    let Some(address) = scalar::address(plain) else {
        item.refuse(report, "is not an IP address", ADDRESS_MEND);
        return None;
    };
    if address.is_unspecified() || address.is_multicast() {
        item.refuse(report, "is not the address of a router", ADDRESS_MEND);
        return None;
    }
    let link_local = matches!(address, IpAddr::V6(v6) if is_link_local(v6));
    match zone {
        Some(_) if !link_local => {
            item.refuse(
                report,
                "names an interface, which only a link-local address takes",
                "remove `%` and what follows",
            );
            None
        }
        // The kernel's IFNAMSIZ leaves 15 bytes.
        Some(zone) if zone.is_empty() || zone.len() > 15 || zone.contains(['/', ' ']) => {
            item.refuse(
                report,
                "names no interface after `%`",
                "write a name of up to 15 characters: `fe80::1%eth0`",
            );
            None
        }
        None if link_local => {
            item.note(
                report,
                "is link-local, so that it says nothing without an interface",
                "write it after the address: `fe80::1%eth0`",
            );
            Some((address, None))
        }
        zone => Some((address, zone.map(Into::into))),
    }
}

fn is_link_local(addr: Ipv6Addr) -> bool {
    addr.segments()[0] & 0xffc0 == 0xfe80
}

fn local_address(item: &Item, report: &mut Report<'_>) -> Option<IpAddr> {
    let address = scalar::address(scalar::text(item, report)?);
    if address.is_none() {
        item.refuse(report, "is not an IP address", ADDRESS_MEND);
    }
    address
}

/// RFC 4271 §4.2: zero, or at least three seconds, in 16 bits.
fn hold_time(item: &Item, report: &mut Report<'_>) -> Option<Duration> {
    let time = scalar::seconds(item, report)?;
    if !matches!(time.as_secs(), 0 | 3..=65_535) {
        item.refuse(
            report,
            "is no hold time that BGP can carry",
            "write `0s`, or a time from `3s` to `65535s`",
        );
        return None;
    }
    Some(time)
}

/// RFC 6286 §2.1: any four octets but zero.
fn router_id(item: &Item, report: &mut Report<'_>) -> Option<RouterId> {
    let text = scalar::text(item, report)?;
    let id = text.parse().ok().and_then(RouterId::new);
    if id.is_none() {
        item.refuse(
            report,
            "is not a router id",
            "write an IPv4 address other than 0.0.0.0",
        );
    }
    id
}

fn password(item: &Item, report: &mut Report<'_>) -> Option<Password> {
    let text = scalar::text(item, report)?;
    if text.len() > MAX_PASSWORD {
        let problem = format!(
            "has {} bytes, more than the kernel takes as a TCP MD5 key",
            text.len()
        );
        item.refuse(
            report,
            problem,
            format!("use a password of at most {MAX_PASSWORD} bytes on both sides"),
        );
        return None;
    }
    Some(Password(text.into()))
}

fn bfd_profile(
    item: &Item,
    report: &mut Report<'_>,
    profiles: Option<&Profiles>,
) -> Option<Arc<str>> {
    let name = scalar::text(item, report)?;
    if profiles.is_some_and(|known| !known.contains_key(name)) {
        item.refuse(
            report,
            "is not the name of a profile",
            "add it to `bfd-profiles`, or correct the name",
        );
        return None;
    }
    item.note(
        report,
        "is accepted, but this peer works without BFD for now",
        "rely on `hold-time` to notice a dead router",
    );
    Some(name.into())
}

fn source_fits(
    fields: &Fields,
    report: &mut Report<'_>,
    address: Option<&(IpAddr, Option<Arc<str>>)>,
    source: Option<IpAddr>,
) -> Option<()> {
    let (Some((address, _)), Some(source)) = (address, source) else {
        return Some(());
    };
    let family = Family::of(*address);
    if Family::of(source) == family {
        return Some(());
    }
    if let Some(item) = fields.item("source-address") {
        let problem = format!("is of another family than `peer-address`, which is {family}");
        item.refuse(
            report,
            problem,
            format!("write an {family} address of the node, or remove the key"),
        );
    }
    None
}

/// The outer option is none after an error.
fn keepalive_fits(
    fields: &Fields,
    report: &mut Report<'_>,
    keepalive: Option<Option<Duration>>,
    hold: Option<Duration>,
) -> Option<Option<Duration>> {
    let (Some(item), Some(keepalive)) = (fields.item("keepalive-time"), keepalive?) else {
        return Some(None);
    };
    if hold.is_some_and(|hold| keepalive > hold) {
        item.refuse(
            report,
            "is longer than `hold-time`",
            "write at most a third of the hold time, or remove the key",
        );
        return None;
    }
    if keepalive.is_zero() {
        item.note(
            report,
            "is less than a second, so that a third of the hold time is used",
            "remove the key",
        );
        return Some(None);
    }
    Some(Some(keepalive))
}

fn multihop_fits(
    fields: &Fields,
    report: &mut Report<'_>,
    multihop: Option<bool>,
    my_asn: Option<Asn>,
    peer_asn: Option<Asn>,
) -> Option<()> {
    if multihop == Some(true) && my_asn.is_some() && my_asn == peer_asn {
        if let Some(item) = fields.item("ebgp-multihop") {
            item.refuse(
                report,
                "is for eBGP, but `my-asn` and `peer-asn` are equal",
                "remove the key: iBGP sessions may cross routers anyway",
            );
        }
        return None;
    }
    Some(())
}
