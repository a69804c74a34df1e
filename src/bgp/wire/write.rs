//! Writing messages: the header, and lengths that are known only afterwards.

use crate::bgp::iana::attribute_flag;

/// Octets of the header: marker, length, type (RFC 4271 §4.1).
pub(crate) const HEADER: usize = 19;

/// Appends one message of `message_type`. `body` writes what follows the header
/// and keeps the message below 65536 octets.
pub(crate) fn message(out: &mut Vec<u8>, message_type: u8, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0xFF; 16]);
    out.extend_from_slice(&[0, 0, message_type]);
    body(out);
    let len = narrow(out.len() - start);
    out[start + 16..start + 18].copy_from_slice(&len.to_be_bytes());
}

/// Appends a two-octet length and what `body` writes, which it keeps below
/// 65536 octets.
pub(crate) fn length16(out: &mut Vec<u8>, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0, 0]);
    body(out);
    let len = narrow(out.len() - start - 2);
    out[start..start + 2].copy_from_slice(&len.to_be_bytes());
}

/// Appends one path attribute; its length takes two octets when one is too few.
pub(crate) fn attribute(out: &mut Vec<u8>, flags: u8, code: u8, value: &[u8]) {
    match u8::try_from(value.len()) {
        Ok(len) => out.extend_from_slice(&[flags, code, len]),
        Err(_) => {
            out.extend_from_slice(&[flags | attribute_flag::EXTENDED_LENGTH, code]);
            out.extend_from_slice(&narrow(value.len()).to_be_bytes());
        }
    }
    out.extend_from_slice(value);
}

fn narrow(len: usize) -> u16 {
    u16::try_from(len).expect("every writer keeps below the message limit of 65535 octets")
}
