use std::sync::Arc;

use proptest::prelude::*;

use super::super::fixture::*;
use super::*;
use crate::config::{Advertisement, Pool};
use crate::facts::{ConditionFact, IngressFact};

/// A node that could announce anything.
const READY_NODE: Node = Node {
    complete: true,
    network_unavailable: false,
    excluded: false,
    ipv4_peer: true,
    ipv6_peer: true,
    ipv4_proxy: true,
    ipv6_proxy: true,
};

const READY_HERE: Presence = Presence {
    ready_here: true,
    serving_here: false,
    ready_elsewhere: false,
    serving_elsewhere: false,
    proxy_behind: false,
};

/// `r` ready here, `s` serving here, `R` and `S` the same elsewhere; `p` the
/// node's proxy is behind.
fn presence(marks: &str) -> Presence {
    Presence {
        ready_here: marks.contains('r'),
        serving_here: marks.contains('s'),
        ready_elsewhere: marks.contains('R'),
        serving_elsewhere: marks.contains('S'),
        proxy_behind: marks.contains('p'),
    }
}

fn held(routes: &[(&str, Attributes)]) -> Vec<Route> {
    let routes = routes.iter();
    routes
        .map(|(text, attributes)| (prefix(text), Arc::new(attributes.clone())))
        .collect()
}

/// A verdict as text: its routes with LOCAL_PREF and communities, or the reason.
fn shown(verdict: &Verdict<(Prefix, Attributes)>) -> String {
    match verdict.refusal {
        Some(reason) => reason.to_string(),
        None => verdict
            .routes
            .iter()
            .map(|(prefix, attributes)| {
                let communities: Vec<_> = attributes.communities.iter().map(|c| c.0).collect();
                format!("{prefix} {:?} {communities:?}", attributes.local_pref)
            })
            .collect::<Vec<_>>()
            .join("; "),
    }
}

/// Decides on the first address of a Service, with ready endpoints here.
fn decide(fact: &ServiceFact, config: &Config, held: &[Route]) -> Verdict<(Prefix, Attributes)> {
    let service = Service::of(fact, None);
    let address = fact.ingress.iter().find_map(|entry| entry.ip);
    let address = address.unwrap_or(ip("192.0.2.1"));
    advertise(&service, address, READY_HERE, &READY_NODE, config, held)
}

#[test]
fn a_service_that_is_not_ours_or_has_no_address_is_refused_as_a_whole() {
    let good = service("web", &["192.0.2.1"]);
    let of_class = |class: &str| ServiceFact {
        class: Some(class.into()),
        ..good.clone()
    };
    let unparsable = IngressFact {
        other: Some("lb.example".into()),
        ..IngressFact::default()
    };
    let with_ingress = |ingress: Vec<IngressFact>| ServiceFact {
        ingress,
        ..good.clone()
    };
    let of_type_cluster_ip = ServiceFact {
        load_balancer: false,
        ..good.clone()
    };
    let mut mixed = good.ingress.clone();
    mixed.insert(0, unparsable.clone());
    let table: [(&str, ServiceFact, Option<&str>, Option<Reason>); 9] = [
        ("usual", good.clone(), None, None),
        (
            "other type",
            of_type_cluster_ip,
            None,
            Some(Reason::NotLoadBalancer),
        ),
        (
            "a class, we serve none",
            of_class("x"),
            None,
            Some(Reason::OtherClass),
        ),
        ("the class that we serve", of_class("x"), Some("x"), None),
        (
            "another class",
            of_class("y"),
            Some("x"),
            Some(Reason::OtherClass),
        ),
        (
            "no class, we serve one",
            good.clone(),
            Some("x"),
            Some(Reason::OtherClass),
        ),
        (
            "no address",
            with_ingress(vec![]),
            None,
            Some(Reason::NoIpAllocated),
        ),
        (
            "a name",
            with_ingress(vec![unparsable]),
            None,
            Some(Reason::InvalidIp),
        ),
        ("a name and an address", with_ingress(mixed), None, None),
    ];
    for (case, fact, class, refusal) in table {
        let service = Service::of(&fact, class);
        assert_eq!(service.refusal, refusal, "{case}");
        assert_eq!(service.addresses.is_empty(), refusal.is_some(), "{case}");
        let verdict = advertise(
            &service,
            ip("192.0.2.1"),
            READY_HERE,
            &READY_NODE,
            &usual_config(),
            &[],
        );
        assert_eq!(verdict.refusal, refusal, "{case}");
        assert_eq!(verdict.routes.is_empty(), refusal.is_some(), "{case}");
    }
}

