//! A Service that leaves type LoadBalancer: its watch says that it is gone.

use super::*;

/// What is handed out after the watch said that `a` is gone at version 77.
fn farewells(decider: &mut Decider) -> Vec<StatusWrite> {
    decider.handle(facts::Event::Delete(key("a"), "77".into()));
    decider.take().writes
}

fn farewell() -> StatusWrite {
    StatusWrite {
        key: key("a"),
        uid: "uid-a".into(),
        resource_version: "77".into(),
        ingress: Some(Vec::new()),
        condition: None,
        drop_condition: true,
        orphan_attributes: None,
        clear_reassign: false,
    }
}

#[test]
fn all_that_is_ours_is_taken_away_at_that_very_version_and_its_address_is_free() {
    let one = pool("p", "10.0.0.1", "10.0.0.1", vec![]);
    let mut bench = Bench::new(config(vec![one]), vec![service("a", 1), service("b", 2)]);
    let mut writes = farewells(&mut bench.decider);
    assert_eq!(writes.remove(0), farewell());
    assert_eq!(
        (&writes[0].key, &writes[0].ingress),
        (&key("b"), &Some(vec![ip("10.0.0.1")]))
    );
    assert_eq!(writes.len(), 1);
    // Once: whatever becomes of it.
    bench.decider.failed(&key("a"), "uid-a", true);
    bench
        .decider
        .handle(facts::Event::Delete(key("a"), "78".into()));
    assert_eq!(bench.decider.take().writes, []);
}

#[test]
fn an_orphan_s_annotation_goes_with_it_and_so_does_a_refusal() {
    let rich = pool(
        "rich",
        "10.5.0.1",
        "10.5.0.9",
        vec![host_rule(Some(7), &[])],
    );
    let mut bench = Bench::new(config(vec![rich]), vec![service("a", 1)]);
    bench.set_config(config(vec![small()]));
    assert_eq!(bench.status("a"), "[10.5.0.1] | Orphaned: rich");
    let wanted = StatusWrite {
        orphan_attributes: Some(None),
        ..farewell()
    };
    assert_eq!(farewells(&mut bench.decider), [wanted]);

    let mut refused = service("a", 1);
    refused.asks.pool = Some("nowhere".into());
    let mut bench = Bench::new(config(vec![small()]), vec![refused]);
    let wanted = StatusWrite {
        ingress: None,
        ..farewell()
    };
    assert_eq!(farewells(&mut bench.decider), [wanted]);
}

#[test]
fn what_is_not_ours_or_known_to_be_deleted_is_not_written() {
    let mut foreign = service("a", 1);
    foreign.ingress = ingress(&["203.0.113.1"]);
    let mut other = holding(service("a", 1), &["1.2.3.4"], "small");
    other.class = Some("else".into());
    let mut deleting = holding(service("a", 1), &["1.2.3.4"], "small");
    deleting.deleting = true;
    for fact in [foreign, other, deleting] {
        let mut bench = Bench::new(config(vec![small()]), vec![fact]);
        assert_eq!(farewells(&mut bench.decider), []);
    }
    // Nothing was written yet; and no version of its going is known.
    let ours = || vec![service("a", 1)];
    let mut unwritten = Decider::build(Settings::default(), config(vec![small()]), None, ours());
    assert_eq!(farewells(&mut unwritten), []);
    let mut bench = Bench::new(config(vec![small()]), ours());
    bench.delete("a");
    assert_eq!(bench.writes.len(), 1);
}

#[test]
fn one_that_is_back_is_decided_on_and_a_farewell_on_its_way_disturbs_nothing() {
    let back = |bench: &Bench| {
        let mut fact = bench.fact("a");
        fact.ingress.clear();
        fact.resource_version = "80".into();
        facts::Event::Apply(fact)
    };
    // Back before anything was handed out.
    let mut bench = Bench::new(config(vec![small()]), vec![service("a", 1)]);
    let event = back(&bench);
    bench
        .decider
        .handle(facts::Event::Delete(key("a"), "77".into()));
    bench.decider.handle(event);
    let writes = bench.decider.take().writes;
    assert_eq!((writes.len(), &*writes[0].resource_version), (1, "80"));
    assert_eq!(writes[0].ingress, Some(vec![ip("1.2.3.4")]));

    // Back after that: the farewell conflicts, or had landed before.
    for landed in [false, true] {
        let mut bench = Bench::new(config(vec![small()]), vec![service("a", 1)]);
        let event = back(&bench);
        assert_eq!(farewells(&mut bench.decider).len(), 1);
        bench.decider.handle(event);
        let write = bench.decider.take().writes.remove(0);
        if landed {
            bench.decider.written(&key("a"), "uid-a", "78");
        } else {
            bench.decider.failed(&key("a"), "uid-a", true);
        }
        bench.decider.written(&write.key, &write.uid, "81");
        let mut shown = holding(service("a", 1), &["1.2.3.4"], "small");
        shown.resource_version = "81".into();
        bench.decider.handle(facts::Event::Apply(shown));
        bench.version = 81;
        bench.land();
        assert_eq!(bench.status("a"), "[1.2.3.4] | InPool: small");
        bench.edit("a", |fact| {
            fact.asks.load_balancer_ip = Some("1.2.3.8".into())
        });
        assert_eq!(bench.status("a"), "[1.2.3.8] | InPool: small");
    }
}
