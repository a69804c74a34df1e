//! One case at a time: a Service, what is decided, what is told.

mod layer2;
mod leaving;

use std::net::IpAddr;
use std::sync::Arc;

use super::*;
use crate::bgp::types::Family;
use crate::config::{OnRemovedPool, Pool};
use crate::facts::{ConditionFact, FamilyPolicy, IngressFact, Port, TrafficPolicy, Transport};
use crate::lb::event::EventKind;
use crate::lb::fixture::{host_rule, ip, key, pool};

/// What the tests see of a decider, its store included: each write is accepted.
struct Bench {
    decider: Decider,
    version: u64,
    /// Since the last look: `Reason: note`.
    told: Vec<String>,
    /// All writes accepted so far.
    writes: Vec<StatusWrite>,
}

pub(super) fn config(pools: Vec<Pool>) -> Arc<Config> {
    Arc::new(Config {
        pools: pools.into_iter().map(Arc::new).collect(),
        ..Config::default()
    })
}

fn small() -> Pool {
    pool("small", "1.2.3.4", "1.2.3.8", vec![host_rule(None, &[])])
}

/// A Service of one IPv4 address, port 80. `created` orders it.
pub(super) fn service(name: &str, created: i64) -> ServiceFact {
    ServiceFact {
        key: key(name),
        uid: format!("uid-{name}").into(),
        resource_version: "1".into(),
        created,
        load_balancer: true,
        families: vec![Family::Ipv4],
        ports: vec![tcp(80)],
        selector: "app=web".into(),
        ..ServiceFact::default()
    }
}

fn tcp(number: u16) -> Port {
    Port {
        transport: Transport::Tcp,
        number,
    }
}

fn ingress(addresses: &[&str]) -> Vec<IngressFact> {
    let entry = |text: &&str| IngressFact {
        ip: Some(ip(text)),
        other: None,
        vip: true,
    };
    addresses.iter().map(entry).collect()
}

fn in_pool(name: &str) -> Option<ConditionFact> {
    Some(ConditionFact {
        status: true,
        reason: "InPool".into(),
        message: name.into(),
    })
}

fn holding(mut fact: ServiceFact, addresses: &[&str], pool: &str) -> ServiceFact {
    fact.ingress = ingress(addresses);
    fact.condition = in_pool(pool);
    fact.ingress_is_ours = true;
    fact
}

impl Bench {
    fn new(config: Arc<Config>, services: Vec<ServiceFact>) -> Self {
        Self::with(config, None, services)
    }

    fn with(config: Arc<Config>, previous: Option<&Config>, services: Vec<ServiceFact>) -> Self {
        let versions = services.iter().flat_map(|f| f.resource_version.parse());
        let version = versions.max().unwrap_or(0);
        let mut bench = Self {
            decider: Decider::build(Settings::default(), config, previous, services),
            version,
            told: Vec::new(),
            writes: Vec::new(),
        };
        bench.land();
        bench
    }

    /// Accepts writes until there are none.
    fn land(&mut self) {
        for _ in 0..20 {
            let outcome = self.decider.take();
            let told = outcome.events.into_iter();
            self.told
                .extend(told.map(|event| format!("{}: {}", event.reason, event.note)));
            if outcome.writes.is_empty() {
                return;
            }
            for write in outcome.writes {
                self.version += 1;
                let version = self.version.to_string();
                self.decider.written(&write.key, &write.uid, &version);
                self.writes.push(write);
            }
        }
        panic!("the decider never rests");
    }

    /// The Service as the API server has it.
    fn fact(&self, name: &str) -> ServiceFact {
        self.decider.services[&key(name)].fact.clone()
    }

    fn apply(&mut self, mut fact: ServiceFact) {
        self.version += 1;
        fact.resource_version = self.version.to_string().into();
        self.decider.handle(facts::Event::Apply(fact));
        self.land();
    }

    fn edit(&mut self, name: &str, change: impl FnOnce(&mut ServiceFact)) {
        let mut fact = self.fact(name);
        change(&mut fact);
        self.apply(fact);
    }

    fn delete(&mut self, name: &str) {
        self.decider
            .handle(facts::Event::Delete(key(name), Box::default()));
        self.land();
    }

    fn set_config(&mut self, config: Arc<Config>) {
        self.decider.set_config(config);
        self.land();
    }

