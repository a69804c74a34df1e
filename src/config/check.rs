//! `loods check`, without its input and output: files in, a report out.
//!
//! It is the same code that the daemon runs, so what passes here is accepted there.

use std::fmt::{self, Write as _};

use serde::Serialize;

use super::configmap::Parsed;
use super::finding::{Errors, Finding, Note};
use super::manifest;
use super::model::{Config, Pool};

/// What a check of several files has found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// No file has an error.
    pub ok: bool,
    /// One for each configuration, in the order given; a file may hold several.
    pub texts: Vec<CheckedText>,
}

/// One configuration, or a file in which none can be found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CheckedText {
    /// The file, as named by the caller.
    pub file: String,
    /// Namespace and name of the ConfigMap that holds the text.
    pub object: Option<String>,
    /// What it holds, if it has no error.
    pub summary: Option<Summary>,
    /// What is wrong, by place in the file.
    pub errors: Vec<Finding>,
    /// Errors that are not listed.
    pub omitted: usize,
    /// What is accepted, but worth saying.
    pub notes: Vec<Note>,
}

/// A configuration in figures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Routers.
    pub peers: usize,
    /// Pools.
    pub pools: usize,
    /// Addresses in all pools, up to 2^64 - 1.
    pub addresses: u64,
}

/// Checks files, each a name and its bytes. `key` is the ConfigMaps' key:
/// [`manifest::KEY`] unless the user says otherwise.
pub fn check<'f>(files: impl IntoIterator<Item = (&'f str, &'f [u8])>, key: &str) -> Checked {
    let mut texts = Vec::new();
    for (name, bytes) in files {
        check_file(name, bytes, key, &mut texts);
    }
    let ok = texts.iter().all(|text| text.errors.is_empty());
    Checked { ok, texts }
}

fn check_file(name: &str, bytes: &[u8], key: &str, out: &mut Vec<CheckedText>) {
    let found = match std::str::from_utf8(bytes) {
        Ok(file) => manifest::read(file, key),
        Err(error) => Err(not_text(bytes, error.valid_up_to())),
    };
    match found {
        Ok(texts) => out.extend(texts.into_iter().map(|text| {
            let result = text.parse();
            checked(name, text.object, result)
        })),
        Err(errors) => out.push(checked(name, None, Err(errors))),
    }
}

fn checked(name: &str, object: Option<String>, result: Result<Parsed, Errors>) -> CheckedText {
    let (summary, errors, omitted, notes) = match result {
        Ok(Parsed { config, notes }) => (Some(Summary::of(&config)), Vec::new(), 0, notes),
        Err(Errors { findings, omitted }) => (None, findings, omitted, Vec::new()),
    };
    CheckedText {
        file: name.to_owned(),
        object,
        summary,
        errors,
        omitted,
        notes,
    }
}

fn not_text(bytes: &[u8], at: usize) -> Errors {
    let before = String::from_utf8_lossy(bytes.get(..at).unwrap_or_default());
    let last = before.rsplit('\n').next().unwrap_or_default();
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    Errors {
        findings: vec![Finding {
            line: number(before.matches('\n').count() + 1),
            column: number(last.chars().count() + 1),
            path: String::new(),
            value: None,
            problem: "is not UTF-8".into(),
            mend: "save it as UTF-8; a configuration is plain text".into(),
            related: None,
            excerpt: None,
        }],
        omitted: 0,
    }
}

impl Summary {
    fn of(config: &Config) -> Self {
        let addresses = config.pools.iter().map(|pool| pool.size());
        Self {
            peers: config.peers.len(),
            pools: config.pools.len(),
            addresses: u64::try_from(addresses.fold(0, u128::saturating_add)).unwrap_or(u64::MAX),
        }
    }
}

impl Pool {
    /// Addresses in all ranges, those that `avoid-buggy-ips` skips included.
    fn size(&self) -> u128 {
        let sizes = self.ranges.iter().map(|range| range.size());
        sizes.fold(0, u128::saturating_add)
    }
}

/// As a compiler would print it.
impl fmt::Display for Checked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.texts.iter().try_for_each(|text| text.fmt(f))
    }
}

impl fmt::Display for CheckedText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for error in &self.errors {
            writeln!(f, "{}", error.render("error", &self.file))?;
        }
        if self.omitted > 0 {
            writeln!(f, "and {} more errors\n", self.omitted)?;
        }
        for note in &self.notes {
            writeln!(f, "{}", note.render("note", &self.file))?;
        }
        let mut name = self.file.clone();
        if let Some(object) = &self.object {
            write!(name, ": ConfigMap {object}")?;
        }
        match &self.summary {
            Some(Summary {
                peers,
                pools,
                addresses,
            }) => {
                let peers = count(*peers as u64, "peer", "peers");
                let pools = count(*pools as u64, "pool", "pools");
                // The count stops there, and an IPv6 pool soon passes it.
                let addresses = match *addresses {
                    u64::MAX => "more than 2^64 addresses".to_owned(),
                    addresses => count(addresses, "address", "addresses"),
                };
                writeln!(f, "{name}: good: {peers}, {pools}, {addresses}")
            }
            None => {
                let errors = self.errors.len() + self.omitted;
                writeln!(
                    f,
                    "{name}: bad: {}",
                    count(errors as u64, "error", "errors")
                )
            }
        }
    }
}

fn count(n: u64, one: &str, many: &str) -> String {
    let word = if n == 1 { one } else { many };
    format!("{n} {word}")
}
