//! Against netgauze-bgp-pkt, strict and typed, both ways.

mod support;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use loods::bgp::pack;
use loods::bgp::types::{Asn, Attributes, Community, Family, Origin, Prefix, RouterId};
use loods::bgp::wire::message::{Capability, Message, Notification, Open};
use loods::bgp::wire::{DecodeContext, decode};
use netgauze_bgp_pkt::BgpMessage;
use netgauze_bgp_pkt::capabilities::{
    BgpCapability, FourOctetAsCapability, MultiProtocolExtensionsCapability,
};
use netgauze_bgp_pkt::community::Community as TheirCommunity;
use netgauze_bgp_pkt::iana::RouteRefreshSubcode;
use netgauze_bgp_pkt::nlri::{Ipv4Unicast, Ipv4UnicastAddress, Ipv6Unicast, Ipv6UnicastAddress};
use netgauze_bgp_pkt::notification::{
    BgpNotificationMessage, CeaseError, FiniteStateMachineError, MessageHeaderError,
    OpenMessageError,
};
use netgauze_bgp_pkt::open::{BgpOpenMessage, BgpOpenMessageParameter};
use netgauze_bgp_pkt::path_attribute::{
    As2PathSegment, As4Path, As4PathSegment, AsPath, AsPathSegmentType, Communities,
    LocalPreference, MpReach, MpUnreach, MultiExitDiscriminator, NextHop, Origin as TheirOrigin,
    PathAttribute, PathAttributeValue,
};
use netgauze_bgp_pkt::route_refresh::BgpRouteRefreshMessage;
use netgauze_bgp_pkt::update::BgpUpdateMessage;
use netgauze_bgp_pkt::wire::deserializer::BgpParsingContext;
use netgauze_iana::address_family::AddressType;
use netgauze_parse_utils::WritablePdu;
use netgauze_parse_utils::reader::SliceReader;
use netgauze_parse_utils::traits::ParseFromWithOneInput;
use proptest::prelude::*;
use support::{Packing, Route, any_packing, any_prefix, encoded};

fn theirs(octets: &[u8], four_octet_as: bool) -> BgpMessage {
    let mut context = BgpParsingContext::default();
    context.set_asn4(four_octet_as);
    let mut reader = SliceReader::new(octets);
    BgpMessage::parse(&mut reader, &mut context).expect("netgauze must read what we write")
}

fn written(message: &BgpMessage) -> Vec<u8> {
    let mut octets = Vec::new();
    message
        .write(&mut octets)
        .expect("netgauze must write its own value");
    octets
}

/// What netgauze understands of one UPDATE of ours, as routes; every field that
/// the session decides is checked on the way.
fn understood(message: BgpMessage, packing: &Packing) -> Vec<Route> {
    let BgpMessage::Update(update) = message else {
        panic!("not an UPDATE: {message:?}");
    };
    let mut routes: Vec<Route> = Vec::new();
    let v4 = |address: &Ipv4UnicastAddress| Prefix::V4(address.network().address());
    let v6 = |address: &Ipv6UnicastAddress| Prefix::V6(address.network().address());
    routes.extend(
        update
            .withdraw_routes()
            .iter()
            .map(|address| (v4(address), None)),
    );

    let mut reach: Vec<Prefix> = update.nlri().iter().map(v4).collect();
    let mut attributes = Attributes::default();
    let (mut path, mut path4) = (None, None);
    let (mut next_hop, mut local_pref) = (None, None);
    for attribute in update.path_attributes() {
        match attribute.value() {
            PathAttributeValue::Origin(TheirOrigin::IGP) => attributes.origin = Origin::Igp,
            PathAttributeValue::Origin(TheirOrigin::Incomplete) => {
                attributes.origin = Origin::Incomplete;
            }
            PathAttributeValue::AsPath(segments) => path = Some(Vec::from(segments.clone())),
            PathAttributeValue::As4Path(segments) => {
                let segments = AsPath::as4_path_segments(segments.segments().to_vec());
                path4 = Some(Vec::from(segments));
            }
            PathAttributeValue::NextHop(hop) => {
                next_hop = Some((IpAddr::V4(hop.next_hop()), None));
            }
            PathAttributeValue::LocalPreference(value) => local_pref = Some(value.metric()),
            PathAttributeValue::Communities(list) => {
                let values: Vec<_> = list.communities().iter().map(|one| one.value()).collect();
                assert!(values.is_sorted(), "communities in order");
                attributes.communities = values.into_iter().map(Community).collect();
            }
            PathAttributeValue::MpReach(MpReach::Ipv6Unicast {
                next_hop_global,
                next_hop_local,
                nlri,
            }) => {
                next_hop = Some((IpAddr::V6(*next_hop_global), *next_hop_local));
                reach.extend(nlri.iter().map(v6));
            }
            PathAttributeValue::MpUnreach(MpUnreach::Ipv6Unicast { nlri }) => {
                routes.extend(nlri.iter().map(|address| (v6(address), None)));
            }
            other => panic!("we never send {other:?}"),
        }
    }
    if !reach.is_empty() {
        let (wanted, hidden) = packing.path();
        if hidden {
            assert_eq!(path, Some(vec![23456]));
            assert_eq!(path4, Some(wanted));
        } else {
            assert_eq!((path, path4), (Some(wanted), None));
        }
        let hop = packing.next_hop;
        assert_eq!(next_hop, Some((hop.address, hop.link_local)));
    }
    // LOCAL_PREF stays as the wire has it: `wanted` is brought to the same form.
    attributes.local_pref = local_pref;
    let attributes = Arc::new(attributes);
    routes.extend(
        reach
            .into_iter()
            .map(|prefix| (prefix, Some(Arc::clone(&attributes)))),
    );
    routes
}

