//! Path attributes of a received UPDATE: each judged by its rule, none kept.
//!
//! [`judge`] is the table of RFC 7606 §7 as code. The walk around it obeys the
//! rules that all attributes share: truncation, duplicates, flags.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use super::DecodeContext;
use super::message::{Notification, Update};
use super::nlri;
use super::reader::{Reader, Short};
use super::update::note;
use crate::bgp::iana::{as_path_segment, attribute, attribute_flag as flag, update as subcode};
use crate::bgp::types::Family;

/// What the walk leaves for the whole message to be judged.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Codes of the attributes that were there, good or bad.
    pub(crate) present: BTreeSet<u8>,
    /// The first fault that costs the routes.
    pub(crate) withdraw: Option<Notification>,
    /// MP_REACH_NLRI of a family that is not ours: it may carry routes.
    pub(crate) foreign_routes: bool,
    /// The family of MP_UNREACH_NLRI, if ours.
    pub(crate) unreach_family: Option<Family>,
}

/// What a fault costs (RFC 7606 §2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Discard,
    Withdraw,
    Reset,
}

/// A fault in one attribute.
struct Fault {
    verdict: Verdict,
    subcode: u8,
    what: &'static str,
}

const fn discard(what: &'static str) -> Fault {
    Fault {
        verdict: Verdict::Discard,
        subcode: subcode::OPTIONAL_ATTRIBUTE,
        what,
    }
}

const fn withdraw(subcode: u8, what: &'static str) -> Fault {
    Fault {
        verdict: Verdict::Withdraw,
        subcode,
        what,
    }
}

const fn reset(subcode: u8, what: &'static str) -> Fault {
    Fault {
        verdict: Verdict::Reset,
        subcode,
        what,
    }
}

/// One attribute on the wire.
struct Attribute<'a> {
    flags: u8,
    code: u8,
    value: &'a [u8],
    /// All its octets: what a NOTIFICATION shows.
    octets: &'a [u8],
}

/// Walks all attributes. Their prefixes go to `update`, as do the faults that the
/// session survives; `has_nlri` says whether the NLRI field has routes.
pub(crate) fn read_all(
    mut reader: Reader<'_>,
    has_nlri: bool,
    cx: &DecodeContext,
    update: &mut Update,
) -> Result<Found, Notification> {
    let mut found = Found::default();
    while !reader.is_empty() {
        let left = reader.rest();
        let Ok(attribute) = read_one(&mut reader) else {
            // RFC 7606 §4: the lengths disagree; nothing behind can be trusted.
            note(update, || {
                "attribute list: ends inside an attribute (treat-as-withdraw)".to_owned()
            });
            found.withdraw.get_or_insert_with(|| {
                Notification::update_error(subcode::MALFORMED_ATTRIBUTE_LIST, left)
            });
            break;
        };
        let verdict = if found.present.insert(attribute.code) {
            judge(&attribute, has_nlri, cx, &mut found, update)
        } else {
            Err(duplicate(attribute.code))
        };
        let Err(fault) = verdict else { continue };
        let notification = || Notification::update_error(fault.subcode, attribute.octets);
        let cost = match fault.verdict {
            Verdict::Reset => return Err(notification()),
            Verdict::Withdraw => {
                found.withdraw.get_or_insert_with(notification);
                "treat-as-withdraw"
            }
            Verdict::Discard => "attribute discard",
        };
        note(update, || match attribute::name(attribute.code) {
            Some(name) => format!("{name}: {} ({cost})", fault.what),
            None => format!("attribute {}: {} ({cost})", attribute.code, fault.what),
        });
    }
    Ok(found)
}

fn read_one<'a>(reader: &mut Reader<'a>) -> Result<Attribute<'a>, Short> {
    let start = reader.rest();
    let flags = reader.u8()?;
    let code = reader.u8()?;
    let len = if flags & flag::EXTENDED_LENGTH != 0 {
        usize::from(reader.u16()?)
    } else {
        usize::from(reader.u8()?)
    };
    let value = reader.take(len)?;
    let octets = &start[..start.len() - reader.rest().len()];
    Ok(Attribute {
        flags,
        code,
        value,
        octets,
    })
}

/// RFC 7606 §3 (g): two lists of prefixes are a riddle, of all others the first counts.
fn duplicate(code: u8) -> Fault {
    match code {
        attribute::MP_REACH_NLRI | attribute::MP_UNREACH_NLRI => {
            reset(subcode::MALFORMED_ATTRIBUTE_LIST, "twice")
        }
        _ => discard("twice, the first counts"),
    }
}

