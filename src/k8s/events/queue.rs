//! Notices that wait, and how many one object may cause. Pure.
//!
//! A newer notice replaces a waiting one about the same object with the same
//! reason. Each object may cause a burst, then one a minute: an object that
//! flips for hours fills neither etcd nor `kubectl describe`. What is too much
//! is dropped and counted; the status and `/state` still tell the truth.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use super::Notice;
use crate::lb::event::EventKind;

/// Normal notices that may wait: some minutes' worth. Ten thousand Services
/// that get their addresses at once need no ten thousand Events.
const MOST_WAITING: usize = 2_048;
/// With warnings among them, so many: good news never crowds out bad.
const MOST_WITH_WARNINGS: usize = 2 * MOST_WAITING;
/// Objects whose rate is remembered.
const MOST_OBJECTS: usize = 8_192;
/// Notices in a row about one object.
const BURST: u32 = 10;
/// Then one in so long.
const INTERVAL: Duration = Duration::from_secs(60);

/// Object and reason.
type Key = (Box<str>, &'static str);

#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: BTreeMap<Key, Notice>,
    order: VecDeque<Key>,
    /// When each object's allowance is whole again.
    whole: BTreeMap<Box<str>, Instant>,
}

impl Queue {
    /// Adds a notice. False: it is dropped.
    #[must_use]
    pub(super) fn push(&mut self, notice: Notice, now: Instant) -> bool {
        let object = notice.regarding.id();
        let key = (object.clone(), notice.reason);
        if let Some(waiting) = self.waiting.get_mut(&key) {
            *waiting = notice;
            return true;
        }
        let most = match notice.kind {
            EventKind::Normal => MOST_WAITING,
            EventKind::Warning => MOST_WITH_WARNINGS,
        };
        if self.waiting.len() >= most || !self.allowed(object, now) {
            return false;
        }
        self.order.push_back(key.clone());
        self.waiting.insert(key, notice);
        true
    }

    /// The notice that waits longest.
    pub(super) fn pop(&mut self) -> Option<Notice> {
        let key = self.order.pop_front()?;
        self.waiting.remove(&key)
    }

    fn allowed(&mut self, object: Box<str>, now: Instant) -> bool {
        if self.whole.len() >= MOST_OBJECTS {
            self.whole.retain(|_, whole| *whole > now);
            if self.whole.len() >= MOST_OBJECTS {
                return false;
            }
        }
        let whole = self.whole.entry(object).or_insert(now);
        let next = (*whole).max(now) + INTERVAL;
        let allowed = next <= now + INTERVAL * BURST;
        if allowed {
            *whole = next;
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Notice, Regarding};
    use super::*;

    fn notice(name: &str, reason: &'static str, note: &str) -> Notice {
        let regarding = Regarding {
            kind: "Service",
            namespace: "d".into(),
            name: name.into(),
            uid: name.into(),
        };
        Notice {
            regarding,
            kind: EventKind::Normal,
            reason,
            note: note.into(),
        }
    }

    #[test]
    fn the_newest_of_a_kind_replaces_the_waiting_one_in_its_place() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        assert!(queue.push(notice("a", "IPAllocated", "1"), now));
        assert!(queue.push(notice("b", "IPAllocated", "2"), now));
        assert!(queue.push(notice("a", "AllocationFailed", "3"), now));
        assert!(queue.push(notice("a", "IPAllocated", "4"), now));
        let notes: Vec<String> = std::iter::from_fn(|| queue.pop())
            .map(|notice| notice.note)
            .collect();
        assert_eq!(notes, ["4", "2", "3"]);
    }

    #[test]
    fn an_object_that_flips_is_slowed_and_hinders_no_other() {
        let (mut queue, start) = (Queue::default(), Instant::now());
        let mut sent = 0;
        for second in 0..3600u64 {
            sent += u32::from(queue.push(
                notice("a", "IPAllocated", ""),
                start + Duration::from_secs(second),
            ));
            let _taken = queue.pop();
        }
        // The burst, and one a minute but for the first.
        assert!((BURST + 58..=BURST + 60).contains(&sent), "{sent}");
        assert!(queue.push(notice("b", "IPAllocated", ""), start));
    }

    #[test]
    fn the_number_that_wait_is_bounded() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        let taken = (0..MOST_WAITING + 5)
            .filter(|n| queue.push(notice(&n.to_string(), "r", ""), now))
            .count();
        assert_eq!(taken, MOST_WAITING);
        let warning = Notice {
            kind: EventKind::Warning,
            ..notice("last", "r", "")
        };
        assert!(queue.push(warning, now), "a warning still finds room");
    }
}
