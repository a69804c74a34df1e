//! What may be a name in a command of ours, and what not.
//!
//! Stricter than glusterd where it takes what later hurts: names are parts of
//! file names (`<volume>.<host>.<path with dashes>.vol`), of log lines and of
//! the arguments of `gluster`, which looks for options among all its words.

use std::fmt::Display;

use ring::digest::{SHA256, digest};

/// Longest name of a volume, in octets. Gluster takes more than 200, but each
/// brick's volfile must fit 255 with its host and path.
pub const VOLUME: usize = 128;

/// Longest path of a brick, in octets.
pub const PATH: usize = 200;

/// Longest value of a volume's option, in octets.
pub const VALUE: usize = 4096;

/// Longest file name that Linux takes, in octets.
const FILE: usize = 255;

/// Why a name was not taken. The text names the value and the mend.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadName(pub String);

fn bad<T>(what: &str, value: impl Display, mend: &str) -> Result<T, BadName> {
    // A value may be anything: what is shown of it is bounded and on one line.
    let shown: String = value.to_string().chars().take(80).collect();
    Err(BadName(format!("{what} {shown:?}: {mend}")))
}

/// An id of ours: 32 lower-case hexadecimal digits.
pub fn id(value: &str) -> Result<(), BadName> {
    let digit = |octet: u8| octet.is_ascii_digit() || (b'a'..=b'f').contains(&octet);
    if value.len() == 32 && value.bytes().all(digit) {
        return Ok(());
    }
    bad("id", value, "must be 32 lower-case hexadecimal digits")
}

/// The id of a brick: the one in its path, as ours and Heketi's have it, or one
/// that is always the same for the same place.
pub fn brick_id(host: &str, path: &str) -> String {
    let mut parts = path.split('/');
    let told = parts.find_map(|part| part.strip_prefix("brick_").filter(|it| id(it).is_ok()));
    told.map_or_else(
        || {
            let sum = digest(&SHA256, format!("{host}:{path}").as_bytes());
            let octets = sum.as_ref().iter().take(16);
            octets.map(|octet| format!("{octet:02x}")).collect()
        },
        str::to_owned,
    )
}

/// A volume's name.
pub fn volume(value: &str) -> Result<(), BadName> {
    let allowed = |octet: u8| octet.is_ascii_alphanumeric() || b"-_".contains(&octet);
    if value.is_empty() || value.len() > VOLUME {
        return bad("volume", value, "a name has 1 to 128 characters");
    }
    if !value.bytes().all(allowed) {
        return bad("volume", value, "use letters, digits, '-' and '_' only");
    }
    // `all` means every volume, and a dash in front would be an option.
    if value == "all" || value.starts_with('-') {
        return bad(
            "volume",
            value,
            "gluster takes this word for something else: choose another name",
        );
    }
    Ok(())
}

/// A host's name or address.
pub fn host(value: &str) -> Result<(), BadName> {
    let allowed = |octet: u8| octet.is_ascii_alphanumeric() || b".-:_".contains(&octet);
    let fits = !value.is_empty() && value.len() <= 253 && value.bytes().all(allowed);
    if fits && !value.starts_with('-') {
        return Ok(());
    }
    bad("host", value, "must be a host name or an IP address")
}

/// An absolute path without surprises, such as a device or a brick.
pub fn path(value: &str) -> Result<(), BadName> {
    let allowed = |octet: u8| octet.is_ascii_alphanumeric() || b"/._-+@".contains(&octet);
    let plain = |part: &str| !part.is_empty() && part != "." && part != "..";
    if !value.starts_with('/') || value.len() < 2 || value.len() > PATH {
        return bad(
            "path",
            value,
            "must be absolute and have at most 200 characters",
        );
    }
    if !value.bytes().all(allowed) {
        return bad(
            "path",
            value,
            "use letters, digits and the characters / . _ - + @ only",
        );
    }
    if !value[1..].split('/').all(plain) {
        return bad(
            "path",
            value,
            "write it without '.', '..', '//' and a slash at the end",
        );
    }
    Ok(())
}

/// A brick, `host:path`, of a volume `name`.
pub fn brick<'a>(name: &str, value: &'a str) -> Result<(&'a str, &'a str), BadName> {
    let Some((at, place)) = split_brick(value) else {
        return bad("brick", value, "must be HOST:/PATH");
    };
    host(at)?;
    path(place)?;
    // glusterd's file for it: `<volume>.<host>.<path with dashes>.vol`.
    let file = name.len() + 1 + at.len() + place.len() + ".vol".len();
    if file > FILE {
        return bad(
            "brick",
            value,
            &format!(
                "with the volume's name {name:?} it makes a file name of {file} octets where {FILE} is the most: choose a shorter volume name or device path"
            ),
        );
    }
    Ok((at, place))
}

