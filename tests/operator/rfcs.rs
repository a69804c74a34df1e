//! `docs/rfcs.md`: each test that it names is there and runs, and each standard
//! that the protocol's code cites is in it.

use crate::{path, text};
use std::collections::BTreeSet;
use std::fs;

/// Numbers after "RFC " in a text.
fn cited(text: &str) -> BTreeSet<u32> {
    let after = text.split("RFC ").skip(1);
    let digits = after.map(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_digit());
        &rest[..end.unwrap_or(rest.len())]
    });
    digits.filter_map(|digits| digits.parse().ok()).collect()
}

/// Every number of four digits in a text.
fn numbers(text: &str) -> BTreeSet<u32> {
    let words = text.split(|c: char| !c.is_ascii_digit());
    let words = words.filter(|word| word.len() == 4);
    words.filter_map(|word| word.parse().ok()).collect()
}

#[test]
fn every_row_names_tests_that_are_there() {
    let document = text("docs/rfcs.md");
    let mut named = 0;
    let rows = document
        .lines()
        .filter(|line| line.starts_with("| ") && !line.contains("| what"));
    for row in rows {
        let tests: Vec<&str> = row.split('`').skip(1).step_by(2).collect();
        assert!(!tests.is_empty(), "no test shows {row}");
        for test in tests {
            let (file, name) = test
                .split_once("::")
                .unwrap_or_else(|| panic!("{test} is not FILE::TEST"));
            let source = text(file);
            let (before, _) = source
                .split_once(&format!("fn {name}("))
                .unwrap_or_else(|| panic!("{file} has no {name}"));
            // A test, not a function of that name; proptest's own stand in a macro.
            let attribute = before.rfind("#[test]").expect("an attribute");
            assert!(!before[attribute..].contains("\n}"), "{test} is no test");
            named += 1;
        }
    }
    assert!(named >= 20, "only {named} tests");
}

#[test]
fn every_standard_that_the_protocol_cites_is_in_it() {
    let mut sources = Vec::new();
    for folder in ["src/bgp", "src/speaker", "src/config/configmap"] {
        sources.extend(crate::troubleshooting::sources(&path(folder)));
    }
    assert!(sources.len() >= 20, "{sources:?}");
    let mut found = BTreeSet::new();
    for source in sources {
        let source = fs::read_to_string(source).expect("a source");
        found.extend(cited(&source));
    }
    // Names of labels are no routing protocol.
    found.remove(&1123);
    let document = numbers(&text("docs/rfcs.md"));
    let missing: Vec<_> = found.difference(&document).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
