//! Events to nodes: where aliases are followed, merge keys resolved, and growth
//! is counted.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::rc::Rc;

use granit_parser::{Event, ScalarStyle, Span, StructureStyle};

use super::{
    Broken, Document, Entry, MAX_DEPTH, Mark, Node, Scalar, Style, Value, at, bytes, mark,
};

/// Nodes of the document that is being read.
pub(super) struct Builder {
    open: Vec<Open>,
    root: Document,
    anchors: BTreeMap<usize, Rc<Node>>,
    /// Nodes so far, aliases followed.
    weight: u32,
    limit: u32,
}

/// A list or mapping whose end is not read yet.
struct Open {
    origin: Origin,
    body: Body,
}

/// Where and how a value was written.
struct Origin {
    mark: Mark,
    bytes: Range<usize>,
    flow: bool,
    /// The anchor's number, zero if it has none.
    anchor: usize,
}

impl Origin {
    fn new(span: &Span, style: StructureStyle, anchor: usize) -> Self {
        Self {
            mark: mark(span),
            bytes: bytes(span),
            flow: style == StructureStyle::Flow,
            anchor,
        }
    }
}

enum Body {
    List(Vec<Rc<Node>>),
    Map(Vec<Entry>, Option<Rc<Node>>),
}

impl Builder {
    pub fn new(limit: u32) -> Self {
        Self {
            open: Vec::new(),
            root: None,
            anchors: BTreeMap::new(),
            weight: 0,
            limit,
        }
    }

    pub fn finish(&mut self) -> Document {
        self.anchors.clear();
        self.open.clear();
        self.root.take()
    }

    pub fn add(&mut self, event: Event<'_>, span: &Span) -> Result<(), Broken> {
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
                self.place(
                    value,
                    Origin::new(span, StructureStyle::Block, anchor),
                    span,
                )
            }
            Event::Alias(id) => {
                let node = self.anchors.get(&id).cloned();
                let node = node.ok_or_else(|| {
                    at(
                        span,
                        "has an alias of a value that holds it",
                        "write the value out",
                    )
                })?;
                let weight = node.weight;
                self.attach(node, weight, span)
            }
            Event::SequenceStart(style, anchor, _) => {
                self.begin(Body::List(Vec::new()), Origin::new(span, style, anchor))
            }
            Event::MappingStart(style, anchor, _) => self.begin(
                Body::Map(Vec::new(), None),
                Origin::new(span, style, anchor),
            ),
            Event::SequenceEnd | Event::MappingEnd => self.end(span),
            _ => Ok(()),
        }
    }

    fn begin(&mut self, body: Body, origin: Origin) -> Result<(), Broken> {
        self.open.push(Open { origin, body });
        Ok(())
    }

    fn end(&mut self, span: &Span) -> Result<(), Broken> {
        let Some(Open { mut origin, body }) = self.open.pop() else {
            return Ok(());
        };
        origin.bytes.end = bytes(span).end.max(origin.bytes.start);
        let value = match body {
            Body::List(items) => Value::List(items),
            Body::Map(entries, _) => Value::Map(self.merge(entries)?),
        };
        self.place(value, origin, span)
    }

    fn place(&mut self, value: Value, origin: Origin, span: &Span) -> Result<(), Broken> {
        let (weight, depth) = measure(&value);
        let Origin {
            mark,
            bytes,
            flow,
            anchor,
        } = origin;
        let node = Rc::new(Node {
            value,
            mark,
            bytes,
            flow,
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
        if self.weight > self.limit {
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
