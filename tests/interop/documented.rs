//! The routers of `docs/routers.md`, started on the very lines of the document.
//! Only its example addresses are replaced by the laboratory's.

use crate::support::announce::Announcer;
use crate::support::bird::Bird;
use crate::support::frr::Frr;
use crate::support::lab::{Host, Lab};
use crate::support::{tools, wait};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;

/// A router and two nodes.
struct Rack {
    lab: Lab,
    router: Host,
    nodes: [Host; 2],
}

impl Rack {
    fn new() -> Rack {
        let lab = Lab::new();
        let router = lab.host("router", 2);
        let nodes = [lab.host("n1", 11), lab.host("n2", 12)];
        Rack { lab, router, nodes }
    }

    /// The one block of the document in this language, with our addresses.
    #[track_caller]
    fn block(&self, language: &str) -> String {
        let path = tools::repository().join("docs/routers.md");
        let document = fs::read_to_string(path).expect("docs/routers.md");
        let fence = format!("\n```{language}\n");
        let mut blocks = document.split(&fence).skip(1);
        let block = blocks.next().expect("a block in this language");
        assert!(blocks.next().is_none(), "one block in {language}");
        let (block, _) = block.split_once("\n```").expect("its end");
        let block = block
            .replace("2001:db8:0:2::1", &self.router.v6.to_string())
            .replace("2001:db8:0:2::/64", "fd00:19::/64")
            .replace("192.0.2.0/24", "198.19.0.0/24")
            .replace("192.0.2.1", &self.router.v4.to_string())
            .replace("eth1", "eth0");
        // Nothing of the example's network is left but its pools.
        assert!(
            !block.contains("192.0.2.") && !block.contains("0:2::"),
            "{block}"
        );
        block + "\n"
    }

    /// A speaker on each node, with the document's configuration.
    fn speakers(&self) -> [Announcer; 2] {
        let config = self.block("yaml");
        self.nodes
            .each_ref()
            .map(|node| Announcer::start(&self.lab, node, &config))
    }

    fn nodes4(&self) -> Vec<String> {
        self.nodes.iter().map(|node| node.v4.to_string()).collect()
    }

    fn nodes6(&self) -> Vec<String> {
        self.nodes.iter().map(|node| node.v6.to_string()).collect()
    }
}

/// What both nodes announce, and what one of them should not.
fn announce(speakers: &mut [Announcer; 2]) {
    // Before the good ones: once these are there, that one has been refused.
    speakers[0].tell("add 203.0.113.9/32");
    speakers[0].tell("add 2001:db8:0:3::9/128");
    for speaker in speakers {
        speaker.tell("add 198.51.100.7/32");
        speaker.tell("add 2001:db8:0:1::7/128");
    }
}

/// Announces more than the router's bound, which then ends the IPv6 session,
/// and the speaker says why. (An IPv4 pool of 256 cannot pass its filter so often.)
#[track_caller]
fn wait_bounded(speaker: &mut Announcer) {
    speaker.tell("fill 300 2001:db8:0:1::");
    wait::until("the router's bound on prefixes is named", || {
        let peers = speaker.peers()?;
        let error = peers[1]["lastError"].as_str().unwrap_or_default();
        let right = error.to_lowercase().contains("maximum number of prefixes");
        wait::check(right, (error, &peers[1]["state"]))
    });
}

/// Waits until the router's kernel spreads `prefix` over all nodes.
#[track_caller]
fn wait_spread(rack: &Rack, prefix: &str) {
    let v6 = prefix.contains(':');
    let family = if v6 { "-6" } else { "-4" };
    wait::until(&format!("{prefix} is spread over the nodes"), || {
        let show = ["-json", family, "route", "show", prefix];
        let shown = rack.router.run("ip", &show);
        let routes: Value = serde_json::from_str(&shown).expect("JSON of ip");
        let hops = routes[0]["nexthops"].as_array().into_iter().flatten();
        let hops: BTreeSet<&str> = hops.filter_map(|hop| hop["gateway"].as_str()).collect();
        // IPv6 next hops are link-local: the router prefers those (RFC 2545 §3).
        let right = match v6 {
            true => hops.iter().all(|hop| hop.starts_with("fe80::")) && hops.len() == 2,
            false => hops == rack.nodes4().iter().map(String::as_str).collect(),
        };
        wait::check(right, &shown)
    });
}

