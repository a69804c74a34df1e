//! The rule by table, and two candidates against one server by simulation.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn candidate(name: &str) -> Rule {
    Rule::new(name.into(), Timing::default())
}

fn held(holder: &str, version: &str) -> Record {
    Record {
        holder: (!holder.is_empty()).then(|| holder.into()),
        seconds: 15,
        renewed: 0,
        transitions: 3,
        version: version.into(),
    }
}

fn transitions(step: Step) -> Option<i32> {
    match step {
        Step::Wait => None,
        Step::Write(record) => Some(record.transitions),
    }
}

#[test]
fn a_lease_that_is_missing_or_released_is_taken_at_once() {
    let now = Instant::now();
    assert_eq!(transitions(candidate("a").read(now, None)), Some(0));
    assert_eq!(
        transitions(candidate("a").read(now, Some(held("", "1")))),
        Some(4)
    );
}

#[test]
fn a_holder_is_dead_when_nothing_changed_for_the_duration_in_the_record() {
    let now = Instant::now();
    let mut rule = candidate("a");
    assert_eq!(rule.read(now, Some(held("b", "1"))), Step::Wait);
    assert_eq!(
        rule.read(now + 14 * SECOND, Some(held("b", "1"))),
        Step::Wait
    );
    // Renewed in the last moment: the wait begins anew.
    assert_eq!(
        rule.read(now + 15 * SECOND, Some(held("b", "2"))),
        Step::Wait
    );
    assert_eq!(
        rule.read(now + 29 * SECOND, Some(held("b", "2"))),
        Step::Wait
    );
    assert_eq!(
        transitions(rule.read(now + 30 * SECOND, Some(held("b", "2")))),
        Some(4)
    );
    assert_eq!(rule.holder(), Some("b"));
}

#[test]
fn our_own_lease_is_renewed_and_counts_no_transition() {
    let now = Instant::now();
    let mut rule = candidate("a");
    assert_eq!(transitions(rule.read(now, Some(held("a", "1")))), Some(3));
    assert_eq!(
        rule.leads_until(now),
        None,
        "a name in the Lease is no leadership yet"
    );
}

#[test]
fn a_term_is_counted_from_when_the_write_was_sent() {
    let now = Instant::now();
    let mut rule = candidate("a");
    rule.read(now, None);
    rule.written(now, now + 9 * SECOND, held("a", "1"));
    assert_eq!(rule.leads_until(now + 9 * SECOND), Some(now + 10 * SECOND));
    assert_eq!(rule.leads_until(now + 10 * SECOND), None);
}

#[test]
fn another_name_in_the_lease_ends_the_term() {
    let now = Instant::now();
    let mut rule = candidate("a");
    rule.written(now, now, held("a", "1"));
    assert_eq!(rule.read(now + SECOND, Some(held("b", "2"))), Step::Wait);
    assert_eq!(rule.leads_until(now + SECOND), None);
    rule.written(now + SECOND, now + SECOND, held("a", "3"));
    assert!(matches!(rule.read(now + 2 * SECOND, None), Step::Write(_)));
    assert_eq!(
        rule.leads_until(now + 2 * SECOND),
        None,
        "a Lease that was deleted is anybody's"
    );
}

#[test]
fn only_our_own_lease_is_released() {
    let now = Instant::now();
    let mut rule = candidate("a");
    rule.written(now, now, held("a", "1"));
    let free = rule.release(&held("a", "1")).unwrap();
    assert_eq!((free.holder, free.seconds, free.transitions), (None, 1, 3));
    assert_eq!(rule.leads_until(now), None);
    assert_eq!(rule.release(&held("b", "1")), None);
}

#[test]
fn odd_durations_do_no_harm() {
    let now = Instant::now();
    for seconds in [i32::MIN, -1, 0] {
        let record = Record {
            seconds,
            ..held("b", "1")
        };
        assert!(
            matches!(candidate("a").read(now, Some(record)), Step::Write(_)),
            "{seconds}"
        );
    }
    let record = Record {
        seconds: i32::MAX,
        transitions: i32::MAX,
        ..held("b", "1")
    };
    assert_eq!(candidate("a").read(now, Some(record)), Step::Wait);
}

