//! Framing, round trips, and that decoding is total. The verdicts on malformed
//! messages are a corpus of their own, in `tests/wire/`.

use std::net::Ipv4Addr;

use proptest::prelude::*;

use super::message::{Capability, Message, Notification, Open};
use super::*;
use crate::bgp::iana::{cease, fsm};
use crate::bgp::types::{Asn, Family, RouterId};

const KEEPALIVE: [u8; 19] = [
    255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 0, 19, 4,
];

fn header(len: u16, message_type: u8) -> Vec<u8> {
    let mut header = vec![255; 16];
    header.extend_from_slice(&len.to_be_bytes());
    header.push(message_type);
    header
}

fn encoded(message: &Message) -> Vec<u8> {
    let mut out = Vec::new();
    message.encode(&mut out);
    out
}

#[test]
fn a_frame_is_found_when_its_last_octet_is_there() {
    for len in 0..KEEPALIVE.len() {
        assert_eq!(
            frame(&KEEPALIVE[..len], MESSAGE_LIMIT),
            Ok(None),
            "{len} octets"
        );
    }
    assert_eq!(frame(&KEEPALIVE, MESSAGE_LIMIT), Ok(Some(19)));
    let two = KEEPALIVE.repeat(2);
    assert_eq!(frame(&two, MESSAGE_LIMIT), Ok(Some(19)));
}

#[test]
fn a_wrong_marker_is_refused_at_its_first_wrong_octet() {
    for at in 0..16 {
        let mut octets = KEEPALIVE;
        octets[at] = 0xFE;
        let refused = Err(Notification::connection_not_synchronized());
        assert_eq!(frame(&octets[..at], MESSAGE_LIMIT), Ok(None));
        assert_eq!(frame(&octets[..=at], MESSAGE_LIMIT), refused);
    }
}

#[test]
fn every_length_below_the_header_is_refused_before_the_type_comes() {
    for len in 0..19 {
        let refused = Err(Notification::bad_message_length(len));
        assert_eq!(frame(&header(len, 4)[..18], MESSAGE_LIMIT), refused);
        assert_eq!(
            frame(&header(len, 4)[..18], EXTENDED_MESSAGE_LIMIT),
            refused
        );
    }
}

#[test]
fn the_limit_is_what_was_negotiated() {
    for (len, message_type, limit, ok) in [
        (4096, 2, MESSAGE_LIMIT, true),
        (4097, 2, MESSAGE_LIMIT, false),
        (65535, 2, MESSAGE_LIMIT, false),
        (4097, 2, EXTENDED_MESSAGE_LIMIT, true),
        (65535, 2, EXTENDED_MESSAGE_LIMIT, true),
        (65535, 3, EXTENDED_MESSAGE_LIMIT, true),
        (65535, 5, EXTENDED_MESSAGE_LIMIT, true),
        // RFC 8654 §4: these two never grow.
        (4096, 1, EXTENDED_MESSAGE_LIMIT, true),
        (4097, 1, EXTENDED_MESSAGE_LIMIT, false),
        (20, 4, EXTENDED_MESSAGE_LIMIT, false),
    ] {
        let wanted = if ok {
            Ok(None)
        } else {
            Err(Notification::bad_message_length(len))
        };
        assert_eq!(
            frame(&header(len, message_type), limit),
            wanted,
            "{len} {message_type}"
        );
    }
}

#[test]
fn the_least_length_depends_on_the_type() {
    for (message_type, least) in [(1, 29), (2, 23), (3, 21), (4, 19), (5, 23)] {
        assert_eq!(
            frame(&header(least - 1, message_type), MESSAGE_LIMIT),
            Err(Notification::bad_message_length(least - 1))
        );
        let mut message = header(least, message_type);
        message.resize(usize::from(least), 0);
        assert_eq!(frame(&message, MESSAGE_LIMIT), Ok(Some(usize::from(least))));
    }
}

