//! YAML text to a small tree that knows where everything stood.
//!
//! It keeps scalars raw, as they were written: whether `yes` is a boolean is
//! for the field to say, not for YAML. It keeps duplicate keys, so that a reader
//! can name both places. It resolves anchors, aliases and merge keys (`<<`).
//!
//! It is bounded in everything a text can grow: bytes, depth, and nodes counted
//! after aliases are followed, so that an alias bomb is refused while it is read.

mod builder;
mod syntax;

use std::ops::Range;
use std::rc::Rc;

use granit_parser::{Event, Parser, Span};

use builder::Builder;

/// The deepest key that we know stands at depth 9.
const MAX_DEPTH: u32 = 64;

/// How much is read.
pub(super) struct Limits {
    pub bytes: usize,
    /// Values, after aliases are followed.
    pub nodes: u32,
    /// Reading ends after as many documents, without an error.
    pub documents: usize,
}

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
    /// Written with brackets or braces.
    pub flow: bool,
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

impl Entry {
    /// Whether the value is a password, also under a key such as `Password` or
    /// `peer_password`, which is wrong.
    pub fn is_password(&self) -> bool {
        let named = |key: &str| key.to_ascii_lowercase().contains("password");
        self.key.text().is_some_and(named)
    }
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

/// What was read of a text.
pub(super) struct Stream {
    pub documents: Vec<Document>,
    /// A nothing where the first document that was not read begins.
    pub more: Document,
}

/// Reads the documents of a text.
pub(super) fn read(text: &str, limits: &Limits) -> Result<Stream, Broken> {
    if text.len() > limits.bytes {
        return Err(Broken {
            mark: Mark { line: 1, column: 1 },
            byte: 0,
            problem: format!(
                "has {} bytes, over the limit of {}",
                text.len(),
                limits.bytes
            ),
            mend: "split it: a ConfigMap cannot hold more either",
        });
    }
    syntax::refuse_control_characters(text)?;
    let mut builder = Builder::new(limits.nodes);
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
        let (event, span) = event.map_err(|error| syntax::broken(&error))?;
        match event {
            Event::DocumentStart(..) if documents.len() == limits.documents => {
                let value = Value::Scalar(Scalar {
                    text: "".into(),
                    style: Style::Plain,
                });
                more = Some(Rc::new(Node {
                    value,
                    mark: mark(&span),
                    bytes: bytes(&span),
                    flow: false,
                    weight: 1,
                    depth: 1,
                }));
                break;
            }
            Event::DocumentEnd => documents.push(builder.finish()),
            Event::StreamEnd => break,
            event => builder.add(event, &span)?,
        }
    }
    Ok(Stream { documents, more })
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