/// What the network does with one try of a candidate, in tenths of a second.
#[derive(Clone, Copy, Debug)]
struct Weather {
    /// Until the next try after this one began.
    pause: u64,
    /// From the server's answer to the candidate's next move.
    read: u64,
    /// From the write's start to the server.
    there: u64,
    /// From the server back.
    back: u64,
    read_lost: bool,
    /// The write lands, but the answer is lost.
    answer_lost: bool,
    write_lost: bool,
    /// Stops cleanly after this try, and starts again.
    stops: bool,
}

fn weather() -> impl Strategy<Value = Weather> {
    // Mostly calm; now and then a delay longer than all time-outs.
    let delay = || prop_oneof![6 => 0u64..10, 2 => 10u64..60, 1 => 60u64..400];
    let rarely = || prop::bool::weighted(0.1);
    (
        15u64..40,
        delay(),
        delay(),
        delay(),
        rarely(),
        rarely(),
        rarely(),
        rarely(),
    )
        .prop_map(
            |(pause, read, there, back, read_lost, answer_lost, write_lost, stops)| Weather {
                pause,
                read,
                there,
                back,
                read_lost,
                answer_lost,
                write_lost,
                stops,
            },
        )
}

/// Something that happens at a time.
#[derive(Clone, Debug)]
enum Happening {
    Try(usize),
    /// The answer to the read reaches the candidate.
    Read(usize, Option<Record>, Weather),
    /// A write reaches the server: over this version, sent then.
    Lands {
        who: usize,
        over: Option<Box<str>>,
        record: Record,
        sent: u64,
        weather: Weather,
    },
    Answer {
        who: usize,
        sent: u64,
        record: Record,
    },
}

/// One server, two candidates. A candidate waits for one answer at a time, but
/// at most 4 s, as the driver does; a write may land long after that.
struct World {
    base: Instant,
    agenda: BTreeMap<(u64, u64), Happening>,
    ordinal: u64,
    lease: Option<Record>,
    version: u64,
    rules: [Rule; 2],
    weather: [Vec<Weather>; 2],
}

impl World {
    fn at(&self, tenth: u64) -> Instant {
        self.base + Duration::from_millis(100 * tenth)
    }

    fn plan(&mut self, tenth: u64, what: Happening) {
        self.ordinal += 1;
        self.agenda.insert((tenth, self.ordinal), what);
    }

    fn happen(&mut self, tenth: u64, what: Happening) {
        let now = self.at(tenth);
        match what {
            Happening::Try(who) => {
                let Some(weather) = self.weather[who].pop() else {
                    return;
                };
                if weather.stops {
                    self.stop(who, tenth);
                } else if !weather.read_lost && weather.read < 40 {
                    let lease = self.lease.clone();
                    self.plan(tenth + weather.read, Happening::Read(who, lease, weather));
                }
                self.plan(
                    tenth + weather.pause.max(weather.read.min(40)),
                    Happening::Try(who),
                );
            }
            Happening::Read(who, found, weather) => {
                let over = found.as_ref().map(|record| record.version.clone());
                if let Step::Write(record) = self.rules[who].read(now, found)
                    && !weather.write_lost
                {
                    let lands = Happening::Lands {
                        who,
                        over,
                        record,
                        sent: tenth,
                        weather,
                    };
                    self.plan(tenth + weather.there, lands);
                }
            }
            Happening::Lands {
                who,
                over,
                record,
                sent,
                weather,
            } => {
                if self.lease.as_ref().map(|lease| lease.version.clone()) != over {
                    return;
                }
                self.put(record.clone());
                if !weather.answer_lost && weather.there + weather.back < 40 {
                    self.plan(
                        tenth + weather.back,
                        Happening::Answer { who, sent, record },
                    );
                }
            }
            Happening::Answer { who, sent, record } => {
                let sent = self.at(sent);
                self.rules[who].written(sent, now, record);
            }
        }
    }

