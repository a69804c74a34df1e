//! Documents: every link leads somewhere, and the README shows what it is to show.

use crate::{files, path, text};
use std::collections::BTreeSet;

/// All documents that readers are sent to.
fn documents() -> Vec<String> {
    let mut found = vec!["README.md".to_owned(), "CONTRIBUTING.md".to_owned()];
    for folder in ["docs", "docs/decisions"] {
        let names = files(folder).into_iter();
        let names = names.filter(|name| name.ends_with(".md"));
        found.extend(names.map(|name| format!("{folder}/{name}")));
    }
    assert!(found.len() >= 12, "{found:?}");
    found
}

/// What a heading is called in an address, as GitHub and GitLab make it.
fn anchors(document: &str) -> BTreeSet<String> {
    let headings = document.lines().filter(|line| line.starts_with('#'));
    let names = headings.map(|line| {
        let title = line.trim_start_matches('#').trim().to_lowercase();
        let kept = title.chars().filter_map(|c| match c {
            ' ' => Some('-'),
            '-' | '_' => Some(c),
            c => c.is_alphanumeric().then_some(c),
        });
        kept.collect()
    });
    names.collect()
}

/// The targets of `[text](target)`, code blocks left out.
fn links(document: &str) -> Vec<&str> {
    let mut code = false;
    let prose = document.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        code ^= fence;
        !code && !fence
    });
    let targets = prose.flat_map(|line| line.split("](").skip(1));
    targets
        .filter_map(|rest| rest.split_once(')').map(|(target, _)| target))
        .collect()
}

#[test]
fn every_link_leads_to_a_file_and_a_heading() {
    let mut followed = 0;
    for name in documents() {
        let document = text(&name);
        let folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
        for link in links(&document) {
            if link.starts_with("https://") {
                continue;
            }
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = match file {
                "" => path(&name),
                file => path(folder).join(file),
            };
            assert!(target.exists(), "{name}: {link} leads nowhere");
            if !anchor.is_empty() {
                let there = std::fs::read_to_string(&target).expect("a document");
                assert!(
                    anchors(&there).contains(anchor),
                    "{name}: no heading {link}"
                );
            }
            followed += 1;
        }
    }
    assert!(followed >= 30, "only {followed} links");
}

#[test]
fn the_readme_has_its_two_commands_and_every_longer_text() {
    let readme = text("README.md");
    for command in ["\n    cargo run --release -- demo\n", "\n    tests/run\n"] {
        assert!(readme.contains(command), "{command}");
    }
    let (_, rest) = readme
        .split_once("<!-- demo -->\n")
        .expect("a place for the demo");
    assert!(rest.contains("<!-- /demo -->\n"), "and its end");
    let linked: BTreeSet<&str> = links(&readme).into_iter().collect();
    for name in files("docs") {
        if name.ends_with(".md") {
            let link = format!("docs/{name}");
            assert!(
                linked.contains(link.as_str()),
                "{link} is not in the README"
            );
        }
    }
    // What the demos show not counted: the README is short.
    let mut lines = readme.lines().count();
    for demo in ["demo", "storage demo"] {
        let begin = readme.split_once(&format!("<!-- {demo} -->"));
        let (_, rest) = begin.expect("its place");
        let end = rest.split_once(&format!("<!-- /{demo} -->"));
        lines -= end.expect("its end").0.lines().count();
    }
    assert!(lines <= 150, "{lines} lines");
}
