//! Every state against every event (RFC 4271 §8.2.2), and the rules that one
//! machine can show alone. Two machines meet in `tests/session`.

use std::fmt::Write;
use std::net::Ipv4Addr;
use std::time::Duration;

use expect_test::expect_file;

use super::*;
use crate::bgp::types::{Asn, Family};
use crate::bgp::wire::message::{Capability, Open, Update};

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn settings() -> PeerSettings {
    PeerSettings {
        local_asn: Asn(64512),
        peer_asn: Asn(64512),
        router_id: RouterId::new(Ipv4Addr::new(10, 0, 0, 1)).unwrap(),
        hold_time: secs(90),
        keepalive_time: None,
        families: [Family::Ipv4].into(),
        dial: true,
        connect_timeout: PeerSettings::CONNECT_TIMEOUT,
    }
}

fn open() -> Open {
    Open {
        asn: Asn(64512),
        hold_time: 90,
        router_id: RouterId::new(Ipv4Addr::new(10, 0, 0, 2)).unwrap(),
        capabilities: vec![
            Capability::Multiprotocol(Family::Ipv4),
            Capability::RouteRefresh,
            Capability::FourOctetAs(Asn(64512)),
        ],
    }
}

/// A peer with its clock.
struct Bench {
    peer: Peer,
    now: Instant,
}

impl Bench {
    #[expect(
        clippy::disallowed_methods,
        reason = "an Instant can be had in no other way"
    )]
    fn new(settings: PeerSettings) -> Self {
        Self {
            peer: Peer::new(settings, 1),
            now: Instant::now(),
        }
    }

    fn give(&mut self, input: Input) -> Vec<Output> {
        let mut out = Vec::new();
        self.peer.handle(input, self.now, &mut out);
        out
    }

    fn receive(&mut self, message: Message) -> Vec<Output> {
        self.give(Input::Received(Role::Active, Ok(message)))
    }

    fn pass(&mut self, span: Duration) -> Vec<Output> {
        self.now += span;
        let mut out = Vec::new();
        self.peer.poll(self.now, &mut out);
        out
    }

    /// Lets time pass up to the next dial, and says how long that took.
    fn until_dial(&mut self) -> Duration {
        let at = self.peer.summary().next_dial.expect("a dial is due");
        let wait = at - self.now;
        assert!(self.pass(wait).contains(&Output::Dial));
        wait
    }

    fn in_state(state: State) -> Self {
        let mut bench = Self::new(settings());
        bench.bring_to(state);
        bench
    }

    fn bring_to(&mut self, state: State) {
        if state >= State::Active {
            self.give(Input::Start);
        }
        if state == State::Active {
            self.give(Input::ConnectFailed("refused".into()));
        }
        if state >= State::OpenSent {
            self.give(Input::Connected(Role::Active));
        }
        if state >= State::OpenConfirm {
            self.receive(Message::Open(open()));
        }
        if state >= State::Established {
            self.receive(Message::Keepalive);
        }
        assert_eq!(self.peer.state(), state);
    }
}

fn show(output: &Output) -> String {
    match output {
        Output::Dial => "dial".into(),
        Output::Send(role, Message::Open(_)) => format!("{role:?}: OPEN"),
        Output::Send(role, Message::Notification(n)) => {
            format!("{role:?}: NOTIFICATION {}/{}", n.code, n.subcode)
        }
        Output::Send(role, message) => format!("{role:?}: {message:?}"),
        Output::Close(role) => format!("{role:?}: close"),
        Output::Up(role, _) => format!("{role:?}: up"),
        Output::Down(reason) => format!("down ({reason})"),
        Output::Failed(reason) => format!("failed ({reason})"),
        Output::Refresh(family) => format!("refresh {family}"),
    }
}