    /// `addresses | condition reason: message`, as the status has it.
    fn status(&self, name: &str) -> String {
        let fact = self.fact(name);
        let addresses: Vec<_> = fact.ingress.iter().flat_map(|i| i.ip).collect();
        let condition = match fact.condition {
            Some(condition) => format!("{}: {}", condition.reason, condition.message),
            None => "no condition".into(),
        };
        format!("{addresses:?} | {condition}")
    }

    fn told(&mut self) -> Vec<String> {
        std::mem::take(&mut self.told)
    }
}

#[test]
fn the_first_gets_the_lowest_address_and_is_told_so() {
    let mut bench = Bench::new(
        config(vec![small()]),
        vec![service("b", 1), service("a", 2)],
    );
    assert_eq!(bench.status("b"), "[1.2.3.4] | InPool: small");
    assert_eq!(bench.status("a"), "[1.2.3.5] | InPool: small");
    assert_eq!(
        bench.told(),
        [
            r#"IPAllocated: Assigned IP ["1.2.3.4"] from pool "small""#,
            r#"IPAllocated: Assigned IP ["1.2.3.5"] from pool "small""#
        ]
    );
}

#[test]
fn after_a_restart_nothing_is_written_or_told_again() {
    let full = pool("p", "10.0.0.1", "10.0.0.1", vec![]);
    let mut before = Bench::new(
        config(vec![full.clone()]),
        vec![service("a", 1), service("b", 2)],
    );
    assert_eq!(before.told().len(), 2);
    let facts = vec![before.fact("a"), before.fact("b")];
    let mut after = Bench::new(config(vec![full]), facts);
    assert_eq!(after.writes, []);
    assert_eq!(after.told(), Vec::<String>::new());
}

#[test]
fn claims_come_before_all_who_wait() {
    let holder = holding(service("z", 9), &["1.2.3.4"], "small");
    let bench = Bench::new(config(vec![small()]), vec![service("a", 1), holder]);
    assert_eq!(bench.status("z"), "[1.2.3.4] | InPool: small");
    assert_eq!(bench.status("a"), "[1.2.3.5] | InPool: small");
}

#[test]
fn of_two_holders_the_older_keeps_the_address() {
    let old = holding(service("z", 1), &["1.2.3.4"], "small");
    let young = holding(service("a", 2), &["1.2.3.4"], "small");
    let mut bench = Bench::new(config(vec![small()]), vec![young, old]);
    assert_eq!(bench.status("z"), "[1.2.3.4] | InPool: small");
    assert_eq!(bench.status("a"), "[1.2.3.5] | InPool: small");
    let told = bench.told();
    assert!(
        told[0].starts_with("ClearAssignment: 1.2.3.4 is held by Service default/z"),
        "{told:?}"
    );
    assert!(told[1].starts_with("IPAllocated"), "{told:?}");
}

#[test]
fn a_status_of_another_product_in_our_pools_is_adopted_once() {
    let mut fact = service("a", 1);
    fact.ingress = ingress(&["1.2.3.7"]);
    fact.ingress[0].vip = false;
    let mut bench = Bench::new(config(vec![small()]), vec![fact]);
    assert_eq!(bench.status("a"), "[1.2.3.7] | InPool: small");
    assert_eq!(bench.writes.len(), 1);
    assert_eq!(bench.told(), Vec::<String>::new());
}

#[test]
fn a_foreign_status_is_never_written_and_told_of_once() {
    let mut fact = service("a", 1);
    fact.ingress = ingress(&["203.0.113.1"]);
    let mut bench = Bench::new(config(vec![small()]), vec![fact]);
    bench.edit("a", |fact| fact.ports.push(tcp(443)));
    assert_eq!(bench.writes, []);
    let told = bench.told();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("foreignStatus"), "{told:?}");
    bench.edit("a", |fact| fact.ingress.clear());
    assert_eq!(bench.status("a"), "[1.2.3.4] | InPool: small");
}

#[test]
fn a_hostname_of_another_product_is_foreign() {
    let mut fact = service("a", 1);
    fact.ingress = vec![IngressFact {
        ip: None,
        other: Some("lb.example".into()),
        vip: false,
    }];
    let bench = Bench::new(config(vec![small()]), vec![fact]);
    assert_eq!(bench.writes, []);
}

