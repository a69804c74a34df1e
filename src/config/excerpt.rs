//! A line of the text, fit to be shown.
//!
//! A password may stand anywhere: in the wrong section, under a misspelled key,
//! behind an alias, in a comment. So nothing is shown because it looks harmless.
//! What is shown are the scalars that a reader *cleared* (a known key, or the
//! value of a known key that is no secret) and the punctuation between scalars.

use std::ops::Range;

use super::finding::Excerpt;

/// Bytes shown to each side of the marked part's beginning.
const REACH: usize = 100;
const MASK: &str = "***";

/// What may be shown of a text, as byte ranges in order without overlaps.
pub(super) struct Clearance {
    /// Scalars that may be shown.
    pub cleared: Vec<Range<usize>>,
    /// Scalars that may not.
    pub hidden: Vec<Range<usize>>,
}

/// The line that holds `marked`, or what fits of it around its beginning.
pub(super) fn of(text: &str, marked: &Range<usize>, clearance: &Clearance) -> Option<Excerpt> {
    let window = window(text, marked.start)?;
    let mut out = String::new();
    let (mut count, mut offset, mut end) = (0, None, None);
    let mut masked = false;
    let mut secret_word = false;
    for (i, c) in text.get(window.clone())?.char_indices() {
        let byte = window.start + i;
        if byte >= marked.start && offset.is_none() {
            // The mark of a masked run begins where the mask does.
            offset = Some(if masked && byte > marked.start {
                count - MASK.len()
            } else {
                count
            });
        }
        if byte >= marked.end && end.is_none() {
            end = Some(count);
        }
        let cleared = holds(&clearance.cleared, byte);
        let between = !cleared && !holds(&clearance.hidden, byte);
        if between && c == '#' {
            break;
        }
        if c.is_whitespace() || !between {
            secret_word = false;
        } else if matches!(c, '&' | '*' | '!') {
            secret_word = true;
        }
        let plain = cleared || (between && !secret_word && is_punctuation(c));
        if plain {
            out.push(if c.is_control() { ' ' } else { c });
            count += 1;
        } else if !masked {
            out.push_str(MASK);
            count += MASK.len();
        }
        masked = !plain;
    }
    let offset = offset.unwrap_or(count);
    let width = end.unwrap_or(count).saturating_sub(offset).max(1);
    out.truncate(out.trim_end().len());
    Some(Excerpt {
        text: out,
        offset,
        width,
    })
}

/// Leaves the line out when the text is broken and could hold a password in or
/// before it: where a scalar ends is then anybody's guess.
pub(super) fn of_broken(text: &str, byte: usize) -> Option<Excerpt> {
    let window = window(text, byte)?;
    let seen = text.get(..window.end)?;
    let suspect = |word: &str| {
        seen.as_bytes()
            .windows(word.len())
            .any(|part| part.eq_ignore_ascii_case(word.as_bytes()))
    };
    // `&` may name a value that a later `password: *name` uses, a backslash may
    // spell any word.
    if text.contains(['&', '\\']) || ["pas", "pw", "secret"].into_iter().any(suspect) {
        return None;
    }
    let line = Range {
        start: window.start,
        end: window.end,
    };
    let cleared = vec![line];
    of(
        text,
        &(byte..byte),
        &Clearance {
            cleared,
            hidden: Vec::new(),
        },
    )
}

/// The line around a byte, cut to what a person can read.
fn window(text: &str, byte: usize) -> Option<Range<usize>> {
    let breaks = |c: char| c == '\n' || c == '\r';
    let start = text.get(..byte)?.rfind(breaks).map_or(0, |at| at + 1);
    let rest = text.get(byte..)?;
    let end = rest.find(breaks).map_or(text.len(), |at| byte + at);
    let start =
        (start.max(byte.saturating_sub(REACH))..=byte).find(|at| text.is_char_boundary(*at))?;
    let end = (byte..=end.min(byte.saturating_add(REACH)))
        .rev()
        .find(|at| text.is_char_boundary(*at))?;
    Some(start..end)
}

fn holds(ranges: &[Range<usize>], byte: usize) -> bool {
    let after = ranges.partition_point(|range| range.start <= byte);
    after
        .checked_sub(1)
        .and_then(|last| ranges.get(last))
        .is_some_and(|range| range.contains(&byte))
}

fn is_punctuation(c: char) -> bool {
    matches!(
        c,
        ' ' | '\t' | '-' | ':' | ',' | '[' | ']' | '{' | '}' | '?'
    )
}
