//! UPDATEs with faults: what RFC 7606 lets pass costs no session and is
//! counted; the rest gets the NOTIFICATION of RFC 4271 §6.3.

use loods::bgp::wire::message::Notification;

use crate::octets::{self, update};
use crate::router::Router;
use crate::speaker::Speaker;

const WELL_KNOWN: u8 = 0x40;
const OPTIONAL: u8 = 0x80;
const OPTIONAL_TRANSITIVE: u8 = 0xC0;

/// 203.0.113.0/24.
const NLRI: [u8; 4] = [24, 203, 0, 113];

fn attribute(flags: u8, code: u8, value: &[u8]) -> Vec<u8> {
    let length = u8::try_from(value.len()).expect("a short attribute");
    [&[flags, code, length], value].concat()
}

fn origin() -> Vec<u8> {
    attribute(WELL_KNOWN, 1, &[0])
}

/// The router's AS, 64513, in four octets.
fn as_path() -> Vec<u8> {
    attribute(WELL_KNOWN, 2, &[2, 1, 0, 0, 0xFC, 0x01])
}

fn next_hop() -> Vec<u8> {
    attribute(WELL_KNOWN, 3, &[127, 0, 0, 1])
}

/// An UPDATE that would be right without `more`.
fn right_but(more: &[u8]) -> Vec<u8> {
    let attributes = [&origin()[..], &as_path(), &next_hop(), more].concat();
    update(&[], &attributes, &NLRI)
}

#[test]
fn faults_that_cost_no_session() {
    let attributes = |list: &[Vec<u8>]| update(&[], &list.concat(), &NLRI);
    let bad = |flags, code, value: &[u8]| right_but(&attribute(flags, code, value));
    let cases = [
        // Instead of the right one.
        attributes(&[attribute(WELL_KNOWN, 1, &[3]), as_path(), next_hop()]),
        attributes(&[attribute(WELL_KNOWN, 1, &[]), as_path(), next_hop()]),
        attributes(&[attribute(OPTIONAL, 1, &[0]), as_path(), next_hop()]),
        attributes(&[origin(), attribute(WELL_KNOWN, 2, &[2, 9, 0]), next_hop()]),
        attributes(&[origin(), attribute(WELL_KNOWN, 2, &[2, 0]), next_hop()]),
        attributes(&[
            origin(),
            attribute(WELL_KNOWN, 2, &[7, 1, 0, 0, 0, 1]),
            next_hop(),
        ]),
        attributes(&[
            origin(),
            attribute(WELL_KNOWN, 2, &[2, 1, 0, 0, 0, 0]),
            next_hop(),
        ]),
        attributes(&[origin(), as_path(), attribute(WELL_KNOWN, 3, &[0, 0, 0, 0])]),
        attributes(&[origin(), as_path(), attribute(WELL_KNOWN, 3, &[127, 0, 0])]),
        // Missing.
        attributes(&[as_path(), next_hop()]),
        attributes(&[origin(), next_hop()]),
        attributes(&[origin(), as_path()]),
        // Twice.
        right_but(&origin()),
        right_but(&next_hop()),
        // Beside the right ones.
        bad(OPTIONAL, 4, &[0, 0, 1]),
        bad(WELL_KNOWN, 5, &[0, 0, 0, 100]),
        bad(WELL_KNOWN, 6, &[1]),
        bad(OPTIONAL_TRANSITIVE, 7, &[1, 2, 3]),
        bad(OPTIONAL_TRANSITIVE, 8, &[1, 2, 3, 4, 5]),
        bad(OPTIONAL, 9, &[1, 2, 3, 4]),
        bad(OPTIONAL_TRANSITIVE, 16, &[1]),
        bad(OPTIONAL_TRANSITIVE, 32, &[1; 13]),
        // Cut: the last attribute says more than there is.
        right_but(&[OPTIONAL_TRANSITIVE, 8, 40, 1]),
        right_but(&[OPTIONAL_TRANSITIVE]),
    ];
    let router = Router::new();
    let mut speaker = Speaker::start([&router]);
    let mut line = router.session();
    let mut table = line.hear_table();
    for case in &cases {
        line.send(case);
    }
    // Nothing wrong with an attribute that is optional and unknown.
    line.send(&right_but(&attribute(OPTIONAL_TRANSITIVE, 99, &[1, 2, 3])));
    speaker.wait_peer(0, "updateFaults", |count| count == cases.len());
    speaker.tell("add 192.0.2.1/32");
    line.hear_until(&mut table, "192.0.2.1/32");
    assert!(router.dialled().is_none(), "one session all the time");
}

#[test]
fn a_storm_of_faults_is_counted_and_not_told_one_by_one() {
    let router = Router::new();
    let speaker = Speaker::start([&router]);
    let mut line = router.session();
    let faulty = right_but(&origin()).repeat(1000);
    for _ in 0..10 {
        line.send(&faulty);
    }
    speaker.wait_peer(0, "updateFaults", |count| count == 10_000);
    let told = speaker.log().matches("ORIGIN").count();
    assert!((1..10).contains(&told), "{told} lines");
}

#[test]
fn faults_that_cost_the_session() {
    let well_known = attribute(WELL_KNOWN, 99, &[1]);
    let unreadable = attribute(OPTIONAL, 14, &[0, 1]);
    let shown = |subcode, data: &[u8]| Notification {
        code: 3,
        subcode,
        data: data.to_vec(),
    };
    let cases = [
        // Inner lengths beyond the message.
        (
            octets::message(octets::UPDATE, &[0, 9, 0, 0]),
            shown(1, &[]),
        ),
        (
            octets::message(octets::UPDATE, &[0, 0, 0, 9]),
            shown(1, &[]),
        ),
        // Prefixes that cannot be told apart.
        (update(&[33, 1, 2, 3, 4, 5], &[], &[]), shown(10, &[])),
        (update(&[24, 1, 2], &[], &[]), shown(10, &[])),
        (
            update(&[], &[origin(), as_path(), next_hop()].concat(), &[32, 1]),
            shown(10, &[]),
        ),
        (right_but(&well_known), shown(2, &well_known)),
        (right_but(&unreadable), shown(9, &unreadable)),
    ];
    let routers: Vec<Router> = cases.iter().map(|_| Router::new()).collect();
    let speaker = Speaker::start(&routers);
    for (router, (octets, wanted)) in routers.iter().zip(&cases) {
        let mut line = router.session();
        line.send(octets);
        let heard = line.hear_refusal();
        assert_eq!(heard, *wanted, "{octets:02x?}: {heard}");
    }
    drop(speaker);
}