#[test]
fn a_service_of_another_class_is_left_alone_but_its_address_is_not_given_away() {
    let mut other = service("a", 1);
    other.class = Some("else".into());
    other.ingress = ingress(&["1.2.3.4"]);
    let mut bench = Bench::new(config(vec![small()]), vec![other, service("b", 2)]);
    assert_eq!(bench.status("b"), "[1.2.3.5] | InPool: small");
    assert_eq!(bench.status("a"), "[1.2.3.4] | no condition");
    assert!(bench.told().iter().any(|told| told.contains("otherClass")));
    let settings = Settings {
        lb_class: Some("else".into()),
    };
    let mine = Decider::build(
        settings,
        config(vec![small()]),
        None,
        vec![bench.fact("a"), bench.fact("b")],
    );
    let standings: Vec<_> = mine.decisions().map(|d| d.standing).collect();
    assert_eq!(standings, [Standing::Ours, Standing::OtherClass]);
}

#[test]
fn a_lagging_fact_frees_nothing() {
    let mut bench = Bench::new(config(vec![small()]), vec![service("a", 1)]);
    let writes = bench.writes.len();
    // As it was before our write: the same version, and no address.
    bench.decider.handle(facts::Event::Apply(service("a", 1)));
    bench.land();
    bench.apply(service("b", 2));
    assert_eq!(bench.status("a"), "[1.2.3.4] | InPool: small");
    assert_eq!(bench.status("b"), "[1.2.3.5] | InPool: small");
    assert_eq!(bench.writes.len(), writes + 1);
}

#[test]
fn a_lost_address_is_not_given_on_until_the_status_lets_go_of_it() {
    let one = pool("p", "10.0.0.1", "10.0.0.2", vec![]);
    let mut bench = Bench::new(config(vec![one]), vec![service("a", 1)]);
    // The user moves it to .2; our write of that is not accepted yet.
    let mut fact = bench.fact("a");
    fact.resource_version = "500".into();
    fact.asks.load_balancer_ip = Some("10.0.0.2".into());
    bench.decider.handle(facts::Event::Apply(fact));
    bench.decider.handle(facts::Event::Apply(service("b", 2)));
    let outcome = bench.decider.take();
    let of_a = &outcome.writes[0];
    assert_eq!(of_a.ingress, Some(vec![ip("10.0.0.2")]));
    assert_eq!(outcome.writes[1].ingress, None, "b must wait");
    bench.decider.written(&of_a.key, &of_a.uid, "501");
    let outcome = bench.decider.take();
    assert_eq!(outcome.writes[0].ingress, Some(vec![ip("10.0.0.1")]));
}

#[test]
fn deletion_frees_for_the_first_in_line() {
    let one = pool("p", "10.0.0.1", "10.0.0.1", vec![]);
    let services = vec![service("a", 1), service("c", 3), service("b", 2)];
    let mut bench = Bench::new(config(vec![one]), services);
    bench.told();
    bench.delete("a");
    assert_eq!(bench.status("b"), "[10.0.0.1] | InPool: p");
    assert!(
        bench.status("c").starts_with("[] | poolExhausted: "),
        "{}",
        bench.status("c")
    );
    assert_eq!(bench.told().len(), 1, "c is not told again");
}

#[test]
fn a_service_that_is_being_deleted_keeps_its_address_until_it_is_gone() {
    let one = pool("p", "10.0.0.1", "10.0.0.1", vec![]);
    let mut bench = Bench::new(config(vec![one]), vec![service("a", 1), service("b", 2)]);
    bench.edit("a", |fact| fact.deleting = true);
    assert_eq!(bench.status("a"), "[10.0.0.1] | InPool: p");
    assert!(bench.status("b").starts_with("[] |"));
    bench.delete("a");
    assert_eq!(bench.status("b"), "[10.0.0.1] | InPool: p");
}

#[test]
fn a_recreated_service_is_a_new_one() {
    let mut bench = Bench::new(
        config(vec![small()]),
        vec![service("a", 1), service("b", 2)],
    );
    let mut again = service("a", 5);
    again.uid = "another".into();
    again.asks.load_balancer_ip = Some("1.2.3.8".into());
    bench.apply(again);
    assert_eq!(bench.status("a"), "[1.2.3.8] | InPool: small");
    bench.decider.written(&key("a"), "uid-a", "9999");
    assert_ne!(&*bench.fact("a").resource_version, "9999");
}

