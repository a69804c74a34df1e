//! YAML text to a small tree that knows where everything stood.
//!
//! It keeps scalars raw, as they were written: whether `yes` is a boolean is
//! for the field to say, not for YAML. It keeps duplicate keys, so that a reader
//! can name both places. It resolves anchors, aliases and merge keys (`<<`).
//!
//! It is bounded in everything a text can grow: bytes, depth, and nodes counted
//! after aliases are followed, so that an alias bomb is refused while it is read.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::rc::Rc;

use granit_parser::{ErrorKind, Event, Parser, ScalarStyle, ScanError, Span};

/// What the API server allows in one ConfigMap.
const MAX_BYTES: usize = 1 << 20;
/// The deepest key that we know stands at depth 9.
const MAX_DEPTH: u32 = 64;
/// After aliases are followed.
const MAX_NODES: u32 = 200_000;

/// A place in the text: line and column in characters, both from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Mark {
    pub line: u32,
    pub column: u32,
}

/// One value with the place of its definition.
#[derive(Debug)]
pub(super) struct Node {
    pub value: Value,
    pub mark: Mark,
    /// Bytes of the text that it was read from.
    pub bytes: Range<usize>,
    /// Nodes in it, itself included, aliases followed.
    weight: u32,
    depth: u32,
}

#[derive(Debug)]
pub(super) enum Value {
    Scalar(Scalar),
    List(Vec<Rc<Node>>),
    /// As written, duplicates kept; entries that came by `<<` follow.
    Map(Vec<Entry>),
}

#[derive(Debug)]
pub(super) struct Scalar {
    pub text: Box<str>,
    pub style: Style,
}

/// How a scalar was written, as far as its meaning depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// May be a number, a boolean or null.
    Plain,
    /// Text by quotes or by a `!!str` tag.
    Quoted,
    /// `|`: one line of the source for one line of the text.
    Literal,
}

#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub key: Rc<Node>,
    pub value: Rc<Node>,
}

/// Why the text is no YAML that we read. The message holds nothing of the text.
#[derive(Debug)]
pub(super) struct Broken {
    pub mark: Mark,
    pub byte: usize,
    pub problem: String,
    pub mend: &'static str,
}

/// One document of a stream; `None` stands for an empty one.
pub(super) type Document = Option<Rc<Node>>;

impl Node {
    /// A value that was not read, at a place.
    pub fn leaf(value: Value, mark: Mark) -> Self {
        Self {
            value,
            mark,
            bytes: 0..0,
            weight: 1,
            depth: 1,
        }
    }

    /// The raw text of a scalar.
    pub fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar(scalar) => Some(&scalar.text),
            _ => None,
        }
    }

    /// YAML's null: nothing, `~` or `null`, not in quotes.
    pub fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar(Scalar { text, style: Style::Plain })
            if matches!(&**text, "" | "~" | "null" | "Null" | "NULL"))
    }

    /// The bytes to point at: all of a scalar, the beginning of anything else.
    pub fn focus(&self) -> Range<usize> {
        match &self.value {
            Value::Scalar(_) => self.bytes.clone(),
            Value::List(_) => self.bytes.start..self.bytes.start,
            Value::Map(entries) => match entries.first() {
                Some(entry) if entry.key.bytes.start == self.bytes.start => entry.key.bytes.clone(),
                _ => self.bytes.start..self.bytes.start,
            },
        }
    }

    /// What a person would call it.
    pub fn kind(&self) -> &'static str {
        match &self.value {
            Value::Scalar(_) if self.is_null() => "nothing",
            Value::Scalar(_) => "a single value",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }
}

/// Reads at most `limit` documents; `more` says that something follows.
pub(super) struct Stream {
    pub documents: Vec<Document>,
    /// Where the first document that was not read begins.
    pub more: Option<Mark>,
}

