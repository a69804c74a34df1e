//! What became of the connections of one interval, counted, and the line of
//! JSON that tells it:
//!
//! ```json
//! {"name": "during", "seconds": 8.2,
//!  "new": {"due": 4100, "answered": 4099, "lost": 1, "lost_by": {"late": 1},
//!          "first_loss_ms": 310, "last_loss_ms": 310,
//!          "median_ms": 1, "p99_ms": 4, "slowest_ms": 17, "behind_ms": 2,
//!          "backends": {"whoami-a": 4099}},
//!  "long": {"wanted": 50, "open": 50, "broken": 3, "breaks": 3, "broken_by": {"reset": 3},
//!           "not_opened": 0, "echoes": 8200, "slowest_ms": 17, "backends": {"whoami-a": 8200}}}
//! ```
//!
//! `lost` is what a client suffers. `first_loss_ms` and `last_loss_ms` are
//! moments at which lost connections were due, from the beginning of the
//! interval. `behind_ms` is about this program alone: by how much it was at worst
//! late to start one. `broken` counts long connections, `breaks` each time that
//! one broke.

use crate::long::Change;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// In what way a connection failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Loss {
    /// A reset in answer to the SYN.
    Refused,
    /// A reset later on.
    Reset,
    /// Closed in good order, before the whole answer.
    Closed,
    /// ICMP: no way there.
    Unreachable,
    /// The answer came, after the limit: somebody was slow.
    Late,
    /// The answer came when the kernel had asked again, after a second: the first
    /// SYN was dropped.
    Retried,
    /// Nothing came as long as it was waited for.
    Timeout,
    /// An answer came that is not a whoami's, or of another pod than before.
    Wrong,
    /// This side had no port: a fault of the set-up, not of what is measured.
    NoPort,
    /// Another error of the socket.
    Other,
}

impl Loss {
    fn word(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Reset => "reset",
            Self::Closed => "closed",
            Self::Unreachable => "unreachable",
            Self::Late => "late",
            Self::Retried => "retried",
            Self::Timeout => "timeout",
            Self::Wrong => "wrong",
            Self::NoPort => "no_port",
            Self::Other => "other",
        }
    }
}

/// Something to be counted.
#[derive(Debug)]
pub enum Event {
    /// A new connection came to its end.
    New {
        /// When it was due, from the beginning of the interval.
        since: Duration,
        /// How late it was started.
        behind: Duration,
        /// From when it was due to its end.
        took: Duration,
        /// Who answered, or how it was lost.
        result: Result<String, Loss>,
    },
    /// Something happened to a long one.
    Long(Change),
}

/// How things stand when an interval ends.
#[derive(Clone, Copy, Debug)]
pub struct AtEnd {
    /// Long connections that are open.
    pub open: usize,
    /// How many should be.
    pub wanted: usize,
}

/// The count of one interval.
#[derive(Debug, Default)]
pub struct Tally {
    answered: BTreeMap<String, u64>,
    lost: BTreeMap<Loss, u64>,
    losses: Option<(Duration, Duration)>,
    /// Of answered ones, in whole milliseconds: how many took so long.
    times: BTreeMap<u64, u64>,
    behind: Duration,
    long: Long,
}

#[derive(Debug, Default)]
struct Long {
    broken: BTreeSet<usize>,
    broken_by: BTreeMap<Loss, u64>,
    not_opened: BTreeMap<Loss, u64>,
    echoes: BTreeMap<String, u64>,
    slowest: Duration,
}

impl Tally {
    /// Counts one event.
    pub fn count(&mut self, event: Event) {
        match event {
            Event::New {
                since,
                behind,
                took,
                result,
            } => {
                self.behind = self.behind.max(behind);
                match result {
                    Ok(hostname) => {
                        *self.answered.entry(hostname).or_default() += 1;
                        *self.times.entry(whole_ms(took)).or_default() += 1;
                    }
                    Err(loss) => {
                        *self.lost.entry(loss).or_default() += 1;
                        let (first, last) = self.losses.unwrap_or((since, since));
                        self.losses = Some((first.min(since), last.max(since)));
                    }
                }
            }
            Event::Long(change) => self.long.count(change),
        }
    }