#[test]
fn what_cannot_be_had_is_explained() {
    let reserved = Pool {
        auto_assign: false,
        ..pool("reserved", "10.9.0.1", "10.9.0.9", vec![])
    };
    let pools = || config(vec![small(), reserved.clone()]);
    type Change = fn(&mut ServiceFact);
    let cases: &[(&str, Change, &str)] = &[
        (
            "unparsableAddress",
            |f| f.asks.load_balancer_ips = Some("1.2.3.x".into()),
            "\"1.2.3.x\"",
        ),
        (
            "addressAskedTwice",
            |f| {
                f.asks.load_balancer_ips = Some("1.2.3.4".into());
                f.asks.load_balancer_ip = Some("1.2.3.4".into());
            },
            "remove one",
        ),
        (
            "unknownPool",
            |f| f.asks.pool = Some("big".into()),
            "pools \"small\", \"reserved\"",
        ),
        (
            "addressNotInPool",
            |f| f.asks.load_balancer_ip = Some("9.9.9.9".into()),
            "9.9.9.9",
        ),
        (
            "addressNotInAskedPool",
            |f| {
                f.asks.load_balancer_ip = Some("1.2.3.5".into());
                f.asks.pool = Some("reserved".into());
            },
            "in pool \"small\"",
        ),
        (
            "addressInUse",
            |f| f.asks.load_balancer_ip = Some("1.2.3.4".into()),
            "Service default/holder",
        ),
        (
            "familyNotOfService",
            |f| f.asks.load_balancer_ips = Some("2001:db8::1".into()),
            "IPv4 only",
        ),
        (
            "noPoolOfFamily",
            |f| f.families = vec![Family::Ipv6],
            "IPv6",
        ),
        ("noFamily", |f| f.families = vec![], "ipFamilies"),
        (
            "oneFamilyOnly",
            |f| f.family_policy = FamilyPolicy::RequireDualStack,
            "IPv4 only",
        ),
        (
            "noPoolOfFamily",
            |f| {
                f.families = vec![Family::Ipv4, Family::Ipv6];
                f.family_policy = FamilyPolicy::RequireDualStack;
            },
            "from one pool",
        ),
        (
            "addressesOfTwoPools",
            |f| {
                f.families = vec![Family::Ipv4, Family::Ipv6];
                f.family_policy = FamilyPolicy::PreferDualStack;
                f.asks.load_balancer_ips = Some("1.2.3.5,fd00::1".into());
            },
            "six",
        ),
    ];
    for (word, change, names) in cases {
        let mut pools = (*pools()).clone();
        if *word == "addressesOfTwoPools" {
            pools
                .pools
                .push(Arc::new(pool("six", "fd00::1", "fd00::9", vec![])));
        }
        let mut fact = service("a", 2);
        change(&mut fact);
        let mut bench = Bench::new(Arc::new(pools), vec![service("holder", 1), fact]);
        let status = bench.status("a");
        assert!(
            status.starts_with(&format!("[] | {word}: ")),
            "{word}: {status}"
        );
        let told = bench.told();
        let last = told.last().expect("told");
        assert!(
            last.starts_with(&format!("AllocationFailed: {word}: ")),
            "{told:?}"
        );
        assert!(last.contains(names), "{told:?}");
    }
}

#[test]
fn a_full_pool_says_how_full_but_the_condition_does_not_count() {
    let two = pool("two", "10.0.0.1", "10.0.0.2", vec![]);
    let services = (0..3).map(|n| service(&format!("s{n}"), n)).collect();
    let mut bench = Bench::new(config(vec![two]), services);
    assert!(bench.told()[2].contains("pool \"two\" has 2 of 2 IPv4 addresses in use"));
    assert!(!bench.status("s2").contains("2 of 2"));
}

#[test]
fn who_asks_for_what_it_cannot_have_keeps_what_it_has() {
    let mut bench = Bench::new(
        config(vec![small()]),
        vec![service("a", 1), service("b", 2)],
    );
    bench.told();
    bench.edit("b", |fact| {
        fact.asks.load_balancer_ip = Some("1.2.3.4".into())
    });
    assert!(bench.status("b").starts_with("[1.2.3.5] | addressInUse: "));
    assert!(bench.told()[0].ends_with("it keeps 1.2.3.5"));
    // Also after a restart; and it moves when the address is freed.
    let mut after = Bench::new(
        config(vec![small()]),
        vec![bench.fact("a"), bench.fact("b")],
    );
    assert_eq!((after.writes.len(), after.told().len()), (0, 0));
    after.delete("a");
    assert_eq!(after.status("b"), "[1.2.3.4] | InPool: small");
}