#[test]
fn no_other_type_is_taken() {
    for message_type in (0..=255).filter(|code| !(1..=5).contains(code)) {
        let refused = Err(Notification::bad_message_type(message_type));
        assert_eq!(frame(&header(23, message_type), MESSAGE_LIMIT), refused);
    }
}

fn open(capabilities: Vec<Capability>) -> Open {
    Open {
        asn: Asn(65559),
        hold_time: 90,
        router_id: RouterId::new(Ipv4Addr::new(10, 0, 0, 1)).unwrap(),
        capabilities,
    }
}

#[test]
fn an_open_of_a_large_as_says_as_trans_in_the_old_field() {
    let octets = encoded(&Message::Open(open(vec![
        Capability::Multiprotocol(Family::Ipv4),
        Capability::FourOctetAs(Asn(65559)),
    ])));
    let body = [
        4, 0x5B, 0xA0, 0, 90, 10, 0, 0, 1, // version, AS, hold time, identifier
        14, 2, 12, // parameters, Capabilities
        1, 4, 0, 1, 0, 1, // IPv4 unicast
        65, 4, 0, 1, 0, 0x17,
    ];
    assert_eq!(octets[..19], header(43, 1));
    assert_eq!(octets[19..], body);
}

#[test]
fn an_open_without_capabilities_has_no_parameters() {
    let octets = encoded(&Message::Open(open(Vec::new())));
    assert_eq!(octets.len(), 29);
    assert_eq!(octets[28], 0);
}

#[test]
fn the_long_form_of_open_begins_where_the_short_one_ends() {
    let short = encoded(&Message::Open(open(vec![Capability::Other(
        231,
        vec![7; 251],
    )])));
    assert_eq!(
        (short.len(), &short[28..31]),
        (29 + 255, &[255, 2, 253][..])
    );
    let long = encoded(&Message::Open(open(vec![Capability::Other(
        231,
        vec![7; 252],
    )])));
    assert_eq!(long[28..35], [255, 255, 1, 1, 2, 0, 254]);
    for octets in [short, long] {
        assert!(matches!(
            decode(&octets, &DecodeContext::default()),
            Ok(Message::Open(_))
        ));
    }
}

#[test]
fn an_open_is_never_longer_than_4096_octets() {
    let many = vec![Capability::Other(231, vec![7; 253]); 40];
    let octets = encoded(&Message::Open(open(many)));
    assert!(octets.len() <= MESSAGE_LIMIT, "{} octets", octets.len());
    let Ok(Message::Open(read)) = decode(&octets, &DecodeContext::default()) else {
        panic!("an OPEN of ours must be readable");
    };
    assert_eq!(read.capabilities.len(), 15);
}

#[test]
fn what_cannot_be_said_appends_nothing() {
    assert!(encoded(&Message::RouteRefresh(None)).is_empty());
    assert!(encoded(&Message::Update(message::Update::default())).is_empty());
    let unsayable = open(vec![Capability::Other(231, vec![7; 256])]);
    assert_eq!(encoded(&Message::Open(unsayable)).len(), 29);
}

#[test]
fn a_shutdown_text_is_cut_between_two_characters() {
    for (text, kept) in [
        (String::new(), String::new()),
        ("maintenance".to_owned(), "maintenance".to_owned()),
        ("x".repeat(255), "x".repeat(255)),
        ("x".repeat(300), "x".repeat(255)),
        // 'é' takes two octets: 127 of them are 254.
        ("é".repeat(200), "é".repeat(127)),
        (format!("{}🦀", "x".repeat(252)), "x".repeat(252)),
    ] {
        let fault = Notification::administrative_shutdown(&text);
        assert_eq!(usize::from(fault.data[0]), kept.len());
        assert_eq!(fault.data[1..], *kept.as_bytes());
        assert_eq!(fault.shutdown_text().unwrap_or_default(), kept);
    }
}

