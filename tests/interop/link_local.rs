//! Sessions over link-local addresses: `peer-address: fe80::…%eth0`.

use crate::link::Link;
use crate::support::wait;
use std::collections::BTreeSet;

const NEIGHBOUR: &str = "
 neighbor NODELL remote-as 65559
 neighbor NODELL interface eth0
 neighbor NODELL password foo
 address-family ipv6 unicast
  neighbor NODELL activate
 exit-address-family";

const PEER: &str = "
peer-address: ROUTERLL%eth0
peer-asn: 65559
my-asn: 65559
password: foo";

/// A link on which both sides have their link-local address and no other.
fn bare() -> Link {
    let link = Link::new();
    for host in [&link.router, &link.node] {
        let global = format!("{}/64", host.v6);
        host.run("ip", &["address", "del", &global, "dev", "eth0"]);
    }
    link
}

fn bird_neighbour(link: &Link) -> String {
    format!(
        "local {} as 65002; neighbor NODELL%eth0 as 65559; password \"foo\"; ipv6 {{ import all; export none; }};",
        link.router.link_local()
    )
}

#[test]
#[ignore = "needs root: tests/run runs it"]
fn frr_takes_a_session_with_a_password_and_forwards_to_the_link_local_next_hop() {
    let link = Link::new();
    let frr = link.frr(65559, NEIGHBOUR);
    let mut speaker = link.speaker(PEER);
    speaker.tell("add 2001:db8::4/128 communities=64512:6");
    let here = link.node.link_local().to_string();

    frr.wait_established("ipv6", std::slice::from_ref(&here));
    frr.wait_route("2001:db8::4/128", std::slice::from_ref(&here));
    let path = frr.paths("2001:db8::4/128").remove(0);
    // RFC 2545 §3: the global address, and beside it the one of the link.
    assert_eq!(path.next_hops, [link.node6(), here.clone()]);
    assert_eq!(path.communities, BTreeSet::from(["64512:6".to_string()]));
    wait::until("the route is in the forwarding table", || {
        let seen = frr.forwarding("2001:db8::4/128");
        wait::check(seen == Some((200, 0, BTreeSet::from([here.clone()]))), seen)
    });
    speaker.tell("del 2001:db8::4/128");
    frr.wait_route("2001:db8::4/128", &[]);
}

#[test]
#[ignore = "needs root: tests/run runs it"]
fn a_link_without_global_addresses_has_the_link_local_one_as_its_only_next_hop() {
    let link = bare();
    let external = NEIGHBOUR.replace("password foo", "description no password");
    let frr = link.frr(65002, &external);
    let mut speaker = link.speaker(
        &PEER
            .replace("peer-asn: 65559", "peer-asn: 65002")
            .replace("\npassword: foo", ""),
    );
    speaker.tell("add 2001:db8::4/128");
    let here = link.node.link_local().to_string();
    frr.wait_route("2001:db8::4/128", std::slice::from_ref(&here));
    let hops = &frr.paths("2001:db8::4/128")[0].next_hops;
    assert!(hops.iter().all(|hop| *hop == here), "{hops:?}");
    wait::until("the route is in the forwarding table", || {
        let seen = frr.forwarding("2001:db8::4/128");
        wait::check(seen == Some((20, 0, BTreeSet::from([here.clone()]))), seen)
    });
}

#[test]
#[ignore = "needs root: tests/run runs it"]
fn bird_takes_a_session() {
    let link = Link::new();
    let bird = link.bird(&bird_neighbour(&link));
    let mut speaker = link.speaker(&PEER.replace("peer-asn: 65559", "peer-asn: 65002"));
    speaker.tell("add 2001:db8::4/128");
    bird.wait_established(1);
    bird.wait_route("2001:db8::4/128", &[link.node6()]);
    let attributes = bird.attributes("2001:db8::4/128");
    let both = format!("BGP.next_hop: {} {}", link.node6(), link.node.link_local());
    assert!(attributes.contains(&both), "{attributes}");
}

#[test]
#[ignore = "needs root: tests/run runs it"]
fn bird_takes_one_from_a_link_local_source_on_a_link_without_global_addresses() {
    let link = bare();
    let bird = link.bird(&bird_neighbour(&link));
    let external = PEER.replace("peer-asn: 65559", "peer-asn: 65002");
    let source = link.node.link_local();
    let mut speaker = link.speaker(&format!("{external}\nsource-address: \"{source}\""));
    speaker.tell("add 2001:db8::4/128");
    let via = format!("via {} on eth0", link.node.link_local());
    wait::until("BIRD routes to the link-local address", || {
        let seen = bird.birdc("show route 2001:db8::4/128")?;
        wait::check(seen.contains(&via), seen)
    });
}
