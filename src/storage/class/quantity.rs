//! Kubernetes quantities (`2Gi`, `1500M`, `1e9`), as sizes.
//!
//! Whole arithmetic: a quantity is never rounded down, since a volume smaller
//! than its claim would never be bound to it.

/// One GiB in bytes.
pub const GIB: u64 = 1 << 30;

/// The longest quantity that is read, in bytes. The API server writes shorter ones.
const LONGEST: usize = 48;

/// Bytes of a quantity, rounded up. `None`: not a quantity, negative, or more
/// than an `i64` holds, which is where the API server ends too.
pub fn bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    if text.len() > LONGEST {
        return None;
    }
    let text = text.strip_prefix('+').unwrap_or(text);
    let end = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let digits: u128 = format!("0{whole}{fraction}").parse().ok()?;
    let (binary, decimal) = scale(suffix)?;
    // digits × 2^binary × 10^decimal ÷ 10^len(fraction), rounded up.
    let exponent = decimal - i32::try_from(fraction.len()).ok()?;
    let scaled = digits.checked_mul(1 << binary)?;
    let bytes = if scaled == 0 {
        0
    } else if exponent >= 0 {
        scaled.checked_mul(power(exponent)?)?
    } else {
        // A divisor beyond u128 leaves less than one byte.
        power(-exponent).map_or(1, |divisor| scaled.div_ceil(divisor))
    };
    let bytes = i64::try_from(bytes).ok()?;
    u64::try_from(bytes).ok()
}

fn power(exponent: i32) -> Option<u128> {
    10u128.checked_pow(u32::try_from(exponent).ok()?)
}

/// Powers of 2 and of 10 that a suffix stands for.
fn scale(suffix: &str) -> Option<(u32, i32)> {
    Some(match suffix {
        "" => (0, 0),
        "Ki" => (10, 0),
        "Mi" => (20, 0),
        "Gi" => (30, 0),
        "Ti" => (40, 0),
        "Pi" => (50, 0),
        "Ei" => (60, 0),
        "n" => (0, -9),
        "u" => (0, -6),
        "m" => (0, -3),
        "k" => (0, 3),
        "M" => (0, 6),
        "G" => (0, 9),
        "T" => (0, 12),
        "P" => (0, 15),
        "E" => (0, 18),
        _ => {
            let exponent = suffix.strip_prefix(['e', 'E'])?;
            let exponent: i32 = exponent.parse().ok()?;
            (-30..=30).contains(&exponent).then_some((0, exponent))?
        }
    })
}

/// GiB that hold so many bytes.
pub fn gib(bytes: u64) -> u64 {
    bytes.div_ceil(GIB)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn quantities_as_the_api_writes_them() {
        for (text, expected) in [
            ("2Gi", Some(2 * GIB)),
            ("1500M", Some(1_500_000_000)),
            ("1.5Gi", Some(3 * GIB / 2)),
            ("1e9", Some(1_000_000_000)),
            ("1E9", Some(1_000_000_000)),
            ("1E", Some(1_000_000_000_000_000_000)),
            ("+5", Some(5)),
            (".5k", Some(500)),
            ("100m", Some(1)),
            ("1n", Some(1)),
            ("0", Some(0)),
            ("0n", Some(0)),
            ("1e-30", Some(1)),
            ("8Ei", None),
            ("9223372036854775807", Some(i64::MAX as u64)),
            ("9223372036854775808", None),
            ("", None),
            (".", None),
            ("Gi", None),
            ("-1Gi", None),
            ("1gi", None),
            ("1 Gi", None),
            ("1e99999999999", None),
            (
                "99999999999999999999999999999999999999999999999999999999",
                None,
            ),
        ] {
            assert_eq!(bytes(text), expected, "{text}");
        }
    }

    #[test]
    fn gib_are_rounded_up() {
        for (given, expected) in [(0, 0), (1, 1), (GIB, 1), (GIB + 1, 2), (2 * GIB, 2)] {
            assert_eq!(gib(given), expected);
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".{0,60}") {
            let _ = bytes(&text);
        }

        #[test]
        fn whole_gib_come_back(gib_asked in 0u64..1 << 30) {
            prop_assert_eq!(bytes(&format!("{gib_asked}Gi")).map(gib), Some(gib_asked));
        }
    }
}
