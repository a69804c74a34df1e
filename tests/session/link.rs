//! The link: dials that take time or fail, two octet streams for each connection
//! that keep their order, connections that overtake each other, sides that freeze.
//!
//! Each side's driver obeys the contract in `loods::bgp::peer`: one connection by
//! each role, and nothing more is told of a connection that has ended.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use loods::bgp::peer::{Input, Output, Peer, PeerSettings, Role, State};
use loods::bgp::types::{Asn, Family, RouterId};
use loods::bgp::wire::message::Message;

pub fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

pub fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Settings of a side that has AS `local` and identifier 10.0.0.`id`.
pub fn settings(id: u8, local: u32, peer: u32) -> PeerSettings {
    PeerSettings {
        local_asn: Asn(local),
        peer_asn: Asn(peer),
        router_id: RouterId::new(Ipv4Addr::new(10, 0, 0, id)).expect("not zero"),
        hold_time: secs(90),
        keepalive_time: None,
        families: BTreeSet::from([Family::Ipv4]),
        dial: true,
        connect_timeout: PeerSettings::CONNECT_TIMEOUT,
    }
}

/// Numbers from a seed (xorshift), for the link's own choices.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x2545_F491_4F6C_DD1D) | 1)
    }

    /// Below `n`.
    pub fn roll(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % n
    }
}

/// 0 or 1.
pub type Side = usize;

/// What is under way.
#[derive(Debug)]
enum Event {
    /// The SYN of this side's dial arrives.
    Syn { from: Side, dial: u64 },
    /// The answer of the other side arrives; `None` refuses.
    Answer {
        to: Side,
        dial: u64,
        connection: Option<u64>,
    },
    /// A message arrives.
    Message {
        to: Side,
        connection: u64,
        message: Message,
    },
    /// The end of a connection arrives.
    End {
        to: Side,
        connection: u64,
        why: &'static str,
    },
}

/// One machine with its driver.
pub struct End {
    pub peer: Peer,
    /// Everything the machine asked for, with the time since the start.
    pub log: Vec<(Duration, Output)>,
    connections: BTreeMap<Role, u64>,
    dial: Option<u64>,
    /// Takes nothing and polls nothing; what arrives meanwhile is lost, as behind
    /// a network that drops everything.
    frozen: bool,
}

pub struct Link {
    pub ends: [End; 2],
    pub now: Instant,
    pub start: Instant,
    pub dice: Dice,
    /// The least and the most time that a message takes.
    pub delay: (Duration, Duration),
    /// Percent of dials that fail.
    pub refuse: u64,
    /// Nobody answers a SYN.
    pub deaf: bool,
    events: BTreeMap<(Instant, u64), Event>,
    /// When the last message of a connection towards a side arrives: streams keep order.
    latest: BTreeMap<(Side, u64), Instant>,
    sequence: u64,
}

impl Link {
    pub fn new(one: PeerSettings, other: PeerSettings, seed: u64) -> Self {
        let end = |settings, seed| End {
            peer: Peer::new(settings, seed),
            log: Vec::new(),
            connections: BTreeMap::new(),
            dial: None,
            frozen: false,
        };
        let now = Instant::now();
        Self {
            ends: [end(one, seed * 2), end(other, seed * 2 + 1)],
            now,
            start: now,
            dice: Dice::new(seed + 1),
            delay: (millis(1), millis(20)),
            refuse: 0,
            deaf: false,
            events: BTreeMap::new(),
            latest: BTreeMap::new(),
            sequence: 0,
        }
    }

    pub fn start_both(&mut self) {
        self.give(0, Input::Start);
        self.give(1, Input::Start);
    }

    pub fn give(&mut self, side: Side, input: Input) {
        let mut out = Vec::new();
        self.ends[side].peer.handle(input, self.now, &mut out);
        self.obey(side, out);
    }

    pub fn freeze(&mut self, side: Side, frozen: bool) {
        self.ends[side].frozen = frozen;
    }

    /// Cuts the connection that `side` has by `role`, for both sides.
    pub fn cut(&mut self, side: Side, role: Role) {
        if let Some(connection) = self.ends[side].connections.get(&role).copied() {
            for to in [0, 1] {
                self.later(to, connection, |to, connection| Event::End {
                    to,
                    connection,
                    why: "reset by the network",
                });
            }
        }
    }

    pub fn states(&self) -> [State; 2] {
        [0, 1].map(|side| self.ends[side].peer.state())
    }

    /// Runs for `span` of virtual time.
    pub fn run(&mut self, span: Duration) {
        let end = self.now + span;
        while self.step(end) {}
        self.now = end;
    }

    /// Runs until both sessions stand on one connection; says whether they do in time.
    pub fn converge(&mut self, within: Duration) -> bool {
        let end = self.now + within;
        loop {
            let agree = self.ends[0]
                .connections
                .values()
                .eq(self.ends[1].connections.values());
            let alone = self.ends[0].connections.len() == 1;
            if self.states() == [State::Established; 2] && agree && alone {
                return true;
            }
            if !self.step(end) {
                return false;
            }
        }
    }

