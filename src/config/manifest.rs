//! Configurations inside files: ConfigMap manifests, several in one file, or
//! the bare text.
//!
//! What is found keeps its place, so that an error points into the file that the
//! user has open. Outside of the text this reader is as lenient as `kubectl`:
//! it looks for its ConfigMaps and leaves everything else alone, keys that are
//! written twice included (the last one counts).

use std::rc::Rc;

use super::configmap::{Parsed, parse};
use super::fields::Item;
use super::finding::{Errors, Finding};
use super::report::{self, Report};
use super::tree::{self, Limits, Mark, Node, Style, Value};

/// A file may hold many objects that are none of ours.
const LIMITS: Limits = Limits {
    bytes: 16 << 20,
    nodes: 2_000_000,
    documents: 10_000,
};

/// The key that Loods, like MetalLB, reads.
pub const KEY: &str = "config";

/// One configuration text of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// `metallb-system/config`, or nothing for a file that is the bare text.
    pub object: Option<String>,
    /// The text itself.
    pub text: String,
    place: Place,
}

/// How places in the text map to places in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// The text is the file.
    Same,
    /// A literal block: each of its lines is one of the file's.
    Block { first: u32, indent: u32 },
    /// Quoted or folded: only its beginning is known.
    Inside(Mark),
}

/// Finds the configurations of a file: the texts under `key` of its ConfigMaps,
/// or the whole file if it holds no Kubernetes objects.
///
/// # Errors
/// The file is no YAML, or holds objects but no such text.
pub fn read(file: &str, key: &str) -> Result<Vec<Text>, Errors> {
    let stream = tree::read(file, &LIMITS).map_err(|broken| report::broken(file, broken))?;
    let mut objects = Vec::new();
    for node in stream.documents.into_iter().flatten() {
        flatten_lists(node, &mut objects);
    }
    if objects.is_empty() {
        return Ok(vec![Text {
            object: None,
            text: file.to_owned(),
            place: Place::Same,
        }]);
    }
    let root = objects.first().cloned();
    let mut report = Report::new(file, objects.clone());
    let mut texts = Vec::new();
    let mut others = Vec::new();
    let mut wrong = false;
    for object in &objects {
        let Some(data) = data_of(object) else {
            continue;
        };
        match value(&data, key) {
            None => others.extend(names(&data)),
            Some(node) => match text(object, &node, file) {
                Some(text) => texts.push(text),
                None => {
                    wrong = true;
                    let problem = format!("is {}, where text is wanted", node.kind());
                    Item::new(node, format!("data.{key}")).blame(
                        &mut report,
                        problem,
                        format!("write `{key}: |` and the configuration below, indented"),
                    );
                }
            },
        }
    }
    if let (true, false, Some(root)) = (texts.is_empty(), wrong, root) {
        let mend = match others.is_empty() {
            true => format!("write a ConfigMap with `data:` and below it `{key}: |`"),
            false => {
                others.truncate(5);
                format!(
                    "move the text there; the keys found are {}",
                    others.join(", ")
                )
            }
        };
        let problem = format!("holds no ConfigMap with the key `{key}`");
        Item::new(root, String::new()).blame(&mut report, problem, mend);
    }
    report.finish().map(|_| texts)
}

impl Text {
    /// Reads the text; all places in the answer are places in the file.
    ///
    /// # Errors
    /// As [`parse`].
    pub fn parse(&self) -> Result<Parsed, Errors> {
        let moved = |mut finding: Finding| {
            self.place.shift(&mut finding);
            finding
        };
        match parse(&self.text) {
            Ok(Parsed { config, notes }) => Ok(Parsed {
                config,
                notes: notes.into_iter().map(moved).collect(),
            }),
            Err(Errors { findings, omitted }) => Err(Errors {
                findings: findings.into_iter().map(moved).collect(),
                omitted,
            }),
        }
    }
}

