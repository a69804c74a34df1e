//! Routers that refuse, and routers that cannot do much.

use crate::link::{ARTICLE_NEIGHBOUR, ARTICLE_PEER, Link};
use crate::support::wait;

#[test]
#[ignore = "needs root: tests/run runs it"]
fn a_router_that_has_too_many_prefixes_is_named_as_the_reason_and_left_in_peace() {
    let link = Link::new();
    let limit =
        "\n address-family ipv4 unicast\n  neighbor NODE maximum-prefix 10\n exit-address-family";
    let frr = link.frr(65559, &format!("{ARTICLE_NEIGHBOUR}{limit}"));
    let mut speaker = link.speaker(ARTICLE_PEER);
    speaker.tell("fill 20 10.1.0.0");

    // RFC 4486 subcode 1.
    speaker.wait_error(&["maximum", "prefixes"]);
    // Nothing changes before an operator does something.
    let peers = speaker.peers().expect("the speaker answers");
    let next_dial = peers[0]["nextDialSeconds"].as_u64();
    assert!(next_dial > Some(60), "the next dial is far: {}", peers[0]);
    assert_eq!(frr.neighbour(&link.node4())["connectionsEstablished"], 1);
}

#[test]
#[ignore = "needs root: tests/run runs it"]
fn a_router_that_expects_another_asn_of_us_is_named_as_the_reason() {
    let link = Link::new();
    let frr = link.frr(
        65559,
        &ARTICLE_NEIGHBOUR.replace("remote-as 65559", "remote-as 65001"),
    );
    let mut speaker = link.speaker(ARTICLE_PEER);
    speaker.tell("add 1.2.3.4/32");

    speaker.wait_error(&["bad peer as"]);
    frr.configure(&[
        "router bgp 65559",
        &format!("neighbor {} remote-as 65559", link.node4()),
    ]);
    frr.wait_route("1.2.3.4/32", &[link.node4()]);
}

#[test]
#[ignore = "needs root: tests/run runs it"]
fn a_router_with_another_asn_than_configured_is_told_bad_peer_as() {
    let link = Link::new();
    let frr = link.frr(65001, ARTICLE_NEIGHBOUR);
    let speaker = link.speaker(ARTICLE_PEER);

    let error = speaker.wait_error(&["65001"]);
    assert!(error.contains("65559"), "both numbers are named: {error}");
    wait::until("FRR logs our NOTIFICATION", || {
        let log = frr.log();
        let told = format!("received from neighbor {} 2/2", link.node4());
        wait::check(log.contains(&told), log)
    });
}

#[test]
#[ignore = "needs root: tests/run runs it"]
fn a_router_that_offers_no_capability_gets_ipv4_routes() {
    let link = Link::new();
    let neighbour = "
 neighbor NODE remote-as 65001
 neighbor NODE dont-capability-negotiate
 neighbor NODE override-capability
 address-family ipv4 unicast
  neighbor NODE activate
 exit-address-family";
    let frr = link.frr(65002, neighbour);
    let mut speaker = link.speaker("peer-address: ROUTER\npeer-asn: 65002\nmy-asn: 65001");
    speaker.tell("add 1.2.3.4/32");

    frr.wait_route("1.2.3.4/32", &[link.node4()]);
    assert_eq!(frr.paths("1.2.3.4/32")[0].as_path, "65001");
}

#[test]
#[ignore = "needs root: tests/run runs it"]
fn an_old_router_knows_us_as_as_trans_and_still_learns_the_four_byte_asn() {
    let link = Link::new();
    // RFC 6793 §4.2.2: 23456 in the OPEN and in AS_PATH, the truth in AS4_PATH,
    // which BIRD knows how to read even where it was told not to negotiate.
    let bird = link.bird(
        "local ROUTER as 65002; neighbor NODE as 23456; capabilities off; enable as4 off; ipv4 { import all; export none; };"
            .replace("ROUTER", &link.router.v4.to_string())
            .as_str(),
    );
    let mut speaker = link.speaker("peer-address: ROUTER\npeer-asn: 65002\nmy-asn: 4200000001");
    speaker.tell("add 1.2.3.4/32");

    bird.wait_route("1.2.3.4/32", &[link.node4()]);
    let attributes = bird.attributes("1.2.3.4/32");
    assert!(
        attributes.contains("BGP.as_path: 4200000001"),
        "{attributes}"
    );
}

#[test]
#[ignore = "needs root: tests/run runs it"]
fn a_port_where_nobody_listens_is_dialled_until_somebody_does() {
    let link = Link::new();
    let mut speaker = link.speaker(&ARTICLE_PEER.replace("password: \"foo\"", ""));
    speaker.tell("add 1.2.3.4/32");
    speaker.wait_error(&["refused"]);

    let frr = link.frr(
        65559,
        &ARTICLE_NEIGHBOUR.replace(" neighbor NODE password foo", ""),
    );
    frr.wait_route("1.2.3.4/32", &[link.node4()]);
}

#[test]
#[ignore = "needs root: tests/run runs it"]
fn with_a_password_a_refusal_is_silence_since_its_reset_bears_no_signature() {
    let link = Link::new();
    let speaker = link.speaker(ARTICLE_PEER);
    speaker.wait_error(&["no answer"]);
}
