mod model;

use std::cell::Cell;

use super::super::fixture::*;
use super::super::reason::Reason;
use super::*;
use crate::config::{Advertisement, Pool, Protocol};
use crate::facts::{Event as Fact, IngressFact, TrafficPolicy};

/// An index of node n1 that has the usual configuration and empty lists.
fn started() -> Index {
    let mut index = Index::new(Settings {
        node_name: NODE.into(),
        ..Settings::default()
    });
    index.config(usual_config());
    index.node(Fact::Apply(node(&[])));
    index.cluster_size(3);
    list_services(&mut index, []);
    list_slices(&mut index, []);
    index.take();
    index
}

fn list_services(index: &mut Index, facts: impl IntoIterator<Item = ServiceFact>) {
    index.service(Fact::Begin);
    for fact in facts {
        index.service(Fact::Apply(fact));
    }
    index.service(Fact::End);
}

fn list_slices(index: &mut Index, facts: impl IntoIterator<Item = SliceFact>) {
    index.slice(Fact::Begin);
    for fact in facts {
        index.slice(Fact::Apply(fact));
    }
    index.slice(Fact::End);
}

/// Routes as text: `+prefix` announced, `-prefix` withdrawn.
fn shown(changes: &Changes) -> String {
    let routes = changes
        .routes
        .iter()
        .map(|(prefix, attributes)| match attributes {
            Some(_) => format!("+{prefix}"),
            None => format!("-{prefix}"),
        });
    routes.collect::<Vec<_>>().join(" ")
}

/// Events as text: kind, reason and Service.
fn told(changes: &Changes) -> Vec<String> {
    let events = changes.events.iter();
    events
        .map(|event| format!("{:?} {} {}", event.kind, event.reason, event.service))
        .collect()
}

fn outcome(index: &Index, name: &str) -> Result<Vec<Prefix>, Reason> {
    index
        .view(&key(name))
        .expect("the Service is known")
        .outcome()
}

#[test]
fn routes_wait_until_the_config_the_node_and_both_lists_are_in() {
    let mut index = Index::new(Settings {
        node_name: NODE.into(),
        ..Settings::default()
    });
    let steps: [fn(&mut Index); 4] = [
        |index| index.config(usual_config()),
        |index| index.node(Fact::Apply(node(&[]))),
        |index| list_services(index, [service("web", &["192.0.2.1"])]),
        |index| list_slices(index, [slice("web-1", "web", 1, 0)]),
    ];
    // In whatever order they come: the last one releases the routes.
    for last in 0..steps.len() {
        let mut index = Index::new(index.settings.clone());
        for (_, step) in steps.iter().enumerate().filter(|(at, _)| *at != last) {
            step(&mut index);
            assert!(!index.complete());
            assert_eq!(index.take().routes, []);
        }
        if last != 2 {
            assert_eq!(outcome(&index, "web"), Err(Reason::Incomplete));
        }
        steps[last](&mut index);
        assert!(index.complete());
        assert_eq!(shown(&index.take()), "+192.0.2.1/32");
    }
    // Another node's object is not ours.
    index.node(Fact::Apply(NodeFact {
        name: "n2".into(),
        ..node(&[])
    }));
    assert!(index.own_node.is_none());
}