#[test]
fn an_address_is_announced_if_a_bgp_pool_holds_it_or_the_status_calls_it_an_orphan() {
    let layer2 = Pool {
        protocol: Protocol::Layer2,
        ..pool("flat", "198.51.100.0", "198.51.100.9", vec![])
    };
    let public = pool(
        "public",
        "192.0.2.0",
        "192.0.2.9",
        vec![host_rule(Some(200), &[7])],
    );
    let config = config(vec![peer("10.0.0.1")], vec![layer2, public]);
    let marked = |fact: ServiceFact, status, reason: &str| ServiceFact {
        condition: Some(ConditionFact {
            status,
            reason: reason.into(),
            message: "".into(),
        }),
        ..fact
    };
    let (inside, outside) = (
        service("web", &["192.0.2.1"]),
        service("web", &["203.0.113.1"]),
    );
    let last = held(&[("203.0.113.1/32", attributes(Some(7), &[1]))]);
    let no_export = Community::NO_EXPORT.0;
    let table: [(&str, ServiceFact, &[Route], &str); 10] = [
        (
            "in a pool",
            inside.clone(),
            &[],
            "192.0.2.1/32 Some(200) [7]",
        ),
        (
            "in a pool, still called an orphan",
            orphaned(inside.clone(), None),
            &[],
            "192.0.2.1/32 Some(200) [7]",
        ),
        (
            "in a layer 2 pool",
            service("web", &["198.51.100.1"]),
            &[],
            "poolIsLayer2",
        ),
        ("in no pool", outside.clone(), &[], "addressNotInPool"),
        (
            "in no pool, whatever else the condition says",
            marked(outside.clone(), true, "InPool"),
            &[],
            "addressNotInPool",
        ),
        (
            "an orphan whose attributes nobody knows",
            orphaned(outside.clone(), None),
            &[],
            &format!("203.0.113.1/32 None [{no_export}]"),
        ),
        (
            "an orphan with an annotation that cannot be read",
            orphaned(outside.clone(), Some("?")),
            &[],
            &format!("203.0.113.1/32 None [{no_export}]"),
        ),
        (
            "an orphan whose attributes this process knows",
            orphaned(outside.clone(), None),
            &last,
            "203.0.113.1/32 Some(7) [1]",
        ),
        (
            "its pool has gone, and the status says nothing yet",
            marked(outside.clone(), true, "InPool"),
            &last,
            "203.0.113.1/32 Some(7) [1]",
        ),
        (
            "its pool has gone, and the status says that it has none",
            marked(outside.clone(), false, "NoAddress"),
            &last,
            "addressNotInPool",
        ),
    ];
    for (case, fact, held, expected) in table {
        assert_eq!(shown(&decide(&fact, &config, held)), expected, "{case}");
    }
}

#[test]
fn an_orphan_is_announced_as_the_allocator_wrote_down() {
    let mut service = Service::of(&orphaned(service("web", &["203.0.113.1"]), None), None);
    // The second is another address's: an annotation speaks of all of them.
    service.allocated = Allocated::Orphaned(Some(Box::new([
        (prefix("203.0.113.0/24"), attributes(Some(50), &[3])),
        (prefix("198.51.100.1/32"), attributes(None, &[9])),
    ])));
    let last = held(&[("203.0.113.1/32", attributes(Some(7), &[1]))]);
    let address = ip("203.0.113.1");
    let verdict = advertise(
        &service,
        address,
        READY_HERE,
        &READY_NODE,
        &Config::default(),
        &last,
    );
    assert_eq!(shown(&verdict), "203.0.113.0/24 Some(50) [3]");
    assert_eq!(verdict.grant, Some(Grant::Orphan));
}

