//! How sessions come up, stay up, end and come back.

use crate::link::{ARTICLE_NEIGHBOUR, ARTICLE_PEER, Link};
use crate::support::frr::Heard;
use crate::support::lab::Host;
use crate::support::wait;
use std::collections::BTreeSet;

#[test]
#[ignore = "needs root: tests/run runs it"]
fn the_articles_session_comes_up_with_its_four_byte_asn_and_its_password() {
    let link = Link::new();
    let frr = link.frr(65559, ARTICLE_NEIGHBOUR);
    let mut speaker = link.speaker(ARTICLE_PEER);
    speaker.tell("add 1.2.3.4/32");

    frr.wait_established("ipv4", &[link.node4()]);
    frr.wait_route("1.2.3.4/32", &[link.node4()]);
    let paths = frr.paths("1.2.3.4/32");
    assert_eq!(paths.len(), 1);
    assert_eq!(paths[0].next_hops, [link.node4()]);
    assert_eq!(
        paths[0].local_pref,
        Some(100),
        "an internal route without localpref has 100"
    );
    assert_eq!(paths[0].origin, "IGP");
    assert_eq!(
        paths[0].as_path, "Local",
        "an internal route has an empty AS_PATH"
    );
    wait::until("the route is in the forwarding table as [200/0]", || {
        let seen = frr.forwarding("1.2.3.4/32");
        wait::check(seen == Some((200, 0, BTreeSet::from([link.node4()]))), seen)
    });
}

#[test]
#[ignore = "needs root: tests/run runs it"]
fn a_wrong_password_brings_no_session_until_the_router_is_mended() {
    let link = Link::new();
    let frr = link.frr(65559, &ARTICLE_NEIGHBOUR.replace("foo", "bar"));
    let mut speaker = link.speaker(ARTICLE_PEER);
    speaker.tell("add 1.2.3.4/32");

    wait::until(
        "the router's kernel drops a segment for its signature",
        || {
            let failures = md5_failures(&link.router);
            wait::check(failures > 0, failures)
        },
    );
    assert_ne!(frr.summary("ipv4")[&link.node4()].state, "Established");

    frr.configure(&[
        "router bgp 65559",
        &format!("neighbor {} password foo", link.node4()),
    ]);
    frr.wait_route("1.2.3.4/32", &[link.node4()]);
    let established = &frr.neighbour(&link.node4())["connectionsEstablished"];
    assert_eq!(established, 1, "the session came up once, after the mend");
}

#[test]
#[ignore = "needs root: tests/run runs it"]
fn a_frozen_router_is_given_up_when_the_hold_time_ends_and_gets_all_again_when_it_wakes() {
    let link = Link::new();
    let frr = link.frr(65559, ARTICLE_NEIGHBOUR);
    let mut speaker = link.speaker(&format!("{ARTICLE_PEER}\nhold-time: 3s"));
    speaker.tell("add 1.2.3.4/32");
    frr.wait_route("1.2.3.4/32", &[link.node4()]);

    frr.bgpd.freeze();
    speaker.wait_error(&["hold"]);
    speaker.tell("add 1.2.3.5/32");
    frr.bgpd.thaw();

    frr.wait_route("1.2.3.4/32", &[link.node4()]);
    frr.wait_route("1.2.3.5/32", &[link.node4()]);
}

#[test]
#[ignore = "needs root: tests/run runs it"]
fn a_router_that_restarts_gets_the_whole_table_again() {
    let link = Link::new();
    let mut frr = link.frr(65559, ARTICLE_NEIGHBOUR);
    let mut speaker = link.speaker(ARTICLE_PEER);
    speaker.tell("fill 100 10.1.0.0");
    wait::until("FRR has 100 prefixes", || received(&frr, &link, 100));

    frr.restart_bgpd();
    wait::until("FRR has 100 prefixes again", || received(&frr, &link, 100));
}

#[test]
#[ignore = "needs root: tests/run runs it"]
fn five_thousand_routes_come_and_go_at_once_on_one_session() {
    let link = Link::new();
    let frr = link.frr(65559, ARTICLE_NEIGHBOUR);
    let mut speaker = link.speaker(ARTICLE_PEER);
    frr.wait_established("ipv4", &[link.node4()]);

    speaker.tell("fill 5000 10.1.0.0");
    wait::until("FRR has 5,000 prefixes", || received(&frr, &link, 5_000));
    let table = frr.table("ipv4");
    assert_eq!(table.len(), 5_000);
    assert!(
        table.contains_key("10.1.0.0/32") && table.contains_key("10.1.19.135/32"),
        "first and last"
    );

    speaker.tell("clear 5000 10.1.0.0");
    wait::until("FRR has none", || received(&frr, &link, 0));
    // It counts a withdrawn route at once, and takes it from its table later.
    wait::until("FRR's table is empty", || {
        let left = frr.table("ipv4").len();
        wait::check(left == 0, left)
    });
    let neighbour = frr.neighbour(&link.node4());
    assert_eq!(
        neighbour["connectionsEstablished"], 1,
        "all on the first session"
    );
    // 5,000 host routes take 25,000 octets: 7 messages of 4,096 each way.
    let updates = neighbour["messageStats"]["updatesRecv"]
        .as_u64()
        .expect("FRR counts UPDATEs");
    assert!(updates <= 20, "{updates} UPDATEs: they are not packed");
}

