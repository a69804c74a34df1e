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