    /// The line of JSON.
    pub fn line(&self, name: &str, lasted: Duration, state: AtEnd) -> Value {
        let answered: u64 = self.answered.values().sum();
        let lost: u64 = self.lost.values().sum();
        json!({
            "name": name,
            "seconds": lasted.as_secs_f64(),
            "new": {
                "due": answered + lost,
                "answered": answered,
                "lost": lost,
                "lost_by": words(&self.lost),
                "first_loss_ms": self.losses.map(|(first, _)| whole_ms(first)),
                "last_loss_ms": self.losses.map(|(_, last)| whole_ms(last)),
                "median_ms": self.quantile(50),
                "p99_ms": self.quantile(99),
                "slowest_ms": self.times.last_key_value().map(|(ms, _)| ms),
                "behind_ms": whole_ms(self.behind),
                "backends": self.answered,
            },
            "long": {
                "wanted": state.wanted,
                "open": state.open,
                "broken": self.long.broken.len(),
                "breaks": self.long.broken_by.values().sum::<u64>(),
                "broken_by": words(&self.long.broken_by),
                "not_opened": self.long.not_opened.values().sum::<u64>(),
                "not_opened_by": words(&self.long.not_opened),
                "echoes": self.long.echoes.values().sum::<u64>(),
                "slowest_ms": whole_ms(self.long.slowest),
                "backends": self.long.echoes,
            },
        })
    }

    /// The smallest time that `percent` of the answered ones did not exceed.
    fn quantile(&self, percent: u64) -> Option<u64> {
        let all: u64 = self.times.values().sum();
        let mut seen = 0;
        self.times.iter().find_map(|(ms, count)| {
            seen += count;
            (seen * 100 >= all * percent).then_some(*ms)
        })
    }
}

impl Long {
    fn count(&mut self, change: Change) {
        match change {
            Change::Opened => {}
            Change::NotOpened(loss) => *self.not_opened.entry(loss).or_default() += 1,
            Change::Echoed { hostname, took } => {
                *self.echoes.entry(hostname).or_default() += 1;
                self.slowest = self.slowest.max(took);
            }
            Change::Broken { number, loss } => {
                self.broken.insert(number);
                *self.broken_by.entry(loss).or_default() += 1;
            }
        }
    }
}

fn words(counts: &BTreeMap<Loss, u64>) -> BTreeMap<&'static str, u64> {
    counts
        .iter()
        .map(|(loss, count)| (loss.word(), *count))
        .collect()
}

fn whole_ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(since: u64, took: u64, result: Result<&str, Loss>) -> Event {
        Event::New {
            since: Duration::from_millis(since),
            behind: Duration::from_millis(1),
            took: Duration::from_millis(took),
            result: result.map(str::to_owned),
        }
    }

    #[test]
    fn every_connection_is_either_answered_or_lost_in_one_way() {
        let mut tally = Tally::default();
        tally.count(new(0, 5, Ok("a")));
        tally.count(new(2, 7, Ok("b")));
        tally.count(new(4, 0, Err(Loss::Refused)));
        tally.count(new(9, 900, Err(Loss::Late)));
        tally.count(new(6, 900, Err(Loss::Late)));
        let state = AtEnd { open: 2, wanted: 3 };
        let line = tally.line("x", Duration::from_millis(10), state);
        let new = &line["new"];
        assert_eq!(
            (&new["due"], &new["answered"], &new["lost"]),
            (&json!(5), &json!(2), &json!(3))
        );
        assert_eq!(new["lost_by"], json!({"refused": 1, "late": 2}));
        assert_eq!(new["backends"], json!({"a": 1, "b": 1}));
        assert_eq!(
            (&new["first_loss_ms"], &new["last_loss_ms"]),
            (&json!(4), &json!(9))
        );
        assert_eq!(
            (&new["median_ms"], &new["slowest_ms"]),
            (&json!(5), &json!(7))
        );
        assert_eq!(
            (&line["long"]["open"], &line["long"]["wanted"]),
            (&json!(2), &json!(3))
        );
    }

    #[test]
    fn a_long_connection_that_breaks_twice_is_one_that_broke() {
        let mut tally = Tally::default();
        for loss in [Loss::Reset, Loss::Closed] {
            tally.count(Event::Long(Change::Broken { number: 7, loss }));
        }
        let state = AtEnd { open: 0, wanted: 1 };
        let line = tally.line("x", Duration::ZERO, state);
        assert_eq!(
            (&line["long"]["broken"], &line["long"]["breaks"]),
            (&json!(1), &json!(2))
        );
    }
}
