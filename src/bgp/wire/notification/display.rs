//! What the person on call reads: names first, then the numbers to search
//! for, then what the data says.

use std::fmt::{Display, Formatter, Result};

use super::*;

/// Octets of data that are shown before the rest is only counted.
const SHOWN_OCTETS: usize = 32;

impl Display for Notification {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write_title(f, self)?;
        write_details(f, self)?;
        // RFC 8538 §3: a Hard Reset carries the fault that it stands for. One
        // level only: the data may nest as deep as the message is long.
        if (self.code, self.subcode) == (error::CEASE, cease::HARD_RESET)
            && let Ok(inner) = decode(&self.data)
        {
            f.write_str(" for ")?;
            write_title(f, &inner)?;
            write_details(f, &inner)?;
        }
        Ok(())
    }
}

fn write_title(f: &mut Formatter<'_>, fault: &Notification) -> Result {
    let (code, subcode) = (fault.code, fault.subcode);
    match (error::name(code), iana::subcode_name(code, subcode)) {
        (Some(name), Some(detail)) => write!(f, "{name}, {detail} ({code}/{subcode})"),
        (Some(name), None) => write!(f, "{name} ({code}/{subcode})"),
        (None, _) => write!(f, "unknown error ({code}/{subcode})"),
    }
}

fn write_details(f: &mut Formatter<'_>, fault: &Notification) -> Result {
    if let Some(text) = fault.shutdown_text() {
        return write!(f, ": \"{}\"", Escaped(&text));
    }
    if let Some((afi, safi, bound)) = fault.prefix_bound() {
        return match nlri::family(afi, safi) {
            Some(family) => write!(f, ": {family} unicast, limit {bound}"),
            None => write!(f, ": AFI {afi} SAFI {safi}, limit {bound}"),
        };
    }
    match (fault.code, fault.subcode, &fault.data[..]) {
        (_, _, []) | (error::CEASE, cease::HARD_RESET, [_, _, ..]) => Ok(()),
        (error::MESSAGE_HEADER, header::BAD_MESSAGE_LENGTH, &[high, low]) => {
            write!(f, ": length {}", u16::from_be_bytes([high, low]))
        }
        (error::MESSAGE_HEADER, header::BAD_MESSAGE_TYPE, [message_type]) => {
            write!(f, ": type {message_type}")
        }
        (error::OPEN_MESSAGE, open::UNSUPPORTED_VERSION, &[high, low]) => {
            write!(f, ": version {} is wanted", u16::from_be_bytes([high, low]))
        }
        (error::OPEN_MESSAGE, open::UNSUPPORTED_CAPABILITY, data) => write_capabilities(f, data),
        (error::UPDATE_MESSAGE, _, [_flags, code, ..])
            if iana::attribute::name(*code).is_some() =>
        {
            f.write_str(": attribute ")?;
            f.write_str(iana::attribute::name(*code).unwrap_or_default())?;
            f.write_str(", ")?;
            write_hex(f, &fault.data)
        }
        (error::FINITE_STATE_MACHINE, _, [message_type]) => {
            match iana::message_type::name(*message_type) {
                Some(name) => write!(f, ": {name}"),
                None => write!(f, ": message type {message_type}"),
            }
        }
        (_, _, data) => {
            f.write_str(": data ")?;
            write_hex(f, data)
        }
    }
}

fn write_capabilities(f: &mut Formatter<'_>, data: &[u8]) -> Result {
    let mut capabilities = Vec::new();
    if capability::read_all(Reader::new(data), &mut capabilities).is_err() {
        f.write_str(": data ")?;
        return write_hex(f, data);
    }
    for (at, capability) in capabilities.iter().take(SHOWN_OCTETS).enumerate() {
        write!(f, "{} {capability}", if at == 0 { ":" } else { "," })?;
    }
    Ok(())
}

fn write_hex(f: &mut Formatter<'_>, octets: &[u8]) -> Result {
    let shown = &octets[..octets.len().min(SHOWN_OCTETS)];
    for (at, octet) in shown.iter().enumerate() {
        // In pairs, as dumps show them.
        let gap = if at != 0 && at % 2 == 0 { " " } else { "" };
        write!(f, "{gap}{octet:02x}")?;
    }
    match octets.len() - shown.len() {
        0 => Ok(()),
        more => write!(f, " and {more} octets more"),
    }
}

/// The peer's text, unable to drive a terminal or to forge a log line.
struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        for c in self.0.chars() {
            let turns_text = matches!(c, '\u{200E}' | '\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}');
            if matches!(c, '"' | '\\') || c.is_control() || turns_text {
                write!(f, "{}", c.escape_default())?;
            } else {
                write!(f, "{c}")?;
            }
        }
        Ok(())
    }
}