#[test]
fn every_state_and_every_event() {
    type Event = Box<dyn Fn(&mut Bench) -> Vec<Output>>;
    fn input(input: Input) -> Event {
        Box::new(move |bench| bench.give(input.clone()))
    }
    fn message(message: Message) -> Event {
        input(Input::Received(Role::Active, Ok(message)))
    }
    let events: Vec<(&str, Event)> = vec![
        ("1, 3: Start", input(Input::Start)),
        ("2: Stop", input(Input::Stop("maintenance".into()))),
        (
            "9: ConnectRetryTimer, or the dial takes too long",
            Box::new(|bench| bench.pass(secs(10))),
        ),
        ("10: HoldTimer", Box::new(|bench| bench.pass(secs(240)))),
        ("11: KeepaliveTimer", Box::new(|bench| bench.pass(secs(30)))),
        (
            "29 (RFC 9687): SendHoldTimer",
            Box::new(|bench| {
                // The peer lives, since its KEEPALIVEs come, but it reads nothing.
                let mut out = bench.give(Input::WriteBlocked(Role::Active));
                for _ in 0..24 {
                    let connected = bench.peer.state() >= State::OpenConfirm;
                    bench.now += secs(20);
                    if connected {
                        out.extend(bench.receive(Message::Keepalive));
                    }
                }
                out.extend(bench.pass(Duration::ZERO));
                let keepalive = Output::Send(Role::Active, Message::Keepalive);
                out.retain(|output| *output != keepalive);
                out
            }),
        ),
        ("16: our TCP stands", input(Input::Connected(Role::Active))),
        (
            "17: the peer's TCP stands",
            input(Input::Connected(Role::Passive)),
        ),
        (
            "18: TCP fails, dial",
            input(Input::ConnectFailed("refused".into())),
        ),
        (
            "18: TCP fails, connection",
            input(Input::Closed(Role::Active, "reset by peer".into())),
        ),
        ("19: OPEN", message(Message::Open(open()))),
        (
            "21: message header error",
            input(Input::Received(
                Role::Active,
                Err(Notification::connection_not_synchronized()),
            )),
        ),
        (
            "22: OPEN with a wrong AS",
            message(Message::Open(Open {
                asn: Asn(64999),
                ..open()
            })),
        ),
        (
            "22: OPEN with a hold time of 2 s",
            message(Message::Open(Open {
                hold_time: 2,
                ..open()
            })),
        ),
        (
            "22: OPEN with our router ID",
            message(Message::Open(Open {
                router_id: settings().router_id,
                ..open()
            })),
        ),
        (
            "24: NOTIFICATION, version",
            message(Message::Notification(Notification::unsupported_version())),
        ),
        (
            "25: NOTIFICATION",
            message(Message::Notification(Notification::cease(
                cease::ADMINISTRATIVE_RESET,
            ))),
        ),
        ("26: KEEPALIVE", message(Message::Keepalive)),
        ("27: UPDATE", message(Message::Update(Update::default()))),
        (
            "28: UPDATE that RFC 7606 cannot save",
            input(Input::Received(
                Role::Active,
                Err(Notification::update_error(1, &[])),
            )),
        ),
        (
            "(RFC 2918): ROUTE-REFRESH",
            message(Message::RouteRefresh(Some(Family::Ipv4))),
        ),
        (
            "(RFC 2918): ROUTE-REFRESH of a family not agreed",
            message(Message::RouteRefresh(Some(Family::Ipv6))),
        ),
    ];
    let states = [
        State::Idle,
        State::Connect,
        State::Active,
        State::OpenSent,
        State::OpenConfirm,
        State::Established,
    ];
    let mut table = String::new();
    for (name, event) in &events {
        writeln!(table, "{name}").unwrap();
        for state in states {
            let mut bench = Bench::in_state(state);
            let outputs = event(&mut bench);
            let outputs: Vec<_> = outputs.iter().map(show).collect();
            let after = bench.peer.state();
            assert_eq!(
                bench.peer.deadline().is_none(),
                after == State::Idle,
                "{name} in {state}: a started peer that dials always waits for something"
            );
            let line = format!("  {state:<11} -> {after:<11}  {}", outputs.join(", "));
            writeln!(table, "{}", line.trim_end()).unwrap();
        }
    }
    expect_file!["table.txt"].assert_eq(&table);
}

