//! `node-selectors`: Kubernetes label selectors, with Kubernetes' own syntax rules.
//!
//! The rules are those of apimachinery's validation of label keys and values:
//! a selector that the API server would refuse can match no node.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::config::fields::Item;
use crate::config::keys;
use crate::config::report::Report;
use crate::config::scalar;
use crate::config::selector::{Selector, Term};

/// The list; an empty one is all nodes.
pub(super) fn selectors(item: &Item, report: &mut Report<'_>) -> Option<Vec<Selector>> {
    let items = item.list(report)?;
    let read: Vec<_> = items.iter().map(|item| selector(item, report)).collect();
    read.into_iter().collect()
}

fn selector(item: &Item, report: &mut Report<'_>) -> Option<Selector> {
    let fields = item.fields(report, &keys::NODE_SELECTOR)?;
    let labels = fields.optional(report, "match-labels", match_labels);
    let expressions = fields.optional(report, "match-expressions", |item, report| {
        let items = item.list(report)?;
        let read: Vec<_> = items.iter().map(|item| expression(item, report)).collect();
        read.into_iter().collect::<Option<Vec<_>>>()
    });
    let mut terms = labels?.unwrap_or_default();
    terms.extend(expressions?.unwrap_or_default());
    Some(Selector { terms })
}

fn match_labels(item: &Item, report: &mut Report<'_>) -> Option<Vec<Term>> {
    let entries = item.names(report)?;
    let term = |(key, value): (Item, Item)| {
        let name = label_key(&key, report);
        let value = label_value(&value, report);
        Some(Term::In(name?, BTreeSet::from([value?])))
    };
    let read: Vec<_> = entries.into_iter().map(term).collect();
    read.into_iter().collect()
}

fn expression(item: &Item, report: &mut Report<'_>) -> Option<Term> {
    let fields = item.fields(report, &keys::MATCH_EXPRESSION)?;
    let key = fields.required(report, "key", "write the label's name", label_key);
    let operator = fields.required(
        report,
        "operator",
        "write `In`, `NotIn`, `Exists` or `DoesNotExist`",
        |item, report| {
            let choices = [
                ("In", Operator::In),
                ("NotIn", Operator::NotIn),
                ("Exists", Operator::Exists),
                ("DoesNotExist", Operator::DoesNotExist),
            ];
            scalar::choice(item, report, &choices)
        },
    );
    let values = fields.optional(report, "values", |item, report| {
        let items = item.list(report)?;
        let read: Vec<_> = items.iter().map(|item| label_value(item, report)).collect();
        read.into_iter().collect::<Option<BTreeSet<_>>>()
    });
    let (key, operator, values) = (key?, operator?, values?.unwrap_or_default());
    let takes_values = matches!(operator, Operator::In | Operator::NotIn);
    if takes_values == values.is_empty() {
        let (problem, mend) = if takes_values {
            (
                "needs `values` for this operator",
                "write a list of values, or use `Exists`",
            )
        } else {
            (
                "takes no `values` with this operator",
                "remove `values`, or use `In` or `NotIn`",
            )
        };
        fields.item.blame(report, problem, mend);
        return None;
    }
    Some(match operator {
        Operator::In => Term::In(key, values),
        Operator::NotIn => Term::NotIn(key, values),
        Operator::Exists => Term::Exists(key),
        Operator::DoesNotExist => Term::DoesNotExist(key),
    })
}

#[derive(Clone, Copy)]
enum Operator {
    In,
    NotIn,
    Exists,
    DoesNotExist,
}

fn label_key(item: &Item, report: &mut Report<'_>) -> Option<Arc<str>> {
    let text = scalar::text(item, report)?;
    let good = match text.split_once('/') {
        Some((prefix, name)) => is_subdomain(prefix) && is_name(name),
        None => is_name(text),
    };
    if !good {
        item.refuse(
            report,
            "is not a label name",
            "write up to 63 letters, digits, `-`, `_` or `.`, with a letter or digit at both ends, \
             after a domain and `/` if the label has one",
        );
        return None;
    }
    Some(text.into())
}

fn label_value(item: &Item, report: &mut Report<'_>) -> Option<Arc<str>> {
    // A null here is the empty text, which is a good label value.
    let text = if item.node.is_null() {
        ""
    } else {
        scalar::text(item, report)?
    };
    if !text.is_empty() && !is_name(text) {
        item.refuse(
            report,
            "is not a label value",
            "write up to 63 letters, digits, `-`, `_` or `.`, with a letter or digit at both ends",
        );
        return None;
    }
    Some(text.into())
}

/// Qualified name without its prefix, and label value.
fn is_name(text: &str) -> bool {
    let edge = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_alphanumeric());
    let inner = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    text.len() <= 63
        && edge(text.bytes().next())
        && edge(text.bytes().next_back())
        && text.bytes().all(inner)
}

/// RFC 1123 subdomain.
fn is_subdomain(text: &str) -> bool {
    let edge = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let part = |part: &str| {
        edge(part.bytes().next()) && edge(part.bytes().next_back()) && part.bytes().all(inner)
    };
    text.len() <= 253 && text.split('.').all(part)
}
