//! Routes to UPDATEs: grouped by attributes, as many prefixes in each as fit.
//!
//! ```text
//!   routes -+- withdrawals -- IPv4: withdrawn field    IPv6: MP_UNREACH_NLRI
//!           +- by attributes, in their order
//!                +- IPv4: attributes once, NLRI field
//!                +- IPv6: MP_REACH_NLRI first, then the attributes once
//! ```
//!
//! The same routes give the same octets, always. Nothing is remembered: what the
//! peer already has is the rib's business.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::{Ipv4Net, Ipv6Net};

use super::iana::{AFI_IPV6, SAFI_UNICAST};
use super::iana::{as_path_segment, attribute, attribute_flag as flag, message_type};
use super::types::{Asn, Attributes, Family, Negotiated, NextHop, Origin, Prefix};
use super::wire::{nlri, write};

/// Header, and the two lengths of an UPDATE that are always there.
const FIXED_PART: usize = write::HEADER + 4;
/// Flags, type and a length of two octets.
const MP_HEAD: usize = 4;
/// AFI and SAFI.
const MP_FAMILY: usize = 3;
/// The length octet and all of an address.
const LONGEST_IPV4: usize = 1 + 4;
const LONGEST_IPV6: usize = 1 + 16;

/// What a route without a LOCAL_PREF of its own is worth within the AS.
const DEFAULT_LOCAL_PREF: u32 = 100;

/// Appends the UPDATEs that tell `routes` to the peer, and says how many messages
/// they are. `None` as attributes withdraws the prefix. Each prefix comes once.
///
/// Left out are prefixes of a family that was not negotiated, or that is not the
/// next hop's. A route whose attributes leave no room for a prefix is withdrawn
/// instead (RFC 8654 §4): the peer must not keep what no longer holds.
pub fn pack(
    routes: &[(Prefix, Option<Arc<Attributes>>)],
    session: &Negotiated,
    next_hop: &NextHop,
    out: &mut Vec<u8>,
) -> usize {
    let family = Family::of(next_hop.address);
    if !session.families.contains(&family) {
        return 0;
    }
    let limit = session.message_limit();
    let (mut withdrawn, groups) = group(routes, family);

    let mut announced = Vec::with_capacity(groups.len());
    for (attributes, prefixes) in groups {
        let block = AttributeBlock::new(attributes, session, next_hop);
        if block.room(limit) < block.longest_prefix() {
            withdrawn.extend(prefixes);
        } else {
            announced.push((block, prefixes));
        }
    }

    let mut messages = 0;
    for_each_fit(&withdrawn, withdrawal_room(family, limit), |prefixes| {
        write_withdrawal(family, prefixes, out);
        messages += 1;
    });
    for (block, prefixes) in &announced {
        for_each_fit(prefixes, block.room(limit), |prefixes| {
            block.write(prefixes, out);
            messages += 1;
        });
    }
    messages
}

/// Appends the End-of-RIB marker of `family` (RFC 4724 §2).
pub fn end_of_rib(family: Family, out: &mut Vec<u8>) {
    write_withdrawal(family, &[], out);
}

type Groups<'a> = BTreeMap<&'a Attributes, Vec<Prefix>>;

/// Withdrawals, and announcements by attributes, of `family` alone; each in the
/// order they came.
fn group(
    routes: &[(Prefix, Option<Arc<Attributes>>)],
    family: Family,
) -> (Vec<Prefix>, Groups<'_>) {
    let mut withdrawn = Vec::new();
    let mut lists: Vec<Vec<Prefix>> = Vec::new();
    let mut by_value: BTreeMap<&Attributes, usize> = BTreeMap::new();
    // Neighbours mostly share one allocation, and `Arc` compares pointers before
    // values.
    let mut last: Option<(&Arc<Attributes>, usize)> = None;

    for (prefix, attributes) in routes {
        if Family::of_prefix(prefix) != family {
            continue;
        }
        let Some(attributes) = attributes else {
            withdrawn.push(*prefix);
            continue;
        };
        let list = match last {
            Some((same, list)) if same == attributes => list,
            _ => *by_value.entry(attributes).or_insert_with(|| {
                lists.push(Vec::new());
                lists.len() - 1
            }),
        };
        last = Some((attributes, list));
        lists[list].push(*prefix);
    }
    let groups = by_value
        .into_iter()
        .map(|(attributes, list)| (attributes, std::mem::take(&mut lists[list])))
        .collect();
    (withdrawn, groups)
}