#[test]
fn a_route_follows_its_endpoints() {
    let mut index = started();
    index.service(Fact::Apply(local_service("web", &["192.0.2.1"])));
    assert_eq!(shown(&index.take()), "");
    assert_eq!(outcome(&index, "web"), Err(Reason::NoLocalEndpoints));
    index.slice(Fact::Apply(slice("web-1", "web", 1, 0)));
    assert_eq!(shown(&index.take()), "+192.0.2.1/32");
    assert_eq!(outcome(&index, "web"), Ok(vec![prefix("192.0.2.1/32")]));
    index.slice(Fact::Apply(slice("web-1", "web", 0, 1)));
    assert_eq!(shown(&index.take()), "-192.0.2.1/32");
    // The pod moves within one pass: nothing was ever otherwise.
    index.slice(Fact::Apply(slice("web-1", "web", 1, 1)));
    index.slice(Fact::Apply(slice("web-1", "web", 0, 1)));
    assert_eq!(index.take(), Changes::default());
    index.slice(Fact::Apply(slice("web-2", "web", 1, 0)));
    assert_eq!(shown(&index.take()), "+192.0.2.1/32");
    index.slice(Fact::Delete(key("web-1"), Box::default()));
    assert_eq!(shown(&index.take()), "");
    index.slice(Fact::Delete(key("web-2"), Box::default()));
    assert_eq!(shown(&index.take()), "-192.0.2.1/32");
    assert_eq!(index.announcements().len(), 0);
}

#[test]
fn each_family_is_announced_by_endpoints_of_its_own() {
    let mut index = started();
    let mut pool = pool(
        "six",
        "2001:db8::",
        "2001:db8::ff",
        vec![host_rule(None, &[])],
    );
    pool.ranges.extend(usual_config().pools[0].ranges.clone());
    index.config(config(
        vec![peer("10.0.0.1"), peer("2001:db8::1")],
        vec![pool],
    ));
    index.service(Fact::Apply(service("web", &["192.0.2.1", "2001:db8::1"])));
    index.slice(Fact::Apply(slice("web-v4", "web", 0, 1)));
    assert_eq!(shown(&index.take()), "+192.0.2.1/32");
    let view = index.view(&key("web")).expect("the Service is known");
    assert_eq!(view.verdicts[1].refusal, Some(Reason::NoEndpoints));
    let ipv6 = SliceFact {
        family: crate::bgp::types::Family::Ipv6,
        ..slice("web-v6", "web", 0, 1)
    };
    index.slice(Fact::Apply(ipv6));
    assert_eq!(shown(&index.take()), "+2001:db8::1/128");
}

#[test]
fn what_a_relist_does_not_name_is_gone_and_the_rest_does_not_flap() {
    let mut index = started();
    let all = ["a", "b", "c"].map(|name| name.to_string());
    let fact = |at: usize| service(&all[at], &[&format!("192.0.2.{at}")]);
    let backend = |at: usize| slice(&format!("{}-1", all[at]), &all[at], 0, 1);
    list_services(&mut index, (0..3).map(fact));
    list_slices(&mut index, (0..3).map(backend));
    assert_eq!(
        shown(&index.take()),
        "+192.0.2.0/32 +192.0.2.1/32 +192.0.2.2/32"
    );
    // The same again: nothing. Also in the middle of a list, and after one that broke off.
    list_services(&mut index, (0..3).map(fact));
    index.slice(Fact::Begin);
    index.slice(Fact::Apply(backend(1)));
    assert_eq!(index.take(), Changes::default());
    list_slices(&mut index, (0..3).map(backend));
    assert_eq!(index.take(), Changes::default());
    // What the broken list named does not count for the next.
    index.service(Fact::Begin);
    index.service(Fact::Apply(fact(0)));
    list_services(&mut index, (1..3).map(fact));
    assert_eq!(shown(&index.take()), "-192.0.2.0/32");
    list_slices(&mut index, [backend(2)]);
    assert_eq!(shown(&index.take()), "-192.0.2.1/32");
    assert_eq!(outcome(&index, "b"), Err(Reason::NoEndpoints));
}

