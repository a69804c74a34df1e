//! Single values, read as yaml.v2 reads them into a typed field.
//!
//! That parser decided what existing configurations mean: YAML 1.1 booleans,
//! C-like octal numbers, and any scalar at all in a text field. Durations are
//! Go's, since MetalLB's are.

use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use super::fields::Item;
use super::report::Report;
use super::tree::{Style, Value};

/// Any scalar, as it was written: `password: 0123` is the text `0123`.
pub(super) fn text<'i>(item: &'i Item, report: &mut Report<'_>) -> Option<&'i str> {
    match &item.node.value {
        Value::Scalar(scalar) => {
            report.clear(&item.node);
            Some(&scalar.text)
        }
        _ => {
            let problem = format!("is {}, where a single value is wanted", item.node.kind());
            item.blame(report, problem, "write one value after the colon");
            None
        }
    }
}

/// A scalar that may mean something else than text: not one in quotes.
fn plain<'i>(item: &'i Item, report: &mut Report<'_>, wanted: &str) -> Option<&'i str> {
    let text = text(item, report)?;
    match &item.node.value {
        Value::Scalar(scalar) if scalar.style == Style::Plain => Some(text),
        _ => {
            item.refuse(
                report,
                format!("is text, where {wanted} is wanted"),
                "remove the quotes",
            );
            None
        }
    }
}

/// YAML 1.1: `y yes on true`, `n no off false`, each in three cases.
pub(super) fn boolean(item: &Item, report: &mut Report<'_>) -> Option<bool> {
    let text = plain(item, report, "true or false")?;
    match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" | "true" | "True" | "TRUE" => {
            Some(true)
        }
        "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" | "false" | "False" | "FALSE" => {
            Some(false)
        }
        _ => {
            item.refuse(
                report,
                "is neither true nor false",
                "write `true` or `false`",
            );
            None
        }
    }
}

/// One of a few words, exactly as they are spelled.
pub(super) fn choice<T: Copy>(
    item: &Item,
    report: &mut Report<'_>,
    words: &[(&str, T)],
) -> Option<T> {
    let text = text(item, report)?;
    let found = words.iter().find(|(word, _)| *word == text);
    if found.is_none() {
        let known: Vec<_> = words.iter().map(|(word, _)| format!("`{word}`")).collect();
        item.refuse(
            report,
            "is not known here",
            format!("write {}", known.join(" or ")),
        );
    }
    found.map(|(_, value)| *value)
}

/// A whole number within bounds.
pub(super) fn number<T>(item: &Item, report: &mut Report<'_>, low: T, high: T) -> Option<T>
where
    T: Copy + PartialOrd + TryFrom<i128> + std::fmt::Display,
{
    let wanted = format!("a number from {low} to {high}");
    let text = plain(item, report, &wanted)?;
    let found = match integer(text) {
        Ok(found) => found,
        Err(NotInteger::Fraction) => {
            item.refuse(report, "is not a whole number", format!("write {wanted}"));
            return None;
        }
        Err(NotInteger::Other) => {
            item.refuse(report, "is not a number", format!("write {wanted}"));
            return None;
        }
    };
    let fits = T::try_from(found).ok().filter(|n| (low..=high).contains(n));
    if fits.is_none() {
        item.refuse(report, "is out of range", format!("write {wanted}"));
    }
    fits
}

#[derive(Debug, PartialEq, Eq)]
enum NotInteger {
    Fraction,
    Other,
}

/// Numbers as yaml.v2 resolves them: Go's base prefixes, underscores anywhere,
/// and floats, here only those without a fraction. What no octal number can be
/// (`089`) is decimal, since it is still a float to yaml.v2.
fn integer(text: &str) -> Result<i128, NotInteger> {
    if !text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.')) {
        return Err(NotInteger::Other);
    }
    let text: String = text.chars().filter(|c| *c != '_').collect();
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(&text)),
    };
    let lower = digits.to_ascii_lowercase();
    let (radix, body) = if let Some(body) = lower.strip_prefix("0x") {
        (16, body)
    } else if let Some(body) = lower.strip_prefix("0o") {
        (8, body)
    } else if let Some(body) = lower.strip_prefix("0b") {
        (2, body)
    } else if let Some(body) = lower.strip_prefix('0').filter(|body| !body.is_empty()) {
        (8, body)
    } else {
        (10, lower.as_str())
    };
    // Rust's parsers take a sign of their own: `+-1` is no number.
    let unsigned = |s: &str| !s.starts_with(['+', '-']);
    if unsigned(body)
        && body.len() <= 130
        && let Ok(n) = i128::from_str_radix(body, radix)
    {
        return Ok(if negative { -n } else { n });
    }
    let float_like = |c: char| c.is_ascii_digit() || matches!(c, '.' | 'e' | '+' | '-');
    if !unsigned(&lower) || !lower.chars().all(float_like) {
        return Err(NotInteger::Other);
    }
    let float = f64::from_str(&lower).map_err(|_| NotInteger::Other)?;
    if float.fract() != 0.0 {
        return Err(NotInteger::Fraction);
    }
    // Saturates: far out of every range that a key has.
    #[allow(clippy::cast_possible_truncation)]
    let whole = float as i128;
    Ok(if negative { -whole } else { whole })
}

