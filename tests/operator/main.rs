//! What an operator reads and applies, held against the code: manifests,
//! samples and documents. No root, no cluster.

mod links;
mod manifests;
mod rfcs;
mod samples;
#[cfg(feature = "storage")]
mod storage;
mod storage_node;
mod troubleshooting;

use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

/// A file of this repository.
fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// Its text.
#[track_caller]
fn text(name: &str) -> String {
    fs::read_to_string(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The YAML documents of a file, none of them empty.
#[track_caller]
fn documents(name: &str) -> Vec<Value> {
    let documents: Vec<Value> =
        serde_yaml::from_multiple(&text(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert!(!documents.is_empty(), "{name} is empty");
    for document in &documents {
        assert!(document["kind"].is_string(), "{name}: {document}");
    }
    documents
}

/// The names of a folder's files, ordered.
#[track_caller]
fn files(folder: &str) -> Vec<String> {
    let entries = fs::read_dir(path(folder)).unwrap_or_else(|error| panic!("{folder}: {error}"));
    let names = entries.map(|entry| entry.expect("an entry").file_name());
    let mut names: Vec<String> = names
        .map(|name| name.into_string().expect("UTF-8"))
        .collect();
    names.sort();
    assert!(!names.is_empty(), "{folder} is empty");
    names
}