#[test]
fn an_address_whose_pool_vanishes_stays_as_it_was_until_the_status_says_more() {
    let mut index = started();
    let coloured = pool(
        "public",
        "192.0.2.0",
        "192.0.2.9",
        vec![host_rule(Some(9), &[5])],
    );
    index.config(config(vec![peer("10.0.0.1")], vec![coloured]));
    index.service(Fact::Apply(service("web", &["192.0.2.1"])));
    index.slice(Fact::Apply(slice("web-1", "web", 0, 1)));
    index.take();
    index.config(config(vec![peer("10.0.0.1")], vec![]));
    assert_eq!(shown(&index.take()), "");
    // Its endpoints come and go: it is still the same promise.
    index.slice(Fact::Delete(key("web-1"), Box::default()));
    assert_eq!(shown(&index.take()), "-192.0.2.1/32");
    index.slice(Fact::Apply(slice("web-1", "web", 0, 1)));
    assert_eq!(shown(&index.take()), "+192.0.2.1/32");
    let expected = attributes(Some(9), &[5]);
    assert_eq!(*index.announcements()[&prefix("192.0.2.1/32")], expected);
    // The allocator calls it an orphan, at first without the attributes.
    let orphan = orphaned(service("web", &["192.0.2.1"]), None);
    index.service(Fact::Apply(orphan));
    assert_eq!(shown(&index.take()), "");
    // A new Service never had it, nor has one of the same name.
    index.service(Fact::Apply(service("new", &["192.0.2.2"])));
    index.slice(Fact::Apply(slice("new-1", "new", 0, 1)));
    let recreated = ServiceFact {
        uid: "another".into(),
        ..service("web", &["192.0.2.1"])
    };
    index.service(Fact::Apply(recreated));
    assert_eq!(shown(&index.take()), "-192.0.2.1/32");
    assert_eq!(outcome(&index, "new"), Err(Reason::AddressNotInPool));
    assert_eq!(outcome(&index, "web"), Err(Reason::AddressNotInPool));
}

#[test]
fn services_of_one_prefix_are_merged_also_those_that_this_node_does_not_announce() {
    let mut index = started();
    let aggregate = |name: &str, first: &str, last: &str, rule: Advertisement| {
        let rule = Advertisement {
            aggregation_length: 24,
            ..rule
        };
        pool(name, first, last, vec![rule])
    };
    let pools = vec![
        aggregate("low", "192.0.2.0", "192.0.2.99", host_rule(None, &[1])),
        aggregate(
            "high",
            "192.0.2.100",
            "192.0.2.199",
            host_rule(Some(50), &[2]),
        ),
    ];
    index.config(config(vec![peer("10.0.0.1")], pools));
    index.service(Fact::Apply(local_service("low", &["192.0.2.1"])));
    index.service(Fact::Apply(local_service("high", &["192.0.2.101"])));
    index.slice(Fact::Apply(slice("high-1", "high", 1, 0)));
    // Only "high" is announced from here. 50 is below the 100 that "low" has by default.
    assert_eq!(shown(&index.take()), "+192.0.2.0/24");
    let merged = attributes(Some(100), &[1, 2]);
    assert_eq!(*index.announcements()[&prefix("192.0.2.0/24")], merged);
    index.slice(Fact::Apply(slice("low-1", "low", 1, 0)));
    assert_eq!(
        shown(&index.take()),
        "",
        "the union is the same whoever is here"
    );
    index.slice(Fact::Delete(key("high-1"), Box::default()));
    assert_eq!(shown(&index.take()), "");
    index.service(Fact::Delete(key("high"), Box::default()));
    assert_eq!(shown(&index.take()), "+192.0.2.0/24");
    let alone = attributes(None, &[1]);
    assert_eq!(*index.announcements()[&prefix("192.0.2.0/24")], alone);
}

