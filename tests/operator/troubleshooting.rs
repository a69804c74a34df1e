//! `docs/troubleshooting.md`: every word of the code has its section, and no
//! section is about a word that nobody says.

use crate::{path, text};
use loods::lb::reason::Reason;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Words that a `match` of this file answers with: `… => "word",`.
#[track_caller]
fn words_of(file: &str) -> BTreeSet<String> {
    let source = text(file);
    let (code, _tests) = source.split_once("#[cfg(test)]").unwrap_or((&source, ""));
    let words = code.lines().filter_map(|line| {
        let (_, word) = line.split_once("=> \"")?;
        let word = word.strip_suffix("\",")?;
        let is_word = word.starts_with(|c: char| c.is_ascii_lowercase())
            && word.chars().all(|c| c.is_ascii_alphanumeric());
        is_word.then(|| word.to_owned())
    });
    words.collect()
}

/// Every word for something that is not done.
fn words() -> BTreeSet<String> {
    let refusals = words_of("src/alloc/refusal.rs");
    assert!(refusals.len() >= 15, "{refusals:?}");
    assert!(refusals.contains("poolExhausted"), "{refusals:?}");
    let standings = words_of("src/lb/decide/view.rs");
    assert!(standings.contains("foreignStatus"), "{standings:?}");
    let reasons = Reason::ALL.map(|reason| reason.word().to_owned());
    let stale = "configStale";
    assert!(text("src/runtime/allocator.rs").contains(&format!("\"{stale}: ")));
    let mut all = BTreeSet::from(reasons);
    all.extend(refusals);
    all.extend(standings);
    all.insert(stale.to_owned());
    all
}

/// Sections whose heading is a word, with their text.
fn sections() -> BTreeMap<String, String> {
    let document = text("docs/troubleshooting.md");
    let mut sections = BTreeMap::new();
    for section in document.split("\n## ").skip(1) {
        let (title, body) = section.split_once('\n').expect("a text below a heading");
        // A section ends where a higher heading begins.
        let body = body.split("\n# ").next().unwrap_or(body);
        let word = title.strip_prefix('`').and_then(|t| t.strip_suffix('`'));
        if let Some(word) = word {
            let twice = sections.insert(word.to_owned(), body.to_owned());
            assert!(twice.is_none(), "{word} has two sections");
        }
    }
    sections
}

#[test]
fn every_word_has_a_section_and_every_section_a_word() {
    let described: BTreeSet<String> = sections().into_keys().collect();
    assert_eq!(described, words());
}

#[test]
fn each_section_says_what_it_means_how_to_see_it_and_what_to_do() {
    for (word, body) in sections() {
        let (meaning, rest) = body
            .split_once("**See** ")
            .unwrap_or_else(|| panic!("{word}: how is it seen?"));
        let (see, mend) = rest
            .split_once("**Do** ")
            .unwrap_or_else(|| panic!("{word}: what is to be done?"));
        for part in [meaning, see, mend] {
            assert!(part.trim().len() >= 10, "{word}: {part:?}");
        }
    }
}

/// All sources that are no tests.
pub fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder of this repository") {
        let path = entry.expect("an entry").path();
        let name = path.file_stem().expect("a name").to_string_lossy();
        if matches!(&*name, "tests" | "simulation" | "fixture") {
            continue;
        }
        if path.is_dir() {
            found.extend(sources(&path));
        } else {
            found.push(path);
        }
    }
    found
}

/// The reasons of Events that the code gives: the text after their kind.
fn events() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for file in sources(&path("src")) {
        let source = fs::read_to_string(file).expect("a source");
        let (code, _tests) = source.split_once("#[cfg(test)]").unwrap_or((&source, ""));
        for kind in ["EventKind::Normal", "EventKind::Warning"] {
            for after in code.split(kind).skip(1) {
                let mut quoted = after.split('"');
                let gap = quoted.next().unwrap_or_default();
                // `Kind => "Kind"` is how the kind itself is written.
                let near = gap.len() < 60 && !gap.contains("=>");
                if let (true, Some(reason)) = (near, quoted.next()) {
                    found.insert(reason.to_owned());
                }
            }
        }
    }
    assert!(found.len() >= 9, "{found:?}");
    found
}

#[test]
fn every_event_has_its_row() {
    let document = text("docs/troubleshooting.md");
    let (_, table) = document.split_once("\n# Events\n").expect("the table");
    let (table, _) = table.split_once("\n# ").expect("its end");
    let rows = table.lines().filter_map(|line| {
        let (reason, _) = line.strip_prefix("| `")?.split_once('`')?;
        Some(reason.to_owned())
    });
    assert_eq!(rows.collect::<BTreeSet<_>>(), events());
}

#[test]
fn the_flags_metrics_and_fields_that_it_names_are_there() {
    let document = text("docs/troubleshooting.md");
    let help = text("tests/cli/help/run.txt");
    for flag in ["--lb-class", "--ignore-exclude-lb"] {
        assert!(document.contains(flag) && help.contains(flag), "{flag}");
    }
    // Real tests assert these names: what they ask for is there.
    let asserted = text("tests/cluster/words.rs");
    for metric in [
        "loods_speaker_not_announced",
        "metallb_allocator_addresses_in_use_total",
        "metallb_k8s_client_config_stale_bool",
    ] {
        assert!(
            document.contains(metric) && asserted.contains(metric),
            "{metric}"
        );
    }
}
