//! A row of the table: one event, and what was lost in it.
//!
//! Rows are printed. `LOODS_RELIABILITY` names a file to which each is added as
//! a line of JSON; `tests/packets/reliability/table` makes the table of such
//! lines of several runs.

use crate::support::stream::Interval;
use serde_json::json;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;

/// What an event cost.
#[derive(Clone, Debug)]
pub struct Row {
    /// What happened, in the words of the table.
    pub event: &'static str,
    /// What the stream counted from just before it until some time after.
    pub seen: Interval,
}

impl Row {
    /// Writes it down.
    pub fn record(event: &'static str, seen: Interval) -> Row {
        let row = Row { event, seen };
        let line = json!({"event": event, "seen": row.seen.0});
        println!("{}", row.words());
        if let Some(path) = std::env::var_os("LOODS_RELIABILITY") {
            let mut file = File::options()
                .create(true)
                .append(true)
                .open(&path)
                .expect("LOODS_RELIABILITY names a file that can be written");
            writeln!(file, "{line}").expect("the row is written");
        }
        row
    }

    fn words(&self) -> String {
        let seen = &self.seen;
        let between = match (
            seen.0["new"]["first_loss_ms"].as_u64(),
            seen.0["new"]["last_loss_ms"].as_u64(),
        ) {
            (Some(first), Some(last)) => format!(" within {} ms", last - first),
            _ => String::new(),
        };
        format!(
            "{}: new connections lost {} of {} {:?}{between}; long ones broken {} of {} {}; slowest answer {} ms, p99 {} ms, {:.1} s",
            self.event,
            seen.lost(),
            seen.due(),
            seen.lost_by(),
            seen.broken(),
            seen.count("/long/wanted"),
            seen.0["long"]["broken_by"],
            seen.0["new"]["slowest_ms"],
            seen.0["new"]["p99_ms"],
            seen.0["seconds"].as_f64().unwrap_or_default(),
        )
    }

    /// The promise: no new connection was lost.
    ///
    /// One that is open in the very instant in which the router changes a route
    /// is a long connection for that instant: it may go on at a node that never
    /// saw its beginning, and is reset. At 500 a second of a millisecond each that
    /// is one in some changes, and nothing that a speaker does can prevent it. So
    /// up to one in a thousand may be *reset*, and not a single one may be
    /// refused, sent again or without an answer.
    #[track_caller]
    pub fn assert_no_new_lost(&self) {
        let mut lost = self.lost_on_the_way();
        let caught = lost.remove("reset").unwrap_or(0);
        let kept = lost.is_empty() && caught <= self.seen.due() / 1000;
        assert!(kept, "{}\n{}", self.words(), self.seen.0);
    }

    /// The promise where nothing on the way of a packet changes: no connection
    /// was lost, new or long.
    #[track_caller]
    pub fn assert_nothing_lost(&self) {
        let lost = (self.lost_on_the_way(), self.seen.broken());
        assert_eq!(
            lost,
            (BTreeMap::new(), 0),
            "{}\n{}",
            self.words(),
            self.seen.0
        );
    }

    /// What was lost, by kind, without what was only *late*: an answer that came,
    /// to a SYN that was not sent again, is late because the machine was busy with
    /// something else, and no route is to blame. The table counts it; here it is
    /// bounded, at one in fifty.
    #[track_caller]
    fn lost_on_the_way(&self) -> BTreeMap<String, u64> {
        let mut lost = self.seen.lost_by();
        let late = lost.remove("late").unwrap_or(0);
        assert!(
            late <= self.seen.due() / 50,
            "{}\n{}",
            self.words(),
            self.seen.0
        );
        lost
    }

    /// From the first lost connection to the last, in milliseconds.
    pub fn window(&self) -> u64 {
        let of = |name: &str| self.seen.0["new"][name].as_u64().unwrap_or(0);
        of("last_loss_ms") - of("first_loss_ms")
    }
}