#[test]
fn a_notification_fits_the_first_limit_whatever_its_data() {
    let fault = Notification {
        code: 3,
        subcode: 1,
        data: vec![7; 65535],
    };
    let octets = encoded(&Message::Notification(fault));
    assert_eq!(octets.len(), MESSAGE_LIMIT);
    assert_eq!(frame(&octets, MESSAGE_LIMIT), Ok(Some(MESSAGE_LIMIT)));
}

#[test]
fn what_we_send_reads_well() {
    for (fault, shown) in [
        (
            Notification::administrative_shutdown("node n1 drains"),
            "Cease, Administrative Shutdown (6/2): \"node n1 drains\"",
        ),
        (
            Notification::cease(cease::COLLISION_RESOLUTION),
            "Cease, Connection Collision Resolution (6/7)",
        ),
        (
            Notification::hold_timer_expired(),
            "Hold Timer Expired (4/0)",
        ),
        (
            Notification::send_hold_timer_expired(),
            "Send Hold Timer Expired (8/0)",
        ),
        (
            Notification::fsm_error(),
            "Finite State Machine Error (5/0)",
        ),
        (
            Notification::unexpected_message(fsm::UNEXPECTED_IN_OPEN_SENT, 2),
            "Finite State Machine Error, Unexpected Message in OpenSent State (5/1): UPDATE",
        ),
        (
            Notification::unsupported_capability(&[Capability::Multiprotocol(Family::Ipv6)]),
            "OPEN Message Error, Unsupported Capability (2/7): multiprotocol IPv6 unicast",
        ),
        (
            Notification::bad_peer_as(),
            "OPEN Message Error, Bad Peer AS (2/2)",
        ),
        (
            Notification::connection_not_synchronized(),
            "Message Header Error, Connection Not Synchronized (1/1)",
        ),
    ] {
        assert_eq!(fault.to_string(), shown);
    }
}

fn any_capability() -> impl Strategy<Value = Capability> {
    prop_oneof![
        Just(Capability::Multiprotocol(Family::Ipv4)),
        Just(Capability::Multiprotocol(Family::Ipv6)),
        Just(Capability::RouteRefresh),
        Just(Capability::ExtendedMessage),
        // Codes that have no other way to be said.
        (200..=255_u8, prop::collection::vec(any::<u8>(), 0..=255))
            .prop_map(|(code, value)| Capability::Other(code, value)),
    ]
}

fn any_open() -> impl Strategy<Value = Open> {
    (
        1..=u32::MAX,
        prop_oneof![Just(0), 3..=u16::MAX],
        1..=u32::MAX,
        prop::collection::vec(any_capability(), 0..12),
    )
        .prop_map(|(asn, hold_time, id, mut capabilities)| {
            capabilities.push(Capability::FourOctetAs(Asn(asn)));
            Open {
                asn: Asn(asn),
                hold_time,
                router_id: RouterId::new(Ipv4Addr::from(id)).expect("not zero by its range"),
                capabilities,
            }
        })
}

fn any_message() -> impl Strategy<Value = Message> {
    prop_oneof![
        any_open().prop_map(Message::Open),
        (
            any::<u8>(),
            any::<u8>(),
            prop::collection::vec(any::<u8>(), 0..300)
        )
            .prop_map(|(code, subcode, data)| Message::Notification(Notification {
                code,
                subcode,
                data
            })),
        Just(Message::Keepalive),
        Just(Message::RouteRefresh(Some(Family::Ipv4))),
        Just(Message::RouteRefresh(Some(Family::Ipv6))),
    ]
}

fn any_context() -> impl Strategy<Value = DecodeContext> {
    any::<(bool, bool)>().prop_map(|(four_octet_as, ibgp)| DecodeContext {
        four_octet_as,
        ibgp,
    })
}

/// Octets that get past the header, whatever the rest is.
fn any_framed() -> impl Strategy<Value = Vec<u8>> {
    (1..=5_u8, prop::collection::vec(any::<u8>(), 0..400)).prop_map(|(message_type, body)| {
        let mut message = Vec::new();
        write::message(&mut message, message_type, |out| {
            out.extend_from_slice(&body)
        });
        message
    })
}

