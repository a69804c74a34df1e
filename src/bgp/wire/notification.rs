//! NOTIFICATION (RFC 4271 §4.5): every fault that a speaker reports, made in one
//! place with the data its section asks for, and shown in words.

mod display;

use super::capability;
use super::message::{Capability, Notification};
use super::nlri;
use super::open::VERSION;
use super::reader::{Reader, Short};
use super::write::HEADER;
use crate::bgp::iana::{self, cease, error, header, open, route_refresh};

/// The longest text of a shutdown (RFC 9003 §2).
const SHUTDOWN_TEXT_LIMIT: usize = 255;
/// The data that fits a message of 4096 octets: a NOTIFICATION may be due before
/// longer ones are negotiated.
const DATA_LIMIT: usize = 4096 - HEADER - 2;

impl Notification {
    /// A fault without data.
    pub const fn new(code: u8, subcode: u8) -> Self {
        Self {
            code,
            subcode,
            data: Vec::new(),
        }
    }

    /// A fault with data, cut to what a message of 4096 octets holds.
    pub(crate) fn with_data(code: u8, subcode: u8, data: &[u8]) -> Self {
        Self {
            code,
            subcode,
            data: data[..data.len().min(DATA_LIMIT)].to_vec(),
        }
    }

    /// The marker is not all ones (RFC 4271 §6.1).
    pub const fn connection_not_synchronized() -> Self {
        Self::new(error::MESSAGE_HEADER, header::CONNECTION_NOT_SYNCHRONIZED)
    }

    /// The length is outside what the type and the session allow (RFC 4271 §6.1).
    pub fn bad_message_length(length: u16) -> Self {
        let data = length.to_be_bytes();
        Self::with_data(error::MESSAGE_HEADER, header::BAD_MESSAGE_LENGTH, &data)
    }

    /// No such message type (RFC 4271 §6.1).
    pub fn bad_message_type(message_type: u8) -> Self {
        Self::with_data(
            error::MESSAGE_HEADER,
            header::BAD_MESSAGE_TYPE,
            &[message_type],
        )
    }

    /// The OPEN's lengths contradict each other (RFC 4271 §6.2: subcode 0).
    pub const fn open_malformed() -> Self {
        Self::new(error::OPEN_MESSAGE, 0)
    }

    /// The peer speaks another version; data says ours (RFC 4271 §6.2).
    pub fn unsupported_version() -> Self {
        Self::with_data(
            error::OPEN_MESSAGE,
            open::UNSUPPORTED_VERSION,
            &[0, VERSION],
        )
    }

    /// The peer's AS is not the configured one, or zero (RFC 4271 §6.2, RFC 7607 §2).
    pub const fn bad_peer_as() -> Self {
        Self::new(error::OPEN_MESSAGE, open::BAD_PEER_AS)
    }

    /// The BGP Identifier is zero, or our own within one AS (RFC 6286 §2.2).
    pub const fn bad_router_id() -> Self {
        Self::new(error::OPEN_MESSAGE, open::BAD_BGP_IDENTIFIER)
    }

    /// A parameter other than Capabilities (RFC 4271 §6.2).
    pub const fn unsupported_optional_parameter() -> Self {
        Self::new(error::OPEN_MESSAGE, open::UNSUPPORTED_OPTIONAL_PARAMETER)
    }

    /// One or two seconds, or one that we do not accept (RFC 4271 §6.2).
    pub const fn unacceptable_hold_time() -> Self {
        Self::new(error::OPEN_MESSAGE, open::UNACCEPTABLE_HOLD_TIME)
    }

    /// The peer lacks `required` capabilities, which the data lists (RFC 5492 §5).
    pub fn unsupported_capability(required: &[Capability]) -> Self {
        let mut data = Vec::new();
        for missing in required {
            capability::write(missing, &mut data);
        }
        Self::with_data(error::OPEN_MESSAGE, open::UNSUPPORTED_CAPABILITY, &data)
    }

    /// A fault in an UPDATE; `data` is the attribute at fault where the subcode
    /// asks for it (RFC 4271 §6.3).
    pub fn update_error(subcode: u8, data: &[u8]) -> Self {
        Self::with_data(error::UPDATE_MESSAGE, subcode, data)
    }