fn sharer(name: &str, created: i64, port: u16) -> ServiceFact {
    let mut fact = service(name, created);
    fact.ports = vec![tcp(port)];
    fact.asks.sharing_key = Some("k".into());
    fact
}

#[test]
fn sharing_by_key_ports_and_backend() {
    let mut bench = Bench::new(
        config(vec![small()]),
        vec![sharer("a", 1, 80), sharer("b", 2, 443), sharer("c", 3, 80)],
    );
    assert_eq!(bench.status("b"), "[1.2.3.4] | InPool: small");
    assert_eq!(bench.status("c"), "[1.2.3.5] | InPool: small");
    bench.told();
    // The one that changed moves, in one pass.
    bench.edit("b", |fact| fact.policy = TrafficPolicy::Local);
    assert_eq!(bench.status("a"), "[1.2.3.4] | InPool: small");
    assert_eq!(bench.status("b"), "[1.2.3.6] | InPool: small");
    let told = bench.told();
    assert!(
        told[0].starts_with(
            "ClearAssignment: 1.2.3.4 is given up: it is shared with Service default/a"
        ),
        "{told:?}"
    );
    assert!(told[1].starts_with("IPAllocated"), "{told:?}");
    assert_eq!(told.len(), 2);
}

#[test]
fn a_sole_holder_changes_its_key_in_place() {
    let mut bench = Bench::new(config(vec![small()]), vec![sharer("a", 1, 80)]);
    bench.edit("a", |fact| fact.asks.sharing_key = Some("other".into()));
    assert_eq!(bench.status("a"), "[1.2.3.4] | InPool: small");
    bench.apply(sharer("b", 2, 443));
    assert_eq!(bench.status("b"), "[1.2.3.5] | InPool: small");
}

#[test]
fn a_port_that_is_given_up_lets_a_sharer_in() {
    let one = pool("p", "10.0.0.1", "10.0.0.1", vec![]);
    let mut bench = Bench::new(
        config(vec![one]),
        vec![sharer("a", 1, 80), sharer("b", 2, 80)],
    );
    assert!(bench.status("b").starts_with("[] |"));
    bench.edit("a", |fact| fact.ports = vec![tcp(81)]);
    assert_eq!(bench.status("b"), "[10.0.0.1] | InPool: p");
}

fn dual(name: &str, policy: FamilyPolicy) -> ServiceFact {
    let mut fact = service(name, 1);
    fact.families = vec![Family::Ipv6, Family::Ipv4];
    fact.family_policy = policy;
    fact
}

fn both() -> Pool {
    let mut both = pool("both", "10.0.0.1", "10.0.0.2", vec![]);
    both.ranges
        .extend(pool("", "fd00::1", "fd00::2", vec![]).ranges);
    both
}

#[test]
fn dual_stack_in_the_order_of_the_families_and_from_one_pool() {
    for policy in [
        FamilyPolicy::PreferDualStack,
        FamilyPolicy::RequireDualStack,
    ] {
        let bench = Bench::new(config(vec![small(), both()]), vec![dual("a", policy)]);
        assert_eq!(bench.status("a"), "[fd00::1, 10.0.0.1] | InPool: both");
    }
}

#[test]
fn prefer_takes_the_primary_family_and_the_second_when_it_comes() {
    let six = pool("p", "fd00::1", "fd00::1", vec![]);
    let mut bench = Bench::new(
        config(vec![small(), six.clone()]),
        vec![dual("a", FamilyPolicy::PreferDualStack)],
    );
    assert_eq!(bench.status("a"), "[fd00::1] | InPool: p");
    let mut more = six;
    more.ranges
        .extend(pool("", "10.7.0.1", "10.7.0.1", vec![]).ranges);
    bench.set_config(config(vec![small(), more]));
    assert_eq!(bench.status("a"), "[fd00::1, 10.7.0.1] | InPool: p");
    // And back to one family, which keeps its address.
    bench.edit("a", |fact| {
        fact.families = vec![Family::Ipv6];
        fact.family_policy = FamilyPolicy::SingleStack;
    });
    assert_eq!(bench.status("a"), "[fd00::1] | InPool: p");
}

