//! Random histories, held against an index that keeps plain objects and
//! decides everything anew each time.

use proptest::prelude::*;

use super::super::super::advertise::Grant;
use super::super::super::backends::Presence;
use super::super::super::prefixes::{Route, merge};
use super::*;
use crate::bgp::types::Family;
use crate::facts::ConditionFact;
use std::num::NonZeroU16;

/// Whole objects, and what each address had when last decided.
#[derive(Default)]
struct Model {
    config: Option<Arc<Config>>,
    node: Option<NodeFact>,
    services: BTreeMap<ServiceKey, ServiceFact>,
    slices: BTreeMap<SliceKey, SliceFact>,
    services_listed: bool,
    slices_listed: bool,
    had: BTreeMap<(ServiceKey, std::net::IpAddr), Box<[Route]>>,
    announced: BTreeSet<(ServiceKey, std::net::IpAddr)>,
    /// Whom the proxy is asked about, and whom it is known to send to.
    asked: BTreeMap<(ServiceKey, Family), NonZeroU16>,
    forwards: BTreeSet<(ServiceKey, Family)>,
}

/// An address of a Service, and the reason against it.
type Decided = (ServiceKey, std::net::IpAddr, Option<Reason>);

impl Model {
    fn apply(&mut self, fact: ServiceFact) {
        let old = self.services.insert(fact.key.clone(), fact.clone());
        if old.is_some_and(|old| old.uid != fact.uid) {
            self.forget(&fact.key);
        }
    }

    fn delete(&mut self, key: &ServiceKey) {
        self.services.remove(key);
        self.forget(key);
    }

    fn forget(&mut self, key: &ServiceKey) {
        self.had.retain(|(owner, _), _| owner != key);
        self.announced.retain(|(owner, _)| owner != key);
        self.asked.retain(|(owner, _), _| owner != key);
        self.forwards.retain(|(owner, _)| owner != key);
    }

    fn answer(&mut self, key: &ServiceKey, family: Family) {
        if self.asked.remove(&(key.clone(), family)).is_some() {
            self.forwards.insert((key.clone(), family));
        }
    }

    fn complete(&self) -> bool {
        self.config.is_some() && self.node.is_some() && self.services_listed && self.slices_listed
    }

    fn peers(&self) -> Vec<Arc<Peer>> {
        let labels = self.node.as_ref().map(|node| &node.labels);
        let mut peers = self
            .config
            .iter()
            .flat_map(|config| config.peers.clone())
            .collect::<Vec<_>>();
        peers.retain(|peer| {
            peer.node_selectors.iter().any(|selector| {
                labels.map_or(selector.terms.is_empty(), |labels| selector.matches(labels))
            })
        });
        peers
    }

    fn presence(&self, service: &ServiceKey, family: Family) -> Presence {
        let slices = self.slices.values();
        let ours: Vec<_> = slices
            .filter(|slice| slice.service == *service && slice.family == family)
            .collect();
        Presence {
            ready_here: ours.iter().any(|slice| slice.here.ready > 0),
            serving_here: ours.iter().any(|slice| slice.here.serving > 0),
            ready_elsewhere: ours.iter().any(|slice| slice.elsewhere.ready > 0),
            serving_elsewhere: ours.iter().any(|slice| slice.elsewhere.serving > 0),
            proxy_behind: false,
        }
    }