/// Cuts `host:/path`; the host may be an IPv6 address.
pub fn split_brick(value: &str) -> Option<(&str, &str)> {
    let colon = value.find(":/")?;
    Some((&value[..colon], &value[colon + 1..]))
}

/// An option of a volume: its name and its value.
pub fn option(key: &str, value: &str) -> Result<(), BadName> {
    self::key(key)?;
    if value.is_empty() || value.len() > VALUE {
        return bad(
            &format!("option {key}: value"),
            value,
            "must have 1 to 4096 octets",
        );
    }
    if value.chars().any(char::is_control) || value.starts_with("--") || value.trim() != value {
        return bad(
            &format!("option {key}: value"),
            value,
            "may have no control characters, no blanks at its ends and no '--' in front",
        );
    }
    Ok(())
}

/// The name of an option, such as `network.ping-timeout`.
pub fn key(value: &str) -> Result<(), BadName> {
    let allowed =
        |octet: u8| octet.is_ascii_lowercase() || octet.is_ascii_digit() || b".-_".contains(&octet);
    let fits = value.len() <= 128 && value.bytes().all(allowed);
    // Words without a dot are gluster's own: `help`, `group`, `all`.
    let dotted = value
        .split_once('.')
        .is_some_and(|(first, rest)| !first.is_empty() && !rest.is_empty());
    if fits && dotted && !value.starts_with('-') {
        return Ok(());
    }
    bad(
        "option",
        value,
        "must be two or more words with dots between them, of a-z, 0-9, '-' and '_'",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_gluster_would_take_for_something_else_is_no_name() {
        for name in ["", "all", "-x", "a b", "a/b", "a;b", "ä", &"v".repeat(129)] {
            assert!(volume(name).is_err(), "{name:?}");
        }
        for name in ["v", "vol_0123", "pvc-1-2_3", &"v".repeat(128)] {
            assert_eq!(volume(name), Ok(()), "{name:?}");
        }
    }

    #[test]
    fn a_path_is_plain() {
        for bad in [
            "", "/", "a/b", "/a/../b", "/a//b", "/a/", "/a/./b", "/a b", "/a$b", "/a:b",
        ] {
            assert!(path(bad).is_err(), "{bad:?}");
        }
        assert_eq!(path("/srv/gluster/brick_1/brick"), Ok(()));
    }

    #[test]
    fn a_brick_is_cut_after_its_host_whatever_the_family() {
        assert_eq!(brick("v", "10.0.0.1:/a/b"), Ok(("10.0.0.1", "/a/b")));
        assert_eq!(brick("v", "fd00::1:/a/b"), Ok(("fd00::1", "/a/b")));
        for bad in ["", "/a", "h:", "h:a", "-h:/a", ":/a"] {
            assert!(brick("v", bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_file_that_glusterd_makes_of_all_three_must_fit() {
        let path = format!("/{}", "p".repeat(150));
        let longest = 255 - 1 - "10.0.0.1".len() - path.len() - 4;
        let brick_of =
            |length: usize| brick(&"v".repeat(length), &format!("10.0.0.1:{path}")).map(|_| ());
        assert_eq!(brick_of(longest), Ok(()));
        let BadName(text) = brick_of(longest + 1).expect_err("one too many");
        assert!(text.contains("256 octets"), "{text}");
    }

    #[test]
    fn options_carry_no_option_of_gluster_itself() {
        assert_eq!(option("user.loods.id", "{\"a\": 1}"), Ok(()));
        assert_eq!(option("auth.allow", "10.0.0.1,10.0.0.2"), Ok(()));
        for (key, value) in [
            ("help", "x"),
            ("group", "virt"),
            (".x", "y"),
            ("x.", "y"),
            ("User.x", "y"),
            ("user.x", ""),
            ("user.x", "--remote-host=elsewhere"),
            ("user.x", "a\nb"),
            ("user.x", " a"),
        ] {
            assert!(option(key, value).is_err(), "{key:?} {value:?}");
        }
    }

    #[test]
    fn an_error_shows_a_bounded_piece_of_the_value() {
        let BadName(text) = volume(&"\u{1b}".repeat(5000)).expect_err("much too long");
        assert!(text.len() < 1000 && !text.contains('\u{1b}'), "{text}");
    }
}