impl Place {
    fn shift(self, finding: &mut Finding) {
        if let Place::Inside(_) = self {
            let (line, column) = (finding.line, finding.column);
            finding
                .problem
                .push_str(&format!(" (line {line}, column {column} of the text)"));
        }
        (finding.line, finding.column) = self.of(finding.line, finding.column);
        if let Some(related) = &mut finding.related {
            (related.line, related.column) = self.of(related.line, related.column);
        }
    }

    fn of(self, line: u32, column: u32) -> (u32, u32) {
        match self {
            Place::Same => (line, column),
            Place::Block { first, indent } => (
                first.saturating_add(line.saturating_sub(1)),
                column.saturating_add(indent),
            ),
            Place::Inside(mark) => (mark.line, mark.column),
        }
    }
}

/// Objects have a kind; `kubectl get -o yaml` puts several into a `List`.
fn flatten_lists(node: Rc<Node>, objects: &mut Vec<Rc<Node>>) {
    let kind = value(&node, "kind");
    if kind.is_none() && value(&node, "apiVersion").is_none() {
        return;
    }
    let items = value(&node, "items").filter(|_| {
        let is_list = |kind: &str| kind.ends_with("List");
        kind.as_ref()
            .and_then(|kind| kind.text())
            .is_some_and(is_list)
    });
    match items.as_deref().map(|items| &items.value) {
        Some(Value::List(items)) => {
            objects.extend(
                items
                    .iter()
                    .filter(|item| value(item, "kind").is_some())
                    .cloned(),
            );
        }
        _ => objects.push(node),
    }
}

fn data_of(object: &Node) -> Option<Rc<Node>> {
    let kind = value(object, "kind")?;
    value(object, "data").filter(|_| kind.text() == Some("ConfigMap"))
}

/// The last value of a key.
fn value(node: &Node, key: &str) -> Option<Rc<Node>> {
    let Value::Map(entries) = &node.value else {
        return None;
    };
    let found = entries
        .iter()
        .rev()
        .find(|entry| entry.key.text() == Some(key));
    found.map(|entry| entry.value.clone())
}

fn names(data: &Node) -> Vec<String> {
    let Value::Map(entries) = &data.value else {
        return Vec::new();
    };
    let shown = entries.iter().filter_map(|entry| entry.key.text());
    shown
        .map(|key| format!("`{}`", key.escape_debug()))
        .collect()
}

fn text(object: &Node, node: &Node, file: &str) -> Option<Text> {
    let Value::Scalar(scalar) = &node.value else {
        return None;
    };
    let metadata = value(object, "metadata");
    let part = |key| {
        let node = value(metadata.as_deref()?, key)?;
        node.text().map(str::to_owned)
    };
    let name = part("name").unwrap_or_else(|| "(unnamed)".into());
    let object = match part("namespace") {
        Some(namespace) => format!("{namespace}/{name}"),
        None => name,
    };
    let place = match scalar.style {
        Style::Literal => block(node, &scalar.text, file),
        _ => None,
    };
    Some(Text {
        object: Some(object),
        text: scalar.text.to_string(),
        place: place.unwrap_or(Place::Inside(node.mark)),
    })
}

/// Where a literal block's content begins, and how deep it is indented: told by
/// its first line that is not blank.
fn block(node: &Node, text: &str, file: &str) -> Option<Place> {
    let not_blank = |line: &&str| !line.trim().is_empty();
    let (blank, content) = text.lines().enumerate().find(|(_, line)| not_blank(line))?;
    let head = file.get(..node.bytes.start)?;
    let start = head.rfind('\n').map_or(0, |at| at + 1);
    let lines = file.get(start..)?.lines().enumerate();
    let mut candidates = lines.filter(|(_, line)| not_blank(line));
    // The header line may be part of what the block was read from.
    let (skipped, source) =
        candidates.find(|(_, line)| line.trim_start() == content.trim_start())?;
    let indent = source
        .chars()
        .count()
        .checked_sub(content.chars().count())?;
    let number = |n: usize| u32::try_from(n).ok();
    let first = node.mark.line.checked_add(number(skipped)?)?;
    Some(Place::Block {
        first: first.checked_sub(number(blank)?)?,
        indent: number(indent)?,
    })
}