    /// Decides on everything: the announcements, and for each address the
    /// reason against it.
    fn take(&mut self) -> (BTreeMap<Prefix, Attributes>, Vec<Decided>) {
        let mut wanted: BTreeMap<Prefix, Vec<(Attributes, bool)>> = BTreeMap::new();
        let mut reasons = Vec::new();
        let (Some(config), Some(node), true) = (&self.config, &self.node, self.complete()) else {
            return Default::default();
        };
        let peers = self.peers();
        let node = Node::of(node, false, peers.iter().map(|peer| &**peer));
        let mut has = BTreeMap::new();
        let mut announced = BTreeSet::new();
        let mut asked = BTreeMap::new();
        let mut forwards = BTreeSet::new();
        for (key, fact) in &self.services {
            let service = Service::of(fact, None);
            for family in [Family::Ipv4, Family::Ipv6] {
                let of_family = (key.clone(), family);
                if self.forwards.contains(&of_family) && self.presence(key, family).ready_here {
                    forwards.insert(of_family);
                }
            }
            for &address in &service.addresses {
                let held = self
                    .had
                    .get(&(key.clone(), address))
                    .map_or(&[][..], |routes| routes);
                let family = Family::of(address);
                let mut seen = self.presence(key, family);
                let of_family = (key.clone(), family);
                let known = self.forwards.contains(&of_family);
                seen.proxy_behind = fact.health_port.is_some()
                    && !known
                    && node.has_proxy(family)
                    && !self.announced.contains(&(key.clone(), address));
                let verdict = advertise(&service, address, seen, &node, config, held);
                reasons.push((key.clone(), address, verdict.refusal));
                if verdict.refusal.is_none() {
                    announced.insert((key.clone(), address));
                }
                if verdict.refusal == Some(Reason::ProxyNotReady) {
                    asked.extend(fact.health_port.map(|port| (of_family, port)));
                }
                let shared = verdict
                    .routes
                    .iter()
                    .cloned()
                    .map(|(prefix, own)| (prefix, Arc::new(own)));
                has.insert((key.clone(), address), shared.collect());
                for (prefix, own) in verdict.routes {
                    wanted
                        .entry(prefix)
                        .or_default()
                        .push((own, verdict.refusal.is_none()));
                }
            }
        }
        self.had = has;
        (self.announced, self.asked, self.forwards) = (announced, asked, forwards);
        wanted.retain(|_, holders| holders.iter().any(|(_, here)| *here));
        let merged = wanted.into_iter().map(|(prefix, holders)| {
            let mut all = holders.into_iter().map(|(own, _)| own);
            let first = all.next().expect("retained for a holder");
            let merged = all.fold(first, |mut merged, own| {
                merge(&mut merged, &own);
                merged
            });
            (prefix, merged)
        });
        (merged.collect(), reasons)
    }
}

#[derive(Clone, Debug)]
enum Step {
    Service(Box<ServiceFact>),
    DeleteService(ServiceKey),
    /// A list that breaks off, then one that ends.
    ListServices(Vec<ServiceFact>, Vec<ServiceFact>),
    Slice(SliceFact),
    DeleteSlice(SliceKey),
    ListSlices(Vec<SliceFact>, Vec<SliceFact>),
    Node(NodeFact),
    Config(usize),
    /// The proxy sends to pods of every Service, so far as it is known.
    Forwards(Family),
    Take,
}

/// Feeds one step to both sides.
fn feed(step: Step, index: &mut Index, model: &mut Model) {
    match step {
        Step::Service(fact) => {
            index.service(Fact::Apply((*fact).clone()));
            model.apply(*fact);
        }
        Step::DeleteService(key) => {
            index.service(Fact::Delete(key.clone(), Box::default()));
            model.delete(&key);
        }
        Step::ListServices(broken, whole) => {
            index.service(Fact::Begin);
            for fact in broken {
                index.service(Fact::Apply(fact.clone()));
                model.apply(fact);
            }
            list_services(index, whole.clone());
            let named: BTreeSet<_> = whole.iter().map(|fact| fact.key.clone()).collect();
            whole.into_iter().for_each(|fact| model.apply(fact));
            let all: Vec<_> = model.services.keys().cloned().collect();
            all.iter()
                .filter(|key| !named.contains(key))
                .for_each(|key| model.delete(key));
            model.services_listed = true;
        }
        Step::Slice(fact) => {
            index.slice(Fact::Apply(fact.clone()));
            model.slices.insert(fact.key.clone(), fact);
        }
        Step::DeleteSlice(key) => {
            index.slice(Fact::Delete(key.clone(), Box::default()));
            model.slices.remove(&key);
        }
        Step::ListSlices(broken, whole) => {
            index.slice(Fact::Begin);
            for fact in broken {
                index.slice(Fact::Apply(fact));
            }
            list_slices(index, whole.clone());
            model.slices = whole
                .into_iter()
                .map(|fact| (fact.key.clone(), fact))
                .collect();
            model.slices_listed = true;
        }
        Step::Node(fact) => {
            index.node(Fact::Apply(fact.clone()));
            model.node = Some(fact);
        }
        Step::Config(at) => {
            index.config(configs()[at].clone());
            model.config = Some(configs()[at].clone());
        }
        Step::Forwards(family) => {
            for name in 0..4 {
                let key = key(&format!("s{name}"));
                index.forwards(&key, family);
                model.answer(&key, family);
            }
        }
        Step::Take => {}
    }
}