/// The Optional and Transitive bits that an attribute must have; `None` for those
/// that we do not know.
fn flags_of(code: u8) -> Option<u8> {
    Some(match code {
        attribute::ORIGIN
        | attribute::AS_PATH
        | attribute::NEXT_HOP
        | attribute::LOCAL_PREF
        | attribute::ATOMIC_AGGREGATE => flag::TRANSITIVE,
        attribute::MULTI_EXIT_DISC
        | attribute::ORIGINATOR_ID
        | attribute::CLUSTER_LIST
        | attribute::MP_REACH_NLRI
        | attribute::MP_UNREACH_NLRI => flag::OPTIONAL,
        attribute::AGGREGATOR
        | attribute::COMMUNITIES
        | attribute::EXTENDED_COMMUNITIES
        | attribute::AS4_PATH
        | attribute::AS4_AGGREGATOR
        | attribute::IPV6_EXTENDED_COMMUNITIES
        | attribute::LARGE_COMMUNITIES
        | attribute::ONLY_TO_CUSTOMER => flag::OPTIONAL | flag::TRANSITIVE,
        _ => return None,
    })
}

fn judge(
    attribute: &Attribute<'_>,
    has_nlri: bool,
    cx: &DecodeContext,
    found: &mut Found,
    update: &mut Update,
) -> Result<(), Fault> {
    let value = attribute.value;
    // Not for us to read at all.
    match attribute.code {
        // RFC 7606 §7.5, §7.9, §7.10
        attribute::LOCAL_PREF | attribute::ORIGINATOR_ID | attribute::CLUSTER_LIST if !cx.ibgp => {
            return Err(discard("from another AS"));
        }
        // RFC 6793 §4.1
        attribute::AS4_PATH | attribute::AS4_AGGREGATOR if cx.four_octet_as => {
            return Err(discard("from a speaker of four-octet AS numbers"));
        }
        // RFC 4760 §3: beside MP_REACH_NLRI alone it says nothing.
        attribute::NEXT_HOP if !has_nlri => return Ok(()),
        _ => {}
    }

    let Some(wanted) = flags_of(attribute.code) else {
        // RFC 4271 §6.3: what is well-known is known to all, or it is no BGP-4.
        return if attribute.flags & flag::OPTIONAL == 0 {
            let code = subcode::UNRECOGNIZED_WELL_KNOWN_ATTRIBUTE;
            Err(reset(code, "well-known, but unknown"))
        } else {
            Ok(())
        };
    };
    let lists_prefixes = match attribute.code {
        attribute::MP_REACH_NLRI => {
            mp_reach(value, found, update)?;
            true
        }
        attribute::MP_UNREACH_NLRI => {
            mp_unreach(value, found, update)?;
            true
        }
        _ => false,
    };
    // RFC 7606 §3 (c). Prefixes are read by now: they are what gets withdrawn.
    if attribute.flags & (flag::OPTIONAL | flag::TRANSITIVE) != wanted {
        return Err(withdraw(subcode::ATTRIBUTE_FLAGS, "wrong flags"));
    }
    if lists_prefixes {
        return Ok(());
    }
    judge_value(attribute.code, value, cx)?;
    if attribute.code == attribute::NEXT_HOP && update.next_hop.is_none() {
        let octets: Option<&[u8; 4]> = value.first_chunk();
        update.next_hop = octets.map(|octets| IpAddr::from(*octets));
    }
    Ok(())
}

/// The rules of RFC 7606 §7, in its order, and of the RFCs that came after.
fn judge_value(code: u8, value: &[u8], cx: &DecodeContext) -> Result<(), Fault> {
    let wrong_length = withdraw(subcode::ATTRIBUTE_LENGTH, "wrong length");
    let as_width = if cx.four_octet_as { 4 } else { 2 };
    match code {
        attribute::ORIGIN => match value {
            [0..=2] => Ok(()),
            [_] => Err(withdraw(subcode::INVALID_ORIGIN, "none of 0, 1, 2")),
            _ => Err(wrong_length),
        },
        attribute::AS_PATH => judge_as_path(value, as_width, !cx.ibgp)
            .map_err(|what| withdraw(subcode::MALFORMED_AS_PATH, what)),
        attribute::NEXT_HOP => match <[u8; 4]>::try_from(value).map(Ipv4Addr::from) {
            // RFC 4271 §6.3: it must be the address of a host.
            Ok(addr) if addr.is_unspecified() || addr.is_multicast() || addr.is_broadcast() => {
                Err(withdraw(subcode::INVALID_NEXT_HOP, "no address of a host"))
            }
            Ok(_) => Ok(()),
            Err(_) => Err(wrong_length),
        },
        attribute::MULTI_EXIT_DISC
        | attribute::LOCAL_PREF
        | attribute::ORIGINATOR_ID
        | attribute::ONLY_TO_CUSTOMER
            if value.len() != 4 =>
        {
            Err(wrong_length)
        }
        attribute::ATOMIC_AGGREGATE if !value.is_empty() => Err(discard("wrong length")),
        attribute::AGGREGATOR => judge_aggregator(value, as_width),
        attribute::COMMUNITIES | attribute::CLUSTER_LIST if !is_list_of(value, 4) => {
            Err(wrong_length)
        }
        attribute::EXTENDED_COMMUNITIES if !is_list_of(value, 8) => Err(wrong_length),
        attribute::IPV6_EXTENDED_COMMUNITIES if !is_list_of(value, 20) => Err(wrong_length),
        // RFC 8092 §6
        attribute::LARGE_COMMUNITIES if !is_list_of(value, 12) => Err(wrong_length),
        // RFC 6793 §6: routes do without both.
        attribute::AS4_PATH => judge_as_path(value, 4, false).map_err(discard),
        attribute::AS4_AGGREGATOR => judge_aggregator(value, 4),
        _ => Ok(()),
    }
}