#[test]
fn peers_are_those_that_select_this_node_in_the_order_of_the_config() {
    let mut index = Index::new(Settings {
        node_name: NODE.into(),
        ..Settings::default()
    });
    let peers = || {
        vec![
            peer_of("10.0.0.3", "rack"),
            peer("10.0.0.2"),
            peer_of("10.0.0.1", "rack"),
        ]
    };
    let addresses = |changes: Changes| {
        changes.peers.map(|peers| {
            let addresses = peers.iter().map(|peer| peer.address.to_string());
            addresses.collect::<Vec<_>>().join(" ")
        })
    };
    index.config(config(peers(), vec![]));
    // Before the labels are known only "every node" is certain.
    assert_eq!(addresses(index.take()).as_deref(), Some("10.0.0.2"));
    index.node(Fact::Apply(node(&["rack"])));
    assert_eq!(
        addresses(index.take()).as_deref(),
        Some("10.0.0.3 10.0.0.2 10.0.0.1")
    );
    let before = index.peers().to_vec();
    // The same again, as other values of the same content.
    index.config(config(peers(), vec![]));
    index.node(Fact::Apply(node(&["rack"])));
    assert_eq!(index.take(), Changes::default());
    // One peer more: the others are the same Arcs, so their sessions stay.
    let mut more = peers();
    more.insert(0, peer("10.0.0.9"));
    index.config(config(more, vec![]));
    let changes = index.take();
    let now = changes.peers.expect("the list changed");
    assert!(
        now[1..]
            .iter()
            .zip(&before)
            .all(|(now, before)| Arc::ptr_eq(now, before))
    );
    index.node(Fact::Apply(node(&[])));
    assert_eq!(
        addresses(index.take()).as_deref(),
        Some("10.0.0.9 10.0.0.2")
    );
    // A Node object that goes while we run changes nothing.
    index.node(Fact::Delete(NODE.into(), Box::default()));
    assert_eq!(index.take(), Changes::default());
}

#[test]
fn the_node_and_its_peers_take_all_routes_away_and_give_them_back() {
    let mut index = started();
    index.service(Fact::Apply(service("web", &["192.0.2.1"])));
    index.slice(Fact::Apply(slice("web-1", "web", 0, 1)));
    assert_eq!(shown(&index.take()), "+192.0.2.1/32");
    let excluded = "node.kubernetes.io/exclude-from-external-load-balancers";
    let unavailable = NodeFact {
        network_unavailable: true,
        ..node(&[])
    };
    for (fact, reason) in [
        (node(&[excluded]), Reason::NodeLabeledExcludeBalancers),
        (unavailable, Reason::NodeNetworkUnavailable),
    ] {
        index.node(Fact::Apply(fact));
        assert_eq!(shown(&index.take()), "-192.0.2.1/32");
        assert_eq!(outcome(&index, "web"), Err(reason));
        index.node(Fact::Apply(node(&["another"])));
        assert_eq!(shown(&index.take()), "+192.0.2.1/32");
    }
    let pools = || {
        usual_config()
            .pools
            .iter()
            .map(|pool| Pool::clone(pool))
            .collect()
    };
    index.config(config(vec![peer("2001:db8::1")], pools()));
    assert_eq!(shown(&index.take()), "-192.0.2.1/32");
    assert_eq!(outcome(&index, "web"), Err(Reason::NoSessionForFamily));
    index.config(usual_config());
    assert_eq!(shown(&index.take()), "+192.0.2.1/32");
}

thread_local! {
    /// How often the rule was asked on this thread.
    static ASKED: Cell<usize> = const { Cell::new(0) };
}

/// An index that counts its decisions.
fn counting() -> Index {
    let mut index = started();
    index.rule = |service, address, endpoints, node, config, held| {
        ASKED.set(ASKED.get() + 1);
        advertise(service, address, endpoints, node, config, held)
    };
    index
}

/// How many decisions a step and the pass after it take.
fn cost(index: &mut Index, step: impl FnOnce(&mut Index)) -> usize {
    ASKED.set(0);
    step(index);
    index.take();
    ASKED.get()
}