#[test]
fn the_first_dial_is_immediate_and_the_waits_double_up_to_two_minutes() {
    let mut bench = Bench::new(settings());
    assert_eq!(bench.give(Input::Start), [Output::Dial]);
    for expected in [1, 2, 4, 8, 16, 32, 64, 120, 120, 120] {
        bench.give(Input::ConnectFailed("refused".into()));
        let wait = bench.until_dial();
        assert!(
            wait <= secs(expected) && wait >= secs(expected) * 3 / 4,
            "{wait:?}"
        );
    }
}

#[test]
fn only_a_session_that_lasted_resets_the_backoff() {
    let mut bench = Bench::new(settings());
    bench.give(Input::Start);
    for _ in 0..4 {
        bench.give(Input::ConnectFailed("refused".into()));
        bench.until_dial();
    }
    for (alive, expected) in [(secs(50), 16), (secs(100), 1)] {
        bench.give(Input::Connected(Role::Active));
        bench.receive(Message::Open(open()));
        bench.receive(Message::Keepalive);
        bench.now += alive;
        bench.give(Input::Closed(Role::Active, "reset by peer".into()));
        let wait = bench.until_dial();
        assert!(
            wait <= secs(expected) && wait >= secs(expected) * 3 / 4,
            "{wait:?}"
        );
    }
}

#[test]
fn a_peer_that_ends_by_intent_is_left_alone() {
    for (subcode, expected) in [
        (cease::MAXIMUM_PREFIXES, 120),
        (cease::ADMINISTRATIVE_SHUTDOWN, 8),
        (cease::PEER_DECONFIGURED, 8),
        (cease::ADMINISTRATIVE_RESET, 1),
    ] {
        let mut bench = Bench::in_state(State::Established);
        bench.receive(Message::Notification(Notification::cease(subcode)));
        let wait = bench.until_dial();
        assert!(
            wait <= secs(expected) && wait >= secs(expected) * 3 / 4,
            "{subcode}: {wait:?}"
        );
    }
}

#[test]
fn refused_capabilities_are_left_out_once() {
    for fault in [
        Notification::unsupported_capability(&[]),
        Notification::unsupported_optional_parameter(),
    ] {
        let refusal = Message::Notification(fault);
        let mut bench = Bench::new(settings());
        bench.give(Input::Start);
        for bare in [false, true, false, true] {
            let out = bench.give(Input::Connected(Role::Active));
            let [Output::Send(Role::Active, Message::Open(open))] = &out[..] else {
                panic!("{out:?}");
            };
            assert_eq!(open.capabilities.is_empty(), bare);
            bench.receive(refusal.clone());
            bench.until_dial();
        }
    }
}

#[test]
fn without_capabilities_the_session_is_ipv4_with_short_as_numbers() {
    let mut bench = Bench::new(PeerSettings {
        families: [Family::Ipv4, Family::Ipv6].into(),
        ..settings()
    });
    bench.bring_to(State::OpenSent);
    bench.receive(Message::Open(Open {
        capabilities: Vec::new(),
        hold_time: 30,
        ..open()
    }));
    let out = bench.receive(Message::Keepalive);
    let [Output::Up(Role::Active, negotiated)] = &out[..] else {
        panic!("{out:?}");
    };
    assert_eq!(negotiated.families, [Family::Ipv4].into());
    assert!(!negotiated.four_octet_as && !negotiated.extended_messages);
    assert_eq!(negotiated.hold_time, secs(30), "the lower one");
}

#[test]
fn a_family_takes_both_sides() {
    let theirs = |capability| Open {
        capabilities: vec![capability],
        ..open()
    };
    for (capability, expected) in [
        (Capability::Multiprotocol(Family::Ipv4), vec![Family::Ipv4]),
        (Capability::Multiprotocol(Family::Ipv6), vec![]),
        // Some other AFI: the peer names its families, and none is ours.
        (Capability::Other(1, vec![0, 25, 0, 70]), vec![]),
        // RFC 4760 §8.
        (Capability::RouteRefresh, vec![Family::Ipv4]),
    ] {
        let mut bench = Bench::in_state(State::OpenSent);
        bench.receive(Message::Open(theirs(capability.clone())));
        let negotiated = bench.peer.summary().negotiated.expect("the OPEN stands");
        let families: Vec<_> = negotiated.families.into_iter().collect();
        assert_eq!(families, expected, "{capability:?}");
    }
}

