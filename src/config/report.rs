//! Collects findings while the tree is read.
//!
//! It knows which values are secret before the first of them is read, and which
//! scalars may be shown in an excerpt.

use std::collections::BTreeSet;
use std::ops::Range;
use std::rc::Rc;

use super::excerpt::{self, Clearance};
use super::finding::{Errors, Finding, MAX_FINDINGS, Related};
use super::tree::{Broken, Node, Value};

/// Findings remembered before the first [`MAX_FINDINGS`] by place are chosen.
const MAX_DRAFTS: usize = 10_000;
/// Characters of a value that a message shows.
const MAX_SHOWN: usize = 60;

/// What is known about one text so far.
pub(super) struct Report<'t> {
    text: &'t str,
    roots: Vec<Rc<Node>>,
    /// Where a scalar that is, or is part of, a password begins.
    secrets: BTreeSet<usize>,
    cleared: Vec<Range<usize>>,
    errors: Drafts,
    notes: Drafts,
}

#[derive(Default)]
struct Drafts {
    kept: Vec<(Finding, Range<usize>)>,
    dropped: usize,
}

/// A finding about to be reported.
pub(super) struct Draft<'n> {
    pub node: &'n Node,
    pub path: &'n str,
    pub value: Option<String>,
    pub problem: String,
    pub mend: String,
    pub related: Option<Related>,
}

impl<'t> Report<'t> {
    pub fn new(text: &'t str, roots: Vec<Rc<Node>>) -> Self {
        let mut secrets = BTreeSet::new();
        for root in &roots {
            find_secrets(root, false, &mut secrets);
        }
        Self {
            text,
            roots,
            secrets,
            cleared: Vec::new(),
            errors: Drafts::default(),
            notes: Drafts::default(),
        }
    }

    /// Says that a scalar may be shown: it is a known key, or the value of one
    /// that is no secret.
    pub fn clear(&mut self, node: &Node) {
        if !self.is_secret(node) {
            self.cleared.push(node.bytes.clone());
        }
    }

    /// A scalar as a message may show it.
    pub fn show(&self, node: &Node) -> String {
        match node.text() {
            Some(_) if self.is_secret(node) => "***".into(),
            Some(text) => shorten(text),
            None => node.kind().into(),
        }
    }

    fn is_secret(&self, node: &Node) -> bool {
        self.secrets.contains(&node.bytes.start)
    }

    /// Whether a secret stands before this node with no other key on a line
    /// between them: the node may be the secret's own next line.
    pub fn follows_secret(&self, node: &Node) -> bool {
        let at = node.bytes.start;
        let Some(secret) = self.secrets.range(..at).next_back() else {
            return false;
        };
        let between = self.text.get(*secret..at).unwrap_or_default();
        let mut whole_lines = between.split('\n').skip(1).collect::<Vec<_>>();
        whole_lines.pop();
        !whole_lines.iter().any(|line| line.contains(':'))
    }

    pub fn error(&mut self, draft: Draft<'_>) {
        self.errors.add(draft);
    }

    pub fn note(&mut self, draft: Draft<'_>) {
        self.notes.add(draft);
    }

    /// The notes, or the errors if there is one.
    pub fn finish(mut self) -> Result<Vec<Finding>, Errors> {
        let errors = std::mem::take(&mut self.errors);
        let notes = std::mem::take(&mut self.notes);
        if errors.kept.is_empty() && notes.kept.is_empty() {
            return Ok(Vec::new());
        }
        let clearance = self.clearance();
        if errors.kept.is_empty() {
            Ok(notes.choose(self.text, &clearance).0)
        } else {
            let (findings, omitted) = errors.choose(self.text, &clearance);
            Err(Errors { findings, omitted })
        }
    }

