//! OPEN (RFC 4271 §4.2), in its short form and the extended one of RFC 9072.
//!
//! Judged here is what can be judged without knowing what we expect: the
//! version, AS 0, the hold time, the identifier, the shape of the parameters.
//! Whether this is the AS that the user configured is the session's question.

use std::net::Ipv4Addr;

use super::capability;
use super::message::{Capability, Notification, Open};
use super::reader::{Reader, Short};
use super::write::HEADER;
use crate::bgp::iana::optional_parameter;
use crate::bgp::types::{Asn, RouterId};

/// The only version there is (RFC 4271 §4.2).
pub(crate) const VERSION: u8 = 4;
/// An OPEN never grows beyond this, whatever is negotiated (RFC 8654 §4).
const LIMIT: usize = 4096;
/// Version, AS, hold time, identifier, and parameters' length in the long form
/// of RFC 9072 with one parameter's own head.
const LONGEST_FIXED_PART: usize = 10 + 3 + 3;

/// Reads the body of an OPEN.
pub(crate) fn decode(body: &[u8]) -> Result<Open, Notification> {
    let mut reader = Reader::new(body);
    let malformed = |Short| Notification::open_malformed();

    // The version comes first: of another one we cannot know the rest.
    if reader.u8().map_err(malformed)? != VERSION {
        return Err(Notification::unsupported_version());
    }
    let two_octet_as = reader.u16().map_err(malformed)?;
    let hold_time = reader.u16().map_err(malformed)?;
    let router_id = Ipv4Addr::from(reader.u32().map_err(malformed)?);
    if matches!(hold_time, 1 | 2) {
        return Err(Notification::unacceptable_hold_time());
    }
    let router_id = RouterId::new(router_id).ok_or_else(Notification::bad_router_id)?;
    let capabilities = read_parameters(reader)?;

    let asn = capabilities
        .iter()
        .find_map(|capability| match capability {
            Capability::FourOctetAs(asn) => Some(*asn),
            _ => None,
        })
        .unwrap_or(Asn(u32::from(two_octet_as)));
    // RFC 7607 §2: zero in either place.
    if two_octet_as == 0 || asn == Asn(0) {
        return Err(Notification::bad_peer_as());
    }
    Ok(Open {
        asn,
        hold_time,
        router_id,
        capabilities,
    })
}

/// Reads the parameters' length and the parameters. Several Capabilities
/// parameters count as one (RFC 5492 §4).
fn read_parameters(mut reader: Reader<'_>) -> Result<Vec<Capability>, Notification> {
    let malformed = |Short| Notification::open_malformed();

    let len = reader.u8().map_err(malformed)?;
    // RFC 9072 §2: what follows a length other than zero is a parameter's type,
    // and no parameter has type 255; so it marks the long form, and the length
    // before it means nothing.
    let long = len != 0 && reader.rest().first() == Some(&optional_parameter::EXTENDED_LENGTH);
    let len = if long {
        reader.u8().map_err(malformed)?;
        usize::from(reader.u16().map_err(malformed)?)
    } else {
        usize::from(len)
    };
    let mut parameters = reader.sub(len).map_err(malformed)?;
    if !reader.is_empty() {
        return Err(Notification::open_malformed());
    }

    let mut capabilities = Vec::new();
    while !parameters.is_empty() {
        let kind = parameters.u8().map_err(malformed)?;
        let len = if long {
            usize::from(parameters.u16().map_err(malformed)?)
        } else {
            usize::from(parameters.u8().map_err(malformed)?)
        };
        let value = parameters.sub(len).map_err(malformed)?;
        if kind != optional_parameter::CAPABILITIES {
            return Err(Notification::unsupported_optional_parameter());
        }
        capability::read_all(value, &mut capabilities)?;
    }
    Ok(capabilities)
}

/// Writes the body of an OPEN: all capabilities in one parameter, in the long
/// form only when they need it (RFC 9072 §2). Capabilities that do not fit into
/// the 4096 octets of an OPEN are left out.
pub(crate) fn encode(open: &Open, out: &mut Vec<u8>) {
    out.push(VERSION);
    out.extend_from_slice(&open.asn.two_octet().to_be_bytes());
    out.extend_from_slice(&open.hold_time.to_be_bytes());
    out.extend_from_slice(&open.router_id.addr().octets());

    let mut capabilities = Vec::new();
    for capability in &open.capabilities {
        let before = capabilities.len();
        capability::write(capability, &mut capabilities);
        if HEADER + LONGEST_FIXED_PART + capabilities.len() > LIMIT {
            capabilities.truncate(before);
            break;
        }
    }
    let len = capabilities.len();
    match u8::try_from(len + 2) {
        Ok(2) => out.push(0),
        Ok(all) => out.extend_from_slice(&[all, optional_parameter::CAPABILITIES, all - 2]),
        Err(_) => {
            let mark = optional_parameter::EXTENDED_LENGTH;
            let [len_high, len_low] = [(len >> 8) as u8, len as u8];
            let [all_high, all_low] = [((len + 3) >> 8) as u8, (len + 3) as u8];
            out.extend_from_slice(&[mark, mark, all_high, all_low]);
            out.extend_from_slice(&[optional_parameter::CAPABILITIES, len_high, len_low]);
        }
    }
    out.extend_from_slice(&capabilities);
}