/// Aggregates that overlap in a prefix, a layer 2 pool, none at all; peers of
/// both families, of one, of labelled nodes.
fn configs() -> [Arc<Config>; 5] {
    let aggregate = |pref, communities: &[u32]| Advertisement {
        aggregation_length: 24,
        ..host_rule(pref, communities)
    };
    let low = |rules| pool("low", "192.0.2.0", "192.0.2.1", rules);
    let high = |rules| pool("high", "192.0.2.2", "192.0.2.3", rules);
    let six = || {
        pool(
            "six",
            "2001:db8::",
            "2001:db8::3",
            vec![host_rule(None, &[6])],
        )
    };
    let layer2 = Pool {
        protocol: Protocol::Layer2,
        ..high(vec![])
    };
    let both = || vec![peer("10.0.0.1"), peer("2001:db8::1")];
    [
        config(both(), vec![low(vec![host_rule(None, &[1])]), six()]),
        config(
            both(),
            vec![
                low(vec![aggregate(Some(50), &[1]), host_rule(Some(7), &[])]),
                high(vec![aggregate(None, &[2])]),
                six(),
            ],
        ),
        config(
            vec![peer("10.0.0.1")],
            vec![low(vec![host_rule(Some(100), &[1])]), layer2, six()],
        ),
        config(
            vec![peer_of("10.0.0.1", "rack"), peer("2001:db8::1")],
            vec![low(vec![aggregate(None, &[1])])],
        ),
        config(both(), vec![]),
    ]
}

fn any_service() -> impl Strategy<Value = ServiceFact> {
    let addresses = prop::collection::vec(
        prop::sample::select(vec![
            "192.0.2.0",
            "192.0.2.1",
            "192.0.2.2",
            "192.0.2.3",
            "2001:db8::1",
        ]),
        1..3,
    );
    let condition = prop_oneof![
        4 => Just(None),
        1 => Just(Some((true, "InPool"))),
        1 => Just(Some((true, "Orphaned"))),
        1 => Just(Some((false, "NoAddress"))),
    ];
    let rarely = || prop::bool::weighted(0.1);
    (
        0..4usize,
        rarely(),
        rarely(),
        any::<[bool; 2]>(),
        addresses,
        condition,
        // Mostly the same one, sometimes none.
        prop::sample::select(vec![0, 7, 7, 7, 7, 8]),
    )
        .prop_map(
            |(name, recreated, foreign, [local, keep], addresses, condition, port)| {
                let name = format!("s{name}");
                let mut fact = service(&name, &addresses);
                if recreated {
                    fact.uid = "another".into();
                }
                fact.class = foreign.then(|| "foreign".into());
                fact.policy = if local {
                    TrafficPolicy::Local
                } else {
                    TrafficPolicy::Cluster
                };
                fact.health_port = NonZeroU16::new(port);
                fact.asks.terminating = keep.then(|| "keep".into());
                fact.condition = condition.map(|(status, reason)| ConditionFact {
                    status,
                    reason: reason.into(),
                    message: "".into(),
                });
                fact
            },
        )
}

