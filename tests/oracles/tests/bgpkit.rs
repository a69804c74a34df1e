//! Against bgpkit-parser: a second opinion, lenient, which lists what it finds
//! odd by RFC 7606.

mod support;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use bgpkit_parser::models::capabilities::BgpCapabilityType;
use bgpkit_parser::models::{
    AsPath, AsnLength, BgpMessage, BgpUpdateMessage, Community as TheirCommunity, MetaCommunity,
    NextHopAddress, Origin as TheirOrigin, ParamValue,
};
use bgpkit_parser::parser::bgp::parse_bgp_message;
use bytes::Bytes;
use loods::bgp::types::{Asn, Attributes, Community, Family, Origin, Prefix, RouterId};
use loods::bgp::wire::message::{Capability, Message, Notification, Open};
use loods::bgp::wire::{DecodeContext, decode};
use proptest::prelude::*;
use support::{Packing, any_packing, encoded};

fn theirs(octets: &[u8], four_octet_as: bool) -> BgpMessage {
    let width = if four_octet_as {
        AsnLength::Bits32
    } else {
        AsnLength::Bits16
    };
    let mut octets = Bytes::copy_from_slice(octets);
    parse_bgp_message(&mut octets, false, &width).expect("bgpkit must read what we write")
}

fn community(one: &MetaCommunity) -> Community {
    let MetaCommunity::Plain(one) = one else {
        panic!("we never send {one:?}");
    };
    Community(match one {
        TheirCommunity::NoExport => 0xFFFF_FF01,
        TheirCommunity::NoAdvertise => 0xFFFF_FF02,
        TheirCommunity::NoExportSubConfed => 0xFFFF_FF03,
        TheirCommunity::Custom(high, low) => high.to_u32() << 16 | u32::from(*low),
    })
}

/// The prefixes of one UPDATE, withdrawn and announced.
fn prefixes(update: &BgpUpdateMessage) -> (Vec<Prefix>, Vec<Prefix>) {
    let attributes = &update.attributes;
    let mp = |nlri: Option<&bgpkit_parser::models::Nlri>| {
        nlri.map(|nlri| nlri.prefixes.clone()).unwrap_or_default()
    };
    let plain = |lists: [Vec<bgpkit_parser::models::NetworkPrefix>; 2]| {
        lists.into_iter().flatten().map(|one| one.prefix).collect()
    };
    (
        plain([
            update.withdrawn_prefixes.clone(),
            mp(attributes.get_unreachable_nlri()),
        ]),
        plain([
            update.announced_prefixes.clone(),
            mp(attributes.get_reachable_nlri()),
        ]),
    )
}

/// The next hop and the link-local one beside it.
fn next_hop(update: &BgpUpdateMessage) -> Option<(IpAddr, Option<std::net::Ipv6Addr>)> {
    match update.attributes.get_reachable_nlri() {
        None => update.attributes.next_hop().map(|addr| (addr, None)),
        Some(nlri) => match nlri.next_hop? {
            NextHopAddress::Ipv4(addr) => Some((addr.into(), None)),
            NextHopAddress::Ipv6(addr) => Some((addr.into(), None)),
            NextHopAddress::Ipv6LinkLocal(global, local) => Some((global.into(), Some(local))),
            other => panic!("we never send {other:?}"),
        },
    }
}

fn attributes_of(update: &BgpUpdateMessage) -> Attributes {
    Attributes {
        origin: match update.attributes.origin() {
            TheirOrigin::IGP => Origin::Igp,
            TheirOrigin::INCOMPLETE => Origin::Incomplete,
            TheirOrigin::EGP => panic!("we never send EGP"),
        },
        local_pref: update.attributes.local_preference(),
        communities: update
            .attributes
            .iter_communities()
            .map(|one| community(&one))
            .collect(),
    }
}

/// Checks one UPDATE of ours and says what it announces and withdraws.
fn understood(octets: &[u8], packing: &Packing) -> Vec<support::Route> {
    let BgpMessage::Update(update) = theirs(octets, packing.session.four_octet_as) else {
        panic!("not an UPDATE");
    };
    let (withdrawn, announced) = prefixes(&update);
    if !announced.is_empty() {
        let warnings = update.attributes.validation_warnings();
        assert!(warnings.is_empty(), "{warnings:?}");
        let hop = packing.next_hop;
        assert_eq!(next_hop(&update), Some((hop.address, hop.link_local)));
        let numbers = |path: Option<&AsPath>| path.and_then(|path| path.to_u32_vec_opt(false));
        let path = numbers(update.attributes.as_path()).unwrap_or_default();
        let path4 = numbers(update.attributes.as4_path());
        let (wanted, hidden) = packing.path();
        if hidden {
            assert_eq!((path, path4), (vec![23456], Some(wanted)));
        } else {
            assert_eq!((path, path4), (wanted, None));
        }
    }
    let attributes = Arc::new(attributes_of(&update));
    let announced = announced
        .into_iter()
        .map(|prefix| (prefix, Some(Arc::clone(&attributes))));
    let withdrawn = withdrawn.into_iter().map(|prefix| (prefix, None));
    withdrawn.chain(announced).collect()
}

