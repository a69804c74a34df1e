//! Mappings and lists, read key by key.
//!
//! A reader is a function from an [`Item`] to `Option<T>`. `None` means that it
//! has told the [`Report`] why, so that the caller goes on with the next key and
//! all errors are found at once.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::finding::Related;
use super::keys::Section;
use super::report::{Draft, Report};
use super::tree::{Entry, Node, Value};

/// A value and the path to it.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub node: Rc<Node>,
    pub path: String,
}

/// The keys of one mapping, known to be of its section and written once.
pub(super) struct Fields {
    /// The mapping itself.
    pub item: Item,
    values: BTreeMap<&'static str, Item>,
}

impl Item {
    pub fn new(node: Rc<Node>, path: String) -> Self {
        Self { node, path }
    }

    /// Reports an error that shows the value.
    pub fn refuse(
        &self,
        report: &mut Report<'_>,
        problem: impl Into<String>,
        mend: impl Into<String>,
    ) {
        let value = Some(report.show(&self.node));
        report.error(self.draft(value, problem.into(), mend.into(), None));
    }

    /// Reports an error about the key or section, without a value.
    pub fn blame(
        &self,
        report: &mut Report<'_>,
        problem: impl Into<String>,
        mend: impl Into<String>,
    ) {
        report.error(self.draft(None, problem.into(), mend.into(), None));
    }

    /// Reports an error that another place has part in: `first` says what stands there.
    pub fn clash(
        &self,
        report: &mut Report<'_>,
        problem: impl Into<String>,
        mend: impl Into<String>,
        (first, what): (&Node, String),
    ) {
        let related = Related {
            line: first.mark.line,
            column: first.mark.column,
            what,
        };
        let value = self.node.text().map(|_| report.show(&self.node));
        report.error(self.draft(value, problem.into(), mend.into(), Some(related)));
    }

    /// Says something about a value that is accepted.
    pub fn note(
        &self,
        report: &mut Report<'_>,
        problem: impl Into<String>,
        mend: impl Into<String>,
    ) {
        let written = self.node.text().filter(|text| !text.is_empty());
        let value = written.map(|_| report.show(&self.node));
        report.note(self.draft(value, problem.into(), mend.into(), None));
    }

    fn draft(
        &self,
        value: Option<String>,
        problem: String,
        mend: String,
        related: Option<Related>,
    ) -> Draft<'_> {
        Draft {
            node: &self.node,
            path: &self.path,
            value,
            problem,
            mend,
            related,
        }
    }

    /// The items of a list; null is an empty one.
    pub fn list(&self, report: &mut Report<'_>) -> Option<Vec<Item>> {
        match &self.node.value {
            Value::List(items) => {
                let item = |(i, node): (usize, &Rc<Node>)| {
                    Item::new(node.clone(), format!("{}[{i}]", self.path))
                };
                Some(items.iter().enumerate().map(item).collect())
            }
            _ if self.node.is_null() => Some(Vec::new()),
            _ => {
                let problem = format!("is {}, where a list is wanted", self.node.kind());
                self.blame(
                    report,
                    problem,
                    "begin each entry on a line of its own with `- `",
                );
                None
            }
        }
    }

    /// The entries of a mapping with names of the user's own, in order; null is empty.
    pub fn names(&self, report: &mut Report<'_>) -> Option<Vec<(Item, Item)>> {
        let mut seen: BTreeMap<&str, &Rc<Node>> = BTreeMap::new();
        let mut out = Vec::new();
        let mut good = true;
        for Entry { key, value } in self.entries(report)? {
            let Some(name) = key.text() else {
                Item::new(key.clone(), self.path.clone()).blame(report, KEY_KIND, KEY_MEND);
                good = false;
                continue;
            };
            report.clear(key);
            let shown = report.show(key);
            let key_item = Item::new(key.clone(), format!("{}.{shown}", self.path));
            if let Some(first) = seen.get(name) {
                let related = (&***first, FIRST.to_owned());
                key_item.twice(report, related);
                good = false;
                continue;
            }
            seen.insert(name, key);
            let value = Item::new(value.clone(), key_item.path.clone());
            out.push((key_item, value));
        }
        good.then_some(out)
    }

    /// The keys of a section. Keys that are unknown or repeated are reported, and
    /// the others still come back, so that what is wrong in them is found too.
    pub fn fields(&self, report: &mut Report<'_>, section: &'static Section) -> Option<Fields> {
        let mut values = BTreeMap::new();
        let mut seen: BTreeMap<&'static str, &Rc<Node>> = BTreeMap::new();
        let entries = self.entries(report)?;
        // Between braces a password without quotes ends at its first comma.
        let braced = self.node.flow && entries.iter().any(Entry::is_password);
        // A block without an indented line is no password, but the next keys.
        let mut spilled = false;
        for entry in entries {
            let Entry { key, value } = entry;
            let Some(written) = key.text() else {
                Item::new(key.clone(), self.path.clone()).blame(report, KEY_KIND, KEY_MEND);
                continue;
            };
            let Some(known) = section.keys.iter().find(|known| **known == written) else {
                self.unknown(report, section, key, written, braced || spilled);
                continue;
            };
            spilled = entry.is_password();
            report.clear(key);
            let path = if self.path.is_empty() {
                (*known).to_owned()
            } else {
                format!("{}.{known}", self.path)
            };
            if let Some(first) = seen.insert(*known, key) {
                let related = (&**first, FIRST.to_owned());
                Item::new(key.clone(), path).twice(report, related);
                seen.insert(*known, first);
                continue;
            }
            values.insert(*known, Item::new(value.clone(), path));
        }
        Some(Fields {
            item: self.clone(),
            values,
        })
    }

    fn twice(&self, report: &mut Report<'_>, related: (&Node, String)) {
        let (first, what) = related;
        let related = Related {
            line: first.mark.line,
            column: first.mark.column,
            what,
        };
        report.error(self.draft(
            None,
            "is written twice".into(),
            "keep one of them".into(),
            Some(related),
        ));
    }

    /// `suspect` says that the key may be part of a password.
    fn unknown(
        &self,
        report: &mut Report<'_>,
        section: &Section,
        key: &Rc<Node>,
        written: &str,
        suspect: bool,
    ) {
        let suggestion = section.suggestion(written);
        let mend = match suggestion {
            Some(known) => format!("did you mean `{known}`?"),
            None => format!("remove it; known here are {}", section.keys.join(", ")),
        };
        // A password whose lines are indented wrongly goes on as keys.
        let suspect = suspect || report.follows_secret(key);
        let name = if is_word(written) && (suggestion.is_some() || !suspect) {
            report.clear(key);
            report.show(key)
        } else {
            "***".to_owned()
        };
        let path = if self.path.is_empty() {
            name
        } else {
            format!("{}.{name}", self.path)
        };
        Item::new(key.clone(), path).blame(report, "is not a known key", mend);
    }

    fn entries(&self, report: &mut Report<'_>) -> Option<&[Entry]> {
        match &self.node.value {
            Value::Map(entries) => Some(entries),
            _ if self.node.is_null() => Some(&[]),
            _ => {
                let problem = format!("is {}, where a mapping is wanted", self.node.kind());
                self.blame(report, problem, "write `key: value` lines");
                None
            }
        }
    }
}

