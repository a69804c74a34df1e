//! What one node's view of a big cluster costs in memory.
//!
//! Alone in its binary, so that nobody else's allocations are counted. The
//! figure is the kernel's own: anonymous resident memory of this process.

use std::sync::Arc;

use loods::bgp::types::Family;
use loods::config::{AddressRange, Advertisement, Config, Peer, Pool, Protocol, Selector};
use loods::facts::{
    Endpoints, Event, IngressFact, NodeFact, ServiceFact, ServiceKey, SliceFact, TrafficPolicy,
};
use loods::lb::index::{Index, Settings};

const SERVICES: u32 = 10_000;
/// Slices of Services that are no load balancers come over the same watch.
const FOREIGN_SLICES: u32 = 5_000;
const LIMIT_KIB: u64 = 12 * 1024;

fn anonymous_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux tells it");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"));
    let number = line.and_then(|rest| rest.split_whitespace().next());
    number
        .and_then(|number| number.parse().ok())
        .expect("RssAnon is a number of kB")
}

fn key(prefix: &str, number: u32, suffix: &str) -> ServiceKey {
    ServiceKey::new(
        &format!("team-{:03}", number % 200),
        &format!("{prefix}-{number:05}{suffix}"),
    )
}

fn address(number: u32) -> std::net::IpAddr {
    std::net::Ipv4Addr::from(0x0A40_0000 + number).into()
}

fn service(number: u32) -> ServiceFact {
    ServiceFact {
        key: key("service", number, ""),
        uid: format!("7a1c2b3d-0000-4000-8000-{number:012}").into(),
        load_balancer: true,
        policy: if number.is_multiple_of(2) {
            TrafficPolicy::Local
        } else {
            TrafficPolicy::Cluster
        },
        ingress: vec![IngressFact {
            ip: Some(address(number)),
            other: None,
            vip: true,
        }],
        ..ServiceFact::default()
    }
}

fn slice(owner: &str, number: u32) -> SliceFact {
    SliceFact {
        key: key(owner, number, "-x7k2p"),
        service: key(owner, number, ""),
        family: Family::Ipv4,
        here: Endpoints {
            ready: 1,
            serving: 0,
        },
        elsewhere: Endpoints {
            ready: 9,
            serving: 1,
        },
    }
}

fn config() -> Config {
    let rule = Advertisement {
        aggregation_length: 32,
        aggregation_length_v6: 128,
        local_pref: Some(200),
        communities: Default::default(),
    };
    let pool = Pool {
        name: "public".into(),
        protocol: Protocol::Bgp,
        ranges: vec![AddressRange {
            bounds: address(0)..=address(SERVICES),
        }],
        avoid_buggy_ips: false,
        auto_assign: true,
        advertisements: vec![rule],
    };
    let peer = Peer {
        my_asn: loods::bgp::types::Asn(64512),
        peer_asn: loods::bgp::types::Asn(64513),
        address: std::net::Ipv4Addr::LOCALHOST.into(),
        zone: None,
        port: 179,
        source: None,
        hold_time: std::time::Duration::from_secs(90),
        keepalive_time: None,
        router_id: None,
        node_selectors: vec![Selector::default()],
        password: None,
        bfd_profile: None,
        ebgp_multihop: None,
    };
    Config {
        peers: vec![Arc::new(peer)],
        pools: vec![Arc::new(pool)],
        ..Config::default()
    }
}

fn list(index: &mut Index) {
    index.service(Event::Begin);
    (0..SERVICES).for_each(|number| index.service(Event::Apply(service(number))));
    index.service(Event::End);
    index.slice(Event::Begin);
    (0..SERVICES).for_each(|number| index.slice(Event::Apply(slice("service", number))));
    (0..FOREIGN_SLICES).for_each(|number| index.slice(Event::Apply(slice("internal", number))));
    index.slice(Event::End);
}

#[test]
fn ten_thousand_services_fit_and_a_relist_takes_no_second_copy() {
    let before = anonymous_kib();
    let mut index = Index::new(Settings {
        node_name: "n1".into(),
        ..Settings::default()
    });
    index.config(Arc::new(config()));
    index.node(Event::Apply(NodeFact {
        name: "n1".into(),
        ..NodeFact::default()
    }));
    list(&mut index);
    let routes = index.take().routes.len();
    assert_eq!(routes, SERVICES as usize);
    let filled = anonymous_kib() - before;

    list(&mut index);
    assert_eq!(index.take().routes.len(), 0);
    let relisted = anonymous_kib() - before;

    println!("{filled} KiB after the first list, {relisted} KiB after a relist");
    assert!(filled < LIMIT_KIB, "{filled} KiB for {SERVICES} Services");
    assert!(
        relisted < filled + filled / 4,
        "{filled} KiB became {relisted} KiB by a relist"
    );
}
