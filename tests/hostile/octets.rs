//! Messages by hand, right and wrong.

use loods::bgp::wire::message::{Message, Open};

pub const OPEN: u8 = 1;
pub const UPDATE: u8 = 2;
pub const NOTIFICATION: u8 = 3;
pub const KEEPALIVE: u8 = 4;
pub const ROUTE_REFRESH: u8 = 5;

/// A header that says this length, whatever follows.
pub fn header(length: u16, kind: u8) -> Vec<u8> {
    let mut octets = vec![0xFF; 16];
    octets.extend_from_slice(&length.to_be_bytes());
    octets.push(kind);
    octets
}

/// A whole message with its right length.
pub fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut octets = header(19 + u16::try_from(body.len()).expect("it fits"), kind);
    octets.extend_from_slice(body);
    octets
}

pub fn keepalive() -> Vec<u8> {
    message(KEEPALIVE, &[])
}

/// An honest message, as octets.
pub fn encoded(message: &Message) -> Vec<u8> {
    let mut octets = Vec::new();
    message.encode(&mut octets);
    octets
}

/// The octets of this OPEN with some of them changed; the version is octet 19.
pub fn open_with(open: &Open, changes: &[(usize, u8)]) -> Vec<u8> {
    let mut octets = encoded(&Message::Open(open.clone()));
    for (place, octet) in changes {
        octets[*place] = *octet;
    }
    octets
}

/// An OPEN of the two-octet AS 64513 with these optional parameters.
pub fn open_with_parameters(length: u8, parameters: &[u8]) -> Vec<u8> {
    let mut body = vec![4, 0xFC, 0x01, 0, 90, 10, 0, 0, 1, length];
    body.extend_from_slice(parameters);
    message(OPEN, &body)
}

/// An UPDATE of raw sections.
pub fn update(withdrawn: &[u8], attributes: &[u8], nlri: &[u8]) -> Vec<u8> {
    let length = |section: &[u8]| u16::try_from(section.len()).expect("it fits").to_be_bytes();
    let mut body = length(withdrawn).to_vec();
    body.extend_from_slice(withdrawn);
    body.extend_from_slice(&length(attributes));
    body.extend_from_slice(attributes);
    body.extend_from_slice(nlri);
    message(UPDATE, &body)
}
