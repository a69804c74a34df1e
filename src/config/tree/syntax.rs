//! Why a text is no YAML, in words of ours.
//!
//! The scanner's own words name its states, and in places a character of the
//! text, which may be one of a password.

use granit_parser::{ErrorKind, ScanError, Span};

use super::{Broken, Mark, at, number};

/// YAML 1.2 §5.1 names the characters a text may hold; libyaml refuses the others too.
pub(super) fn refuse_control_characters(text: &str) -> Result<(), Broken> {
    let allowed = |c: char| !c.is_control() || matches!(c, '\t' | '\n' | '\r' | '\u{85}');
    let Some((byte, _)) = text.char_indices().find(|(_, c)| !allowed(*c)) else {
        return Ok(());
    };
    let before = text.get(..byte).unwrap_or_default();
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let column = before.get(line_start..).unwrap_or_default().chars().count();
    Err(Broken {
        mark: Mark {
            line: number(before.matches('\n').count() + 1),
            column: number(column + 1),
        },
        byte,
        problem: "has a control character".into(),
        mend: "a configuration is plain text: remove it",
    })
}

/// The scanner's verdict in words of ours: its own name characters of the text.
pub(super) fn broken(error: &ScanError) -> Broken {
    use ErrorKind as E;
    let (problem, mend) = match error.kind() {
        E::UnknownAnchor => (
            "has an alias of no anchor",
            "quote the value if it begins with `*`; else write `&name` at the value meant",
        ),
        E::UnexpectedCharacter { .. } => (
            "has a value that begins with a character that YAML reserves",
            "put the value in quotes",
        ),
        E::TabNotAllowed
        | E::TabInBlockIndentation
        | E::TabInIndentation
        | E::TabAtBlockScalarStart
        | E::TabInPlainScalar => ("has a tab where YAML wants spaces", "indent with spaces"),
        E::UnclosedQuotedScalar | E::DocumentIndicatorInQuotedScalar => {
            ("has a quote that is not closed", "close the quote")
        }
        E::MismatchedFlowCollectionEnd { .. }
        | E::UnclosedFlowCollection { .. }
        | E::MisplacedFlowCollectionEnd
        | E::UnexpectedEofFlowMapping
        | E::UnexpectedEofFlowSequence
        | E::UnexpectedEofImplicitFlowMapping
        | E::ExpectedFlowMappingSeparator
        | E::ExpectedFlowSequenceSeparator => (
            "has brackets or braces that do not match",
            "close each `[` and `{`, and part entries by commas",
        ),
        E::MappingValueNotAllowed => (
            "has a `:` where no key can stand",
            "put a value that holds `: ` in quotes, and begin each key on a line of its own",
        ),
        E::SimpleKeyExpected | E::InvalidSimpleKey => (
            "has a line that is no `key: value`",
            "write a colon and a space after the key",
        ),
        E::ExpectedBlockMappingKey
        | E::ExpectedBlockSequenceEntry
        | E::InvalidIndentation
        | E::BlockSequenceEntryNotAllowed
        | E::InvalidQuotedScalarIndent
        | E::InvalidFlowScalarIndent
        | E::InvalidBlockScalarIndent => (
            "does not line up with the lines above",
            "indent the keys of one mapping, and the dashes of one list, alike",
        ),
        E::RecursionLimitExceeded => ("is nested too deep", "no key needs more than a few levels"),
        E::UnknownQuotedScalarEscape
        | E::InvalidQuotedScalarHexEscape
        | E::InvalidUnicodeEscape => (
            "has a backslash sequence that YAML does not know",
            "write two backslashes, or use single quotes",
        ),
        _ => {
            return Broken {
                problem: format!("is no valid YAML: {}", error.kind()),
                ..scan(
                    error,
                    "",
                    "see whether quotes, colons and indentation are right",
                )
            };
        }
    };
    scan(error, problem, mend)
}

fn scan(error: &ScanError, problem: &str, mend: &'static str) -> Broken {
    let span = Span::empty(*error.marker());
    at(&span, problem, mend)
}
