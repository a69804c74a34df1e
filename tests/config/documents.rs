//! The documentation and the samples say what the parser does.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use loods::config::check::check;
use loods::config::{self, KEYS, manifest};

fn file(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// Section and key of each row of the reference's tables.
fn documented() -> BTreeSet<(String, String)> {
    let text = file("docs/configuration.md");
    let mut section = None;
    let mut found = BTreeSet::new();
    for line in text.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            let title = title.trim_matches('`');
            section = Some(if title == "Top level" { "" } else { title });
        } else if let Some(row) = line.strip_prefix("| `") {
            let key = row.split('`').next().unwrap();
            let twice = !found.insert((section.unwrap().to_owned(), key.to_owned()));
            assert!(!twice, "{key} is documented twice");
        }
    }
    found
}

#[test]
fn every_key_is_documented_and_no_other() {
    let known: BTreeSet<_> = KEYS
        .iter()
        .flat_map(|section| {
            section
                .keys
                .iter()
                .map(|key| (section.path.to_owned(), (*key).to_owned()))
        })
        .collect();
    assert_eq!(documented(), known);
}

/// One row of the reference.
struct Row {
    section: String,
    key: String,
    kind: String,
    default: String,
}

fn rows() -> Vec<Row> {
    let text = file("docs/configuration.md");
    let mut section = String::new();
    let mut found = Vec::new();
    for line in text.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            section = title.trim_matches('`').replace("Top level", "");
        } else if line.starts_with("| `") {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            assert_eq!(cells.len(), 6, "four columns: {line}");
            let [_, key, kind, default, ..] = cells[..] else {
                unreachable!("counted above")
            };
            found.push(Row {
                section: section.clone(),
                key: key.trim_matches('`').to_owned(),
                kind: kind.to_owned(),
                default: default.to_owned(),
            });
        }
    }
    found
}

/// The smallest good text around an entry of a section, with a place for one
/// more line of that entry.
fn around(section: &str, line: &str) -> String {
    let pool = "address-pools:\n- name: p\n  protocol: bgp\n  addresses: [192.0.2.0/24]\n";
    match section {
        "" => format!("{line}\n"),
        "peers[]" => {
            format!("peers:\n- my-asn: 1\n  peer-asn: 2\n  peer-address: 192.0.2.1\n  {line}\n")
        }
        "address-pools[]" => format!("{pool}  {line}\n"),
        "address-pools[].bgp-advertisements[]" => {
            format!("{pool}  bgp-advertisements:\n  - communities: [no-export]\n    {line}\n")
        }
        "bfd-profiles[]" => format!("bfd-profiles:\n- name: f\n  {line}\n"),
        other => panic!("no text around {other}"),
    }
}

#[test]
fn the_defaults_of_the_reference_are_the_parsers() {
    let mut tried = Vec::new();
    for row in rows() {
        let Row { section, key, .. } = &row;
        assert!(!row.kind.is_empty() && !row.default.is_empty(), "{key}");
        let default = row.default.trim_matches('`');
        // Prose, such as "not written", names no value that could be written.
        let value = row.default.starts_with('`') || default.parse::<u32>().is_ok();
        if !value {
            continue;
        }
        let parse = |line: &str| match config::parse(&around(section, line)) {
            Ok(parsed) => parsed.config,
            Err(errors) => panic!("{section} {line}: {errors}"),
        };
        let written = parse(&format!("{key}: {default}"));
        assert_eq!(written, parse(""), "{section} {key}: {default}");
        tried.push(key.clone());
    }
    // Those that a wrong default would hurt most are among them.
    for key in [
        "peer-port",
        "hold-time",
        "auto-assign",
        "aggregation-length",
        "origin",
        "on-removed-pool",
    ] {
        assert!(tried.iter().any(|tried| tried == key), "{key}: {tried:?}");
    }
}

#[test]
fn what_the_reference_calls_required_is_and_nothing_else() {
    for row in rows() {
        let Row { section, key, .. } = &row;
        // These hold a list of their own below them.
        if section.starts_with("peers[].node-selectors[]") {
            continue;
        }
        let text = around(section, "");
        let all: Vec<&str> = text.lines().collect();
        let its_own = |line: &str| {
            line.trim_start_matches([' ', '-'])
                .starts_with(&format!("{key}:"))
        };
        let without: Vec<String> = all
            .iter()
            .map(|line| {
                // The dash begins the entry; it stays.
                match (its_own(line), line.starts_with("- ")) {
                    (true, true) => "- ".to_owned(),
                    (true, false) => String::new(),
                    (false, _) => (*line).to_owned(),
                }
            })
            .collect();
        let good = config::parse(&(without.join("\n") + "\n")).is_ok();
        assert_eq!(good, row.default != "required", "{section} {key}");
    }
}

#[test]
fn examples_of_the_documentation_are_good() {
    let text = file("docs/configuration.md");
    let examples: Vec<_> = text
        .split("```yaml\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap())
        .collect();
    assert!(examples.len() >= 5, "only {} examples", examples.len());
    for example in examples {
        if let Err(errors) = config::parse(example) {
            panic!("{}", errors.render("docs/configuration.md"));
        }
    }
}

#[test]
fn the_sample_is_good_and_has_every_key() {
    let sample = file("config/samples/configmap.yaml");
    let checked = check([("sample", sample.as_bytes())], manifest::KEY);
    assert!(checked.ok, "{checked}");
    assert_eq!(checked.texts.len(), 1);
    for section in KEYS {
        for key in section.keys {
            let used = sample.lines().any(|line| {
                line.trim_start_matches([' ', '-'])
                    .starts_with(&format!("{key}:"))
            });
            assert!(used, "{key} is not in the sample");
        }
    }
}