#[test]
fn an_orphan_of_a_pool_that_announced_nothing_is_announced_by_nobody() {
    let service = Service::of(
        &orphaned(service("web", &["203.0.113.1"]), Some("none")),
        None,
    );
    let verdict = advertise(
        &service,
        ip("203.0.113.1"),
        READY_HERE,
        &READY_NODE,
        &Config::default(),
        &[],
    );
    assert_eq!(verdict.refusal, Some(Reason::PoolIsLayer2));
    assert_eq!(verdict.routes.len(), 0);
}

#[test]
fn each_rule_of_a_pool_gives_a_prefix_and_rules_of_one_length_give_one() {
    let aggregate = Advertisement {
        aggregation_length: 24,
        aggregation_length_v6: 64,
        ..host_rule(Some(0), &[2])
    };
    let twice = host_rule(None, &[3]);
    let rules = vec![host_rule(Some(50), &[1]), aggregate, twice];
    let mut both = pool("both", "192.0.2.0", "192.0.2.255", rules);
    both.ranges
        .extend(pool("v6", "2001:db8::", "2001:db8::ff", vec![]).ranges);
    let config = config(vec![], vec![both]);
    let ipv4 = decide(&service("web", &["192.0.2.7"]), &config, &[]);
    assert_eq!(
        shown(&ipv4),
        "192.0.2.0/24 Some(0) [2]; 192.0.2.7/32 Some(100) [1, 3]"
    );
    let ipv6 = decide(&service("web", &["2001:db8::7"]), &config, &[]);
    assert_eq!(
        shown(&ipv6),
        "2001:db8::/64 Some(0) [2]; 2001:db8::7/128 Some(100) [1, 3]"
    );
}

#[test]
fn a_node_that_cannot_forward_is_excluded_or_has_no_peer_announces_nothing() {
    let base = READY_NODE;
    let incomplete = Node {
        complete: false,
        ..base
    };
    let unavailable = Node {
        network_unavailable: true,
        ..base
    };
    let excluded = Node {
        excluded: true,
        ..base
    };
    let ipv6_only = Node {
        ipv4_peer: false,
        ..base
    };
    let ipv4_only = Node {
        ipv6_peer: false,
        ..base
    };
    let table: [(Node, &str, Option<Reason>); 8] = [
        (base, "192.0.2.1", None),
        (base, "2001:db8::1", None),
        (incomplete, "192.0.2.1", Some(Reason::Incomplete)),
        (
            unavailable,
            "192.0.2.1",
            Some(Reason::NodeNetworkUnavailable),
        ),
        (
            excluded,
            "192.0.2.1",
            Some(Reason::NodeLabeledExcludeBalancers),
        ),
        (ipv6_only, "192.0.2.1", Some(Reason::NoSessionForFamily)),
        (ipv6_only, "2001:db8::1", None),
        (ipv4_only, "2001:db8::1", Some(Reason::NoSessionForFamily)),
    ];
    let ipv4 = pool("a", "192.0.2.0", "192.0.2.9", vec![host_rule(None, &[])]);
    let ipv6 = pool("b", "2001:db8::", "2001:db8::9", vec![host_rule(None, &[])]);
    let config = config(vec![], vec![ipv4, ipv6]);
    for (node, address, refusal) in table {
        let service = Service::of(&service("web", &[address]), None);
        let verdict = advertise(&service, ip(address), READY_HERE, &node, &config, &[]);
        assert_eq!(verdict.refusal, refusal, "{address} on {node:?}");
        // What others announce does not depend on this node.
        assert_eq!(verdict.routes.len(), 1, "{address} on {node:?}");
    }
}

