//! Pools of `protocol: layer2`: the user is told once that nobody announces.

use super::*;
use crate::config::Protocol;

fn flat(name: &str, first: &str, last: &str) -> Pool {
    Pool {
        protocol: Protocol::Layer2,
        ..pool(name, first, last, vec![])
    }
}

fn flat_small() -> Arc<Config> {
    config(vec![flat("small", "1.2.3.4", "1.2.3.8")])
}

const NOT_ANNOUNCED: &str = r#"NotAnnounced: poolIsLayer2: 1.2.3.4 is not announced: pool "small" has protocol layer2, and Loods announces by BGP only; set protocol: bgp in the pool"#;

#[test]
fn who_gets_an_address_of_it_is_told_once_and_never_by_the_next_leader() {
    let mut bench = Bench::new(flat_small(), vec![service("a", 1)]);
    assert_eq!(bench.status("a"), "[1.2.3.4] | poolIsLayer2: small");
    assert_eq!(
        bench.told(),
        [
            r#"IPAllocated: Assigned IP ["1.2.3.4"] from pool "small""#,
            NOT_ANNOUNCED
        ]
    );
    bench.edit("a", |fact| fact.ports.push(tcp(443)));
    bench.set_config(flat_small());
    assert_eq!(bench.told(), Vec::<String>::new());
    let mut next = Bench::new(flat_small(), vec![bench.fact("a")]);
    assert_eq!((next.writes.len(), next.told().len()), (0, 0));
    let shown = next.decider.decisions().next().expect("a");
    assert_eq!(
        (shown.reason(), shown.pool),
        ("poolIsLayer2", Some("small"))
    );
}

#[test]
fn a_pool_that_turns_layer_2_is_told_each_time_it_does() {
    let mut bench = Bench::new(config(vec![small()]), vec![service("a", 1)]);
    bench.told();
    for _ in 0..2 {
        bench.set_config(flat_small());
        assert_eq!(bench.status("a"), "[1.2.3.4] | poolIsLayer2: small");
        assert_eq!(bench.told(), [NOT_ANNOUNCED]);
        bench.set_config(config(vec![small()]));
        assert_eq!(bench.status("a"), "[1.2.3.4] | InPool: small");
        assert_eq!(bench.told(), Vec::<String>::new());
    }
}

#[test]
fn a_pool_that_turned_layer_2_while_no_allocator_ran_is_told() {
    let fact = holding(service("a", 1), &["1.2.3.4"], "small");
    assert_eq!(Bench::new(flat_small(), vec![fact]).told(), [NOT_ANNOUNCED]);
    // As it is after MetalLB: an address, and no condition of ours.
    let mut adopted = service("a", 1);
    adopted.ingress = ingress(&["1.2.3.4"]);
    let mut bench = Bench::new(flat_small(), vec![adopted]);
    assert_eq!(bench.told(), [NOT_ANNOUNCED]);
}

#[test]
fn a_refusal_in_the_condition_hides_it_but_it_is_not_told_again() {
    let mut bench = Bench::new(flat_small(), vec![service("a", 1)]);
    bench.edit("a", |fact| fact.asks.pool = Some("big".into()));
    let status = bench.status("a");
    assert!(status.starts_with("[1.2.3.4] | unknownPool: "), "{status}");
    let mut next = Bench::new(flat_small(), vec![bench.fact("a")]);
    assert_eq!(next.told(), Vec::<String>::new());
    next.edit("a", |fact| fact.asks.pool = None);
    assert_eq!(next.status("a"), "[1.2.3.4] | poolIsLayer2: small");
    assert_eq!(next.told(), Vec::<String>::new());
    // Who was refused and had none is told when it gets one.
    let full = config(vec![flat("one", "10.0.0.1", "10.0.0.1")]);
    let mut bench = Bench::new(full.clone(), vec![service("a", 1), service("b", 2)]);
    let mut next = Bench::new(full, vec![bench.fact("a"), bench.fact("b")]);
    assert_eq!((bench.told().len(), next.told().len()), (3, 0));
    next.delete("a");
    let told = next.told();
    assert!(
        told[1].starts_with("NotAnnounced: poolIsLayer2: 10.0.0.1 is"),
        "{told:?}"
    );
}

#[test]
fn another_layer_2_pool_is_told_anew_and_a_pair_is_told_together() {
    let two = config(vec![
        flat("small", "1.2.3.4", "1.2.3.8"),
        flat("other", "10.0.0.1", "10.0.0.9"),
    ]);
    let mut bench = Bench::new(two, vec![service("a", 1)]);
    bench.told();
    bench.edit("a", |fact| fact.asks.pool = Some("other".into()));
    assert_eq!(bench.status("a"), "[10.0.0.1] | poolIsLayer2: other");
    let told = bench.told();
    assert!(
        told[2].contains("pool \"other\" has protocol layer2"),
        "{told:?}"
    );
    let pair = Pool {
        protocol: Protocol::Layer2,
        ..both()
    };
    let mut bench = Bench::new(
        config(vec![pair]),
        vec![dual("a", FamilyPolicy::RequireDualStack)],
    );
    let told = bench.told();
    assert!(
        told[1].contains("fd00::1 and 10.0.0.1 are not announced"),
        "{told:?}"
    );
}

#[test]
fn an_orphan_of_it_says_orphaned_and_comes_back_as_what_it_is() {
    let mut bench = Bench::new(flat_small(), vec![service("a", 1)]);
    let elsewhere = config(vec![pool("far", "10.0.0.1", "10.0.0.9", vec![])]);
    bench.set_config(elsewhere);
    assert_eq!(bench.status("a"), "[1.2.3.4] | Orphaned: small");
    bench.told();
    bench.set_config(flat_small());
    assert_eq!(bench.status("a"), "[1.2.3.4] | poolIsLayer2: small");
    let told = bench.told();
    assert!(told[0].starts_with("AddressInPool: "), "{told:?}");
    assert_eq!(told[1..], [NOT_ANNOUNCED]);
}
