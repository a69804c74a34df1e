//! Objects of one kind, as a watch and our own writes tell of them.

use std::collections::{BTreeMap, BTreeSet};

use crate::k8s::objects::{ClaimFact, ClaimKey, ClassFact, VolumeFact};
use crate::k8s::watch::Event;

/// An object that can lie on a shelf.
pub(super) trait Item {
    type Key: Clone + Ord;
    fn key(&self) -> Self::Key;
    fn version(&self) -> &str;
}

impl Item for ClaimFact {
    type Key = ClaimKey;
    fn key(&self) -> ClaimKey {
        self.key.clone()
    }
    fn version(&self) -> &str {
        &self.resource_version
    }
}

impl Item for VolumeFact {
    type Key = Box<str>;
    fn key(&self) -> Box<str> {
        self.name.clone()
    }
    fn version(&self) -> &str {
        &self.resource_version
    }
}

impl Item for ClassFact {
    type Key = Box<str>;
    fn key(&self) -> Box<str> {
        self.name.clone()
    }
    fn version(&self) -> &str {
        &self.resource_version
    }
}

/// The objects, and what a running list has named so far.
#[derive(Debug)]
pub(super) struct Shelf<T: Item> {
    items: BTreeMap<T::Key, T>,
    named: Option<BTreeSet<T::Key>>,
    /// A list has been complete once.
    pub(super) complete: bool,
    /// Versions of before and after do not compare.
    rewound: bool,
}

impl<T: Item> Default for Shelf<T> {
    fn default() -> Self {
        Self {
            items: BTreeMap::new(),
            named: None,
            complete: false,
            rewound: false,
        }
    }
}

impl<T: Item> Shelf<T> {
    /// Applies what a watch says; tells which objects changed, and how they were.
    pub(super) fn take(&mut self, event: Event<T, T::Key>) -> Vec<(T::Key, Option<T>)> {
        match event {
            Event::Rewound => self.rewound = true,
            Event::Begin => self.named = Some(BTreeSet::new()),
            Event::Apply(item) => {
                if let Some(named) = &mut self.named {
                    named.insert(item.key());
                }
                return self.put(item).into_iter().collect();
            }
            Event::Delete(key, version) => {
                // A write of ours may have told of a newer one of that name.
                let stays = self
                    .items
                    .get(&key)
                    .is_some_and(|item| is_older(&version, item.version()));
                if !stays {
                    let gone = self.items.remove(&key);
                    return gone.map(|item| (key, Some(item))).into_iter().collect();
                }
            }
            Event::End => {
                self.complete = true;
                self.rewound = false;
                let named = self.named.take().unwrap_or_default();
                let gone: Vec<T::Key> = self
                    .items
                    .keys()
                    .filter(|key| !named.contains(key))
                    .cloned()
                    .collect();
                let removed = gone
                    .into_iter()
                    .map(|key| (key.clone(), self.items.remove(&key)));
                return removed.collect();
            }
        }
        Vec::new()
    }

    /// Takes an object as it is now, unless a newer one is known.
    pub(super) fn put(&mut self, item: T) -> Option<(T::Key, Option<T>)> {
        let key = item.key();
        if let Some(known) = self.items.get(&key)
            && !self.rewound
            && is_older(item.version(), known.version())
        {
            return None;
        }
        let before = self.items.insert(key.clone(), item);
        Some((key, before))
    }

    /// Takes the answer to a change of an object. The watch may have told already
    /// that it is gone, and would not tell so again: then the answer is stale.
    pub(super) fn renew(&mut self, item: T) -> Option<(T::Key, Option<T>)> {
        match self.items.contains_key(&item.key()) {
            true => self.put(item),
            false => None,
        }
    }

    pub(super) fn find(&self, key: &T::Key) -> Option<&T> {
        self.items.get(key)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.items.values()
    }

    pub(super) fn retain(&mut self, keep: impl Fn(&T) -> bool) {
        self.items.retain(|_, item| keep(item));
    }
}

/// By the API's own rule since 1.35: versions are numbers that grow.
fn is_older(version: &str, known: &str) -> bool {
    match (version.parse::<u64>(), known.parse::<u64>()) {
        (Ok(version), Ok(known)) => version < known,
        _ => false,
    }
}