    /// A clean stop, and a new process with a new name in its place.
    fn stop(&mut self, who: usize, tenth: u64) {
        if let Some(lease) = self.lease.clone()
            && self.rules[who].leads_until(self.at(tenth)).is_some()
            && let Some(free) = self.rules[who].release(&lease)
        {
            self.put(free);
        }
        self.agenda.retain(|_, what| !matches!(what, Happening::Read(of, ..) | Happening::Answer { who: of, .. } if *of == who));
        self.rules[who] = candidate(&format!("{who}-{tenth}"));
    }

    fn put(&mut self, record: Record) {
        self.version += 1;
        self.lease = Some(Record {
            version: self.version.to_string().into(),
            ..record
        });
    }

    /// Runs to the end; how many tenths each led.
    fn run(mut self) -> Result<[u64; 2], TestCaseError> {
        self.plan(0, Happening::Try(0));
        self.plan(3, Happening::Try(1));
        let mut led = [0, 0];
        let mut clock = 0;
        while let Some(((tenth, _), what)) = self.agenda.pop_first() {
            // Leadership only ends by itself in between: each tenth is looked at.
            while clock <= tenth {
                let now = self.at(clock);
                let leading = [0, 1].map(|who| self.rules[who].leads_until(now).is_some());
                prop_assert!(leading != [true, true], "two leaders at {}", clock);
                led[0] += u64::from(leading[0]);
                led[1] += u64::from(leading[1]);
                clock += 1;
            }
            self.happen(tenth, what);
            let now = self.at(tenth);
            let both = self
                .rules
                .iter()
                .all(|rule| rule.leads_until(now).is_some());
            prop_assert!(!both, "two leaders at {}", tenth);
        }
        Ok(led)
    }
}

fn world(first: Vec<Weather>, second: Vec<Weather>) -> World {
    World {
        base: Instant::now(),
        agenda: BTreeMap::new(),
        ordinal: 0,
        lease: None,
        version: 0,
        rules: [candidate("0"), candidate("1")],
        weather: [first, second],
    }
}

const CALM: Weather = Weather {
    pause: 20,
    read: 0,
    there: 0,
    back: 0,
    read_lost: false,
    answer_lost: false,
    write_lost: false,
    stops: false,
};

#[test]
fn in_calm_weather_the_first_one_leads_all_the_time() {
    let led = world(vec![CALM; 100], vec![CALM; 100]).run().unwrap();
    assert!(led[0] > 1900, "{led:?}");
    assert_eq!(led[1], 0);
}

#[test]
fn when_the_leader_falls_silent_the_other_one_takes_over() {
    // 10 s of life, then nothing; the other one needs 15 s and a try.
    let led = world(vec![CALM; 5], vec![CALM; 100]).run().unwrap();
    assert!((170..=190).contains(&led[0]), "{led:?}");
    assert!(led[1] > 1650, "{led:?}");
}

#[test]
fn the_simulation_would_see_two_leaders() {
    let mut world = world(vec![CALM; 5], vec![CALM; 100]);
    let timing = Timing {
        renew: 40 * SECOND,
        ..Timing::default()
    };
    world.rules = ["0", "1"].map(|name| Rule::new(name.into(), timing));
    assert!(world.run().unwrap_err().to_string().contains("two leaders"));
}

#[test]
fn after_a_clean_stop_the_other_one_needs_one_try() {
    let stop = Weather {
        stops: true,
        ..CALM
    };
    let led = world(vec![stop, CALM, CALM], vec![CALM; 50]).run().unwrap();
    assert!(led[1] > 900, "{led:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn there_are_never_two_leaders(
        first in prop::collection::vec(weather(), 1..80),
        second in prop::collection::vec(weather(), 1..80),
    ) {
        world(first, second).run()?;
    }
}
