//! Each machine against a model of Heketi that loses, repeats and lies.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::storage::heketi::wire::VolumeInfo;

/// What goes wrong with one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    /// It never arrives.
    LoseRequest,
    /// It is done or begun, and the answer never arrives.
    LoseAnswer,
    /// An error of the server, and nothing is done.
    Error,
    /// An error of the server, although it is done to the end.
    ErrorAfter,
    /// What it begins fails in the end, and is undone.
    Fail,
    Busy,
    /// A page for a browser, though it is done.
    Page,
    /// It arrives twice; the second answer is seen.
    Repeat,
    /// The server was restarted before: ends of operations are forgotten.
    Restart,
    /// We are killed after it, and begin anew.
    Crash,
}

const FAULTS: [Fault; 11] = [
    Fault::None,
    Fault::LoseRequest,
    Fault::LoseAnswer,
    Fault::Error,
    Fault::ErrorAfter,
    Fault::Fail,
    Fault::Busy,
    Fault::Page,
    Fault::Repeat,
    Fault::Restart,
    Fault::Crash,
];

#[derive(Clone, Debug)]
enum Kind {
    Make,
    Remove,
    Grow(i64),
}

#[derive(Clone, Debug)]
struct Operation {
    kind: Kind,
    volume: usize,
    /// Requests until it ends.
    left: usize,
    fails: bool,
    ended: bool,
}

#[derive(Clone, Debug)]
struct Volume {
    cluster: usize,
    size: i64,
    /// Seen by others: not while it is being made.
    visible: bool,
    gone: bool,
}

/// One name in a server of some clusters.
#[derive(Clone, Debug)]
struct Server {
    volumes: Vec<Volume>,
    queue: BTreeMap<String, Operation>,
    /// Whether a cluster has room.
    room: Vec<bool>,
    /// Growing is guarded by the size that was read.
    guards: bool,
    /// Requests that an operation takes.
    slow: usize,
    next: usize,
}

impl Server {
    fn new(room: &[bool], guards: bool, slow: usize) -> Self {
        Self {
            volumes: Vec::new(),
            queue: BTreeMap::new(),
            room: room.to_vec(),
            guards,
            slow,
            next: 0,
        }
    }

    fn with_volume(mut self, size: i64) -> Self {
        self.volumes.push(Volume {
            cluster: 0,
            size,
            visible: true,
            gone: false,
        });
        self
    }

    fn there(&self) -> Vec<usize> {
        let there = self.volumes.iter().enumerate();
        there.filter(|(_, v)| !v.gone).map(|(at, _)| at).collect()
    }

    /// The volume as others see it.
    fn seen(&self) -> Outcome<VolumeInfo> {
        let seen = self.volumes.iter().enumerate();
        let mut seen = seen.filter(|(_, v)| !v.gone && v.visible);
        match seen.next() {
            None => Outcome::Absent,
            Some((at, volume)) => Outcome::Found(VolumeInfo {
                id: at.to_string(),
                size: volume.size,
                ..VolumeInfo::default()
            }),
        }
    }

    fn begin(&mut self, kind: Kind, volume: usize, fails: bool) -> Outcome<VolumeInfo> {
        self.next += 1;
        let path = format!("/queue/{}", self.next);
        let operation = Operation {
            kind,
            volume,
            left: self.slow,
            fails,
            ended: false,
        };
        self.queue.insert(path.clone(), operation);
        Outcome::Accepted(path.into())
    }

    /// Time goes on: every operation comes nearer to its end.
    fn tick(&mut self) {
        for operation in self.queue.values_mut().filter(|o| !o.ended) {
            if operation.left > 0 {
                operation.left -= 1;
                continue;
            }
            operation.ended = true;
            let volume = &mut self.volumes[operation.volume];
            match (&operation.kind, operation.fails) {
                (Kind::Make, false) => volume.visible = true,
                (Kind::Make, true) | (Kind::Remove, false) => volume.gone = true,
                (Kind::Grow(by), false) => volume.size += by,
                (_, true) => {}
            }
        }
    }