#[test]
fn work_is_proportional_to_what_a_fact_touches() {
    let mut index = counting();
    let names: Vec<String> = (0..100).map(|at| format!("s{at}")).collect();
    let fact = |at: usize| service(&names[at], &[&format!("192.0.2.{at}")]);
    let backend = |at: usize| slice(&format!("{}-1", names[at]), &names[at], 0, 1);
    let all = cost(&mut index, |index| {
        list_services(index, (0..100).map(fact));
        list_slices(index, (0..100).map(backend));
    });
    assert_eq!(all, 100);
    let relist = cost(&mut index, |index| {
        list_services(index, (0..100).map(fact));
        list_slices(index, (0..100).map(backend));
        index.node(Fact::Apply(node(&[])));
        index.config(usual_config());
    });
    assert_eq!(relist, 0, "all of it was known");
    let unrelated = ServiceFact {
        resource_version: "7".into(),
        ..fact(5)
    };
    assert_eq!(
        cost(&mut index, |index| index.service(Fact::Apply(unrelated))),
        0
    );
    let scaled = slice("s7-1", "s7", 0, 2);
    assert_eq!(
        cost(&mut index, |index| index.slice(Fact::Apply(scaled))),
        0
    );
    let gone = slice("s7-1", "s7", 0, 0);
    assert_eq!(cost(&mut index, |index| index.slice(Fact::Apply(gone))), 1);
    let foreign = slice("other-1", "not-a-load-balancer", 1, 1);
    assert_eq!(
        cost(&mut index, |index| index.slice(Fact::Apply(foreign))),
        0
    );
    assert_eq!(
        cost(&mut index, |index| index
            .service(Fact::Delete(key("s7"), Box::default()))),
        0
    );
    let peers_only = {
        let mut config = Config::clone(&usual_config());
        config.peers.push(Arc::new(peer("10.0.0.77")));
        Arc::new(config)
    };
    assert_eq!(cost(&mut index, |index| index.config(peers_only)), 0);
    let labelled = node(&["rack"]);
    assert_eq!(
        cost(&mut index, |index| index.node(Fact::Apply(labelled))),
        0
    );
}

#[test]
fn equal_attributes_are_one_value_and_old_ones_are_forgotten() {
    let mut index = started();
    let names: Vec<String> = (0..10).map(|at| format!("s{at}")).collect();
    for (at, name) in names.iter().enumerate() {
        index.service(Fact::Apply(service(name, &[&format!("192.0.2.{at}")])));
        index.slice(Fact::Apply(slice(&format!("{name}-1"), name, 0, 1)));
    }
    index.take();
    let mut values = index.announcements().values();
    let first = Arc::downgrade(values.next().expect("ten routes"));
    assert!(values.all(|other| std::ptr::eq(first.as_ptr(), &**other)));
    let recoloured = pool(
        "public",
        "192.0.2.0",
        "192.0.2.255",
        vec![host_rule(None, &[1])],
    );
    index.config(config(vec![peer("10.0.0.1")], vec![recoloured]));
    assert_eq!(index.take().routes.len(), 10);
    assert!(first.upgrade().is_none(), "an old value is kept");
}

#[test]
fn a_fault_in_deciding_costs_one_service_its_news_and_nobody_a_route() {
    let mut index = started();
    for (name, address) in [("bad", "192.0.2.1"), ("good", "192.0.2.2")] {
        index.service(Fact::Apply(local_service(name, &[address])));
        index.slice(Fact::Apply(slice(&format!("{name}-1"), name, 1, 0)));
    }
    index.take();
    index.rule = |service, address, endpoints, node, config, held| {
        assert!(address != ip("192.0.2.1"), "a fault made for this test");
        advertise(service, address, endpoints, node, config, held)
    };
    index.slice(Fact::Apply(slice("bad-1", "bad", 0, 0)));
    index.slice(Fact::Apply(slice("good-1", "good", 0, 0)));
    let changes = index.take();
    assert_eq!(shown(&changes), "-192.0.2.2/32");
    assert_eq!(changes.services, [key("bad"), key("good")]);
    let view = index.view(&key("bad")).expect("the Service is known");
    assert_eq!(view.refusal, Some(Reason::InternalError));
    assert_eq!(view.outcome(), Ok(vec![prefix("192.0.2.1/32")]));
    index.rule = advertise;
    index.slice(Fact::Apply(slice("bad-1", "bad", 0, 1)));
    index.slice(Fact::Apply(slice("bad-1", "bad", 1, 1)));
    index.take();
    assert_eq!(index.view(&key("bad")).expect("known").refusal, None);
}