/// Reads the first `limit` documents of a text.
pub(super) fn read(text: &str, limit: usize) -> Result<Stream, Broken> {
    if text.len() > MAX_BYTES {
        return Err(Broken {
            mark: Mark { line: 1, column: 1 },
            byte: 0,
            problem: format!("has {} bytes, over the limit of {MAX_BYTES}", text.len()),
            mend: "split it: a ConfigMap cannot hold more either",
        });
    }
    refuse_control_characters(text)?;
    let mut builder = Builder::default();
    let mut options = granit_parser::options! {
        block_scalar_eof_without_line_feed: true,
        flow_nesting_limit: MAX_DEPTH as usize,
        block_nesting_limit: MAX_DEPTH as usize,
    };
    options.set_emit_comments(false);
    let mut parser = Parser::new_from_str_with_options(text, options);
    let mut documents = Vec::new();
    let mut more = None;
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|error| broken(&error))?;
        match event {
            Event::DocumentStart(..) if documents.len() == limit => {
                more = Some(mark(&span));
                break;
            }
            Event::DocumentEnd => documents.push(builder.finish()),
            Event::StreamEnd => break,
            event => builder.add(event, &span)?,
        }
    }
    Ok(Stream { documents, more })
}

/// YAML 1.2 §5.1 names the characters a text may hold; libyaml refuses the others too.
fn refuse_control_characters(text: &str) -> Result<(), Broken> {
    let allowed = |c: char| !c.is_control() || matches!(c, '\t' | '\n' | '\r' | '\u{85}');
    let Some((byte, bad)) = text.char_indices().find(|(_, c)| !allowed(*c)) else {
        return Ok(());
    };
    let before = text.get(..byte).unwrap_or_default();
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    let column = before.get(line_start..).unwrap_or_default().chars().count();
    Err(Broken {
        mark: Mark {
            line: number(before.matches('\n').count() + 1),
            column: number(column + 1),
        },
        byte,
        problem: format!("has the control character U+{:04X}", u32::from(bad)),
        mend: "a configuration is plain text: remove it",
    })
}

#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    root: Document,
    anchors: BTreeMap<usize, Rc<Node>>,
    /// Nodes so far, aliases followed.
    weight: u32,
}

/// A list or mapping whose end is not read yet.
struct Open {
    mark: Mark,
    start: usize,
    anchor: usize,
    body: Body,
}

enum Body {
    List(Vec<Rc<Node>>),
    Map(Vec<Entry>, Option<Rc<Node>>),
}

impl Builder {
    fn finish(&mut self) -> Document {
        self.anchors.clear();
        self.open.clear();
        self.root.take()
    }