    fn finish(&mut self) {
        for _ in 0..=self.slow {
            self.tick();
        }
    }

    fn serve(&mut self, call: &Call, fails: bool) -> Outcome<VolumeInfo> {
        match call {
            Call::Find | Call::Read | Call::ReadAt(_) => self.seen(),
            Call::Operations => {
                let mut running = self.queue.values().filter(|o| !o.ended);
                Outcome::Running(running.any(|o| matches!(o.kind, Kind::Grow(_))))
            }
            Call::Make(cluster) => {
                let mut there = self.volumes.iter();
                if there.any(|v| !v.gone && v.cluster == *cluster) {
                    return refused(500, "Volume name 'a' already in use");
                }
                if !self.room[*cluster] {
                    return Outcome::Trouble(HeketiError::NoSpace {
                        asked: "POST /volumes".into(),
                        text: "No space".into(),
                    });
                }
                self.volumes.push(Volume {
                    cluster: *cluster,
                    size: 5,
                    visible: false,
                    gone: false,
                });
                self.begin(Kind::Make, self.volumes.len() - 1, fails)
            }
            Call::Remove => match self.there()[..] {
                [] => Outcome::Absent,
                [first, ..] => self.begin(Kind::Remove, first, fails),
            },
            Call::Grow { from, by } => match self.there()[..] {
                [] => Outcome::Absent,
                [first, ..] => {
                    // The guard holds against what is under way, too.
                    let under_way = self.queue.values().filter(|o| !o.ended);
                    let growing = under_way.clone().any(|o| matches!(o.kind, Kind::Grow(_)));
                    if self.guards && (growing || self.volumes[first].size != *from) {
                        return refused(409, "the volume has another size");
                    }
                    self.begin(Kind::Grow(*by), first, fails)
                }
            },
            Call::Poll(path) => {
                let Some(operation) = self.queue.get(&**path).cloned() else {
                    return Outcome::Absent;
                };
                if !operation.ended {
                    return Outcome::Pending;
                }
                // Told once.
                self.queue.remove(&**path);
                match operation.kind {
                    _ if operation.fails => refused(500, "Unable to execute command"),
                    Kind::Remove => Outcome::Nothing,
                    _ => Outcome::SeeOther(format!("/volumes/{}", operation.volume).into()),
                }
            }
        }
    }

    /// What comes of a call when this goes wrong; `None`: we are dead.
    fn ask(&mut self, call: &Call, fault: Fault) -> Option<Outcome<VolumeInfo>> {
        self.tick();
        let lost = || {
            Outcome::Trouble(HeketiError::Unreachable {
                asked: "…".into(),
                cause: "connection reset".into(),
            })
        };
        Some(match fault {
            Fault::None => self.serve(call, false),
            Fault::LoseRequest => lost(),
            Fault::LoseAnswer => {
                self.serve(call, false);
                lost()
            }
            Fault::Error => refused(500, "database is down"),
            Fault::ErrorAfter => {
                self.serve(call, false);
                self.finish();
                refused(500, "database is down")
            }
            Fault::Fail => self.serve(call, true),
            Fault::Busy => Outcome::Trouble(HeketiError::Busy {
                asked: "…".into(),
                text: "Server busy. Retry operation later.".into(),
                after: None,
            }),
            Fault::Page => {
                self.serve(call, false);
                Outcome::Trouble(HeketiError::Unreadable {
                    asked: "…".into(),
                    cause: "a page".into(),
                })
            }
            Fault::Repeat => {
                self.serve(call, false);
                self.serve(call, false)
            }
            Fault::Restart => {
                self.finish();
                self.queue.clear();
                self.serve(call, false)
            }
            Fault::Crash => {
                self.serve(call, false);
                return None;
            }
        })
    }
}

fn refused(status: u16, text: &str) -> Outcome<VolumeInfo> {
    Outcome::Trouble(HeketiError::Refused {
        asked: "…".into(),
        status,
        text: text.into(),
    })
}