#[test]
#[ignore = "needs root: tests/run runs it"]
fn what_is_announced_already_is_not_sent_again() {
    let link = Link::new();
    let frr = link.frr(65559, ARTICLE_NEIGHBOUR);
    let mut speaker = link.speaker(ARTICLE_PEER);
    speaker.tell("add 1.2.3.4/32");
    frr.wait_route("1.2.3.4/32", &[link.node4()]);
    let before = frr.recording().len();

    speaker.tell("add 1.2.3.4/32");
    speaker.tell("add 9.9.9.9/32");
    frr.wait_route("9.9.9.9/32", &[link.node4()]);

    let marker = Heard::Announced {
        peer: link.node4(),
        prefix: "9.9.9.9/32".into(),
    };
    assert_eq!(frr.recording()[before..], [marker]);
}

#[test]
#[ignore = "needs root: tests/run runs it"]
fn a_router_that_asks_for_a_refresh_gets_the_table_and_keeps_the_session() {
    let link = Link::new();
    let frr = link.frr(65559, ARTICLE_NEIGHBOUR);
    let mut speaker = link.speaker(ARTICLE_PEER);
    speaker.tell("add 1.2.3.4/32");
    frr.wait_route("1.2.3.4/32", &[link.node4()]);
    let before = frr.recording().len();

    frr.vtysh(&[&format!("clear bgp ipv4 unicast {} soft in", link.node4())]);
    let again = Heard::Announced {
        peer: link.node4(),
        prefix: "1.2.3.4/32".into(),
    };
    wait::until("the route is sent again", || {
        let heard = frr.recording()[before..].to_vec();
        wait::check(heard == [again.clone()], heard)
    });
    assert_eq!(frr.neighbour(&link.node4())["connectionsDropped"], 0);
}

#[test]
#[ignore = "needs root: tests/run runs it"]
fn a_clean_stop_is_an_administrative_shutdown_with_a_text() {
    let link = Link::new();
    let frr = link.frr(65559, ARTICLE_NEIGHBOUR);
    let mut speaker = link.speaker(ARTICLE_PEER);
    speaker.tell("add 1.2.3.4/32");
    frr.wait_route("1.2.3.4/32", &[link.node4()]);

    let status = speaker.process.terminate();
    assert!(status.success(), "{status}");
    frr.wait_route("1.2.3.4/32", &[]);
    let neighbour = frr.neighbour(&link.node4());
    assert_eq!(
        neighbour["lastNotificationReason"], "Cease/Administrative Shutdown",
        "{neighbour}"
    );
    let text = neighbour["lastShutdownDescription"]
        .as_str()
        .unwrap_or_default();
    assert!(
        !text.is_empty(),
        "RFC 9003: the text says why; FRR knows {neighbour}"
    );
}

#[test]
#[ignore = "needs root: tests/run runs it"]
fn a_node_that_gets_its_address_late_is_identified_by_it() {
    let link = Link::new();
    let frr = link.frr(65559, ARTICLE_NEIGHBOUR);
    let address = format!("{}/24", link.node.v4);
    let change = |verb| {
        link.node
            .run("ip", &["address", verb, &address, "dev", "eth0"])
    };
    change("del");
    let speaker = link.speaker(ARTICLE_PEER);
    speaker.wait_error(&["cannot connect"]);
    change("add");
    frr.wait_established("ipv4", &[link.node4()]);
    let neighbour = frr.neighbour(&link.node4());
    assert_eq!(neighbour["remoteRouterId"], link.node4(), "{neighbour}");
}

fn received(frr: &crate::support::frr::Frr, link: &Link, count: u64) -> Result<(), String> {
    let summary = frr.summary("ipv4");
    let row = summary.get(&link.node4());
    wait::check(
        row.is_some_and(|row| row.state == "Established" && row.prefixes == count),
        row,
    )
}

/// `TcpExtTCPMD5Failure` and its sisters of the namespace: segments dropped
/// for a wrong, a missing or an unwanted signature.
fn md5_failures(host: &Host) -> u64 {
    let text = host.run("nstat", &["-asz", "TcpExtTCPMD5*"]);
    text.lines()
        .filter_map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok())
        .sum()
}
