use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::bgp::types::{Community, RouterId};
use crate::bgp::wire::message::Message;
use crate::bgp::wire::{self, DecodeContext};

type Route = (Prefix, Option<Arc<Attributes>>);

/// iBGP in AS 65559, everything negotiated.
fn session() -> Negotiated {
    Negotiated {
        local_asn: Asn(65559),
        peer_asn: Asn(65559),
        peer_router_id: RouterId::new(Ipv4Addr::new(10, 0, 0, 1)).unwrap(),
        four_octet_as: true,
        extended_messages: false,
        route_refresh: true,
        families: BTreeSet::from([Family::Ipv4, Family::Ipv6]),
        hold_time: Duration::from_secs(90),
    }
}

fn ebgp() -> Negotiated {
    Negotiated {
        peer_asn: Asn(65000),
        ..session()
    }
}

fn next_hop(address: &str) -> NextHop {
    NextHop {
        address: address.parse().unwrap(),
        link_local: None,
    }
}

fn v4() -> NextHop {
    next_hop("10.0.0.7")
}

fn v6() -> NextHop {
    next_hop("2001:db8::7")
}

fn prefix(text: &str) -> Prefix {
    text.parse().unwrap()
}

fn announce(text: &str, attributes: &Arc<Attributes>) -> Route {
    (prefix(text), Some(Arc::clone(attributes)))
}

fn withdraw(text: &str) -> Route {
    (prefix(text), None)
}

fn plain() -> Arc<Attributes> {
    Arc::default()
}

/// The messages of `pack`, cut apart; fails if one is above the limit or the
/// count is wrong.
fn packed(routes: &[Route], session: &Negotiated, next_hop: &NextHop) -> Vec<Vec<u8>> {
    let mut out = Vec::new();
    let count = pack(routes, session, next_hop, &mut out);
    let mut messages = Vec::new();
    while let Some(len) = wire::frame(&out, session.message_limit()).unwrap() {
        let rest = out.split_off(len);
        messages.push(out);
        out = rest;
    }
    assert!(out.is_empty());
    assert_eq!(messages.len(), count);
    messages
}

/// What stands behind the header of the only message.
fn body_of_one(routes: &[Route], session: &Negotiated, next_hop: &NextHop) -> Vec<u8> {
    let messages = packed(routes, session, next_hop);
    assert_eq!(messages.len(), 1);
    messages[0][19..].to_vec()
}

fn read(message: &[u8], session: &Negotiated) -> wire::message::Update {
    match wire::decode(message, &DecodeContext::of(session)) {
        Ok(Message::Update(update)) => update,
        other => panic!("not an UPDATE: {other:?}"),
    }
}

#[test]
fn ibgp_has_an_empty_path_and_a_local_pref() {
    let body = body_of_one(&[announce("1.2.3.4/32", &plain())], &session(), &v4());
    let wanted = [
        0, 0, 0, 21, // nothing withdrawn, length of attributes
        0x40, 1, 1, 0, // ORIGIN IGP
        0x40, 2, 0, // AS_PATH
        0x40, 3, 4, 10, 0, 0, 7, // NEXT_HOP
        0x40, 5, 4, 0, 0, 0, 100, // LOCAL_PREF
        32, 1, 2, 3, 4,
    ];
    assert_eq!(body, wanted);
}

#[test]
fn a_written_local_pref_is_sent_as_written_zero_too() {
    for value in [0, 1, u32::MAX] {
        let attributes = Arc::new(Attributes {
            local_pref: Some(value),
            ..Attributes::default()
        });
        let body = body_of_one(&[announce("1.2.3.4/32", &attributes)], &session(), &v4());
        assert_eq!(
            body[18..25],
            [&[0x40, 5, 4][..], &value.to_be_bytes()].concat()
        );
    }
}