/// Drives a machine as the client does; `Err(None)`: killed, or out of time.
fn drive<M: Machine<VolumeInfo>>(
    mut machine: M,
    server: &mut Server,
    faults: &mut impl Iterator<Item = Fault>,
    mut look: impl FnMut(&Server, &Call),
) -> Result<M::End, Option<HeketiError>> {
    let mut call = machine.begin();
    let mut slept = Duration::ZERO;
    for _ in 0..200 {
        let outcome = server.ask(&call, faults.next().unwrap_or(Fault::None));
        look(server, &call);
        match machine.next(outcome.ok_or(None)?) {
            Next::Done(end) => return Ok(end),
            Next::Failed(error) => return Err(Some(error)),
            Next::Ask(pause, next) => {
                slept += pause;
                call = next;
            }
        }
        if slept > Duration::from_secs(120) {
            return Err(machine.trouble().cloned());
        }
    }
    panic!("it goes on for ever, at {call:?}");
}

/// Anew after each failure, as the controller does, until nothing goes wrong.
fn insist<M: Machine<VolumeInfo>>(
    machine: impl Fn() -> M,
    server: &mut Server,
    faults: &[Fault],
    mut look: impl FnMut(&Server, &Call),
) -> M::End {
    let mut faults = faults.iter().copied();
    let mut healthy = 0;
    loop {
        let all_told = faults.len() == 0;
        match drive(machine(), server, &mut faults, &mut look) {
            Ok(end) => return end,
            // The end of what was begun in bad times may still be told.
            Err(error) if all_told && healthy > 2 => panic!("{error:?}, though nothing goes wrong"),
            Err(_) => healthy += usize::from(all_told),
        }
    }
}

fn faults(most: usize) -> impl Strategy<Value = Vec<Fault>> {
    prop::collection::vec(prop::sample::select(&FAULTS[..]), 0..most)
}

#[test]
fn whoever_makes_the_name_already_is_waited_for_longer_each_time() {
    let mut make = Make::new(1, Pauses::default());
    let mut pauses = Vec::new();
    for _ in 0..20 {
        let mut told = Vec::new();
        for outcome in [
            Outcome::Absent,
            Outcome::Accepted("/queue/1".into()),
            refused(500, "Volume name 'a' already in use"),
        ] {
            let Next::Ask(pause, _) = make.next(outcome) else {
                panic!("it ends");
            };
            told.push(pause.as_millis());
        }
        assert_eq!(told[..2], [0, 0]);
        pauses.push(told[2]);
    }
    assert_eq!(pauses[..4], [50, 62, 78, 97]);
    assert!(
        pauses.is_sorted() && pauses.ends_with(&[2000]),
        "{pauses:?}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn a_volume_is_made_once(faults in faults(14), slow in 0usize..6, first_has_room: bool) {
        let room = [first_has_room, true];
        let mut server = Server::new(&room, false, slow);
        let end = insist(|| Make::new(2, Pauses::default()), &mut server, &faults, |server, _| {
            assert!(server.there().len() <= 1, "a second volume: {server:?}");
        });
        server.finish();
        prop_assert_eq!(server.there(), [end.id.parse::<usize>().expect("an index")]);
    }

    #[test]
    fn a_volume_is_removed(faults in faults(14), slow in 0usize..6) {
        let mut server = Server::new(&[true], false, slow).with_volume(5);
        insist(|| Remove::new(Pauses::default()), &mut server, &faults, |_, _| {});
        server.finish();
        prop_assert_eq!(server.there(), [0usize; 0]);
    }

    #[test]
    fn a_volume_never_grows_beyond(faults in faults(14), slow in 0usize..6, guards: bool) {
        // A request that arrives twice is beyond anybody without the guard.
        let faults: Vec<Fault> = faults.into_iter().filter(|f| guards || *f != Fault::Repeat).collect();
        let mut server = Server::new(&[true], guards, slow).with_volume(5);
        let end = insist(|| Grow::new(8, Pauses::default()), &mut server, &faults, |server, _| {
            assert!(server.volumes[0].size <= 8, "too large: {server:?}");
        });
        server.finish();
        prop_assert_eq!((end.size, server.volumes[0].size), (8, 8));
    }
}

