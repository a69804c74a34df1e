//! The octets of BGP messages, both ways.
//!
//! ```text
//!   stream -> frame (is one message here?) -> decode (which value is it?) -> Message
//!   Message -> encode -> octets            routes -> pack (next door) -> UPDATEs
//! ```
//!
//! A fault in what the peer sent *is* the NOTIFICATION that answers it, so
//! `Err` needs no translation. Faults in an UPDATE get the verdict of RFC 7606
//! first, and most of them cost a route, not the session.
//!
//! Nothing here remembers: what the session negotiated comes in as
//! [`DecodeContext`]. Whether a message is due in this state, and whether the
//! peer is who the user meant, others ask. Received routes are kept as bare
//! prefixes, since all that is done with them is to count them.

mod attributes;
mod capability;
pub mod message;
pub(crate) mod nlri;
mod notification;
mod open;
mod reader;
mod update;
pub(crate) mod write;

#[cfg(test)]
mod tests;

use self::message::{Message, Notification};
use self::reader::{Reader, Short};
use self::write::HEADER;
use super::iana::{SAFI_UNICAST, message_type};
use super::types::Negotiated;

/// The limit of a message before RFC 8654 is negotiated, and always that of OPEN
/// and KEEPALIVE (RFC 4271 §4.1, RFC 8654 §4).
pub const MESSAGE_LIMIT: usize = 4096;
/// The limit where both sides know extended messages (RFC 8654 §4).
pub const EXTENDED_MESSAGE_LIMIT: usize = 65535;

/// What of the session decides how its messages are read. The default is the
/// state before OPENs are exchanged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DecodeContext {
    /// AS numbers in AS_PATH and AGGREGATOR have four octets (RFC 6793).
    pub four_octet_as: bool,
    /// The peer is in our own AS: LOCAL_PREF and the reflectors' attributes count.
    pub ibgp: bool,
}

impl DecodeContext {
    /// The context of an established session.
    pub fn of(session: &Negotiated) -> Self {
        Self {
            four_octet_as: session.four_octet_as,
            ibgp: session.is_ibgp(),
        }
    }
}

/// How long the first message of `buf` is, in octets; `None` while it is
/// incomplete. `limit` is [`MESSAGE_LIMIT`] or [`EXTENDED_MESSAGE_LIMIT`].
///
/// Each field of the header is judged as soon as it is there, so that a peer
/// cannot make us wait for octets that could never be right.
///
/// # Errors
///
/// A Message Header Error (RFC 4271 §6.1).
pub fn frame(buf: &[u8], limit: usize) -> Result<Option<usize>, Notification> {
    let mut reader = Reader::new(buf);
    let marker = &buf[..buf.len().min(16)];
    if marker.iter().any(|octet| *octet != 0xFF) {
        return Err(Notification::connection_not_synchronized());
    }
    let Ok(length) = reader.take(16).and_then(|_| reader.u16()) else {
        return Ok(None);
    };
    let len = usize::from(length);
    if len < HEADER || len > limit {
        return Err(Notification::bad_message_length(length));
    }
    let Ok(message_type) = reader.u8() else {
        return Ok(None);
    };
    let possible = match message_type {
        message_type::OPEN => 29..=MESSAGE_LIMIT,
        message_type::UPDATE => 23..=limit,
        message_type::NOTIFICATION => 21..=limit,
        message_type::KEEPALIVE => HEADER..=HEADER,
        message_type::ROUTE_REFRESH => 23..=limit,
        _ => return Err(Notification::bad_message_type(message_type)),
    };
    if !possible.contains(&len) {
        return Err(Notification::bad_message_length(length));
    }
    Ok((buf.len() >= len).then_some(len))
}

/// Reads one whole message, as [`frame`] cut it.
///
/// # Errors
///
/// The NOTIFICATION that ends the session. In an UPDATE that is only what
/// RFC 7606 still wants a reset for; the rest is in [`message::Update::faults`].
pub fn decode(message: &[u8], cx: &DecodeContext) -> Result<Message, Notification> {
    let whole = frame(message, EXTENDED_MESSAGE_LIMIT)? == Some(message.len());
    let bad_length = |Short| {
        let len = u16::try_from(message.len()).unwrap_or(u16::MAX);
        Notification::bad_message_length(len)
    };
    if !whole {
        return Err(bad_length(Short));
    }
    let mut body = Reader::new(message);
    let header: [u8; HEADER] = body.array().map_err(bad_length)?;
    let body = body.rest();
    match header[HEADER - 1] {
        message_type::OPEN => open::decode(body).map(Message::Open),
        message_type::UPDATE => update::decode(body, cx).map(Message::Update),
        message_type::NOTIFICATION => notification::decode(body)
            .map(Message::Notification)
            .map_err(bad_length),
        message_type::KEEPALIVE => Ok(Message::Keepalive),
        message_type::ROUTE_REFRESH => decode_route_refresh(message, body),
        other => Err(Notification::bad_message_type(other)),
    }
}

/// Only a plain request for a family of ours asks something of us. Entries of an
/// outbound route filter behind it (RFC 5291) are passed over, since we never
/// offered that. BoRR and EoRR (RFC 7313 §4) bracket routes of the peer, which we
/// do not keep; unknown subtypes are to be ignored (RFC 7313 §5).
fn decode_route_refresh(message: &[u8], body: &[u8]) -> Result<Message, Notification> {
    let &[high, low, subtype, safi, ref more @ ..] = body else {
        return Err(Notification::bad_route_refresh_length(message));
    };
    let family = match subtype {
        0 => nlri::family(u16::from_be_bytes([high, low]), safi),
        1 | 2 if !more.is_empty() => return Err(Notification::bad_route_refresh_length(message)),
        _ => None,
    };
    Ok(Message::RouteRefresh(family))
}

impl Message {
    /// The type in the header (RFC 4271 §4.1).
    pub fn code(&self) -> u8 {
        match self {
            Message::Open(_) => message_type::OPEN,
            Message::Update(_) => message_type::UPDATE,
            Message::Notification(_) => message_type::NOTIFICATION,
            Message::Keepalive => message_type::KEEPALIVE,
            Message::RouteRefresh(_) => message_type::ROUTE_REFRESH,
        }
    }

    /// Appends this message to `out`.
    ///
    /// Two values exist only as received and append nothing: an UPDATE, which no
    /// longer has its attributes (see [`super::pack`] for ours), and a
    /// ROUTE-REFRESH without a family of ours.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Message::Update(_) | Message::RouteRefresh(None) => {}
            Message::Keepalive => write::message(out, self.code(), |_| {}),
            Message::Open(open) => write::message(out, self.code(), |out| open::encode(open, out)),
            Message::Notification(fault) => {
                write::message(out, self.code(), |out| notification::encode(fault, out));
            }
            Message::RouteRefresh(Some(family)) => write::message(out, self.code(), |out| {
                let [high, low] = nlri::afi(*family).to_be_bytes();
                out.extend_from_slice(&[high, low, 0, SAFI_UNICAST]);
            }),
        }
    }
}