#[test]
fn an_orphan_keeps_its_address_and_how_it_was_announced() {
    let rich = pool(
        "rich",
        "10.5.0.1",
        "10.5.0.9",
        vec![host_rule(Some(200), &[0xFC00_0001])],
    );
    let with = config(vec![rich]);
    let mut bench = Bench::new(Arc::clone(&with), vec![service("a", 1)]);
    bench.told();
    let without = config(vec![small()]);
    bench.set_config(Arc::clone(&without));
    assert_eq!(bench.status("a"), "[10.5.0.1] | Orphaned: rich");
    let text = "10.5.0.1/32 origin=igp local-pref=200 communities=64512:1";
    assert_eq!(
        bench.fact("a").asks.orphan_attributes.as_deref(),
        Some(text)
    );
    assert!(bench.told()[0].starts_with("AddressOrphaned: "));
    // A restart knows it all from the Service.
    let mut after = Bench::new(without, vec![bench.fact("a")]);
    assert_eq!((after.writes.len(), after.told().len()), (0, 0));
    // The pool comes back.
    after.set_config(with);
    assert_eq!(after.status("a"), "[10.5.0.1] | InPool: rich");
    assert_eq!(after.fact("a").asks.orphan_attributes, None);
    assert!(after.told()[0].starts_with("AddressInPool: "));
}

#[test]
fn orphans_found_at_start_take_their_routes_from_the_configuration_before() {
    let rich = config(vec![pool(
        "rich",
        "10.5.0.1",
        "10.5.0.9",
        vec![host_rule(Some(7), &[])],
    )]);
    let fact = holding(service("a", 1), &["10.5.0.1"], "rich");
    let known = Bench::with(config(vec![small()]), Some(&rich), vec![fact.clone()]);
    let text = known.fact("a").asks.orphan_attributes;
    assert_eq!(text.as_deref(), Some("10.5.0.1/32 origin=igp local-pref=7"));
    let unknown = Bench::with(config(vec![small()]), None, vec![fact]);
    assert_eq!(unknown.status("a"), "[10.5.0.1] | Orphaned: rich");
    assert_eq!(unknown.fact("a").asks.orphan_attributes, None);
}

#[test]
fn an_orphan_moves_when_the_annotation_or_the_configuration_says_so() {
    let rich = || config(vec![pool("rich", "10.5.0.1", "10.5.0.9", vec![])]);
    let mut bench = Bench::new(rich(), vec![service("a", 1)]);
    bench.edit("a", |fact| fact.asks.reassign = Some("true".into()));
    assert_eq!(
        bench.status("a"),
        "[10.5.0.1] | InPool: rich",
        "not an orphan"
    );
    bench.set_config(config(vec![small()]));
    assert_eq!(bench.status("a"), "[1.2.3.4] | InPool: small");
    assert_eq!(bench.fact("a").asks.reassign, None, "obeyed once");

    let mut bench = Bench::new(rich(), vec![service("a", 1)]);
    let mut other = (*config(vec![small()])).clone();
    other.on_removed_pool = OnRemovedPool::Reassign;
    bench.set_config(Arc::new(other));
    assert_eq!(bench.status("a"), "[1.2.3.4] | InPool: small");
}

#[test]
fn a_renamed_pool_moves_nobody() {
    let mut fact = service("a", 1);
    fact.asks.pool = Some("old".into());
    let mut bench = Bench::new(
        config(vec![pool("old", "10.5.0.1", "10.5.0.9", vec![])]),
        vec![fact],
    );
    bench.set_config(config(vec![
        small(),
        pool("new", "10.5.0.1", "10.5.0.9", vec![]),
    ]));
    assert_eq!(bench.status("a"), "[10.5.0.1] | Orphaned: old");
    // The user follows, and nothing moves; nor if not, and an "old" comes back elsewhere.
    let mut follows = Bench::new(Arc::clone(&bench.decider.config), vec![bench.fact("a")]);
    follows.edit("a", |fact| fact.asks.pool = Some("new".into()));
    assert_eq!(follows.status("a"), "[10.5.0.1] | InPool: new");
    bench.set_config(config(vec![pool("old", "10.6.0.1", "10.6.0.9", vec![])]));
    assert_eq!(bench.status("a"), "[10.5.0.1] | Orphaned: old");
    // A range that goes to another pool while the asked one stays: an orphan of it.
    let mut fact = service("b", 2);
    fact.asks.pool = Some("x".into());
    let mut bench = Bench::new(
        config(vec![pool("x", "10.1.0.1", "10.1.0.9", vec![])]),
        vec![fact],
    );
    let swapped = config(vec![
        pool("x", "10.2.0.1", "10.2.0.9", vec![]),
        pool("y", "10.1.0.1", "10.1.0.9", vec![]),
    ]);
    bench.set_config(Arc::clone(&swapped));
    assert_eq!(bench.status("b"), "[10.1.0.1] | Orphaned: x");
    let after = Bench::new(swapped, vec![bench.fact("b")]);
    assert_eq!(after.writes, []);
}