/// Calls `write` with as many prefixes as `room` octets hold, until all are written.
fn for_each_fit(prefixes: &[Prefix], room: usize, mut write: impl FnMut(&[Prefix])) {
    let mut start = 0;
    let mut used = 0;
    for (at, prefix) in prefixes.iter().enumerate() {
        let len = 1 + nlri::octets_of(prefix.prefix_len());
        if used + len > room {
            write(&prefixes[start..at]);
            (start, used) = (at, 0);
        }
        used += len;
    }
    if start < prefixes.len() {
        write(&prefixes[start..]);
    }
}

fn write_prefixes(prefixes: &[Prefix], out: &mut Vec<u8>) {
    for prefix in prefixes {
        match prefix {
            Prefix::V4(net) => nlri::write(out, &Ipv4Net::network(net).octets(), net.prefix_len()),
            Prefix::V6(net) => nlri::write(out, &Ipv6Net::network(net).octets(), net.prefix_len()),
        }
    }
}

fn withdrawal_room(family: Family, limit: usize) -> usize {
    limit
        - FIXED_PART
        - match family {
            Family::Ipv4 => 0,
            Family::Ipv6 => MP_HEAD + MP_FAMILY,
        }
}

fn write_withdrawal(family: Family, prefixes: &[Prefix], out: &mut Vec<u8>) {
    write::message(out, message_type::UPDATE, |out| match family {
        Family::Ipv4 => {
            write::length16(out, |out| write_prefixes(prefixes, out));
            out.extend_from_slice(&[0, 0]);
        }
        Family::Ipv6 => {
            out.extend_from_slice(&[0, 0]);
            write::length16(out, |out| {
                write_mp_head(attribute::MP_UNREACH_NLRI, out);
                write::length16(out, |out| {
                    write_mp_family(out);
                    write_prefixes(prefixes, out);
                });
            });
        }
    });
}

/// Flags and type; the length follows, always in two octets.
fn write_mp_head(code: u8, out: &mut Vec<u8>) {
    out.extend_from_slice(&[flag::OPTIONAL | flag::EXTENDED_LENGTH, code]);
}

fn write_mp_family(out: &mut Vec<u8>) {
    out.extend_from_slice(&AFI_IPV6.to_be_bytes());
    out.push(SAFI_UNICAST);
}

/// The attributes of one group as octets, written once for all its messages.
struct AttributeBlock {
    /// All but MP_REACH_NLRI, by ascending type.
    octets: Vec<u8>,
    /// Of MP_REACH_NLRI: length and next hop. `None`: IPv4, where the next hop
    /// is an attribute of its own.
    mp_next_hop: Option<Vec<u8>>,
}