fn any_slice() -> impl Strategy<Value = SliceFact> {
    let counts = || (0..2u16, 0..2u16).prop_map(|(ready, serving)| endpoints(ready, serving));
    (
        0..6usize,
        0..5usize,
        prop::bool::weighted(0.8),
        counts(),
        counts(),
    )
        .prop_map(|(name, owner, ipv4, here, elsewhere)| SliceFact {
            family: if ipv4 { Family::Ipv4 } else { Family::Ipv6 },
            here,
            elsewhere,
            ..slice(&format!("slice{name}"), &format!("s{owner}"), 0, 0)
        })
}

fn any_node() -> impl Strategy<Value = NodeFact> {
    let excluded = "node.kubernetes.io/exclude-from-external-load-balancers";
    let addresses = vec![ip("10.0.0.7"), ip("fd00::7")];
    prop_oneof![
        1 => Just(node(&[])),
        7 => Just(NodeFact { addresses, ..node(&["rack"]) }),
        1 => Just(node(&[excluded])),
        1 => Just(NodeFact { network_unavailable: true, ..node(&[]) }),
    ]
}

fn any_step() -> impl Strategy<Value = Step> {
    let services = || prop::collection::vec(any_service(), 2..7);
    let slices = || prop::collection::vec(any_slice(), 3..9);
    prop_oneof![
        8 => any_service().prop_map(|fact| Step::Service(Box::new(fact))),
        1 => (0..3usize).prop_map(|name| Step::DeleteService(key(&format!("s{name}")))),
        1 => (services(), services()).prop_map(|(broken, whole)| Step::ListServices(broken, whole)),
        8 => any_slice().prop_map(Step::Slice),
        1 => (0..6usize).prop_map(|name| Step::DeleteSlice(key(&format!("slice{name}")))),
        1 => (slices(), slices()).prop_map(|(broken, whole)| Step::ListSlices(broken, whole)),
        2 => any_node().prop_map(Step::Node),
        3 => (0..configs().len()).prop_map(Step::Config),
        10 => prop::sample::select(vec![Family::Ipv4, Family::Ipv6]).prop_map(Step::Forwards),
        12 => Just(Step::Take),
    ]
}