proptest! {
    #![proptest_config(support::config())]

    #[test]
    fn our_updates_say_to_bgpkit_what_we_meant(packing in any_packing()) {
        let mut seen: Vec<support::Route> = packing
            .messages()
            .iter()
            .flat_map(|message| understood(message, &packing))
            .collect();
        seen.sort();
        let mut wanted = packing.wanted();
        for (_, attributes) in &mut wanted {
            if let Some(attributes) = attributes {
                let local_pref = packing.local_pref(attributes);
                Arc::make_mut(attributes).local_pref = local_pref;
            }
        }
        prop_assert_eq!(seen, wanted);
    }

    /// Its encoder reproduces our octets, and we read them again.
    #[test]
    fn an_open_survives_the_way_through_bgpkit(
        asn in 1..=u32::MAX,
        hold_time in 3..=u16::MAX,
        id in 1..=u32::MAX,
        long in any::<bool>(),
    ) {
        let mut capabilities = vec![
            Capability::Multiprotocol(Family::Ipv4),
            Capability::Multiprotocol(Family::Ipv6),
            Capability::RouteRefresh,
            Capability::ExtendedMessage,
            Capability::FourOctetAs(Asn(asn)),
        ];
        if long {
            capabilities.push(Capability::Other(239, vec![7; 250]));
        }
        let router_id = RouterId::new(Ipv4Addr::from(id)).unwrap();
        let open = Message::Open(Open { asn: Asn(asn), hold_time, router_id, capabilities });
        let octets = encoded(&open);
        let BgpMessage::Open(read) = theirs(&octets, true) else { panic!("not an OPEN") };
        prop_assert_eq!(read.version, 4);
        prop_assert_eq!(read.hold_time, hold_time);
        prop_assert_eq!(read.bgp_identifier, Ipv4Addr::from(id));
        prop_assert_eq!(read.extended_length, long);
        let [parameter] = &read.opt_params[..] else { panic!("one parameter") };
        let ParamValue::Capacities(offered) = &parameter.param_value else {
            panic!("not capabilities");
        };
        prop_assert_eq!(offered.len(), if long { 6 } else { 5 });
        prop_assert_eq!(offered[4].ty, BgpCapabilityType::SUPPORT_FOR_4_OCTET_AS_NUMBER_CAPABILITY);

        let body = read.encode().expect("bgpkit must write what it read");
        let mut again = octets[..19].to_vec();
        again.extend_from_slice(&body);
        prop_assert_eq!(decode(&again, &DecodeContext::default()), Ok(open));
    }

    /// The UPDATE that bgpkit writes from what it read is the same to us.
    #[test]
    fn an_update_survives_the_way_through_bgpkit(packing in any_packing()) {
        let cx = DecodeContext::of(&packing.session);
        let width = if cx.four_octet_as { AsnLength::Bits32 } else { AsnLength::Bits16 };
        for message in packing.messages() {
            let BgpMessage::Update(update) = theirs(&message, cx.four_octet_as) else {
                panic!("not an UPDATE");
            };
            let body = update.encode(width).expect("bgpkit must write what it read");
            let mut again = message[..19].to_vec();
            let len = u16::try_from(19 + body.len()).unwrap();
            again[16..18].copy_from_slice(&len.to_be_bytes());
            again.extend_from_slice(&body);
            prop_assert_eq!(decode(&again, &cx), decode(&message, &cx));
        }
    }
}

#[test]
fn a_notification_goes_both_ways() {
    for fault in [
        Notification::administrative_shutdown("até já"),
        Notification::cease(7),
        Notification::unsupported_version(),
        Notification::hold_timer_expired(),
        Notification::send_hold_timer_expired(),
    ] {
        let ours = Message::Notification(fault.clone());
        let BgpMessage::Notification(read) = theirs(&encoded(&ours), true) else {
            panic!("not a NOTIFICATION");
        };
        assert_eq!(read.error.get_codes(), (fault.code, fault.subcode));
        assert_eq!(read.data, fault.data);
        let mut again = encoded(&ours)[..19].to_vec();
        again.extend_from_slice(&read.encode());
        assert_eq!(decode(&again, &DecodeContext::default()), Ok(ours));
    }
}