#[test]
fn a_node_is_reduced_to_its_label_its_condition_and_the_families_of_its_peers() {
    let (v4, v6) = (peer("10.0.0.1"), peer("2001:db8::1"));
    let labelled = node(&[EXCLUDE_LABEL]);
    assert!(Node::of(&labelled, false, []).excluded);
    assert!(
        !Node::of(&labelled, true, []).excluded,
        "--ignore-exclude-lb"
    );
    assert!(!Node::of(&node(&["other"]), false, []).excluded);
    let families = |peers: &[&Peer]| {
        let node = Node::of(&node(&[]), false, peers.iter().copied());
        (node.ipv4_peer, node.ipv6_peer)
    };
    assert_eq!(families(&[]), (false, false));
    assert_eq!(families(&[&v4]), (true, false));
    assert_eq!(families(&[&v6]), (false, true));
    assert_eq!(families(&[&v4, &v6]), (true, true));
    let unavailable = NodeFact {
        network_unavailable: true,
        ..node(&[])
    };
    assert!(Node::of(&unavailable, false, []).network_unavailable);
}

#[test]
fn policy_and_endpoints_decide_who_announces() {
    use TrafficPolicy::{Cluster, Local};
    let table: [(TrafficPolicy, bool, &str, bool); 27] = [
        // Local: a ready endpoint of ours is needed,
        (Local, false, "", false),
        (Local, false, "r", true),
        (Local, false, "rR", true),
        (Local, false, "rs", true),
        (Local, false, "R", false),
        (Local, false, "RS", false),
        (Local, false, "S", false),
        // or one that terminates, as long as no other node takes over:
        (Local, false, "s", true),
        (Local, false, "sS", true),
        (Local, false, "sR", false),
        (Local, false, "sRS", false),
        // with `keep`, to its end.
        (Local, true, "sR", true),
        (Local, true, "s", true),
        (Local, true, "R", false),
        (Local, true, "", false),
        // One whose proxy is behind waits, as long as others serve,
        (Local, false, "rRp", false),
        (Local, true, "rsRp", false),
        (Local, false, "rp", true),
        (Local, false, "rSp", true),
        // Cluster: any endpoint will do.
        (Cluster, false, "rRp", true),
        (Cluster, false, "", false),
        (Cluster, false, "r", true),
        (Cluster, false, "R", true),
        (Cluster, false, "s", true),
        (Cluster, false, "S", true),
        (Cluster, false, "sR", true),
        (Cluster, true, "", false),
    ];
    for (policy, keep, marks, announced) in table {
        let mut fact = service("web", &["192.0.2.1"]);
        fact.policy = policy;
        fact.asks.terminating = keep.then(|| "keep".into());
        let verdict = advertise(
            &Service::of(&fact, None),
            ip("192.0.2.1"),
            presence(marks),
            &READY_NODE,
            &usual_config(),
            &[],
        );
        let reason = match policy {
            Local if marks.contains('p') => Reason::ProxyNotReady,
            Local => Reason::NoLocalEndpoints,
            Cluster => Reason::NoEndpoints,
        };
        let expected = (!announced).then_some(reason);
        assert_eq!(
            verdict.refusal, expected,
            "{policy:?} keep={keep} endpoints {marks:?}"
        );
    }
}

/// The rules again, said the other way round: the conditions under which an
/// address is announced, as one sentence of logic.
fn naive_announces(
    service: &Service,
    address: IpAddr,
    seen: Presence,
    node: &Node,
    config: &Config,
    was: bool,
) -> bool {
    let of_pool = |protocol| {
        config
            .pools
            .iter()
            .any(|pool| pool.protocol == protocol && pool.contains(address))
    };
    let allowed = of_pool(Protocol::Bgp)
        || !of_pool(Protocol::Layer2)
            && match service.allocated {
                Allocated::Orphaned(_) => true,
                Allocated::Unmarked => was,
                Allocated::Refused => false,
            };
    let able = node.complete && !node.network_unavailable && !node.excluded;
    let session = if address.is_ipv4() {
        node.ipv4_peer
    } else {
        node.ipv6_peer
    };
    let somewhere =
        seen.ready_here || seen.ready_elsewhere || seen.serving_here || seen.serving_elsewhere;
    let local = seen.ready_here && !(seen.proxy_behind && seen.ready_elsewhere)
        || seen.serving_here && !seen.ready_elsewhere
        || !seen.ready_here && seen.serving_here && service.keep_terminating;
    let served = match service.policy {
        TrafficPolicy::Cluster => somewhere,
        TrafficPolicy::Local => local,
    };
    service.refusal.is_none() && allowed && able && session && served
}