fn any_history() -> impl Strategy<Value = Vec<Step>> {
    let start = vec![
        Step::Config(1),
        Step::Node(NodeFact {
            addresses: vec![ip("10.0.0.7"), ip("fd00::7")],
            ..node(&["rack"])
        }),
        Step::ListServices(vec![], vec![]),
        Step::ListSlices(vec![], vec![]),
    ];
    let started = prop_oneof![3 => Just(start), 1 => Just(vec![])];
    (started, prop::collection::vec(any_step(), 1..160)).prop_map(|(mut steps, more)| {
        steps.extend(more);
        steps.push(Step::Take);
        steps
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn any_history_ends_as_if_everything_were_decided_anew(history in any_history()) {
        let mut index = Index::new(Settings { node_name: NODE.into(), ..Settings::default() });
        index.cluster_size(3);
        let mut model = Model::default();
        let mut replay: BTreeMap<Prefix, Arc<Attributes>> = BTreeMap::new();
        let mut peers: Vec<Arc<Peer>> = Vec::new();
        let mut reasons_before = BTreeMap::new();
        let mut asked = BTreeMap::new();
        for step in history {
            let take = matches!(step, Step::Take);
            if let Step::Forwards(family) = &step {
                let answered = |of: &(ServiceKey, Family)| of.1 == *family && model.asked.contains_key(of);
                asked.retain(|of, _| !answered(of));
            }
            feed(step, &mut index, &mut model);
            if !take {
                continue;
            }
            let changes = index.take();
            let (expected, reasons) = model.take();

            prop_assert_eq!(index.complete(), model.complete());
            let announced = index.announcements().iter();
            let announced: BTreeMap<_, _> = announced.map(|(prefix, sent)| (*prefix, (**sent).clone())).collect();
            prop_assert_eq!(&announced, &expected);

            // The changes lead from what was to what is, with no step for nothing.
            prop_assert!(changes.routes.is_sorted_by(|a, b| a.0 < b.0));
            for (prefix, attributes) in &changes.routes {
                let before = match attributes {
                    Some(attributes) => replay.insert(*prefix, attributes.clone()),
                    None => replay.remove(prefix),
                };
                prop_assert_ne!(&before, attributes, "needless change of {}", prefix);
            }
            prop_assert_eq!(&replay, index.announcements());

            // So do the questions.
            for question in changes.questions {
                let of = (question.service, question.family);
                let before = match question.port {
                    Some(port) => asked.insert(of, port),
                    None => asked.remove(&of),
                };
                prop_assert_ne!(before, question.port, "needless question");
            }
            prop_assert_eq!(&asked, &model.asked);

            if let Some(new) = changes.peers {
                prop_assert_ne!(&new, &peers, "needless change of peers");
                peers = new;
            }
            prop_assert_eq!(&peers, &model.peers());

            let mut seen = Vec::new();
            if index.complete() {
                for view in index.services() {
                    let verdicts = view.verdicts.iter();
                    seen.extend(verdicts.map(|verdict| (view.key.clone(), verdict.address, verdict.refusal)));
                }
            }
            prop_assert_eq!(&seen, &reasons);

            // Whose reasons changed is named.
            let mut now: BTreeMap<ServiceKey, Vec<_>> = BTreeMap::new();
            for (key, address, reason) in reasons {
                now.entry(key).or_default().push((address, reason));
            }
            for (key, reasons) in &now {
                if reasons_before.get(key) != Some(reasons) {
                    prop_assert!(changes.services.contains(key), "{} is not named", key);
                }
            }
            for key in reasons_before.keys() {
                let gone = model.complete() && !model.services.contains_key(key);
                prop_assert!(!gone || changes.services.contains(key), "{key} went without a word");
            }
            prop_assert!(changes.services.is_sorted_by(|a, b| a < b));
            reasons_before = now;

            // Nothing happened since: nothing is found.
            prop_assert_eq!(index.take(), Changes::default());
        }
    }
}

#[test]
fn histories_reach_what_they_are_meant_to_test() {
    // Without this a strategy that never completes would prove nothing.
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let (mut announced, mut held, mut orphaned, mut differing) = (0, 0, 0, 0);
    let (mut waited, mut answered) = (0, 0);
    for _ in 0..100 {
        let history = any_history()
            .new_tree(&mut runner)
            .expect("no filters")
            .current();
        let mut index = Index::new(Settings {
            node_name: NODE.into(),
            ..Settings::default()
        });
        let mut model = Model::default();
        let mut seen = [false; 6];
        for step in history {
            feed(step, &mut index, &mut model);
            index.take();
            model.take();
            let entries = || index.services.values();
            let granted = |grant| {
                entries()
                    .flat_map(|entry| &entry.verdicts)
                    .any(|verdict| !verdict.announced().is_empty() && verdict.grant == Some(grant))
            };
            seen[0] |= index.announcements().len() > 1;
            seen[1] |= granted(Grant::Held);
            seen[2] |= granted(Grant::Orphan);
            seen[4] |= !model.asked.is_empty();
            seen[5] |= !model.forwards.is_empty();
            seen[3] |= entries().any(|entry| !entry.differing.is_empty());
        }
        announced += usize::from(seen[0]);
        held += usize::from(seen[1]);
        orphaned += usize::from(seen[2]);
        differing += usize::from(seen[3]);
        waited += usize::from(seen[4]);
        answered += usize::from(seen[5]);
    }
    let reached = [announced, held, orphaned, differing, waited, answered];
    assert!(
        reached.iter().all(|histories| *histories >= 20),
        "of 100 histories: {reached:?}"
    );
}