#[test]
fn what_is_no_load_balancer_any_more_is_cleared_of_ours_alone() {
    let mut bench = Bench::new(config(vec![small()]), vec![service("a", 1)]);
    bench.edit("a", |fact| fact.load_balancer = false);
    assert_eq!(bench.status("a"), "[] | no condition");
    bench.apply(service("b", 2));
    assert_eq!(bench.status("b"), "[1.2.3.4] | InPool: small");
    let mut foreign = service("c", 3);
    foreign.load_balancer = false;
    foreign.ingress = ingress(&["203.0.113.1"]);
    let writes = bench.writes.len();
    bench.apply(foreign);
    assert_eq!(bench.writes.len(), writes);
}

#[test]
fn conflicts_wait_for_the_watch_and_other_failures_do_not() {
    let mut decider = Decider::build(
        Settings::default(),
        config(vec![small()]),
        None,
        vec![service("a", 1)],
    );
    let write = decider.take().writes.remove(0);
    decider.failed(&write.key, &write.uid, false);
    assert_eq!(decider.take().writes, std::slice::from_ref(&write));
    decider.failed(&write.key, &write.uid, true);
    assert_eq!(decider.take().writes, []);
    let mut newer = service("a", 1);
    newer.resource_version = "2".into();
    decider.handle(facts::Event::Apply(newer));
    let again = decider.take().writes.remove(0);
    assert_eq!(&*again.resource_version, "2");
    assert_eq!(again.ingress, write.ingress);
}

#[test]
fn a_reply_that_comes_after_its_watch_event_is_not_taken_for_another_write() {
    let mut decider = Decider::build(
        Settings::default(),
        config(vec![small()]),
        None,
        vec![service("a", 1)],
    );
    let first = decider.take().writes.remove(0);
    // The watch shows the write, and in the same breath the user's wish for
    // another address has come: a second write is on its way.
    let mut shown = holding(service("a", 1), &["1.2.3.4"], "small");
    shown.resource_version = "2".into();
    shown.asks.load_balancer_ip = Some("1.2.3.8".into());
    decider.handle(facts::Event::Apply(shown));
    let second = decider.take().writes.remove(0);
    assert_eq!(second.ingress, Some(vec![ip("1.2.3.8")]));

    decider.written(&first.key, &first.uid, "2");
    let fact = &decider.services[&key("a")].fact;
    assert_eq!(
        fact.ingress,
        ingress(&["1.2.3.4"]),
        "the status still shows it"
    );
    decider.handle(facts::Event::Apply(service("b", 2)));
    let other = decider.take().writes.remove(0);
    assert_eq!(
        other.ingress,
        Some(vec![ip("1.2.3.5")]),
        "1.2.3.4 is in use"
    );
}

#[test]
fn after_the_history_went_backwards_all_is_written_again_as_it_was() {
    let old = service("a", 1);
    let mut bench = Bench::new(config(vec![small()]), vec![old.clone(), service("b", 2)]);
    for _ in 0..5 {
        bench.edit("a", |fact| fact.ports.push(tcp(81)));
    }
    bench.delete("b");
    bench.apply(service("c", 3));
    bench.told();
    let before = (bench.status("a"), bench.status("c"));

    // A backup from before anything was written, and without c.
    bench.version = 1;
    bench.decider.handle(facts::Event::Rewound);
    bench.decider.set_config(config(vec![small()]));
    assert_eq!(
        bench.decider.take().writes,
        [],
        "on no version there is no writing"
    );
    for event in [
        facts::Event::Begin,
        facts::Event::Apply(old),
        facts::Event::Apply(service("b", 2)),
        facts::Event::End,
    ] {
        bench.decider.handle(event);
    }
    let outcome = bench.decider.take();
    let wanted: Vec<_> = outcome
        .writes
        .iter()
        .map(|w| (w.key.name(), &*w.resource_version, w.ingress.clone()))
        .collect();
    assert_eq!(
        wanted,
        [
            ("a", "1", Some(vec![ip("1.2.3.4")])),
            ("b", "1", Some(vec![ip("1.2.3.6")])),
        ]
    );
    assert_eq!(before.0, "[1.2.3.4] | InPool: small");
    assert_eq!(before.1, "[1.2.3.5] | InPool: small");
}