#[test]
fn ebgp_has_our_own_as_and_no_local_pref() {
    let attributes = Arc::new(Attributes {
        origin: Origin::Incomplete,
        local_pref: Some(200),
        communities: BTreeSet::from([Community::NO_EXPORT, Community(0xFDE8_0001)]),
    });
    let body = body_of_one(&[announce("1.2.3.4/32", &attributes)], &ebgp(), &v4());
    let wanted = [
        0, 0, 0, 31, //
        0x40, 1, 1, 2, // ORIGIN INCOMPLETE
        0x40, 2, 6, 2, 1, 0, 1, 0, 0x17, // AS_PATH: 65559
        0x40, 3, 4, 10, 0, 0, 7, // NEXT_HOP
        0xC0, 8, 8, 0xFD, 0xE8, 0, 1, 0xFF, 0xFF, 0xFF, 1, // COMMUNITIES
        32, 1, 2, 3, 4,
    ];
    assert_eq!(body, wanted);
}

#[test]
fn an_old_peer_gets_as_trans_and_the_true_path_beside_it() {
    let old = Negotiated {
        four_octet_as: false,
        ..ebgp()
    };
    let body = body_of_one(&[announce("1.2.3.4/32", &plain())], &old, &v4());
    let wanted = [
        0, 0, 0, 27, //
        0x40, 1, 1, 0, //
        0x40, 2, 4, 2, 1, 0x5B, 0xA0, // AS_PATH: AS_TRANS
        0x40, 3, 4, 10, 0, 0, 7, //
        0xC0, 17, 6, 2, 1, 0, 1, 0, 0x17, // AS4_PATH: 65559
        32, 1, 2, 3, 4,
    ];
    assert_eq!(body, wanted);
}

#[test]
fn an_old_peer_gets_a_small_as_as_it_is() {
    let old = Negotiated {
        four_octet_as: false,
        local_asn: Asn(64512),
        ..ebgp()
    };
    let body = body_of_one(&[announce("1.2.3.4/32", &plain())], &old, &v4());
    assert_eq!(body[8..15], [0x40, 2, 4, 2, 1, 0xFC, 0x00]);
    assert_eq!(body.len(), 4 + 18 + 5);
}

#[test]
fn ipv6_goes_first_in_mp_reach() {
    let routes = [announce("2001:db8:1::/48", &plain())];
    let both = NextHop {
        link_local: Some("fe80::1".parse().unwrap()),
        ..v6()
    };
    for (next_hop, len) in [(v6(), 16), (both, 32)] {
        let body = body_of_one(&routes, &session(), &next_hop);
        let mp = 3 + 1 + len + 1 + 7;
        assert_eq!(body[..4], [0, 0, 0, (4 + mp + 14) as u8]);
        assert_eq!(body[4..12], [0x90, 14, 0, mp as u8, 0, 2, 1, len as u8]);
        assert_eq!(
            body[12..28],
            "2001:db8::7".parse::<Ipv6Addr>().unwrap().octets()
        );
        if len == 32 {
            assert_eq!(
                body[28..44],
                "fe80::1".parse::<Ipv6Addr>().unwrap().octets()
            );
        }
        assert_eq!(body[12 + len..20 + len], [0, 48, 0x20, 1, 0x0D, 0xB8, 0, 1]);
        assert_eq!(body[20 + len..24 + len], [0x40, 1, 1, 0]);
    }
}

#[test]
fn withdrawals_need_no_attributes() {
    let body = body_of_one(&[withdraw("1.2.3.0/24")], &session(), &v4());
    assert_eq!(body, [0, 4, 24, 1, 2, 3, 0, 0]);
    let body = body_of_one(&[withdraw("2001:db8::/32")], &session(), &v6());
    let wanted = [
        0, 0, 0, 12, 0x90, 15, 0, 8, 0, 2, 1, 32, 0x20, 1, 0x0D, 0xB8,
    ];
    assert_eq!(body, wanted);
}

#[test]
fn end_of_rib_is_empty() {
    let mut out = Vec::new();
    end_of_rib(Family::Ipv4, &mut out);
    assert_eq!(out[16..], [0, 23, 2, 0, 0, 0, 0]);
    out.clear();
    end_of_rib(Family::Ipv6, &mut out);
    assert_eq!(read(&out, &session()).end_of_rib, Some(Family::Ipv6));
}