#[test]
fn node_assigned_is_told_when_a_local_service_starts_here_and_never_again() {
    let fact = || local_service("web", &["192.0.2.1"]);
    let mut index = started();
    index.service(Fact::Apply(fact()));
    index.slice(Fact::Apply(slice("web-1", "web", 1, 0)));
    let changes = index.take();
    assert_eq!(told(&changes), ["Normal nodeAssigned default/web"]);
    assert_eq!(&*changes.events[0].uid, "uid-of-web");
    assert!(
        changes.events[0].note.contains("n1") && changes.events[0].note.contains("192.0.2.1/32")
    );
    // Neither more endpoints, nor other attributes, nor a relist are news.
    index.slice(Fact::Apply(slice("web-1", "web", 2, 0)));
    let recoloured = pool(
        "public",
        "192.0.2.0",
        "192.0.2.255",
        vec![host_rule(None, &[1])],
    );
    index.config(config(vec![peer("10.0.0.1")], vec![recoloured]));
    list_services(&mut index, [fact()]);
    let changes = index.take();
    assert_eq!(
        (shown(&changes).as_str(), told(&changes).len()),
        ("+192.0.2.1/32", 0)
    );
    // Stopping is none, starting again is.
    index.slice(Fact::Apply(slice("web-1", "web", 0, 1)));
    assert_eq!(told(&index.take()).len(), 0);
    index.slice(Fact::Apply(slice("web-1", "web", 1, 1)));
    assert_eq!(told(&index.take()).len(), 1);
    // Policy Cluster is none.
    index.service(Fact::Apply(service("all", &["192.0.2.2"])));
    index.slice(Fact::Apply(slice("all-1", "all", 1, 0)));
    let changes = index.take();
    assert_eq!(
        (shown(&changes).as_str(), told(&changes).len()),
        ("+192.0.2.2/32", 0)
    );
}

#[test]
fn a_fresh_process_tells_nothing_of_what_may_have_been_before() {
    let mut index = Index::new(Settings {
        node_name: NODE.into(),
        ..Settings::default()
    });
    index.cluster_size(3);
    index.config(usual_config());
    index.node(Fact::Apply(node(&[])));
    list_services(&mut index, [local_service("web", &["192.0.2.1"])]);
    list_slices(&mut index, [slice("web-1", "web", 1, 0)]);
    let changes = index.take();
    assert_eq!(
        (shown(&changes).as_str(), told(&changes).len()),
        ("+192.0.2.1/32", 0)
    );
}

#[test]
fn events_are_off_in_big_clusters_and_while_the_size_is_unknown() {
    for (nodes, expected) in [(None, 0), (Some(20), 1), (Some(21), 0)] {
        let mut index = started();
        index.cluster_size = nodes;
        index.service(Fact::Apply(local_service("web", &["192.0.2.1"])));
        index.slice(Fact::Apply(slice("web-1", "web", 1, 0)));
        assert_eq!(told(&index.take()).len(), expected, "{nodes:?}");
    }
}

