//! Capabilities, as they stand in the Capabilities parameter of OPEN and in the
//! data of an Unsupported Capability error (RFC 5492).
//!
//! Nothing here says which capabilities we want: an unknown one is kept as it
//! came, so that it can be shown.

use super::message::{Capability, Notification};
use super::nlri;
use super::reader::{Reader, Short};
use crate::bgp::iana::{SAFI_UNICAST, capability as code};
use crate::bgp::types::Asn;

/// Appends every capability that is left in `reader`.
///
/// A Multiprotocol or four-octet AS capability of the wrong length refuses the
/// OPEN, as BIRD and FRR do: the peer's offer cannot be known. Route refresh and
/// extended message are said by their code alone; with a value they are
/// something that we do not know, and stay unused.
pub(crate) fn read_all(
    mut reader: Reader<'_>,
    out: &mut Vec<Capability>,
) -> Result<(), Notification> {
    while !reader.is_empty() {
        let (number, value) =
            read_one(&mut reader).map_err(|Short| Notification::open_malformed())?;
        out.push(parse(number, value)?);
    }
    Ok(())
}

fn read_one<'a>(reader: &mut Reader<'a>) -> Result<(u8, &'a [u8]), Short> {
    let number = reader.u8()?;
    let len = reader.u8()?;
    Ok((number, reader.take(usize::from(len))?))
}

fn parse(number: u8, value: &[u8]) -> Result<Capability, Notification> {
    let other = || Capability::Other(number, value.to_vec());
    Ok(match number {
        code::MULTIPROTOCOL => {
            let &[high, low, _reserved, safi] = value else {
                return Err(Notification::open_malformed());
            };
            nlri::family(u16::from_be_bytes([high, low]), safi)
                .map_or_else(other, Capability::Multiprotocol)
        }
        code::FOUR_OCTET_AS => {
            let octets = value
                .try_into()
                .map_err(|_| Notification::open_malformed())?;
            Capability::FourOctetAs(Asn(u32::from_be_bytes(octets)))
        }
        code::ROUTE_REFRESH if value.is_empty() => Capability::RouteRefresh,
        code::EXTENDED_MESSAGE if value.is_empty() => Capability::ExtendedMessage,
        _ => other(),
    })
}

/// Appends one capability. `Other` with a value above 255 octets cannot be
/// said, and is left out.
pub(crate) fn write(capability: &Capability, out: &mut Vec<u8>) {
    match capability {
        Capability::Multiprotocol(family) => {
            let [high, low] = nlri::afi(*family).to_be_bytes();
            out.extend_from_slice(&[code::MULTIPROTOCOL, 4, high, low, 0, SAFI_UNICAST]);
        }
        Capability::RouteRefresh => out.extend_from_slice(&[code::ROUTE_REFRESH, 0]),
        Capability::ExtendedMessage => out.extend_from_slice(&[code::EXTENDED_MESSAGE, 0]),
        Capability::FourOctetAs(asn) => {
            out.extend_from_slice(&[code::FOUR_OCTET_AS, 4]);
            out.extend_from_slice(&asn.0.to_be_bytes());
        }
        Capability::Other(number, value) => {
            if let Ok(len) = u8::try_from(value.len()) {
                out.extend_from_slice(&[*number, len]);
                out.extend_from_slice(value);
            }
        }
    }
}

impl Capability {
    /// The capability code (RFC 5492 registry).
    pub fn code(&self) -> u8 {
        match self {
            Capability::Multiprotocol(_) => code::MULTIPROTOCOL,
            Capability::RouteRefresh => code::ROUTE_REFRESH,
            Capability::ExtendedMessage => code::EXTENDED_MESSAGE,
            Capability::FourOctetAs(_) => code::FOUR_OCTET_AS,
            Capability::Other(number, _) => *number,
        }
    }
}

/// As a person on call would name it: `four-octet AS 65559`.
impl std::fmt::Display for Capability {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match code::name(self.code()) {
            Some(name) => f.write_str(name)?,
            None => write!(f, "capability {}", self.code())?,
        }
        match self {
            Capability::Multiprotocol(family) => write!(f, " {family} unicast"),
            Capability::FourOctetAs(asn) => write!(f, " {asn}"),
            Capability::Other(code::MULTIPROTOCOL, value) => match value[..] {
                [high, low, _, safi] => {
                    write!(f, " AFI {} SAFI {safi}", u16::from_be_bytes([high, low]))
                }
                _ => Ok(()),
            },
            _ => Ok(()),
        }
    }
}
