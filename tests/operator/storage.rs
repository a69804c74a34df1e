//! `docs/storage.md` against the program.

use crate::text;

#[test]
fn every_parameter_of_a_class_is_explained() {
    let document = text("docs/storage.md");
    let rows: Vec<&str> = document
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split(" | ").next())
        .collect();
    for key in loods::storage::class::KEYS {
        let key = format!("`{key}`");
        assert!(rows.iter().any(|row| row.contains(&key)), "{key}");
    }
}

/// The units and commands of the document are given to the program, as it is.
#[test]
fn every_option_that_is_shown_exists() {
    let document = text("docs/storage.md");
    let helps = [
        "adopt",
        "agent",
        "certificates",
        "controller",
        "demo",
        "doctor",
        "manager",
        "migrate",
        "node",
    ]
    .map(|part| text(&format!("tests/cli/help/storage-{part}.txt")));
    let words = document.split(|c: char| c.is_whitespace() || "`,;:".contains(c));
    let is_option = |word: &&str| {
        word.strip_prefix("--")
            .is_some_and(|name| name.starts_with(|c: char| c.is_ascii_lowercase()))
    };
    let options: Vec<&str> = words.filter(is_option).collect();
    assert!(options.len() > 8, "{options:?}");
    for option in options {
        let option = option.trim_end_matches('.');
        let known = helps
            .iter()
            .any(|help| help.split_whitespace().any(|word| word == option));
        assert!(known || option == "--release", "{option}");
    }
}
