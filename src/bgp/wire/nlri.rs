//! Prefixes on the wire: a length in bits, then as few octets as hold them
//! (RFC 4271 §4.3, RFC 4760 §5).

use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

use super::reader::{Reader, Short};
use crate::bgp::iana;
use crate::bgp::types::{Family, Prefix};

/// The AFI of a family.
pub(crate) fn afi(family: Family) -> u16 {
    match family {
        Family::Ipv4 => iana::AFI_IPV4,
        Family::Ipv6 => iana::AFI_IPV6,
    }
}

/// The family of an AFI and SAFI, if it is one of ours.
pub(crate) fn family(afi: u16, safi: u8) -> Option<Family> {
    match (afi, safi) {
        (iana::AFI_IPV4, iana::SAFI_UNICAST) => Some(Family::Ipv4),
        (iana::AFI_IPV6, iana::SAFI_UNICAST) => Some(Family::Ipv6),
        _ => None,
    }
}

/// Appends every prefix that is left in `reader`. On an error `out` holds
/// those before it.
pub(crate) fn read_all(
    mut reader: Reader<'_>,
    family: Family,
    out: &mut Vec<Prefix>,
) -> Result<(), Short> {
    while !reader.is_empty() {
        let bits = reader.u8()?;
        let octets = reader.take(octets_of(bits))?;
        let prefix = match family {
            Family::Ipv4 => widen(octets)
                .map(Ipv4Addr::from)
                .and_then(|addr| Ipv4Net::new(addr, bits).ok())
                .map(|net| Prefix::V4(net.trunc())),
            Family::Ipv6 => widen(octets)
                .map(Ipv6Addr::from)
                .and_then(|addr| Ipv6Net::new(addr, bits).ok())
                .map(|net| Prefix::V6(net.trunc())),
        };
        out.push(prefix.ok_or(Short)?);
    }
    Ok(())
}

/// Appends one prefix.
pub(crate) fn write(out: &mut Vec<u8>, addr: &[u8], bits: u8) {
    out.push(bits);
    out.extend_from_slice(&addr[..octets_of(bits)]);
}

/// How many octets hold the bits of a prefix.
pub(crate) fn octets_of(bits: u8) -> usize {
    usize::from(bits).div_ceil(8)
}

/// `octets`, with zeros up to N; `None` if there are more.
fn widen<const N: usize>(octets: &[u8]) -> Option<[u8; N]> {
    let mut addr = [0; N];
    addr.get_mut(..octets.len())?.copy_from_slice(octets);
    Some(addr)
}