    fn add(&mut self, event: Event<'_>, span: &Span) -> Result<(), Broken> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let style = match (style, tag) {
                    (_, Some(tag))
                        if tag.core_suffix() == Some("str") || tag.suffix().is_empty() =>
                    {
                        Style::Quoted
                    }
                    (_, Some(tag)) if !tag.is_yaml_core_schema() => {
                        return Err(at(
                            span,
                            "has a tag that is not known here",
                            "remove the tag",
                        ));
                    }
                    (ScalarStyle::Plain, _) => Style::Plain,
                    (ScalarStyle::Literal, _) => Style::Literal,
                    _ => Style::Quoted,
                };
                let text = text.into();
                let value = Value::Scalar(Scalar { text, style });
                self.place(value, mark(span), bytes(span), anchor, span)
            }
            Event::Alias(id) => {
                let node = self.anchors.get(&id).cloned();
                let node = node.ok_or_else(|| {
                    at(
                        span,
                        "is an alias of a value that holds it",
                        "write the value out",
                    )
                })?;
                let weight = node.weight;
                self.attach(node, weight, span)
            }
            Event::SequenceStart(_, anchor, _) => self.begin(Body::List(Vec::new()), anchor, span),
            Event::MappingStart(_, anchor, _) => {
                self.begin(Body::Map(Vec::new(), None), anchor, span)
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(span),
            _ => Ok(()),
        }
    }

    fn begin(&mut self, body: Body, anchor: usize, span: &Span) -> Result<(), Broken> {
        let start = bytes(span).start;
        let mark = mark(span);
        self.open.push(Open {
            mark,
            start,
            anchor,
            body,
        });
        Ok(())
    }

    fn end(&mut self, span: &Span) -> Result<(), Broken> {
        let Some(Open {
            mark,
            start,
            anchor,
            body,
        }) = self.open.pop()
        else {
            return Ok(());
        };
        let end = bytes(span).end.max(start);
        let value = match body {
            Body::List(items) => Value::List(items),
            Body::Map(entries, _) => Value::Map(self.merge(entries)?),
        };
        self.place(value, mark, start..end, anchor, span)
    }

    fn place(
        &mut self,
        value: Value,
        mark: Mark,
        bytes: Range<usize>,
        anchor: usize,
        span: &Span,
    ) -> Result<(), Broken> {
        let (weight, depth) = measure(&value);
        let node = Rc::new(Node {
            value,
            mark,
            bytes,
            weight,
            depth,
        });
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        self.attach(node, 1, span)
    }

    /// Puts a finished node into what is open, at the cost of `nodes`: one for
    /// what was written here, its whole weight for an alias. All growth passes here.
    fn attach(&mut self, node: Rc<Node>, nodes: u32, span: &Span) -> Result<(), Broken> {
        if self.open.len() + node.depth as usize > MAX_DEPTH as usize {
            return Err(at(
                span,
                "is nested too deep",
                "no key needs more than a few levels",
            ));
        }
        self.weight = self.weight.saturating_add(nodes);
        if self.weight > MAX_NODES {
            return Err(at(
                span,
                "has too many values, those behind aliases counted each time",
                "write fewer entries; one range can stand for many addresses",
            ));
        }
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open {
                body: Body::List(items),
                ..
            }) => items.push(node),
            Some(Open {
                body: Body::Map(entries, key),
                ..
            }) => match key.take() {
                None => *key = Some(node),
                Some(key) => entries.push(Entry { key, value: node }),
            },
        }
        Ok(())
    }

    /// Merge keys (YAML 1.1 `<<`): the entries of other mappings, where the
    /// mapping has no such key of its own.
    fn merge(&mut self, written: Vec<Entry>) -> Result<Vec<Entry>, Broken> {
        let is_merge = |entry: &Entry| matches!(&entry.key.value, Value::Scalar(Scalar { text, style: Style::Plain }) if &**text == "<<");
        if !written.iter().any(is_merge) {
            return Ok(written);
        }
        let (merges, mut entries): (Vec<_>, Vec<_>) = written.into_iter().partition(is_merge);
        let mut seen: BTreeSet<Box<str>> = entries.iter().filter_map(key_text).collect();
        for merge in &merges {
            let sources = match &merge.value.value {
                Value::List(items) => items.as_slice(),
                _ => std::slice::from_ref(&merge.value),
            };
            for source in sources {
                let Value::Map(more) = &source.value else {
                    return Err(Broken {
                        mark: merge.key.mark,
                        byte: merge.key.bytes.start,
                        problem: "merges something that is not a mapping".into(),
                        mend: "write `<<: *name`, where name is the anchor of a mapping",
                    });
                };
                for entry in more {
                    if key_text(entry).is_some_and(|key| seen.insert(key)) {
                        entries.push(entry.clone());
                    }
                }
            }
        }
        Ok(entries)
    }
}

fn key_text(entry: &Entry) -> Option<Box<str>> {
    entry.key.text().map(Into::into)
}