/// UPDATEs whose attributes have right heads and wild values.
fn any_attributes() -> impl Strategy<Value = Vec<u8>> {
    let attribute = (
        any::<u8>(),
        0..40_u8,
        prop::collection::vec(any::<u8>(), 0..40),
    );
    (
        prop::collection::vec(attribute, 0..8),
        prop::collection::vec(any::<u8>(), 0..20),
    )
        .prop_map(|(attributes, nlri)| {
            let mut message = Vec::new();
            write::message(&mut message, 2, |out| {
                out.extend_from_slice(&[0, 0]);
                write::length16(out, |out| {
                    for (flags, code, value) in &attributes {
                        write::attribute(out, flags & 0xEF, *code, value);
                    }
                });
                out.extend_from_slice(&nlri);
            });
            message
        })
}

proptest! {
    #[test]
    fn what_is_encoded_decodes_to_the_same(message in any_message(), cx in any_context()) {
        let octets = encoded(&message);
        prop_assert_eq!(frame(&octets, MESSAGE_LIMIT), Ok(Some(octets.len())));
        prop_assert_eq!(decode(&octets, &cx), Ok(message));
    }

    #[test]
    fn messages_in_a_stream_are_told_apart(messages in prop::collection::vec(any_message(), 1..5)) {
        let mut stream: Vec<u8> = messages.iter().flat_map(encoded).collect();
        let mut read = Vec::new();
        while let Some(len) = frame(&stream, MESSAGE_LIMIT).unwrap() {
            let rest = stream.split_off(len);
            read.push(decode(&stream, &DecodeContext::default()).unwrap());
            stream = rest;
        }
        prop_assert!(stream.is_empty());
        prop_assert_eq!(read, messages);
    }

    #[test]
    fn decoding_is_total_on_any_octets(
        octets in prop::collection::vec(any::<u8>(), 0..200),
        cx in any_context(),
    ) {
        let _ = frame(&octets, MESSAGE_LIMIT);
        let _ = decode(&octets, &cx);
    }

    #[test]
    fn decoding_is_total_behind_a_good_header(
        octets in prop_oneof![any_framed(), any_attributes()],
        cx in any_context(),
    ) {
        match decode(&octets, &cx) {
            Ok(Message::Update(update)) => {
                // Bounded by the message: a prefix takes one octet at least.
                prop_assert!(update.reach.len() + update.unreach.len() <= octets.len());
                prop_assert!(update.faults.len() <= 17);
                let spoilt = update.faults.iter().any(|fault| fault.contains("withdraw"));
                prop_assert!(!spoilt || update.reach.is_empty());
                for prefix in update.reach.iter().chain(&update.unreach) {
                    prop_assert_eq!(*prefix, prefix.trunc());
                }
            }
            Ok(message) => {
                if let Message::Notification(fault) = &message {
                    prop_assert!(!fault.to_string().is_empty());
                }
            }
            // An error is a NOTIFICATION that can be sent and read back.
            Err(fault) => {
                let answer = Message::Notification(fault);
                prop_assert_eq!(decode(&encoded(&answer), &cx), Ok(answer));
            }
        }
    }

    #[test]
    fn a_mutated_message_is_survived(
        message in any_message(),
        at in any::<prop::sample::Index>(),
        octet in any::<u8>(),
        cx in any_context(),
    ) {
        let mut octets = encoded(&message);
        let at = at.index(octets.len());
        octets[at] = octet;
        let _ = frame(&octets, MESSAGE_LIMIT);
        let _ = decode(&octets, &cx);
    }

    #[test]
    fn a_shown_notification_is_one_printable_line(
        code in 0..10_u8,
        subcode in 0..12_u8,
        data in prop::collection::vec(any::<u8>(), 0..80),
    ) {
        let shown = Notification { code, subcode, data }.to_string();
        prop_assert!(shown.chars().all(|c| !c.is_control()), "{:?}", shown);
        prop_assert!(shown.len() < 1200, "{} octets", shown.len());
    }
}