fn wanted(packing: &Packing) -> Vec<Route> {
    let mut wanted = packing.wanted();
    for (_, attributes) in &mut wanted {
        if let Some(attributes) = attributes {
            let local_pref = packing.local_pref(attributes);
            Arc::make_mut(attributes).local_pref = local_pref;
        }
    }
    wanted
}

proptest! {
    #![proptest_config(support::config())]

    #[test]
    fn our_updates_say_to_netgauze_what_we_meant(packing in any_packing()) {
        let mut seen = Vec::new();
        for message in packing.messages() {
            let message = theirs(&message, packing.session.four_octet_as);
            seen.extend(understood(message, &packing));
        }
        seen.sort();
        prop_assert_eq!(seen, wanted(&packing));
    }

    #[test]
    fn our_opens_say_to_netgauze_what_we_meant(
        asn in 1..=u32::MAX,
        hold_time in 3..=u16::MAX,
        // netgauze wants a host's address, as before RFC 6286.
        id in 1..0xE000_0000_u32,
        long in 0..300_usize,
    ) {
        let mut capabilities = vec![
            Capability::Multiprotocol(Family::Ipv4),
            Capability::Multiprotocol(Family::Ipv6),
            Capability::RouteRefresh,
            Capability::ExtendedMessage,
            Capability::FourOctetAs(Asn(asn)),
        ];
        // Enough to make some of them need the long form. 239 is experimental.
        capabilities.extend((0..long / 100).map(|_| Capability::Other(239, vec![7; 100])));
        let router_id = RouterId::new(Ipv4Addr::from(id)).unwrap();
        let open = Open { asn: Asn(asn), hold_time, router_id, capabilities };
        let BgpMessage::Open(read) = theirs(&encoded(&Message::Open(open.clone())), true) else {
            panic!("not an OPEN");
        };
        prop_assert_eq!(read.version(), 4);
        prop_assert_eq!(read.my_as(), Asn(asn).two_octet());
        prop_assert_eq!(read.my_asn4(), asn);
        prop_assert_eq!(read.hold_time(), hold_time);
        prop_assert_eq!(read.bgp_id(), Ipv4Addr::from(id));
        let offered = read.capabilities();
        prop_assert_eq!(offered.len(), open.capabilities.len());
        let family = |kind| BgpCapability::MultiProtocolExtensions(
            MultiProtocolExtensionsCapability::new(kind),
        );
        prop_assert_eq!(offered[0], &family(AddressType::Ipv4Unicast));
        prop_assert_eq!(offered[1], &family(AddressType::Ipv6Unicast));
        prop_assert_eq!(offered[2], &BgpCapability::RouteRefresh);
        prop_assert_eq!(offered[3], &BgpCapability::ExtendedMessage);
    }

    #[test]
    fn an_open_of_netgauze_reads_as_it_was_meant(
        asn in 1..=u32::MAX,
        hold_time in 3..=u16::MAX,
        id in 1..=u32::MAX,
        one_parameter in any::<bool>(),
    ) {
        let capabilities = [
            BgpCapability::MultiProtocolExtensions(
                MultiProtocolExtensionsCapability::new(AddressType::Ipv6Unicast),
            ),
            BgpCapability::CiscoRouteRefresh,
            BgpCapability::RouteRefresh,
            BgpCapability::ExtendedMessage,
            BgpCapability::MultiProtocolExtensions(
                MultiProtocolExtensionsCapability::new(AddressType::Ipv4MplsLabeledVpn),
            ),
            BgpCapability::FourOctetAs(FourOctetAsCapability::new(asn)),
        ];
        let parameters = if one_parameter {
            vec![BgpOpenMessageParameter::new_capabilities(capabilities)]
        } else {
            capabilities
                .map(|capability| BgpOpenMessageParameter::new_capabilities([capability]))
                .to_vec()
        };
        let open = BgpOpenMessage::new(
            Asn(asn).two_octet(),
            hold_time,
            Ipv4Addr::from(id),
            parameters,
        );
        let octets = written(&BgpMessage::Open(open));
        let wanted = Open {
            asn: Asn(asn),
            hold_time,
            router_id: RouterId::new(Ipv4Addr::from(id)).unwrap(),
            capabilities: vec![
                Capability::Multiprotocol(Family::Ipv6),
                Capability::Other(128, vec![]),
                Capability::RouteRefresh,
                Capability::ExtendedMessage,
                Capability::Other(1, vec![0, 1, 0, 128]),
                Capability::FourOctetAs(Asn(asn)),
            ],
        };
        prop_assert_eq!(decode(&octets, &DecodeContext::default()), Ok(Message::Open(wanted)));
    }

    #[test]
    fn an_update_of_netgauze_reads_as_it_was_meant(
        withdrawn in prop::collection::vec(any_prefix(), 0..40),
        announced in prop::collection::vec(any_prefix(), 1..40),
        four_octet_as in any::<bool>(),
        ibgp in any::<bool>(),
    ) {
        let v4 = |prefixes: &[Prefix]| -> Vec<Ipv4UnicastAddress> {
            prefixes.iter().filter_map(|prefix| match prefix {
                Prefix::V4(net) => Some(Ipv4UnicastAddress::new_no_path_id(
                    Ipv4Unicast::from_net(*net).expect("unicast by its strategy"),
                )),
                Prefix::V6(_) => None,
            }).collect()
        };
        let v6 = |prefixes: &[Prefix]| -> Vec<Ipv6UnicastAddress> {
            prefixes.iter().filter_map(|prefix| match prefix {
                Prefix::V6(net) => Some(Ipv6UnicastAddress::new(
                    None,
                    Ipv6Unicast::from_net(*net).expect("unicast by its strategy"),
                )),
                Prefix::V4(_) => None,
            }).collect()
        };
        let kind = AsPathSegmentType::AsSequence;
        let path = if four_octet_as {
            AsPath::as4_path_segments([As4PathSegment::new(kind, [65559, 64512])])
        } else {
            AsPath::as2_path_segments([As2PathSegment::new(kind, [23456, 64512])])
        };
        let mut values = vec![
            (false, true, PathAttributeValue::Origin(TheirOrigin::IGP)),
            (false, true, PathAttributeValue::AsPath(path)),
            (false, true, PathAttributeValue::NextHop(NextHop::new(Ipv4Addr::new(10, 0, 0, 7)))),
            (true, false, PathAttributeValue::MultiExitDiscriminator(
                MultiExitDiscriminator::new(7),
            )),
            (true, true, PathAttributeValue::Communities(
                Communities::new([TheirCommunity::new(0xFFFF_FF01)]),
            )),
            (true, false, PathAttributeValue::MpReach(MpReach::Ipv6Unicast {
                next_hop_global: "2001:db8::7".parse().unwrap(),
                next_hop_local: ibgp.then(|| "fe80::7".parse().unwrap()),
                nlri: v6(&announced).into(),
            })),
            (true, false, PathAttributeValue::MpUnreach(MpUnreach::Ipv6Unicast {
                nlri: v6(&withdrawn).into(),
            })),
        ];
        if ibgp {
            let value = PathAttributeValue::LocalPreference(LocalPreference::new(0));
            values.push((false, true, value));
        }
        if !four_octet_as {
            let segments = [As4PathSegment::new(kind, [65559, 64512])];
            values.push((true, true, PathAttributeValue::As4Path(As4Path::new(segments))));
        }
        let attributes: Vec<PathAttribute> = values
            .into_iter()
            .map(|(optional, transitive, value)| {
                PathAttribute::from(optional, transitive, false, true, value)
                    .expect("flags as the RFCs have them")
            })
            .collect();
        let update = BgpUpdateMessage::new(v4(&withdrawn), attributes, v4(&announced));
        let octets = written(&BgpMessage::Update(update));

        let cx = DecodeContext { four_octet_as, ibgp };
        let Ok(Message::Update(read)) = decode(&octets, &cx) else {
            panic!("not read: {:?}", decode(&octets, &cx));
        };
        prop_assert!(read.faults.is_empty(), "{:?}", read.faults);
        let sorted = |mut prefixes: Vec<Prefix>| { prefixes.sort(); prefixes };
        prop_assert_eq!(sorted(read.reach), sorted(announced));
        prop_assert_eq!(sorted(read.unreach), sorted(withdrawn));
        prop_assert_eq!(read.end_of_rib, None);
    }
}

