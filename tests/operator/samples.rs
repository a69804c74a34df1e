//! `config/samples/`: what is copied and applied is good, and shows everything.

use crate::{documents, files, path, text};
use loods::alloc::Terms;
use loods::config::{self, KEYS, manifest};
use loods::facts::ServiceFact;
use loods::k8s::objects::{ALLOCATED, ORPHAN_ATTRIBUTES, REASSIGN, Services, Subject, TERMINATING};
use loods::lb::ask;
use serde_json::Value;
use std::process::Command;

/// The text of a sample's ConfigMap.
#[track_caller]
fn configuration(name: &str) -> String {
    let object = documents(&format!("config/samples/{name}")).remove(0);
    assert_eq!(object["metadata"]["namespace"], "metallb-system");
    assert_eq!(object["metadata"]["name"], "config");
    let text = object["data"][manifest::KEY].as_str().expect("a text");
    text.to_owned()
}

/// The values at a path such as `peers[].node-selectors[]`.
fn at<'a>(root: &'a Value, path: &str) -> Vec<&'a Value> {
    let steps = path.split('.').filter(|step| !step.is_empty());
    steps.fold(vec![root], |values, step| {
        let key = step.trim_end_matches("[]");
        let lists = values.into_iter().filter_map(|value| value[key].as_array());
        lists.flatten().collect()
    })
}

#[test]
fn every_sample_of_a_configuration_passes_the_check() {
    let mut checked = 0;
    for name in files("config/samples") {
        let sample = format!("config/samples/{name}");
        if documents(&sample)
            .iter()
            .all(|object| object["kind"] != "ConfigMap")
        {
            continue;
        }
        let mut check = Command::new(env!("CARGO_BIN_EXE_loods"));
        let output = check.arg("check").arg(path(&sample)).output();
        let output = output.expect("the program runs");
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(0), "{said}");
        checked += 1;
    }
    assert!(checked >= 2, "only {checked} samples");
}

#[test]
fn every_key_has_a_value_where_it_belongs_and_a_word_beside_it() {
    let sample = configuration("configmap.yaml");
    let tree: Value = serde_yaml::from_str(&sample).expect("YAML");
    for section in KEYS {
        let places = at(&tree, section.path);
        for key in section.keys {
            let written = places.iter().any(|place| !place[*key].is_null());
            assert!(written, "{} has no `{key}` in the sample", section.path);
        }
    }
    // A comment beside or above most keys; names and lists explain themselves.
    let comments = sample.lines().filter(|line| line.contains('#')).count();
    assert!(comments >= 20, "{comments} comments");
}

#[test]
fn the_smallest_one_is_small_and_complete() {
    let sample = configuration("smallest.yaml");
    let parsed = config::parse(&sample).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(parsed.notes.len(), 0);
    assert_eq!(
        (parsed.config.peers.len(), parsed.config.pools.len()),
        (1, 1)
    );
    // Without any line of it something is missing.
    for gone in 0..sample.lines().count() {
        let mut lines: Vec<&str> = sample.lines().collect();
        let line = lines.remove(gone);
        let less = config::parse(&(lines.join("\n") + "\n"));
        let worse = less.is_err_and(|errors| !errors.findings.is_empty());
        assert!(worse, "the sample is good without {line:?}");
    }
}

fn services() -> Vec<ServiceFact> {
    let objects = documents("config/samples/services.yaml");
    let facts = objects.iter().map(|object| {
        assert_eq!(object["kind"], "Service");
        let fact = Services.fact(&object.to_string()).expect("a Service");
        fact.expect("of interest")
    });
    facts.collect()
}

#[test]
fn every_annotation_is_shown_once_and_is_understood() {
    let sample = text("config/samples/services.yaml");
    let of_metallb = ["address-pool", "loadBalancerIPs", "allow-shared-ip"];
    for word in of_metallb {
        assert!(
            sample.contains(&format!("    metallb.io/{word}: ")),
            "{word}"
        );
    }
    for ours in [TERMINATING, REASSIGN] {
        assert!(sample.contains(&format!("    {ours}: ")), "{ours}");
    }
    assert!(!sample.contains(ORPHAN_ATTRIBUTES), "the allocator's own");
    let facts = services();
    let by_name = |name: &str| {
        let mut found = facts.iter().filter(|fact| fact.key.name() == name);
        found.next().unwrap_or_else(|| panic!("no Service {name}"))
    };
    assert_eq!(by_name("from-a-pool").asks.pool.as_deref(), Some("public"));
    let asked = ask::want(by_name("these-addresses")).expect("it is understood");
    assert_eq!(asked.addresses.len(), 2);
    let sharers = ["dns-udp", "dns-tcp"].map(|name| Terms::of(by_name(name)));
    assert_eq!(sharers[0].conflict(&sharers[1]), None);
    let keep = by_name("long-farewell").asks.terminating.as_deref();
    assert_eq!(keep, Some("keep"));
    let moves = by_name("may-move").asks.reassign.as_deref();
    assert_eq!(moves, Some("true"));
    let class = by_name("of-another").class.as_deref();
    assert_eq!(class, Some("example.com/other"));
}

#[test]
fn every_annotation_is_in_the_document_of_services() {
    let document = text("docs/services.md");
    for word in ["address-pool", "loadBalancerIPs", "allow-shared-ip"] {
        let row = format!("| `metallb.io/{word}` |");
        assert!(document.contains(&row), "{word}");
    }
    for ours in [TERMINATING, REASSIGN] {
        assert!(document.contains(&format!("| `{ours}` |")), "{ours}");
    }
    for shown in [ORPHAN_ATTRIBUTES, ALLOCATED] {
        assert!(document.contains(&format!("`{shown}`")), "{shown}");
    }
}