    fn clearance(&mut self) -> Clearance {
        let mut cleared = std::mem::take(&mut self.cleared);
        sort(&mut cleared);
        let mut hidden = Vec::new();
        let known: BTreeSet<usize> = cleared.iter().map(|range| range.start).collect();
        for root in &self.roots {
            find_hidden(root, &known, &mut hidden);
        }
        sort(&mut hidden);
        Clearance { cleared, hidden }
    }
}

impl Drafts {
    fn add(&mut self, draft: Draft<'_>) {
        if self.kept.len() == MAX_DRAFTS {
            self.dropped += 1;
            return;
        }
        let Draft {
            node,
            path,
            value,
            problem,
            mend,
            related,
        } = draft;
        let finding = Finding {
            line: node.mark.line,
            column: node.mark.column,
            path: path.into(),
            value,
            problem,
            mend,
            related,
            excerpt: None,
        };
        self.kept.push((finding, node.focus()));
    }

    /// The first by place, and how many more there are.
    fn choose(mut self, text: &str, clearance: &Clearance) -> (Vec<Finding>, usize) {
        self.kept
            .sort_by_key(|(finding, _)| (finding.line, finding.column));
        // A value behind an alias is wrong once, wherever it is used.
        self.kept.dedup_by(|(a, _), (b, _)| {
            let same = |a: &Finding, b: &Finding| a.key() == b.key() && a.problem == b.problem;
            (a.line, a.column) == (b.line, b.column) && same(a, b)
        });
        let omitted = self.kept.len().saturating_sub(MAX_FINDINGS) + self.dropped;
        let chosen = self.kept.into_iter().take(MAX_FINDINGS);
        let findings = chosen.map(|(mut finding, bytes)| {
            finding.excerpt = excerpt::of(text, &bytes, clearance);
            finding
        });
        (findings.collect(), omitted)
    }
}

/// The errors of a text that is no YAML.
pub(super) fn broken(text: &str, broken: Broken) -> Errors {
    let finding = Finding {
        line: broken.mark.line,
        column: broken.mark.column,
        path: String::new(),
        value: None,
        problem: broken.problem,
        mend: broken.mend.into(),
        related: None,
        excerpt: excerpt::of_broken(text, broken.byte),
    };
    Errors {
        findings: vec![finding],
        omitted: 0,
    }
}

/// A value as one line of at most [`MAX_SHOWN`] characters.
fn shorten(text: &str) -> String {
    let mut out: String = text
        .chars()
        .take(MAX_SHOWN)
        .flat_map(char::escape_debug)
        .collect();
    if text.chars().nth(MAX_SHOWN).is_some() {
        out.push('…');
    }
    out
}

/// Whatever stands under a key `password`, wherever that is.
fn find_secrets(node: &Node, inside: bool, secrets: &mut BTreeSet<usize>) {
    match &node.value {
        Value::Scalar(_) if inside && !node.bytes.is_empty() => {
            secrets.insert(node.bytes.start);
        }
        Value::Scalar(_) => {}
        Value::List(items) => {
            for item in items {
                find_secrets(item, inside, secrets);
            }
        }
        Value::Map(entries) => {
            for entry in entries {
                find_secrets(&entry.key, inside, secrets);
                find_secrets(&entry.value, inside || entry.is_password(), secrets);
            }
        }
    }
}

fn find_hidden(node: &Node, cleared: &BTreeSet<usize>, hidden: &mut Vec<Range<usize>>) {
    match &node.value {
        Value::Scalar(_) => {
            if !cleared.contains(&node.bytes.start) {
                hidden.push(node.bytes.clone());
            }
        }
        Value::List(items) => {
            for item in items {
                find_hidden(item, cleared, hidden);
            }
        }
        Value::Map(entries) => {
            for entry in entries {
                find_hidden(&entry.key, cleared, hidden);
                find_hidden(&entry.value, cleared, hidden);
            }
        }
    }
}

fn sort(ranges: &mut Vec<Range<usize>>) {
    ranges.retain(|range| !range.is_empty());
    ranges.sort_by_key(|range| (range.start, range.end));
    ranges.dedup();
}