#[test]
fn end_of_rib_is_understood() {
    for (family, wanted) in [
        (Family::Ipv4, AddressType::Ipv4Unicast),
        (Family::Ipv6, AddressType::Ipv6Unicast),
    ] {
        let mut octets = Vec::new();
        pack::end_of_rib(family, &mut octets);
        let BgpMessage::Update(update) = theirs(&octets, true) else {
            panic!("not an UPDATE");
        };
        assert_eq!(update.end_of_rib(), Some(wanted));
        // And theirs by us.
        let octets = written(&BgpMessage::Update(update));
        let Ok(Message::Update(read)) = decode(&octets, &DecodeContext::default()) else {
            panic!("not read");
        };
        assert_eq!(read.end_of_rib, Some(family));
    }
}

#[test]
fn keepalive_and_route_refresh_go_both_ways() {
    let cx = DecodeContext::default();
    assert_eq!(
        encoded(&Message::Keepalive),
        written(&BgpMessage::KeepAlive)
    );
    for (family, kind) in [
        (Family::Ipv4, AddressType::Ipv4Unicast),
        (Family::Ipv6, AddressType::Ipv6Unicast),
    ] {
        let refresh =
            |operation| BgpMessage::RouteRefresh(BgpRouteRefreshMessage::new(kind, operation));
        let ours = Message::RouteRefresh(Some(family));
        let request = refresh(RouteRefreshSubcode::NormalRequest);
        assert_eq!(theirs(&encoded(&ours), true), request);
        assert_eq!(decode(&written(&request), &cx), Ok(ours));
        let begin = refresh(RouteRefreshSubcode::BeginningOfRouteRefresh);
        assert_eq!(
            decode(&written(&begin), &cx),
            Ok(Message::RouteRefresh(None))
        );
    }
}