#[test]
fn a_family_that_cannot_be_carried_is_left_out() {
    let routes = [
        announce("1.2.3.4/32", &plain()),
        announce("2001:db8::/32", &plain()),
        withdraw("1.2.3.5/32"),
        withdraw("2001:db8:1::/48"),
    ];
    let only = |family| Negotiated {
        families: BTreeSet::from([family]),
        ..session()
    };
    assert_eq!(packed(&routes, &only(Family::Ipv4), &v6()).len(), 0);
    assert_eq!(packed(&routes, &only(Family::Ipv6), &v4()).len(), 0);
    for (next_hop, family) in [(v4(), Family::Ipv4), (v6(), Family::Ipv6)] {
        for message in packed(&routes, &session(), &next_hop) {
            let update = read(&message, &session());
            for prefix in update.reach.iter().chain(&update.unreach) {
                assert_eq!(Family::of_prefix(prefix), family);
            }
        }
    }
}

#[test]
fn equal_attributes_share_a_message_whoever_owns_them() {
    let (one, same) = (plain(), plain());
    let other = Arc::new(Attributes {
        local_pref: Some(0),
        ..Attributes::default()
    });
    let routes = [
        announce("10.0.0.3/32", &one),
        announce("10.0.0.9/32", &other),
        announce("10.0.0.1/32", &same),
        withdraw("10.0.0.8/32"),
        announce("10.0.0.2/32", &one),
    ];
    let updates: Vec<_> = packed(&routes, &session(), &v4())
        .iter()
        .map(|message| read(message, &session()))
        .collect();
    assert_eq!(updates.len(), 3);
    // Withdrawals first, then by attributes (no LOCAL_PREF sorts before one).
    assert_eq!(updates[0].unreach, [prefix("10.0.0.8/32")]);
    let first = ["10.0.0.3/32", "10.0.0.1/32", "10.0.0.2/32"].map(prefix);
    assert_eq!(updates[1].reach, first);
    assert_eq!(updates[2].reach, [prefix("10.0.0.9/32")]);
}

#[test]
fn many_communities_take_the_extended_length() {
    let with = |count: u32| {
        Arc::new(Attributes {
            communities: (0..count).map(Community).collect(),
            ..Attributes::default()
        })
    };
    let body = body_of_one(&[announce("1.2.3.4/32", &with(63))], &session(), &v4());
    assert_eq!(body[25..28], [0xC0, 8, 252]);
    let body = body_of_one(&[announce("1.2.3.4/32", &with(64))], &session(), &v4());
    assert_eq!(body[25..29], [0xD0, 8, 1, 0]);
    // 4096 - 23 - 21 - 4 - 5 octets are left: 1010 communities, and no more.
    let messages = packed(&[announce("1.2.3.4/32", &with(1010))], &session(), &v4());
    assert_eq!(read(&messages[0], &session()).reach.len(), 1);
}

#[test]
fn a_route_that_fits_no_message_is_withdrawn() {
    let bulky = Arc::new(Attributes {
        communities: (0..1011).map(Community).collect(),
        ..Attributes::default()
    });
    let endless = Arc::new(Attributes {
        communities: (0..20_000).map(Community).collect(),
        ..Attributes::default()
    });
    let routes = [
        announce("1.2.3.4/32", &bulky),
        announce("1.2.3.5/32", &endless),
    ];
    let messages = packed(&routes, &session(), &v4());
    assert_eq!(messages.len(), 1);
    let wanted = ["1.2.3.4/32", "1.2.3.5/32"].map(prefix);
    assert_eq!(read(&messages[0], &session()).unreach, wanted);

    let extended = Negotiated {
        extended_messages: true,
        ..session()
    };
    let messages = packed(&routes, &extended, &v4());
    assert_eq!(messages.len(), 2);
    assert_eq!(read(&messages[0], &extended).unreach, wanted[1..]);
    assert_eq!(read(&messages[1], &extended).reach, wanted[..1]);
}