#[test]
fn keepalives_go_at_a_third_of_the_lower_hold_time_or_faster() {
    for (wanted, theirs, most) in [
        (None, 90, 30),
        (None, 9, 3),
        (Some(secs(10)), 90, 10),
        (Some(secs(80)), 90, 30),
        (Some(secs(10)), 9, 3),
        (Some(Duration::ZERO), 90, 1),
    ] {
        let mut bench = Bench::new(PeerSettings {
            keepalive_time: wanted,
            ..settings()
        });
        bench.bring_to(State::OpenSent);
        bench.receive(Message::Open(Open {
            hold_time: theirs,
            ..open()
        }));
        bench.receive(Message::Keepalive);
        let wait = bench.peer.deadline().unwrap() - bench.now;
        assert!(
            wait <= secs(most) && wait >= (secs(most) * 3 / 4).max(secs(1)),
            "{wait:?}"
        );
        let keepalive = Output::Send(Role::Active, Message::Keepalive);
        assert_eq!(bench.pass(wait), [keepalive]);
    }
}

#[test]
fn a_hold_time_of_zero_means_no_timers() {
    let mut bench = Bench::in_state(State::OpenSent);
    bench.receive(Message::Open(Open {
        hold_time: 0,
        ..open()
    }));
    bench.receive(Message::Keepalive);
    bench.give(Input::WriteBlocked(Role::Active));
    assert_eq!(bench.peer.deadline(), None);
    assert_eq!(bench.pass(secs(1_000_000)), []);
    assert_eq!(bench.peer.state(), State::Established);
}

#[test]
fn a_socket_that_takes_octets_stops_the_send_hold_timer() {
    let mut bench = Bench::in_state(State::Established);
    for _ in 0..100 {
        bench.give(Input::WriteBlocked(Role::Active));
        bench.now += secs(20);
        bench.receive(Message::Keepalive);
        bench.pass(Duration::ZERO);
        bench.give(Input::Wrote(Role::Active));
    }
    assert_eq!(bench.peer.state(), State::Established);
}

#[test]
fn the_summary_says_what_happened() {
    let mut bench = Bench::in_state(State::OpenSent);
    bench.receive(Message::Open(Open {
        asn: Asn(64999),
        ..open()
    }));
    let summary = bench.peer.summary();
    assert_eq!(summary.state, State::Active);
    assert_eq!(summary.open_received.map(|open| open.asn), Some(Asn(64999)));
    assert_eq!((summary.dials, summary.sessions), (1, 0));
    let (when, why) = summary.last_error.expect("it failed");
    assert_eq!(when, bench.now);
    assert_eq!(
        why.to_string(),
        "the peer's AS is 64999, but 64512 is configured as peer-asn; \
         sent OPEN Message Error, Bad Peer AS (2/2)"
    );
}

#[test]
fn a_stopped_peer_starts_anew() {
    let mut bench = Bench::in_state(State::Established);
    bench.give(Input::Stop("upgrade".into()));
    assert_eq!(bench.peer.deadline(), None);
    assert_eq!(
        bench.give(Input::Connected(Role::Passive)),
        [Output::Close(Role::Passive)]
    );
    assert_eq!(bench.give(Input::Start), [Output::Dial]);
}

#[test]
fn a_passive_peer_never_dials() {
    let mut bench = Bench::new(PeerSettings {
        dial: false,
        ..settings()
    });
    assert_eq!(bench.give(Input::Start), []);
    assert_eq!(bench.peer.state(), State::Active);
    for _ in 0..5 {
        bench.give(Input::Connected(Role::Passive));
        assert_eq!(bench.peer.state(), State::OpenSent);
        bench.give(Input::Closed(Role::Passive, "reset by peer".into()));
        assert_eq!(bench.peer.deadline(), None);
    }
}