#[test]
fn notifications_go_both_ways() {
    let shutdown = Notification::administrative_shutdown("até já");
    let text = shutdown.data.clone().into_boxed_slice();
    let none = || Box::<[u8]>::default();
    let pairs = [
        (
            shutdown,
            BgpNotificationMessage::CeaseError(CeaseError::AdministrativeShutdown { value: text }),
        ),
        (
            Notification::cease(7),
            BgpNotificationMessage::CeaseError(CeaseError::ConnectionCollisionResolution {
                value: none(),
            }),
        ),
        (
            Notification::unsupported_version(),
            BgpNotificationMessage::OpenMessageError(OpenMessageError::UnsupportedVersionNumber {
                value: Box::new([0, 4]),
            }),
        ),
        (
            Notification::bad_peer_as(),
            BgpNotificationMessage::OpenMessageError(OpenMessageError::BadPeerAs { value: none() }),
        ),
        (
            Notification::unacceptable_hold_time(),
            BgpNotificationMessage::OpenMessageError(OpenMessageError::UnacceptableHoldTime {
                value: none(),
            }),
        ),
        (
            Notification::bad_message_length(18),
            BgpNotificationMessage::MessageHeaderError(MessageHeaderError::BadMessageLength {
                value: Box::new([0, 18]),
            }),
        ),
        (
            Notification::unexpected_message(3, 1),
            BgpNotificationMessage::FiniteStateMachineError(
                FiniteStateMachineError::ReceiveUnexpectedMessageInEstablishedState {
                    value: Box::new([1]),
                },
            ),
        ),
    ];
    for (ours, theirs_value) in pairs {
        let ours = Message::Notification(ours);
        let value = BgpMessage::Notification(theirs_value);
        assert_eq!(theirs(&encoded(&ours), true), value);
        assert_eq!(
            decode(&written(&value), &DecodeContext::default()),
            Ok(ours)
        );
    }
}