fn any_presence() -> impl Strategy<Value = Presence> {
    any::<[bool; 5]>().prop_map(
        |[
            ready_here,
            serving_here,
            ready_elsewhere,
            serving_elsewhere,
            proxy_behind,
        ]| Presence {
            ready_here,
            serving_here,
            ready_elsewhere,
            serving_elsewhere,
            proxy_behind,
        },
    )
}

fn any_node() -> impl Strategy<Value = Node> {
    // Weighted towards nodes that could: else nearly all verdicts are refusals.
    let mostly = || prop::bool::weighted(0.9);
    (mostly(), mostly(), mostly(), mostly(), mostly()).prop_map(
        |(complete, up, included, v4, v6)| Node {
            complete,
            network_unavailable: !up,
            excluded: !included,
            ipv4_peer: v4,
            ipv6_peer: v6,
            ipv4_proxy: v4,
            ipv6_proxy: v6,
        },
    )
}

fn any_service() -> impl Strategy<Value = Service> {
    let allocated = prop_oneof![
        3 => Just(Allocated::Unmarked),
        2 => Just(Allocated::Orphaned(None)),
        1 => Just(Allocated::Refused),
    ];
    let address = prop::sample::select(vec![
        "192.0.2.1",
        "198.51.100.1",
        "203.0.113.1",
        "2001:db8::1",
        "2001:db8:1::1",
    ]);
    let refusal = prop::option::weighted(0.1, Just(Reason::OtherClass));
    (allocated, address, refusal, any::<bool>(), any::<bool>()).prop_map(
        |(allocated, address, refusal, local, keep_terminating)| Service {
            uid: "".into(),
            refusal,
            addresses: Box::new([ip(address)]),
            policy: if local {
                TrafficPolicy::Local
            } else {
                TrafficPolicy::Cluster
            },
            health_port: None,
            keep_terminating,
            allocated,
        },
    )
}

proptest! {
    #[test]
    fn the_function_agrees_with_the_rules_said_again(
        service in any_service(),
        seen in any_presence(),
        node in any_node(),
        was in any::<bool>(),
    ) {
        let layer2 = Pool {
            protocol: Protocol::Layer2,
            ..pool("flat", "198.51.100.0", "198.51.100.9", vec![])
        };
        let ipv4 = pool("four", "192.0.2.0", "192.0.2.9", vec![host_rule(None, &[4])]);
        let ipv6 = pool("six", "2001:db8::", "2001:db8::9", vec![host_rule(None, &[6])]);
        let config = config(vec![], vec![layer2, ipv4, ipv6]);
        let address = service.addresses[0];
        let last = [(Prefix::from(address), Arc::new(attributes(Some(9), &[])))];
        let held = if was { &last[..] } else { &[] };

        let verdict = advertise(&service, address, seen, &node, &config, held);
        let expected = naive_announces(&service, address, seen, &node, &config, was);
        prop_assert_eq!(verdict.refusal.is_none(), expected, "{:?}", verdict);
        // Announced means that there is something to announce, by some right.
        prop_assert!(verdict.refusal.is_some() || !verdict.routes.is_empty());
        prop_assert_eq!(verdict.grant.is_some(), !verdict.routes.is_empty());
        // Every route carries the address.
        prop_assert!(verdict.routes.iter().all(|(prefix, _)| prefix.contains(&address)));
        // How it is announced is the same on every node.
        let elsewhere = advertise(&service, address, READY_HERE, &READY_NODE, &config, held);
        prop_assert_eq!(verdict.routes, elsewhere.routes);
    }
}