/// Every fault at every call of a run, alone and in pairs: what chance might miss.
#[test]
fn each_call_may_fail_in_each_way() {
    for (first, second) in pairs() {
        for at in 0..8 {
            for between in 0..3 {
                let mut faults = vec![Fault::None; at];
                faults.push(first);
                faults.extend(vec![Fault::None; between]);
                faults.push(second);

                let mut server = Server::new(&[false, true], false, 2);
                insist(
                    || Make::new(2, Pauses::default()),
                    &mut server,
                    &faults,
                    |_, _| {},
                );
                server.finish();
                assert_eq!(server.there().len(), 1, "{faults:?}");

                let mut server = Server::new(&[true], false, 2).with_volume(5);
                insist(
                    || Remove::new(Pauses::default()),
                    &mut server,
                    &faults,
                    |_, _| {},
                );
                server.finish();
                assert!(server.there().is_empty(), "{faults:?}");

                let mut server = Server::new(&[true], true, 2).with_volume(5);
                insist(
                    || Grow::new(8, Pauses::default()),
                    &mut server,
                    &faults,
                    |_, _| {},
                );
                server.finish();
                assert_eq!(server.volumes[0].size, 8, "{faults:?}");
            }
        }
    }
}

fn pairs() -> impl Iterator<Item = (Fault, Fault)> {
    let both = |first| FAULTS.into_iter().map(move |second| (first, second));
    FAULTS.into_iter().flat_map(both)
}

/// The calls of a run in which nothing goes wrong: no more than needed.
#[test]
fn a_good_run_is_short() {
    let calls = |machine: Make, mut server: Server| {
        let mut calls = Vec::new();
        let end = drive(machine, &mut server, &mut std::iter::empty(), |_, call| {
            calls.push(format!("{call:?}"));
        });
        end.expect("nothing goes wrong");
        calls
    };
    let make = || Make::new(1, Pauses::default());
    assert_eq!(
        calls(make(), Server::new(&[true], false, 0)),
        [
            "Find",
            "Make(0)",
            "Poll(\"/queue/1\")",
            "ReadAt(\"/volumes/0\")"
        ]
    );
    assert_eq!(
        calls(make(), Server::new(&[true], false, 0).with_volume(5)),
        ["Find"]
    );
}

#[test]
fn what_the_claim_is_to_blame_for_ends_at_once() {
    let mut make = Make::new(3, Pauses::default());
    assert_eq!(
        make.next(Outcome::<VolumeInfo>::Absent),
        Next::now(Call::Make(0))
    );
    let Outcome::Trouble(error) = refused(400, "Invalid replica value") else {
        unreachable!("it is trouble")
    };
    let next = make.next(Outcome::<VolumeInfo>::Trouble(error.clone()));
    assert_eq!(next, Next::Failed(error));
}

#[test]
fn a_full_server_is_full_after_its_last_cluster() {
    let mut server = Server::new(&[false, false], false, 1);
    let end = drive(
        Make::new(2, Pauses::default()),
        &mut server,
        &mut std::iter::empty(),
        |_, _| {},
    );
    let error = end.expect_err("no cluster has room").expect("it is told");
    assert_eq!(error.kind(), "noSpace");
}

#[test]
fn a_busy_server_is_waited_for_as_it_says_within_reason() {
    let mut patience = Patience::new(Pauses::default());
    let mut busy = |after: Option<u64>| {
        let error = HeketiError::Busy {
            asked: "…".into(),
            text: "Server busy.".into(),
            after: after.map(Duration::from_secs),
        };
        match patience.retry::<()>(error, Call::Find) {
            Next::Ask(pause, Call::Find) => pause.as_millis(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(
        [busy(None), busy(Some(5)), busy(Some(86_400))],
        [50, 5000, 16_000]
    );
}
