//! Every OPEN that must not become a session (RFC 4271 §6.2, RFC 5492, 6286,
//! 7607, 9072), and odd ones that must.

use std::collections::BTreeSet;

use loods::bgp::types::{Asn, RouterId};
use loods::bgp::wire::message::{Capability, Message, Notification, Open};

use crate::octets::{self, header, open_with, open_with_parameters};
use crate::router::{Heard, Router, honest_open};
use crate::speaker::Speaker;

fn malformed() -> Notification {
    Notification::new(2, 0)
}

fn with(change: impl FnOnce(&mut Open)) -> Vec<u8> {
    let mut open = honest_open();
    change(&mut open);
    octets::encoded(&Message::Open(open))
}

#[test]
fn an_open_that_is_refused() {
    let version = |wanted| Notification {
        code: 2,
        subcode: 1,
        data: vec![0, wanted],
    };
    let refused = |subcode| Notification::new(2, subcode);
    let honest = honest_open();
    let cases = vec![
        (open_with(&honest, &[(19, 3)]), version(4)),
        (open_with(&honest, &[(19, 5)]), version(4)),
        (
            with(|open| open.capabilities = vec![Capability::FourOctetAs(Asn(64999))]),
            refused(2),
        ),
        (
            with(|open| {
                open.asn = Asn(64999);
                open.capabilities.clear();
            }),
            refused(2),
        ),
        // AS 0 in the field, and in the capability.
        (open_with(&honest, &[(20, 0), (21, 0)]), refused(2)),
        (
            with(|open| open.capabilities = vec![Capability::FourOctetAs(Asn(0))]),
            refused(2),
        ),
        (
            open_with(&honest, &[(24, 0), (25, 0), (26, 0), (27, 0)]),
            refused(3),
        ),
        (open_with_parameters(2, &[1, 0]), refused(4)),
        (open_with_parameters(4, &[200, 2, 0, 0]), refused(4)),
        (with(|open| open.hold_time = 1), refused(6)),
        (with(|open| open.hold_time = 2), refused(6)),
        // Lengths that contradict each other.
        (open_with_parameters(200, &[]), malformed()),
        (open_with_parameters(0, &[2, 0]), malformed()),
        (open_with_parameters(1, &[2]), malformed()),
        (open_with_parameters(3, &[2, 5, 1]), malformed()),
        (open_with_parameters(4, &[2, 2, 1, 4]), malformed()),
        (open_with_parameters(5, &[2, 3, 65, 1, 0]), malformed()),
        // The long form of RFC 9072, cut.
        (open_with_parameters(255, &[255]), malformed()),
        (open_with_parameters(255, &[255, 0, 9, 2, 0]), malformed()),
    ];
    let routers: Vec<Router> = cases.iter().map(|_| Router::new()).collect();
    let speaker = Speaker::start(&routers);
    for (router, (octets, wanted)) in routers.iter().zip(&cases) {
        let mut line = router.accept();
        line.hear_open();
        line.send(octets);
        let heard = line.hear_refusal();
        assert_eq!(heard, *wanted, "{octets:02x?}: {heard}");
    }
    drop(speaker);
}

#[test]
fn an_open_that_is_odd_but_right() {
    let unknown: Vec<Capability> = (0..60)
        .map(|n| Capability::Other(190 + n, vec![n; 200]))
        .collect();
    let cases = [
        open_with_parameters(0, &[]),
        open_with_parameters(2, &[2, 0]),
        // Capabilities each in a parameter of its own, one of them twice.
        open_with_parameters(12, &[2, 2, 2, 0, 2, 2, 2, 0, 2, 2, 6, 0]),
        // The long form where the short one would do.
        open_with_parameters(255, &[255, 0, 5, 2, 0, 2, 2, 0]),
        with(|open| open.capabilities.extend(unknown[..15].iter().cloned())),
        with(|open| open.hold_time = 0),
        with(|open| open.hold_time = u16::MAX),
        // RFC 6286 §2.2: the speaker's own identifier, but another AS.
        with(|open| open.router_id = RouterId::new([127, 0, 0, 1].into()).expect("not zero")),
    ];
    let routers: Vec<Router> = cases.iter().map(|_| Router::new()).collect();
    let mut speaker = Speaker::start(&routers);
    speaker.tell("add 192.0.2.7/32");
    for (router, octets) in routers.iter().zip(&cases) {
        let mut line = router.accept();
        line.hear_open();
        line.context.four_octet_as = octets.windows(2).any(|octets| octets == [65, 4]);
        line.send(octets);
        line.hear_keepalive();
        line.send(&octets::keepalive());
        line.hear_until(&mut BTreeSet::new(), "192.0.2.7/32");
    }
}

#[test]
fn an_open_that_never_becomes_whole() {
    let whole = octets::encoded(&Message::Open(honest_open()));
    let cuts: Vec<usize> = (0..whole.len()).step_by(5).collect();
    let routers: Vec<Router> = cuts.iter().map(|_| Router::new()).collect();
    let speaker = Speaker::start(&routers);
    for (router, cut) in routers.iter().zip(&cuts) {
        let mut line = router.accept();
        line.hear_open();
        line.send(&whole[..*cut]);
    }
    // Each is dialled again, and an honest OPEN is as good as ever.
    for router in &routers {
        router.session().hear_table();
    }
    drop(speaker);
}

#[test]
fn a_close_right_after_the_open() {
    let routers = [Router::new(), Router::new()];
    let speaker = Speaker::start(&routers);
    let mut line = routers[0].accept();
    line.confirm(&honest_open());
    drop(line);
    drop(routers[1].accept());
    for (place, router) in routers.iter().enumerate() {
        speaker.wait_peer(place, "lastError", |error| {
            error
                .as_str()
                .is_some_and(|text| text.contains("connection ended in state Open"))
        });
        router.session().hear_table();
    }
}

#[test]
fn capabilities_refused_are_left_out_once() {
    for subcode in [4, 7] {
        let router = Router::new();
        let mut speaker = Speaker::start([&router]);
        speaker.tell("add 192.0.2.7/32");
        let mut line = router.accept();
        assert!(!line.hear_open().capabilities.is_empty());
        line.say(&Message::Notification(Notification::new(2, subcode)));
        assert_eq!(line.hear(), Heard::Closed);
        let mut line = router.accept();
        let mut bare = honest_open();
        bare.capabilities.clear();
        let theirs = line.establish(&bare);
        assert_eq!(theirs.capabilities, [], "retried without");
        line.hear_until(&mut BTreeSet::new(), "192.0.2.7/32");
    }
}

#[test]
fn a_header_is_judged_before_its_body_comes() {
    let router = Router::new();
    let speaker = Speaker::start([&router]);
    let mut line = router.accept();
    line.hear_open();
    line.send(&header(4097, octets::OPEN));
    assert_eq!(line.hear_refusal(), Notification::bad_message_length(4097));
    drop(speaker);
}