/// Weight and depth of a value from those of its parts.
fn measure(value: &Value) -> (u32, u32) {
    let fold = |(weight, depth): (u32, u32), node: &Rc<Node>| {
        (
            weight.saturating_add(node.weight),
            depth.max(node.depth + 1),
        )
    };
    match value {
        Value::Scalar(_) => (1, 1),
        Value::List(items) => items.iter().fold((1, 1), fold),
        Value::Map(entries) => {
            let parts = entries.iter().flat_map(|entry| [&entry.key, &entry.value]);
            parts.fold((1, 1), fold)
        }
    }
}

fn number(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

fn mark(span: &Span) -> Mark {
    Mark {
        line: number(span.start.line()),
        column: number(span.start.col() + 1),
    }
}

fn bytes(span: &Span) -> Range<usize> {
    let start = span.start.byte_offset().unwrap_or(0);
    start..span.end.byte_offset().unwrap_or(start).max(start)
}

fn at(span: &Span, problem: &str, mend: &'static str) -> Broken {
    Broken {
        mark: mark(span),
        byte: bytes(span).start,
        problem: problem.into(),
        mend,
    }
}

/// The scanner's verdict in words of ours: its own name characters of the text.
fn broken(error: &ScanError) -> Broken {
    use ErrorKind as E;
    let (problem, mend) = match error.kind() {
        E::UnknownAnchor => (
            "is an alias (`*name`) of no anchor",
            "quote the value if it begins with `*`; else write `&name` at the value meant",
        ),
        E::UnexpectedCharacter { .. } => (
            "begins with a character that YAML reserves",
            "put the value in quotes",
        ),
        E::TabNotAllowed
        | E::TabInBlockIndentation
        | E::TabInIndentation
        | E::TabAtBlockScalarStart
        | E::TabInPlainScalar => ("has a tab where YAML wants spaces", "indent with spaces"),
        E::UnclosedQuotedScalar | E::DocumentIndicatorInQuotedScalar => {
            ("has a quote that is not closed", "close the quote")
        }
        E::MismatchedFlowCollectionEnd { .. }
        | E::UnclosedFlowCollection { .. }
        | E::MisplacedFlowCollectionEnd
        | E::UnexpectedEofFlowMapping
        | E::UnexpectedEofFlowSequence
        | E::UnexpectedEofImplicitFlowMapping
        | E::ExpectedFlowMappingSeparator
        | E::ExpectedFlowSequenceSeparator => (
            "has brackets or braces that do not match",
            "close each `[` and `{`, and part entries by commas",
        ),
        E::MappingValueNotAllowed => (
            "has a `:` where no key can stand",
            "put a value that holds `: ` in quotes, and begin each key on a line of its own",
        ),
        E::SimpleKeyExpected | E::InvalidSimpleKey => (
            "has a line that is no `key: value`",
            "write a colon and a space after the key",
        ),
        E::ExpectedBlockMappingKey
        | E::ExpectedBlockSequenceEntry
        | E::InvalidIndentation
        | E::BlockSequenceEntryNotAllowed
        | E::InvalidQuotedScalarIndent
        | E::InvalidFlowScalarIndent
        | E::InvalidBlockScalarIndent => (
            "does not line up with the lines above",
            "indent the keys of one mapping, and the dashes of one list, alike",
        ),
        E::RecursionLimitExceeded => ("is nested too deep", "no key needs more than a few levels"),
        E::UnknownQuotedScalarEscape
        | E::InvalidQuotedScalarHexEscape
        | E::InvalidUnicodeEscape => (
            "has a backslash sequence that YAML does not know",
            "write two backslashes, or use single quotes",
        ),
        _ => {
            return Broken {
                problem: format!("is no valid YAML: {}", error.kind()),
                ..scan(
                    error,
                    "",
                    "see whether quotes, colons and indentation are right",
                )
            };
        }
    };
    scan(error, problem, mend)
}

fn scan(error: &ScanError, problem: &str, mend: &'static str) -> Broken {
    let span = Span::empty(*error.marker());
    at(&span, problem, mend)
}