fn is_list_of(value: &[u8], width: usize) -> bool {
    !value.is_empty() && value.len().is_multiple_of(width)
}

/// RFC 7606 §7.7; AS 0 by RFC 7607 §2.
fn judge_aggregator(value: &[u8], as_width: usize) -> Result<(), Fault> {
    if value.len() != as_width + 4 {
        Err(discard("wrong length"))
    } else if value[..as_width].iter().all(|octet| *octet == 0) {
        Err(discard("AS 0"))
    } else {
        Ok(())
    }
}

/// RFC 7606 §7.2; AS 0 by RFC 7607 §2; confederation segments, which must not
/// leave their confederation, by RFC 5065 §5.
fn judge_as_path(value: &[u8], width: usize, external: bool) -> Result<(), &'static str> {
    let mut reader = Reader::new(value);
    while !reader.is_empty() {
        let segment = |reader: &mut Reader<'_>| Ok((reader.u8()?, reader.u8()?));
        let (kind, count) = segment(&mut reader).map_err(|Short| "ends inside a segment")?;
        match kind {
            as_path_segment::AS_SET | as_path_segment::AS_SEQUENCE => {}
            as_path_segment::AS_CONFED_SEQUENCE | as_path_segment::AS_CONFED_SET if !external => {}
            as_path_segment::AS_CONFED_SEQUENCE | as_path_segment::AS_CONFED_SET => {
                return Err("confederation segment from another AS");
            }
            _ => return Err("unknown type of segment"),
        }
        if count == 0 {
            return Err("empty segment");
        }
        let numbers = reader
            .take(usize::from(count) * width)
            .map_err(|Short| "ends inside a segment")?;
        if numbers
            .chunks(width)
            .any(|asn| asn.iter().all(|octet| *octet == 0))
        {
            return Err("AS 0");
        }
    }
    Ok(())
}

/// RFC 4760 §3. What cannot be read hides routes: RFC 7606 §7.11 wants the reset.
fn mp_reach(value: &[u8], found: &mut Found, update: &mut Update) -> Result<(), Fault> {
    let unreadable = || reset(subcode::OPTIONAL_ATTRIBUTE, "unreadable");
    let mut reader = Reader::new(value);
    let mut head = || {
        let (afi, safi, len) = (reader.u16()?, reader.u8()?, usize::from(reader.u8()?));
        let next_hop = reader.take(len)?;
        reader.u8()?; // reserved
        Ok((afi, safi, next_hop))
    };
    let (afi, safi, next_hop) = head().map_err(|Short| unreadable())?;
    let Some(family) = nlri::family(afi, safi) else {
        found.foreign_routes = true;
        return Ok(());
    };
    let possible = match family {
        // RFC 8950 §3 lets IPv4 have an IPv6 next hop.
        Family::Ipv4 => matches!(next_hop.len(), 4 | 16 | 32),
        // RFC 2545 §3: global, or global and link-local.
        Family::Ipv6 => matches!(next_hop.len(), 16 | 32),
    };
    if !possible {
        return Err(unreadable());
    }
    update.next_hop = match (next_hop.first_chunk::<16>(), next_hop.first_chunk::<4>()) {
        (Some(v6), _) => Some(IpAddr::from(*v6)),
        (None, v4) => v4.map(|v4| IpAddr::from(*v4)),
    };
    nlri::read_all(reader, family, &mut update.reach).map_err(|Short| unreadable())
}

/// RFC 4760 §4.
fn mp_unreach(value: &[u8], found: &mut Found, update: &mut Update) -> Result<(), Fault> {
    let unreadable = |Short| reset(subcode::OPTIONAL_ATTRIBUTE, "unreadable");
    let mut reader = Reader::new(value);
    let afi = reader.u16().map_err(unreadable)?;
    let safi = reader.u8().map_err(unreadable)?;
    let Some(family) = nlri::family(afi, safi) else {
        return Ok(());
    };
    found.unreach_family = Some(family);
    nlri::read_all(reader, family, &mut update.unreach).map_err(unreadable)
}
