//! Which nodes are meant: Kubernetes label selectors, already checked.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A label selector: all of its terms must hold. No term: every node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector {
    /// `match-labels` and `match-expressions` together.
    pub terms: Vec<Term>,
}

/// One term of a [`Selector`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Term {
    /// The label has one of the values.
    In(Arc<str>, BTreeSet<Arc<str>>),
    /// The label is absent or has another value.
    NotIn(Arc<str>, BTreeSet<Arc<str>>),
    /// The label is there.
    Exists(Arc<str>),
    /// The label is not there.
    DoesNotExist(Arc<str>),
}

impl Selector {
    /// Whether a node with these labels is meant.
    pub fn matches(&self, labels: &BTreeMap<Box<str>, Box<str>>) -> bool {
        self.terms.iter().all(|term| term.matches(labels))
    }
}

impl Term {
    fn matches(&self, labels: &BTreeMap<Box<str>, Box<str>>) -> bool {
        match self {
            Term::In(key, values) => labels.get(&**key).is_some_and(|v| values.contains(&**v)),
            Term::NotIn(key, values) => labels.get(&**key).is_none_or(|v| !values.contains(&**v)),
            Term::Exists(key) => labels.contains_key(&**key),
            Term::DoesNotExist(key) => !labels.contains_key(&**key),
        }
    }
}