    /// Does the next thing, if it comes before `end`.
    fn step(&mut self, end: Instant) -> bool {
        let event = self.events.keys().next().map(|(at, _)| *at);
        let timers = [0, 1].map(|side| {
            let end = &self.ends[side];
            (!end.frozen).then(|| end.peer.deadline()).flatten()
        });
        let Some(next) = timers.into_iter().flatten().chain(event).min() else {
            return false;
        };
        if next > end {
            return false;
        }
        // A thawed side finds its timers in the past.
        self.now = self.now.max(next);
        // What the socket holds is read before the timers.
        if event.is_some_and(|at| at <= self.now) {
            if let Some((_, event)) = self.events.pop_first() {
                self.happen(event);
            }
            return true;
        }
        for side in [0, 1] {
            if timers[side].is_some_and(|at| at <= self.now) {
                let mut out = Vec::new();
                let peer = &mut self.ends[side].peer;
                peer.poll(self.now, &mut out);
                let left = peer.deadline();
                assert!(left.is_none_or(|at| at > self.now), "poll left a due timer");
                self.obey(side, out);
            }
        }
        true
    }

    fn obey(&mut self, side: Side, outputs: Vec<Output>) {
        for output in outputs {
            self.ends[side]
                .log
                .push((self.now - self.start, output.clone()));
            match output {
                Output::Dial => {
                    assert!(self.ends[side].dial.is_none(), "a second dial at once");
                    assert!(!self.ends[side].connections.contains_key(&Role::Active));
                    let dial = self.number();
                    self.ends[side].dial = Some(dial);
                    let at = self.now + self.some_delay();
                    self.schedule(at, Event::Syn { from: side, dial });
                }
                Output::Send(role, message) => {
                    let connection = *self.ends[side]
                        .connections
                        .get(&role)
                        .expect("sends on a connection that stands");
                    let other = 1 - side;
                    if self.ends[other].frozen {
                        // Its window is shut, and stays so.
                        self.give_if_connected(side, role, Input::WriteBlocked(role));
                    } else {
                        self.later(other, connection, |to, connection| Event::Message {
                            to,
                            connection,
                            message,
                        });
                    }
                }
                Output::Close(role) => {
                    if role == Role::Active && self.ends[side].dial.take().is_some() {
                        continue;
                    }
                    if let Some(connection) = self.ends[side].connections.remove(&role) {
                        self.later(1 - side, connection, |to, connection| Event::End {
                            to,
                            connection,
                            why: "closed by the peer",
                        });
                    }
                }
                Output::Up(..) | Output::Down(_) | Output::Failed(_) | Output::Refresh(_) => {}
            }
        }
    }

    fn give_if_connected(&mut self, side: Side, role: Role, input: Input) {
        if self.ends[side].connections.contains_key(&role) {
            self.give(side, input);
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Syn { from, dial } => {
                let to = 1 - from;
                if self.deaf {
                    return;
                }
                let refused = self.dice.roll(100) < self.refuse
                    || self.ends[to].frozen
                    || self.ends[to].connections.contains_key(&Role::Passive);
                let connection = (!refused).then_some(dial);
                let at = self.now + self.some_delay();
                self.schedule(
                    at,
                    Event::Answer {
                        to: from,
                        dial,
                        connection,
                    },
                );
                if let Some(connection) = connection {
                    // Messages of this side come behind the answer.
                    self.latest.insert((from, connection), at);
                    self.ends[to].connections.insert(Role::Passive, connection);
                    self.give(to, Input::Connected(Role::Passive));
                }
            }
            Event::Answer {
                to,
                dial,
                connection,
            } => {
                if self.ends[to].dial != Some(dial) {
                    // Given up: the other side sees the connection reset.
                    if let Some(connection) = connection {
                        self.later(1 - to, connection, |to, connection| Event::End {
                            to,
                            connection,
                            why: "reset by the peer",
                        });
                    }
                    return;
                }
                self.ends[to].dial = None;
                match connection {
                    None => self.give(to, Input::ConnectFailed("refused".into())),
                    Some(connection) => {
                        self.ends[to].connections.insert(Role::Active, connection);
                        self.give(to, Input::Connected(Role::Active));
                    }
                }
            }
            Event::Message {
                to,
                connection,
                message,
            } => {
                if let Some(role) = self.role_of(to, connection)
                    && !self.ends[to].frozen
                {
                    self.give(to, Input::Received(role, Ok(message)));
                }
            }
            Event::End {
                to,
                connection,
                why,
            } => {
                if let Some(role) = self.role_of(to, connection)
                    && !self.ends[to].frozen
                {
                    self.ends[to].connections.remove(&role);
                    self.give(to, Input::Closed(role, why.into()));
                }
            }
        }
    }

    fn role_of(&self, side: Side, connection: u64) -> Option<Role> {
        let mut connections = self.ends[side].connections.iter();
        connections.find_map(|(role, number)| (*number == connection).then_some(*role))
    }

    /// Schedules behind everything that goes the same way on the same connection.
    fn later(&mut self, to: Side, connection: u64, event: impl FnOnce(Side, u64) -> Event) {
        let at = self.now + self.some_delay();
        let latest = self.latest.entry((to, connection)).or_insert(at);
        *latest = at.max(*latest);
        let at = *latest;
        self.schedule(at, event(to, connection));
    }

    fn some_delay(&mut self) -> Duration {
        let (least, most) = self.delay;
        let span = u64::try_from((most - least).as_micros()).expect("short");
        least + Duration::from_micros(self.dice.roll(span + 1))
    }

    fn schedule(&mut self, at: Instant, event: Event) {
        let number = self.number();
        self.events.insert((at, number), event);
    }

    fn number(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence
    }

    /// How often `side` asked for what `which` accepts.
    pub fn count(&self, side: Side, which: impl Fn(&Output) -> bool) -> usize {
        let log = self.ends[side].log.iter();
        log.filter(|(_, output)| which(output)).count()
    }
}
