//! Facts for tests, each with the least that makes it valid.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::bgp::types::{Asn, Attributes, Community, Family, Prefix};
use crate::config::{AddressRange, Advertisement, Config, Peer, Pool, Protocol, Selector, Term};
use crate::facts::{
    ConditionFact, Endpoints, IngressFact, NodeFact, ServiceFact, ServiceKey, SliceFact,
    TrafficPolicy,
};

pub const NODE: &str = "n1";

pub fn ip(text: &str) -> IpAddr {
    text.parse().expect("a valid address in a test")
}

pub fn prefix(text: &str) -> Prefix {
    text.parse().expect("a valid prefix in a test")
}

pub fn key(name: &str) -> ServiceKey {
    ServiceKey::new("default", name)
}

/// Attributes with a LOCAL_PREF and communities as plain numbers.
pub fn attributes(local_pref: Option<u32>, communities: &[u32]) -> Attributes {
    Attributes {
        local_pref,
        communities: communities.iter().copied().map(Community).collect(),
        ..Attributes::default()
    }
}

/// A rule that announces host prefixes.
pub fn host_rule(local_pref: Option<u32>, communities: &[u32]) -> Advertisement {
    Advertisement {
        aggregation_length: 32,
        aggregation_length_v6: 128,
        local_pref,
        communities: communities.iter().copied().map(Community).collect(),
    }
}

/// A BGP pool of one range.
pub fn pool(name: &str, first: &str, last: &str, rules: Vec<Advertisement>) -> Pool {
    Pool {
        name: name.into(),
        protocol: Protocol::Bgp,
        ranges: vec![AddressRange {
            bounds: ip(first)..=ip(last),
        }],
        avoid_buggy_ips: false,
        auto_assign: true,
        advertisements: rules,
    }
}

/// A peer of every node.
pub fn peer(address: &str) -> Peer {
    Peer {
        my_asn: Asn(65559),
        peer_asn: Asn(65559),
        address: ip(address),
        zone: None,
        port: 179,
        source: None,
        hold_time: Duration::from_secs(90),
        keepalive_time: None,
        router_id: None,
        node_selectors: vec![Selector::default()],
        password: None,
        bfd_profile: None,
        ebgp_multihop: None,
    }
}

/// A peer of the nodes that have a label.
pub fn peer_of(address: &str, label: &str) -> Peer {
    Peer {
        node_selectors: vec![Selector {
            terms: vec![Term::Exists(label.into())],
        }],
        ..peer(address)
    }
}

pub fn config(peers: Vec<Peer>, pools: Vec<Pool>) -> Arc<Config> {
    Arc::new(Config {
        peers: peers.into_iter().map(Arc::new).collect(),
        pools: pools.into_iter().map(Arc::new).collect(),
        ..Config::default()
    })
}

/// Pool `public`, 192.0.2.0 to 192.0.2.255, and one peer for each family.
pub fn usual_config() -> Arc<Config> {
    let public = pool(
        "public",
        "192.0.2.0",
        "192.0.2.255",
        vec![host_rule(None, &[])],
    );
    config(vec![peer("10.0.0.1"), peer("2001:db8::1")], vec![public])
}

/// A Service of type LoadBalancer with these addresses, policy Cluster.
pub fn service(name: &str, addresses: &[&str]) -> ServiceFact {
    ServiceFact {
        key: key(name),
        uid: format!("uid-of-{name}").into(),
        load_balancer: true,
        policy: TrafficPolicy::Cluster,
        ingress: addresses
            .iter()
            .map(|address| IngressFact {
                ip: Some(ip(address)),
                other: None,
                vip: true,
            })
            .collect(),
        ..ServiceFact::default()
    }
}

/// The same, policy Local.
pub fn local_service(name: &str, addresses: &[&str]) -> ServiceFact {
    ServiceFact {
        policy: TrafficPolicy::Local,
        ..service(name, addresses)
    }
}

/// The same Service, called an orphan by the allocator.
pub fn orphaned(mut fact: ServiceFact, annotation: Option<&str>) -> ServiceFact {
    fact.condition = Some(ConditionFact {
        status: true,
        reason: "Orphaned".into(),
        message: "public".into(),
    });
    fact.asks.orphan_attributes = annotation.map(Into::into);
    fact
}

pub fn endpoints(ready: u16, serving: u16) -> Endpoints {
    Endpoints { ready, serving }
}

/// An IPv4 slice of a Service: ready endpoints here and elsewhere.
pub fn slice(name: &str, service: &str, here: u16, elsewhere: u16) -> SliceFact {
    SliceFact {
        key: key(name),
        service: key(service),
        family: Family::Ipv4,
        here: endpoints(here, 0),
        elsewhere: endpoints(elsewhere, 0),
    }
}

pub fn node(labels: &[&str]) -> NodeFact {
    NodeFact {
        name: NODE.into(),
        labels: labels
            .iter()
            .map(|label| ((*label).into(), "".into()))
            .collect(),
        network_unavailable: false,
        addresses: Vec::new(),
    }
}