/// Go's duration, cut to whole seconds.
pub(super) fn seconds(item: &Item, report: &mut Report<'_>) -> Option<Duration> {
    let text = text(item, report)?;
    let refuse = |report: &mut Report<'_>, problem: &str, mend: String| {
        item.refuse(report, problem, mend);
        None
    };
    match duration(text) {
        Ok(nanos) => {
            let Ok(nanos) = u128::try_from(nanos) else {
                return refuse(report, "is negative", "write a time such as `90s`".into());
            };
            let seconds = u64::try_from(nanos / 1_000_000_000).unwrap_or(u64::MAX);
            Some(Duration::from_secs(seconds))
        }
        Err(NotDuration::NoUnit) => refuse(report, "has no unit", format!("write `{text}s`")),
        Err(NotDuration::Other) => refuse(
            report,
            "is not a duration",
            "write a time such as `90s` or `1m30s`".into(),
        ),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum NotDuration {
    NoUnit,
    Other,
}

/// Nanoseconds of Go's notation: an optional sign, then numbers with units,
/// fractions allowed; or a bare `0`. Limited to 64 bits, as there.
fn duration(text: &str) -> Result<i128, NotDuration> {
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return Err(NotDuration::Other);
    }
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let split = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(rest.len());
        let (digits, after) = rest.split_at(split);
        let split = after
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(after.len());
        let (unit, next) = after.split_at(split);
        let scale: i128 = match unit {
            "ns" => 1,
            "us" | "\u{b5}s" | "\u{3bc}s" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            "" if total == 0 && digits.bytes().all(|b| b.is_ascii_digit()) => {
                return Err(NotDuration::NoUnit);
            }
            _ => return Err(NotDuration::Other),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let all_digits = |s: &str| s.bytes().all(|b| b.is_ascii_digit());
        if (whole.is_empty() && fraction.is_empty()) || !all_digits(whole) || !all_digits(fraction)
        {
            return Err(NotDuration::Other);
        }
        total += scaled(whole, fraction, scale).ok_or(NotDuration::Other)?;
        if total > i128::from(i64::MAX) {
            return Err(NotDuration::Other);
        }
        rest = next;
    }
    Ok(if negative { -total } else { total })
}

/// `whole.fraction` times `scale`, cut to nanoseconds.
fn scaled(whole: &str, fraction: &str, scale: i128) -> Option<i128> {
    let whole = match whole {
        "" => 0,
        digits => i128::from(digits.parse::<i64>().ok()?),
    };
    // Digits after these are below a nanosecond, even of an hour.
    let fraction = fraction.get(..18).unwrap_or(fraction);
    let part = match fraction {
        "" => 0,
        digits => i128::from(digits.parse::<i64>().ok()?),
    };
    let digits = u32::try_from(fraction.len()).ok()?;
    Some(whole * scale + part * scale / 10_i128.pow(digits))
}

/// An address without a length, name or port.
pub(super) fn address(text: &str) -> Option<IpAddr> {
    // An IPv4-mapped IPv6 address is IPv4 to Go, and to every socket.
    text.parse::<IpAddr>().ok().map(|addr| addr.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_as_yaml_v2_resolves_them() {
        for (text, value) in [
            ("0", 0),
            ("-0", 0),
            ("+7", 7),
            ("010", 8),
            ("-010", -8),
            ("0o17", 15),
            ("0x_fF", 255),
            ("-0x10", -16),
            ("0b101", 5),
            ("089", 89),
            ("1_000", 1000),
            ("1e3", 1000),
            ("1E+3", 1000),
            ("5.0", 5),
            ("-5.", -5),
            (".0", 0),
        ] {
            assert_eq!(integer(text), Ok(value), "{text}");
        }
    }

    #[test]
    fn what_is_no_integer() {
        for text in ["1.5", "1e-1", "0.1"] {
            assert_eq!(integer(text), Err(NotInteger::Fraction), "{text}");
        }
        for text in [
            "", "+", "-", ".", "--1", "+-1", "0x", "0x-1", "1x", "e3", "inf", ".inf", "-.inf",
            "nan", "_1", "1 2",
        ] {
            assert_eq!(integer(text), Err(NotInteger::Other), "{text}");
        }
    }

    #[test]
    fn durations_as_go_parses_them() {
        let second = 1_000_000_000;
        for (text, value) in [
            ("0", 0),
            ("-0", 0),
            ("1ns", 1),
            ("1us", 1_000),
            ("1\u{b5}s", 1_000),
            ("1\u{3bc}s", 1_000),
            ("1.5h", 5400 * second),
            ("1h1m1s1ms", 3661 * second + 1_000_000),
            ("-1.25s", -1_250_000_000),
            (".5s", 500_000_000),
            ("5.s", 5 * second),
            ("0.0000000000000000000001h", 0),
            ("2540400h", 9_145_440_000 * second),
        ] {
            assert_eq!(duration(text), Ok(value), "{text}");
        }
        for text in [
            "",
            "-",
            "s",
            ".s",
            "1d",
            "1.1.1s",
            "1s1",
            "3000000h",
            "9223372036854775808ns",
            "1 s",
            "1S",
        ] {
            assert_eq!(duration(text), Err(NotDuration::Other), "{text}");
        }
        for text in ["1", "120", "-5"] {
            assert_eq!(duration(text), Err(NotDuration::NoUnit), "{text}");
        }
    }
}