#[test]
fn messages_are_filled_to_the_limit_and_no_further() {
    let attributes = plain();
    let routes: Vec<Route> = (0..100_000_u32)
        .map(|n| {
            let addr = Ipv4Addr::from(0x0A00_0000 + n);
            let prefix = Prefix::new(addr.into(), 32).unwrap();
            (prefix, Some(Arc::clone(&attributes)))
        })
        .collect();
    for (extended_messages, per_message) in [(false, (4096 - 44) / 5), (true, (65535 - 44) / 5)] {
        let session = Negotiated {
            extended_messages,
            ..session()
        };
        let messages = packed(&routes, &session, &v4());
        assert_eq!(messages.len(), routes.len().div_ceil(per_message));
        let mut seen = Vec::new();
        for message in &messages {
            seen.extend(read(message, &session).reach);
        }
        assert!(seen.iter().eq(routes.iter().map(|(prefix, _)| prefix)));

        let gone: Vec<Route> = routes.iter().map(|(prefix, _)| (*prefix, None)).collect();
        let per_message = (session.message_limit() - 23) / 5;
        let messages = packed(&gone, &session, &v4());
        assert_eq!(messages.len(), routes.len().div_ceil(per_message));
    }
}

fn any_prefix() -> impl Strategy<Value = Prefix> {
    prop_oneof![
        (any::<u32>(), 0..=32_u8).prop_map(|(addr, bits)| Prefix::new(
            Ipv4Addr::from(addr).into(),
            bits
        )
        .unwrap()),
        (any::<u128>(), 0..=128_u8).prop_map(|(addr, bits)| Prefix::new(
            Ipv6Addr::from(addr).into(),
            bits
        )
        .unwrap()),
    ]
    .prop_map(|prefix| prefix.trunc())
}

fn any_attributes() -> impl Strategy<Value = Arc<Attributes>> {
    (
        prop_oneof![Just(Origin::Igp), Just(Origin::Incomplete)],
        prop::option::of(0..3_u32),
        prop::collection::btree_set(any::<u32>().prop_map(Community), 0..80),
    )
        .prop_map(|(origin, local_pref, communities)| {
            Arc::new(Attributes {
                origin,
                local_pref,
                communities,
            })
        })
}

fn any_session() -> impl Strategy<Value = Negotiated> {
    any::<(bool, bool, bool)>().prop_map(|(external, four_octet_as, extended_messages)| {
        let base = if external { ebgp() } else { session() };
        Negotiated {
            four_octet_as,
            extended_messages,
            ..base
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is packed arrives: every prefix of the family once, announced or
    /// withdrawn as asked, without a fault.
    #[test]
    fn what_is_packed_arrives(
        prefixes in prop::collection::btree_set(any_prefix(), 0..600),
        palette in prop::collection::vec(prop::option::of(any_attributes()), 1..4),
        session in any_session(),
        next_hop in prop_oneof![Just(v4()), Just(v6())],
    ) {
        let routes: Vec<Route> = prefixes
            .iter()
            .zip(palette.iter().cycle())
            .map(|(prefix, attributes)| (*prefix, attributes.clone()))
            .collect();
        let family = Family::of(next_hop.address);
        let mut wanted: BTreeMap<Prefix, bool> = BTreeMap::new();
        for (prefix, attributes) in &routes {
            if Family::of_prefix(prefix) == family {
                wanted.insert(*prefix, attributes.is_some());
            }
        }
        let mut arrived = BTreeMap::new();
        for message in packed(&routes, &session, &next_hop) {
            let update = read(&message, &session);
            prop_assert!(update.faults.is_empty(), "{:?}", update.faults);
            prop_assert_eq!(update.end_of_rib, None);
            for (list, announced) in [(&update.reach, true), (&update.unreach, false)] {
                for prefix in list {
                    prop_assert!(arrived.insert(*prefix, announced).is_none(), "{} twice", prefix);
                }
            }
        }
        prop_assert_eq!(arrived, wanted);
    }
}