    /// Nothing came from the peer for the hold time (RFC 4271 §6.5).
    pub const fn hold_timer_expired() -> Self {
        Self::new(error::HOLD_TIMER_EXPIRED, 0)
    }

    /// The peer took nothing from us for the send hold time (RFC 9687 §4).
    pub const fn send_hold_timer_expired() -> Self {
        Self::new(error::SEND_HOLD_TIMER_EXPIRED, 0)
    }

    /// A message that the state does not expect: `subcode` of [`iana::fsm`], data
    /// the message's type (RFC 6608 §4).
    pub fn unexpected_message(subcode: u8, message_type: u8) -> Self {
        Self::with_data(error::FINITE_STATE_MACHINE, subcode, &[message_type])
    }

    /// An event that the state does not expect, other than a message (RFC 4271 §6.6).
    pub const fn fsm_error() -> Self {
        Self::new(error::FINITE_STATE_MACHINE, 0)
    }

    /// An end without fault: `subcode` of [`iana::cease`] (RFC 4486 §4).
    pub const fn cease(subcode: u8) -> Self {
        Self::new(error::CEASE, subcode)
    }

    /// Cease for a stop by intent, with a text for the other operator, cut at 255
    /// octets between two characters (RFC 9003 §2).
    pub fn administrative_shutdown(text: &str) -> Self {
        let mut data = vec![0];
        for c in text.chars() {
            if data.len() + c.len_utf8() > 1 + SHUTDOWN_TEXT_LIMIT {
                break;
            }
            data.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        }
        data[0] = (data.len() - 1) as u8;
        Self::with_data(error::CEASE, cease::ADMINISTRATIVE_SHUTDOWN, &data)
    }

    /// A BoRR or EoRR of another length than its own; data is the whole message
    /// (RFC 7313 §5).
    pub(crate) fn bad_route_refresh_length(message: &[u8]) -> Self {
        let subcode = route_refresh::INVALID_MESSAGE_LENGTH;
        Self::with_data(error::ROUTE_REFRESH_MESSAGE, subcode, message)
    }

    /// The text of an Administrative Shutdown or Reset, as received: control
    /// characters and all. `None` for other faults, without a text, or when the
    /// length does not fit the data. Broken UTF-8 is replaced (RFC 9003 §2).
    pub fn shutdown_text(&self) -> Option<String> {
        let with_text = [cease::ADMINISTRATIVE_SHUTDOWN, cease::ADMINISTRATIVE_RESET];
        if self.code != error::CEASE || !with_text.contains(&self.subcode) {
            return None;
        }
        let (&len, text) = self.data.split_first()?;
        (len != 0 && text.len() == usize::from(len))
            .then(|| String::from_utf8_lossy(text).into_owned())
    }

    /// The bound of a Cease for too many prefixes: AFI, SAFI and the number, where
    /// the peer says them (RFC 4486 §4).
    pub(crate) fn prefix_bound(&self) -> Option<(u16, u8, u32)> {
        if (self.code, self.subcode) != (error::CEASE, cease::MAXIMUM_PREFIXES) {
            return None;
        }
        let mut reader = Reader::new(&self.data);
        let bound = (reader.u16().ok()?, reader.u8().ok()?, reader.u32().ok()?);
        reader.is_empty().then_some(bound)
    }
}

/// Reads the body of a NOTIFICATION.
pub(crate) fn decode(body: &[u8]) -> Result<Notification, Short> {
    let mut reader = Reader::new(body);
    Ok(Notification {
        code: reader.u8()?,
        subcode: reader.u8()?,
        data: reader.rest().to_vec(),
    })
}

/// Writes the body of a NOTIFICATION, its data cut to a message of 4096 octets.
pub(crate) fn encode(notification: &Notification, out: &mut Vec<u8>) {
    out.extend_from_slice(&[notification.code, notification.subcode]);
    let data = &notification.data;
    out.extend_from_slice(&data[..data.len().min(DATA_LIMIT)]);
}

impl std::error::Error for Notification {}
