//! Faults in the header of a message (RFC 4271 §6.1) and messages that the
//! state does not expect (§6.6, RFC 6608), each in every state it can meet.

use loods::bgp::wire::message::{Message, Notification};

use crate::octets::{self, header, keepalive, message};
use crate::router::{Line, Router, honest_open};
use crate::speaker::Speaker;

/// How far the handshake went before the fault.
#[derive(Clone, Copy, Debug)]
enum Stage {
    OpenSent,
    OpenConfirm,
    Established,
}
use Stage::{Established, OpenConfirm, OpenSent};

const STAGES: [Stage; 3] = [OpenSent, OpenConfirm, Established];

fn reach(line: &mut Line, stage: Stage) {
    match stage {
        OpenSent => drop(line.hear_open()),
        OpenConfirm => drop(line.confirm(&honest_open())),
        Established => drop(line.establish(&honest_open())),
    }
}

/// Plays every case against a router of its own; a router beside them stays up.
fn play(cases: Vec<(Stage, Vec<u8>, Notification)>) {
    let routers: Vec<Router> = cases.iter().map(|_| Router::new()).collect();
    let honest = Router::new();
    let mut speaker = Speaker::start(routers.iter().chain([&honest]));
    let mut witness = honest.session();
    let mut table = witness.hear_table();
    for (router, (stage, fault, wanted)) in routers.iter().zip(&cases) {
        let mut line = router.accept();
        reach(&mut line, *stage);
        line.send(fault);
        let heard = line.hear_refusal();
        assert_eq!(heard, *wanted, "{stage:?}, {fault:02x?}: {heard}");
    }
    speaker.tell("add 192.0.2.1/32");
    witness.hear_until(&mut table, "192.0.2.1/32");
    assert!(honest.dialled().is_none(), "the honest session never ended");
}

fn bad_length(length: u16) -> Notification {
    Notification::bad_message_length(length)
}

#[test]
fn a_marker_that_is_not_all_ones() {
    let mut cases = Vec::new();
    for stage in STAGES {
        for place in [0, 7, 15] {
            let mut octets = keepalive();
            octets[place] = 0xFE;
            cases.push((stage, octets, Notification::new(1, 1)));
        }
    }
    play(cases);
}

#[test]
fn a_length_that_no_message_has() {
    let mut cases = Vec::new();
    for length in (0..19).chain([4097, 65535]) {
        cases.push((OpenSent, header(length, octets::OPEN), bad_length(length)));
    }
    for length in 0..19 {
        cases.push((
            Established,
            header(length, octets::UPDATE),
            bad_length(length),
        ));
    }
    play(cases);
}

#[test]
fn a_length_that_its_type_does_not_have() {
    // An OPEN never grows, whatever is negotiated (RFC 8654 §4).
    let cases = [
        (OpenSent, 28, octets::OPEN),
        (Established, 4097, octets::OPEN),
        (Established, 22, octets::UPDATE),
        (Established, 20, octets::NOTIFICATION),
        (Established, 20, octets::KEEPALIVE),
        (OpenConfirm, 4096, octets::KEEPALIVE),
        (Established, 22, octets::ROUTE_REFRESH),
    ];
    let cases =
        cases.map(|(stage, length, kind)| (stage, header(length, kind), bad_length(length)));
    play(cases.into());
}

#[test]
fn a_long_message_without_the_capability() {
    let router = Router::new();
    let speaker = Speaker::start([&router]);
    let mut line = router.accept();
    let mut open = honest_open();
    open.capabilities.truncate(2);
    line.establish(&open);
    line.send(&header(4097, octets::UPDATE));
    assert_eq!(line.hear_refusal(), bad_length(4097));
    drop(speaker);
}

#[test]
fn a_type_that_does_not_exist() {
    let mut cases = Vec::new();
    for stage in STAGES {
        for kind in [0, 6, 255] {
            let fault = header(19, kind);
            cases.push((
                stage,
                fault,
                Notification {
                    code: 1,
                    subcode: 3,
                    data: vec![kind],
                },
            ));
        }
    }
    play(cases);
}

#[test]
fn a_message_that_the_state_does_not_expect() {
    let open = octets::encoded(&Message::Open(honest_open()));
    let update = octets::update(&[], &[], &[]);
    let refresh = message(octets::ROUTE_REFRESH, &[0, 1, 0, 1]);
    let cases = [
        (OpenSent, 1, keepalive(), octets::KEEPALIVE),
        (OpenSent, 1, update.clone(), octets::UPDATE),
        (OpenSent, 1, refresh.clone(), octets::ROUTE_REFRESH),
        (OpenConfirm, 2, open.clone(), octets::OPEN),
        (OpenConfirm, 2, update, octets::UPDATE),
        (OpenConfirm, 2, refresh, octets::ROUTE_REFRESH),
        (Established, 3, open, octets::OPEN),
    ];
    let cases = cases.map(|(stage, subcode, octets, kind)| {
        (
            stage,
            octets,
            Notification {
                code: 5,
                subcode,
                data: vec![kind],
            },
        )
    });
    play(cases.into());
}
