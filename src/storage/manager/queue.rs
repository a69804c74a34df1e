//! Operations that are under way, and how those that ended did; pure.
//!
//! As Heketi has it: a client is told of an end once, then it is forgotten.

use std::collections::BTreeMap;

/// Operations at one time; one more is refused with 429.
pub(super) const MOST: usize = 8;
/// Ends that nobody asked for are kept up to so many.
const KEPT: usize = 1024;

/// How an operation ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// What it made is there.
    At(String),
    /// There is nothing to show.
    Done,
    /// It failed, with Heketi's status 500 and this text.
    Failed(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Entry {
    Running(&'static str),
    Ended(End),
}

/// What a client that asks is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// Nothing of this id is known, or its end was told.
    Unknown,
    /// It is under way.
    Pending,
    /// It ended; this is told once.
    Ended(End),
}

/// All operations.
#[derive(Debug, Default)]
pub(super) struct Queue {
    entries: BTreeMap<String, Entry>,
    /// Ids of ends, oldest first.
    ended: std::collections::VecDeque<String>,
}

impl Queue {
    /// Begins one, unless too many are under way.
    pub(super) fn begin(&mut self, id: String, kind: &'static str) -> bool {
        if self.running().count() >= MOST {
            return false;
        }
        self.entries.insert(id, Entry::Running(kind));
        true
    }

    /// Ids and kinds of those under way.
    pub(super) fn running(&self) -> impl Iterator<Item = (&str, &'static str)> {
        self.entries.iter().filter_map(|(id, entry)| match entry {
            Entry::Running(kind) => Some((&**id, *kind)),
            Entry::Ended(_) => None,
        })
    }

    /// One has ended.
    pub(super) fn end(&mut self, id: &str, end: End) {
        self.entries.insert(id.into(), Entry::Ended(end));
        self.ended.push_back(id.into());
        while self.ended.len() > KEPT {
            if let Some(oldest) = self.ended.pop_front() {
                self.entries.remove(&oldest);
            }
        }
    }

    /// What a client that asks about one is told.
    pub(super) fn ask(&mut self, id: &str) -> Told {
        match self.entries.get(id) {
            None => Told::Unknown,
            Some(Entry::Running(_)) => Told::Pending,
            Some(Entry::Ended(end)) => {
                let end = end.clone();
                self.entries.remove(id);
                self.ended.retain(|ended| ended != id);
                Told::Ended(end)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_told_once() {
        let mut queue = Queue::default();
        assert!(queue.begin("a".into(), "create"));
        assert_eq!(queue.ask("a"), Told::Pending);
        queue.end("a", End::Done);
        assert_eq!(queue.ask("a"), Told::Ended(End::Done));
        assert_eq!(queue.ask("a"), Told::Unknown);
    }

    #[test]
    fn eight_are_under_way_at_most_and_ends_do_not_count() {
        let mut queue = Queue::default();
        for n in 0..MOST {
            assert!(queue.begin(n.to_string(), "create"));
        }
        assert!(!queue.begin("more".into(), "create"));
        queue.end("0", End::Done);
        assert!(queue.begin("more".into(), "create"));
        assert_eq!(queue.running().count(), MOST);
    }

    #[test]
    fn ends_that_nobody_asks_for_do_not_pile_up() {
        let mut queue = Queue::default();
        for n in 0..KEPT + 10 {
            assert!(queue.begin(n.to_string(), "create"));
            queue.end(&n.to_string(), End::Done);
        }
        assert_eq!(queue.entries.len(), KEPT);
        assert_eq!(queue.ask("0"), Told::Unknown);
    }
}