#[test]
fn an_address_in_a_layer_2_pool_is_withdrawn_and_the_allocator_tells() {
    let flat = Pool {
        protocol: Protocol::Layer2,
        ..pool("flat", "192.0.2.0", "192.0.2.255", vec![])
    };
    let mut index = started();
    index.service(Fact::Apply(service("web", &["192.0.2.1"])));
    index.slice(Fact::Apply(slice("web-1", "web", 0, 1)));
    assert_eq!(shown(&index.take()), "+192.0.2.1/32");
    index.config(config(vec![peer("10.0.0.1")], vec![flat]));
    let changes = index.take();
    assert_eq!(
        (shown(&changes).as_str(), told(&changes).len()),
        ("-192.0.2.1/32", 0)
    );
    assert_eq!(outcome(&index, "web"), Err(Reason::PoolIsLayer2));
}

#[test]
fn a_service_is_told_once_that_its_prefix_goes_out_otherwise_than_its_pool_says() {
    let aggregate = |name: &str, first: &str, last: &str, local_pref, communities: &[u32]| {
        let rule = Advertisement {
            aggregation_length: 24,
            ..host_rule(local_pref, communities)
        };
        pool(name, first, last, vec![rule])
    };
    let two_pools = |high_pref, high: &[u32]| {
        let low = aggregate("low", "192.0.2.0", "192.0.2.99", Some(100), &[1]);
        let high = aggregate("high", "192.0.2.100", "192.0.2.199", high_pref, high);
        config(vec![peer("10.0.0.1")], vec![low, high])
    };
    let mut index = started();
    index.config(two_pools(Some(200), &[1, 2]));
    index.service(Fact::Apply(service("low", &["192.0.2.1"])));
    index.slice(Fact::Apply(slice("low-1", "low", 0, 1)));
    index.slice(Fact::Apply(slice("high-1", "high", 0, 1)));
    assert_eq!(told(&index.take()).len(), 0);
    // The newcomer wins: the one that was there is told, and by whom.
    index.service(Fact::Apply(service("high", &["192.0.2.101"])));
    let changes = index.take();
    assert_eq!(told(&changes), ["Warning AttributesDiffer default/low"]);
    let note = &changes.events[0].note;
    for part in [
        "192.0.2.0/24",
        "default/high",
        "localpref 200, communities 0:1 0:2",
        "localpref 100, communities 0:1 ",
    ] {
        assert!(note.contains(part), "{part:?} in {note}");
    }
    // Once. Other passes, relists and other Services of the same mind say nothing more to it.
    index.service(Fact::Apply(service("more", &["192.0.2.102"])));
    index.slice(Fact::Apply(slice("more-1", "more", 0, 1)));
    list_slices(
        &mut index,
        ["low", "high", "more"].map(|s| slice(&format!("{s}-1"), s, 0, 2)),
    );
    assert_eq!(told(&index.take()).len(), 0);
    // Resolved, with the default written out on one side only; then again.
    index.config(two_pools(None, &[1]));
    assert_eq!(told(&index.take()).len(), 0);
    index.config(two_pools(Some(50), &[1]));
    assert_eq!(
        told(&index.take()),
        [
            "Warning AttributesDiffer default/high",
            "Warning AttributesDiffer default/more"
        ]
    );
    assert_eq!(
        *index.announcements()[&prefix("192.0.2.0/24")],
        attributes(Some(100), &[1])
    );
}

#[test]
fn a_hostname_in_the_status_is_shown_as_invalid() {
    let mut index = started();
    let named = ServiceFact {
        ingress: vec![IngressFact {
            other: Some("lb.example".into()),
            ..IngressFact::default()
        }],
        ..service("web", &[])
    };
    index.service(Fact::Apply(named));
    index.take();
    assert_eq!(outcome(&index, "web"), Err(Reason::InvalidIp));
    let view = index.services().next().expect("one Service");
    assert_eq!(
        (view.key, view.policy),
        (&key("web"), TrafficPolicy::Cluster)
    );
    assert_eq!(view.announced().count(), 0);
}

/// Questions as text: `?port` asked, `-` asked no more.
fn asked(changes: &Changes) -> Vec<String> {
    let questions = changes.questions.iter();
    questions
        .map(|question| match question.port {
            Some(port) => format!("{} ?{port}", question.service),
            None => format!("{} -", question.service),
        })
        .collect()
}