impl AttributeBlock {
    fn new(attributes: &Attributes, session: &Negotiated, next_hop: &NextHop) -> Self {
        let mut octets = Vec::new();
        let origin = match attributes.origin {
            Origin::Igp => 0,
            Origin::Incomplete => 2,
        };
        write::attribute(&mut octets, flag::TRANSITIVE, attribute::ORIGIN, &[origin]);
        let path = as_path(session);
        write::attribute(&mut octets, flag::TRANSITIVE, attribute::AS_PATH, &path);
        let mp_next_hop = match next_hop.address {
            IpAddr::V4(addr) => {
                let value = addr.octets();
                write::attribute(&mut octets, flag::TRANSITIVE, attribute::NEXT_HOP, &value);
                None
            }
            IpAddr::V6(addr) => {
                // RFC 2545 §3: the link-local address follows the global one.
                let mut field = vec![0];
                field.extend_from_slice(&addr.octets());
                field.extend(next_hop.link_local.iter().flat_map(|addr| addr.octets()));
                field[0] = if next_hop.link_local.is_some() {
                    32
                } else {
                    16
                };
                Some(field)
            }
        };
        if session.is_ibgp() {
            // RFC 4271 §5.1.5: within the AS always, to others never.
            let value = attributes.local_pref.unwrap_or(DEFAULT_LOCAL_PREF);
            let value = value.to_be_bytes();
            write::attribute(&mut octets, flag::TRANSITIVE, attribute::LOCAL_PREF, &value);
        }
        let both = flag::OPTIONAL | flag::TRANSITIVE;
        if !attributes.communities.is_empty() {
            // Cut at what a length field can say: so many leave no `room`, and are
            // never written.
            let value: Vec<u8> = attributes
                .communities
                .iter()
                .take(usize::from(u16::MAX) / 4)
                .flat_map(|community| community.0.to_be_bytes())
                .collect();
            write::attribute(&mut octets, both, attribute::COMMUNITIES, &value);
        }
        if let Some(path) = as4_path(session) {
            write::attribute(&mut octets, both, attribute::AS4_PATH, &path);
        }
        Self {
            octets,
            mp_next_hop,
        }
    }

    fn longest_prefix(&self) -> usize {
        match self.mp_next_hop {
            None => LONGEST_IPV4,
            Some(_) => LONGEST_IPV6,
        }
    }

    /// The octets left for prefixes in a message of `limit`.
    fn room(&self, limit: usize) -> usize {
        let mp = match &self.mp_next_hop {
            None => 0,
            Some(next_hop) => MP_HEAD + MP_FAMILY + next_hop.len() + 1,
        };
        limit.saturating_sub(FIXED_PART + self.octets.len() + mp)
    }

    fn write(&self, prefixes: &[Prefix], out: &mut Vec<u8>) {
        write::message(out, message_type::UPDATE, |out| {
            out.extend_from_slice(&[0, 0]);
            write::length16(out, |out| {
                if let Some(next_hop) = &self.mp_next_hop {
                    // RFC 7606 §5.1: first, so that the prefixes are found even if
                    // what follows is broken.
                    write_mp_head(attribute::MP_REACH_NLRI, out);
                    write::length16(out, |out| {
                        write_mp_family(out);
                        out.extend_from_slice(next_hop);
                        out.push(0); // reserved
                        write_prefixes(prefixes, out);
                    });
                }
                out.extend_from_slice(&self.octets);
            });
            if self.mp_next_hop.is_none() {
                write_prefixes(prefixes, out);
            }
        });
    }
}

/// AS_PATH: empty within the AS, else our own number (RFC 4271 §5.1.2), which an
/// old peer reads in two octets (RFC 6793 §4.2.2).
fn as_path(session: &Negotiated) -> Vec<u8> {
    if session.is_ibgp() {
        Vec::new()
    } else if session.four_octet_as {
        sequence_of(session.local_asn)
    } else {
        let [high, low] = session.local_asn.two_octet().to_be_bytes();
        vec![as_path_segment::AS_SEQUENCE, 1, high, low]
    }
}

/// AS4_PATH: only where AS_PATH had to say AS_TRANS instead (RFC 6793 §4.2.2).
fn as4_path(session: &Negotiated) -> Option<Vec<u8>> {
    let hidden = u16::try_from(session.local_asn.0).is_err();
    (!session.is_ibgp() && !session.four_octet_as && hidden).then(|| sequence_of(session.local_asn))
}

fn sequence_of(asn: Asn) -> Vec<u8> {
    let mut segment = vec![as_path_segment::AS_SEQUENCE, 1];
    segment.extend_from_slice(&asn.0.to_be_bytes());
    segment
}

#[cfg(test)]
mod tests;