#[test]
#[ignore = "needs root: tests/run runs it"]
fn frr_as_documented_takes_the_pools_alone_and_spreads_over_all_nodes() {
    let rack = Rack::new();
    let log = "log stdout\n";
    let frr = Frr::start(&rack.router, &format!("{log}{}", rack.block("frr")));
    let mut speakers = rack.speakers();
    announce(&mut speakers);

    frr.wait_route("198.51.100.7/32", &rack.nodes4());
    frr.wait_route("2001:db8:0:1::7/128", &rack.nodes6());
    wait_spread(&rack, "198.51.100.7");
    wait_spread(&rack, "2001:db8:0:1::7");
    for family in ["ipv4", "ipv6"] {
        assert_eq!(frr.table(family).len(), 1, "{:?}", frr.table(family));
    }

    // The bound on prefixes holds, and the speaker says so.
    wait_bounded(&mut speakers[1]);
}

#[test]
#[ignore = "needs root: tests/run runs it"]
fn bird_as_documented_takes_the_pools_alone_and_spreads_over_all_nodes() {
    let rack = Rack::new();
    let log = format!("log \"{}/bird.txt\" all;\n", rack.router.dir.display());
    let bird = Bird::start(&rack.router, &format!("{log}{}", rack.block("bird")));
    let mut speakers = rack.speakers();
    announce(&mut speakers);

    bird.wait_established(4);
    bird.wait_route("198.51.100.7/32", &rack.nodes4());
    bird.wait_route("2001:db8:0:1::7/128", &rack.nodes6());
    wait_spread(&rack, "198.51.100.7");
    wait_spread(&rack, "2001:db8:0:1::7");
    let table = bird.table();
    assert_eq!(table.len(), 2, "{table:?}");

    wait_bounded(&mut speakers[1]);
}

#[test]
#[ignore = "needs root: tests/run runs it"]
fn the_documented_drop_stops_what_comes_back_from_a_node_and_nothing_else() {
    let rack = Rack::new();
    let (router, node) = (&rack.router, &rack.nodes[0]);
    let rules = router.dir.join("loods.nft");
    fs::write(&rules, rack.block("nft")).expect("a file for nft");
    router.run("nft", &["-f", &rules.to_string_lossy()]);
    for line in rack.block("sysctl").lines() {
        router.run("sysctl", &["-qw", &line.replace(' ', "")]);
    }
    router.run("sysctl", &["-qw", "net.ipv4.ip_forward=1"]);
    // The router sends all of it to n2; n1 stands for a node that sends it back.
    let (way_in, way_out) = (rack.nodes[1].v4.to_string(), router.v4.to_string());
    router.run("ip", &["route", "add", "198.51.100.0/24", "via", &way_in]);
    router.run("ip", &["route", "add", "203.0.113.0/24", "via", &way_in]);
    node.run("ip", &["route", "add", "default", "via", &way_out]);

    // After the drop's own hook: what comes this far went on.
    for rule in [
        "add table inet after",
        "add chain inet after later { type filter hook forward priority 100; }",
        "add rule inet after later ip daddr 198.51.100.7 counter",
        "add rule inet after later ip daddr 203.0.113.9 counter",
    ] {
        router.run("nft", &[rule]);
    }

    // One datagram to the pool, then one to elsewhere; /dev/udp is bash's own.
    for to in ["198.51.100.7", "203.0.113.9"] {
        node.run("bash", &["-c", &format!("echo x > /dev/udp/{to}/9")]);
    }
    wait::until("the second datagram went on", || {
        let count = packets(router, "after", "203.0.113.9");
        wait::check(count == 1, count)
    });
    assert_eq!(packets(router, "after", "198.51.100.7"), 0);
    assert_eq!(packets(router, "loods", "198.51.100.0/24"), 1);
}

/// What the counter of the rule with this text says.
#[track_caller]
fn packets(router: &Host, table: &str, rule: &str) -> u64 {
    let shown = router.run("nft", &["list", "table", "inet", table]);
    let line = shown.lines().find(|line| line.contains(rule));
    let mut words = line.unwrap_or_default().split_whitespace();
    words.find(|word| *word == "packets");
    let count = words.next().and_then(|word| word.parse().ok());
    count.unwrap_or_else(|| panic!("no counter of {rule} in {shown}"))
}