/// Index of a node with an address, and a Service of policy Local with a health
/// check port that other nodes serve.
fn with_a_proxy() -> (Index, impl Fn(&mut Index, u16, u16, u16) -> Changes) {
    let mut index = started();
    index.node(Fact::Apply(NodeFact {
        addresses: vec![ip("10.0.0.7")],
        ..node(&[])
    }));
    index.service(Fact::Apply(ServiceFact {
        health_port: std::num::NonZeroU16::new(30001),
        ..local_service("web", &["192.0.2.1"])
    }));
    // Ready here, terminating here, ready elsewhere.
    let endpoints = |index: &mut Index, ready, serving, elsewhere| {
        index.slice(Fact::Apply(SliceFact {
            here: endpoints(ready, serving),
            ..slice("web-1", "web", 0, elsewhere)
        }));
        index.take()
    };
    endpoints(&mut index, 0, 0, 2);
    (index, endpoints)
}

#[test]
fn a_route_waits_for_the_nodes_proxy_while_others_serve() {
    let ipv4 = crate::bgp::types::Family::Ipv4;
    let (mut index, endpoints) = with_a_proxy();
    let changes = endpoints(&mut index, 1, 0, 2);
    assert_eq!(shown(&changes), "");
    assert_eq!(asked(&changes), ["default/web ?30001"]);
    assert_eq!(outcome(&index, "web"), Err(Reason::ProxyNotReady));
    // Another one ready here: it is asked already.
    assert_eq!(asked(&endpoints(&mut index, 2, 0, 2)), [""; 0]);
    index.forwards(&key("web"), ipv4);
    assert_eq!(shown(&index.take()), "+192.0.2.1/32");
    // The answer holds as long as somebody is ready here, and not longer.
    assert_eq!(asked(&endpoints(&mut index, 1, 1, 1)), [""; 0]);
    assert_eq!(shown(&endpoints(&mut index, 0, 1, 1)), "-192.0.2.1/32");
    let changes = endpoints(&mut index, 1, 1, 1);
    assert_eq!((shown(&changes), asked(&changes).len()), (String::new(), 1));
}

#[test]
fn nobody_is_asked_when_nobody_else_serves_or_the_route_is_there_already() {
    let ipv4 = crate::bgp::types::Family::Ipv4;
    let (mut index, endpoints) = with_a_proxy();
    let changes = endpoints(&mut index, 1, 0, 0);
    assert_eq!(
        (shown(&changes), asked(&changes).len()),
        ("+192.0.2.1/32".into(), 0)
    );
    // Others become ready: what is announced stays, without a question.
    assert_eq!(endpoints(&mut index, 1, 0, 2), Changes::default());
    // The last of all terminates, keeps its route, and its successor takes it over.
    endpoints(&mut index, 0, 1, 0);
    let changes = endpoints(&mut index, 1, 1, 1);
    assert_eq!((shown(&changes), asked(&changes).len()), (String::new(), 0));

    // Who waits goes ahead when the others are gone, and withdraws the question.
    endpoints(&mut index, 0, 0, 2);
    assert_eq!(asked(&endpoints(&mut index, 1, 0, 2)).len(), 1);
    let changes = endpoints(&mut index, 1, 0, 0);
    assert_eq!(shown(&changes), "+192.0.2.1/32");
    assert_eq!(asked(&changes), ["default/web -"]);
    // A late answer changes nothing.
    index.forwards(&key("web"), ipv4);
    assert_eq!(index.take(), Changes::default());
}

#[test]
fn a_question_goes_with_its_service() {
    let (mut index, endpoints) = with_a_proxy();
    endpoints(&mut index, 1, 0, 2);
    index.service(Fact::Delete(key("web"), "9".into()));
    assert_eq!(asked(&index.take()), ["default/web -"]);
}