#[test]
fn a_relist_without_a_service_is_its_deletion() {
    let mut bench = Bench::new(
        config(vec![small()]),
        vec![service("a", 1), service("b", 2)],
    );
    let b = bench.fact("b");
    for event in [
        facts::Event::Begin,
        facts::Event::Apply(b),
        facts::Event::End,
    ] {
        bench.decider.handle(event);
    }
    bench.apply(service("c", 3));
    assert_eq!(bench.status("c"), "[1.2.3.4] | InPool: small");
    assert_eq!(bench.status("b"), "[1.2.3.5] | InPool: small");
}

#[test]
fn refusals_are_warnings_and_allocations_are_normal() {
    let one = pool("p", "10.0.0.1", "10.0.0.1", vec![]);
    let mut decider = Decider::build(
        Settings::default(),
        config(vec![one]),
        None,
        vec![service("a", 1), service("b", 2)],
    );
    let kinds: Vec<_> = decider
        .take()
        .events
        .iter()
        .map(|e| (e.reason, e.kind))
        .collect();
    assert_eq!(
        kinds,
        [
            ("IPAllocated", EventKind::Normal),
            ("AllocationFailed", EventKind::Warning)
        ]
    );
}

#[test]
fn use_and_decisions_are_shown() {
    let bench = Bench::new(
        config(vec![small()]),
        vec![service("a", 1), service("b", 2)],
    );
    let pools = bench.decider.pools();
    assert_eq!(
        (
            pools[0].usage.ipv4.in_use,
            pools[0].usage.ipv4.total,
            pools[0].services
        ),
        (2, 5, 2)
    );
    let first = bench.decider.decisions().next().expect("a");
    let expected: Vec<IpAddr> = vec![ip("1.2.3.4")];
    assert_eq!(
        (first.addresses, first.pool, first.orphaned),
        (expected, Some("small"), false)
    );
}

/// Ten thousand Services one after the other cost what ten thousand cost, not
/// their square. Counted in a bound ten times looser than measured.
#[test]
#[expect(clippy::disallowed_methods, reason = "this one measures")]
fn ten_thousand_services_are_no_matter() {
    let wide = pool("wide", "10.0.0.0", "10.0.255.255", vec![]);
    let begin = std::time::Instant::now();
    let mut bench = Bench::new(config(vec![wide]), vec![]);
    for n in 0..10_000 {
        bench.apply(service(&format!("s{n:05}"), n));
    }
    let facts: Vec<_> = (0..10_000)
        .map(|n| bench.fact(&format!("s{n:05}")))
        .collect();
    assert_eq!(bench.status("s09999"), "[10.0.39.15] | InPool: wide");
    let after = Bench::new(Arc::clone(&bench.decider.config), facts);
    assert_eq!(after.writes, []);
    assert!(begin.elapsed().as_secs() < 20, "{:?}", begin.elapsed());
}

#[test]
fn a_move_that_is_called_off_before_it_was_written_is_none() {
    let a = || pool("a", "10.0.0.1", "10.0.0.1", vec![]);
    let b = || pool("b", "10.1.0.1", "10.1.0.1", vec![]);
    let mut bench = Bench::new(config(vec![a(), b()]), vec![service("a", 1)]);
    for wish in ["b", "a"] {
        let mut fact = bench.fact("a");
        bench.version += 1;
        fact.resource_version = bench.version.to_string().into();
        fact.asks.pool = Some(wish.into());
        bench.decider.handle(facts::Event::Apply(fact));
    }
    let writes = bench.writes.len();
    bench.land();
    assert_eq!(bench.status("a"), "[10.0.0.1] | InPool: a");
    assert_eq!(bench.writes.len(), writes, "nothing to write");
}

#[test]
fn a_wish_for_a_pool_that_is_not_there_is_refused_and_moves_nobody() {
    let mut bench = Bench::new(config(vec![small()]), vec![service("a", 1)]);
    bench.edit("a", |fact| fact.asks.pool = Some("later".into()));
    let status = bench.status("a");
    assert!(status.starts_with("[1.2.3.4] | unknownPool: "), "{status}");
    bench.set_config(config(vec![
        small(),
        pool("later", "10.5.0.1", "10.5.0.9", vec![]),
    ]));
    assert_eq!(bench.status("a"), "[10.5.0.1] | InPool: later");
}
