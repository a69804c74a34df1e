//! What both oracles are asked about: messages of ours, from plain values.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use loods::bgp::pack::pack;
use loods::bgp::types::{
    Asn, Attributes, Community, Family, Negotiated, NextHop, Origin, Prefix, RouterId,
};
use loods::bgp::wire::message::Message;
use loods::bgp::wire::{MESSAGE_LIMIT, frame};
use proptest::prelude::*;

pub type Route = (Prefix, Option<Arc<Attributes>>);

/// Cases enough to meet every branch. A failure prints its smallest case, which
/// then belongs into a test of its own, so none is written to disk.
pub fn config() -> ProptestConfig {
    ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(128)
    }
}

/// One call of `pack`.
#[derive(Clone, Debug)]
pub struct Packing {
    pub routes: Vec<Route>,
    pub session: Negotiated,
    pub next_hop: NextHop,
}

impl Packing {
    pub fn messages(&self) -> Vec<Vec<u8>> {
        let mut out = Vec::new();
        let count = pack(&self.routes, &self.session, &self.next_hop, &mut out);
        let messages = split(out);
        assert_eq!(messages.len(), count);
        messages
    }

    /// The routes that this session can carry, sorted.
    pub fn wanted(&self) -> Vec<Route> {
        let family = Family::of(self.next_hop.address);
        let mut wanted = self.routes.clone();
        wanted.retain(|(prefix, _)| Family::of_prefix(prefix) == family);
        wanted.sort();
        wanted
    }

    /// AS_PATH as the peer should understand it, and whether AS4_PATH says it.
    pub fn path(&self) -> (Vec<u32>, bool) {
        let local = self.session.local_asn.0;
        if self.session.is_ibgp() {
            (Vec::new(), false)
        } else {
            let hidden = !self.session.four_octet_as && local > 65535;
            (vec![local], hidden)
        }
    }

    /// LOCAL_PREF as the peer should find it.
    pub fn local_pref(&self, attributes: &Attributes) -> Option<u32> {
        self.session
            .is_ibgp()
            .then(|| attributes.local_pref.unwrap_or(100))
    }
}

pub fn split(mut stream: Vec<u8>) -> Vec<Vec<u8>> {
    let mut messages = Vec::new();
    while let Some(len) = frame(&stream, MESSAGE_LIMIT).expect("our own header") {
        let rest = stream.split_off(len);
        messages.push(stream);
        stream = rest;
    }
    assert!(stream.is_empty());
    messages
}

pub fn encoded(message: &Message) -> Vec<u8> {
    let mut out = Vec::new();
    message.encode(&mut out);
    out
}

/// Unicast prefixes, since one oracle refuses others; none shorter than /20, since
/// it walks all hosts of a prefix to know.
pub fn any_prefix() -> impl Strategy<Value = Prefix> {
    prop_oneof![
        (0x0100_0000..0xDF00_0000_u32, 20..=32_u8).prop_map(|(addr, bits)| Prefix::new(
            Ipv4Addr::from(addr).into(),
            bits
        )
        .unwrap()),
        (any::<u128>(), 16..=128_u8).prop_map(|(addr, bits)| {
            let addr = std::net::Ipv6Addr::from(0x2001 << 112 | addr >> 16);
            Prefix::new(addr.into(), bits).unwrap()
        }),
    ]
    .prop_map(|prefix| prefix.trunc())
}

pub fn any_attributes() -> impl Strategy<Value = Arc<Attributes>> {
    (
        prop_oneof![Just(Origin::Igp), Just(Origin::Incomplete)],
        prop::option::of(any::<u32>()),
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

pub fn any_packing() -> impl Strategy<Value = Packing> {
    let session =
        (1..=u32::MAX, any::<(bool, bool)>()).prop_map(|(local, (external, four_octet_as))| {
            Negotiated {
                local_asn: Asn(local),
                peer_asn: Asn(if external { local ^ 1 } else { local }),
                peer_router_id: RouterId::new(Ipv4Addr::LOCALHOST).expect("not zero"),
                four_octet_as,
                extended_messages: false,
                route_refresh: true,
                families: BTreeSet::from([Family::Ipv4, Family::Ipv6]),
                hold_time: Duration::from_secs(90),
            }
        });
    let next_hop = prop_oneof![
        Just(("10.0.0.7", None)),
        Just(("2001:db8::7", None)),
        Just(("2001:db8::7", Some("fe80::7"))),
    ]
    .prop_map(|(address, link_local)| NextHop {
        address: address.parse().unwrap(),
        link_local: link_local.map(|addr| addr.parse().unwrap()),
    });
    (
        prop::collection::btree_set(any_prefix(), 1..300),
        prop::collection::vec(prop::option::of(any_attributes()), 1..4),
        session,
        next_hop,
    )
        .prop_map(|(prefixes, palette, session, next_hop)| Packing {
            routes: prefixes
                .into_iter()
                .zip(palette.iter().cycle().cloned())
                .collect(),
            session,
            next_hop,
        })
}