/// Whether a key looks like one: not like `password:secret`, which lost its space.
fn is_word(key: &str) -> bool {
    let of_a_word = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let glued = key.len() > 8 && key.to_ascii_lowercase().starts_with("password");
    !glued && !key.is_empty() && key.len() <= 40 && key.chars().all(of_a_word)
}

const FIRST: &str = "the first one";
const KEY_KIND: &str = "has a list or mapping as a key";
const KEY_MEND: &str = "write a word before the colon";

impl Fields {
    /// A key's value; `None` if it is absent or null.
    pub fn item(&self, key: &'static str) -> Option<&Item> {
        self.values.get(key).filter(|item| !item.node.is_null())
    }

    /// `Some(None)`: not set. `None`: wrong, and reported.
    pub fn optional<T>(
        &self,
        report: &mut Report<'_>,
        key: &'static str,
        read: impl FnOnce(&Item, &mut Report<'_>) -> Option<T>,
    ) -> Option<Option<T>> {
        match self.item(key) {
            Some(item) => read(item, report).map(Some),
            None => Some(None),
        }
    }

    /// Like [`Fields::optional`], for scalars where `""` means not set, as it
    /// does for all of MetalLB's text keys.
    pub fn optional_text<T>(
        &self,
        report: &mut Report<'_>,
        key: &'static str,
        read: impl FnOnce(&Item, &mut Report<'_>) -> Option<T>,
    ) -> Option<Option<T>> {
        match self.item(key) {
            Some(item) if item.node.text() != Some("") => read(item, report).map(Some),
            _ => Some(None),
        }
    }

    /// A key that must be there; `mend` says what to write.
    pub fn required<T>(
        &self,
        report: &mut Report<'_>,
        key: &'static str,
        mend: &str,
        read: impl FnOnce(&Item, &mut Report<'_>) -> Option<T>,
    ) -> Option<T> {
        match self.item(key) {
            Some(item) if item.node.text() != Some("") => read(item, report),
            _ => {
                let path = format!("{}.{key}", self.item.path);
                let node = self
                    .values
                    .get(key)
                    .map_or(&self.item.node, |item| &item.node);
                if node.text().is_some() {
                    report.clear(node);
                }
                Item::new(node.clone(), path).blame(report, "is missing", mend);
                None
            }
        }
    }
}
