//! What a route carries, as the router shows it.

use crate::link::{ARTICLE_NEIGHBOUR, ARTICLE_PEER, Link};
use crate::support::frr::Heard;
use crate::support::wait;
use std::collections::BTreeSet;

#[test]
#[ignore = "needs root: tests/run runs it"]
fn local_preference_communities_and_origin_arrive_as_written() {
    let link = Link::new();
    let frr = link.frr(65559, ARTICLE_NEIGHBOUR);
    let mut speaker = link.speaker(ARTICLE_PEER);
    speaker.tell("add 10.0.0.1/32 localpref=0 origin=incomplete communities=65535:65281,64512:100");
    speaker.tell("add 10.0.0.2/32 localpref=300");
    frr.wait_route("10.0.0.1/32", &[link.node4()]);
    frr.wait_route("10.0.0.2/32", &[link.node4()]);

    let path = frr.paths("10.0.0.1/32").remove(0);
    assert_eq!(path.local_pref, Some(0), "a written 0 is a 0");
    assert_eq!(path.origin, "incomplete");
    let communities = ["noExport", "64512:100"].map(String::from);
    assert_eq!(path.communities, BTreeSet::from(communities));
    assert_eq!(frr.paths("10.0.0.2/32")[0].local_pref, Some(300));
}

#[test]
#[ignore = "needs root: tests/run runs it"]
fn a_changed_community_is_announced_anew_without_a_withdrawal() {
    let link = Link::new();
    let frr = link.frr(65559, ARTICLE_NEIGHBOUR);
    let mut speaker = link.speaker(ARTICLE_PEER);
    speaker.tell("add 10.0.0.1/32 communities=64512:1");
    frr.wait_route("10.0.0.1/32", &[link.node4()]);
    let before = frr.recording().len();

    speaker.tell("add 10.0.0.1/32 communities=64512:2");
    wait::until("FRR has the new community", || {
        let path = frr.paths("10.0.0.1/32").remove(0);
        wait::check(
            path.communities == BTreeSet::from(["64512:2".to_string()]),
            path,
        )
    });
    let anew = Heard::Announced {
        peer: link.node4(),
        prefix: "10.0.0.1/32".into(),
    };
    assert_eq!(frr.recording()[before..], [anew]);
}

#[test]
#[ignore = "needs root: tests/run runs it"]
fn an_aggregate_is_announced_with_its_own_length() {
    let link = Link::new();
    let frr = link.frr(65559, ARTICLE_NEIGHBOUR);
    let mut speaker = link.speaker(ARTICLE_PEER);
    speaker.tell("add 10.1.2.0/24");
    frr.wait_route("10.1.2.0/24", &[link.node4()]);
}

#[test]
#[ignore = "needs root: tests/run runs it"]
fn an_ipv6_session_carries_ipv6_prefixes_with_a_global_next_hop() {
    let link = Link::new();
    let neighbour = "
 neighbor NODE6 remote-as 65559
 neighbor NODE6 password foo
 address-family ipv6 unicast
  neighbor NODE6 activate
 exit-address-family";
    let frr = link.frr(65559, neighbour);
    let mut speaker = link.speaker(&ARTICLE_PEER.replace("ROUTER", "ROUTER6"));
    speaker.tell("add 2001:db8::4/128 communities=64512:6");

    frr.wait_established("ipv6", &[link.node6()]);
    frr.wait_route("2001:db8::4/128", &[link.node6()]);
    let path = frr.paths("2001:db8::4/128").remove(0);
    // RFC 2545 §3: the global address first; the link-local one may follow.
    assert_eq!(path.next_hops.first(), Some(&link.node6()));
    assert_eq!(path.local_pref, Some(100));
    assert_eq!(path.communities, BTreeSet::from(["64512:6".to_string()]));
    wait::until("the route is in the forwarding table", || {
        let seen = frr.forwarding("2001:db8::4/128");
        wait::check(
            seen.as_ref()
                .is_some_and(|(distance, _, hops)| *distance == 200 && !hops.is_empty()),
            seen,
        )
    });

    speaker.tell("del 2001:db8::4/128");
    frr.wait_route("2001:db8::4/128", &[]);
}

#[test]
#[ignore = "needs root: tests/run runs it"]
fn thousands_of_ipv6_routes_come_and_go() {
    let link = Link::new();
    let neighbour = "
 neighbor NODE6 remote-as 65559
 address-family ipv6 unicast
  neighbor NODE6 activate
 exit-address-family";
    let frr = link.frr(65559, neighbour);
    let mut speaker = link.speaker("peer-address: ROUTER6\npeer-asn: 65559\nmy-asn: 65559");
    for (command, count) in [("fill", 3_000), ("clear", 0)] {
        speaker.tell(&format!("{command} 3000 2001:db8:1::"));
        wait::until(&format!("FRR has {count} prefixes"), || {
            let summary = frr.summary("ipv6");
            let row = &summary[&link.node6()];
            wait::check(row.state == "Established" && row.prefixes == count, row)
        });
    }
    assert_eq!(frr.neighbour(&link.node6())["connectionsEstablished"], 1);
}
