//! Parameter `volumeoptions`: a comma list, each `key value`.
//!
//! Heketi pastes them into a shell line on every storage host, as root. So a
//! class could run anything there; the removed plugin passed them as they
//! were. What is not plainly one option and one value is refused.

use super::fault::{Faults, quoted};

/// Options in one class.
const MOST: usize = 64;
/// Bytes of a key or a value.
const LONGEST: usize = 255;

const FIELD: &str = "volumeoptions";

/// Reads the list.
pub(super) fn read(value: &str, faults: &mut Faults) -> Vec<String> {
    if value.trim().is_empty() {
        return Vec::new();
    }
    let mut options = Vec::new();
    for option in value.split(',').take(MOST) {
        match judge(option) {
            Ok(option) => options.push(option),
            Err(trouble) => faults.add(FIELD, format!(
                "StorageClass must have valid (for e.g., 'client.ssl on') volume option: volumeoptions has {}: {trouble}",
                quoted(option)
            )),
        }
    }
    if value.split(',').count() > MOST {
        faults.add(
            FIELD,
            format!("volumeoptions has more than {MOST} options; leave some out"),
        );
    }
    options
}

/// `key value`, with one blank. The error says what an option is.
pub fn judge(option: &str) -> Result<String, &'static str> {
    let mut words = option.split_ascii_whitespace();
    let (Some(key), Some(value), None) = (words.next(), words.next(), words.next()) else {
        return Err("an option is one key, a blank and one value");
    };
    if key.len() > LONGEST || value.len() > LONGEST {
        return Err("a key or value of more than 255 bytes");
    }
    let first = key.as_bytes().first().is_some_and(u8::is_ascii_lowercase);
    if !first || !key.bytes().all(in_key) {
        return Err(
            "a key has small letters, digits, dots, dashes and underscores, and begins with a letter",
        );
    }
    // A dash in front would be an option of the gluster program itself, and a
    // star in front would stand for the files of whatever directory it runs in.
    if value.starts_with(['-', '*']) || !value.bytes().all(in_value) {
        return Err(
            "a value has letters, digits and . _ : / = @ % + - * ! and begins with neither - nor *; Heketi puts it into a shell line",
        );
    }
    Ok(format!("{key} {value}"))
}

fn in_key(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'-' | b'_')
}

fn in_value(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'.' | b'_' | b':' | b'/' | b'=' | b'@' | b'%' | b'+' | b'-' | b'*' | b'!'
        )
}
