use std::net::{Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use super::*;
use crate::bgp::types::Community;

fn both() -> BTreeSet<Family> {
    [Family::Ipv4, Family::Ipv6].into()
}

/// Even numbers are IPv4, odd ones IPv6.
fn prefix(n: u8) -> Prefix {
    if n.is_multiple_of(2) {
        ipnet::Ipv4Net::new_assert(Ipv4Addr::new(192, 0, 2, n), 32).into()
    } else {
        let addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, u16::from(n));
        ipnet::Ipv6Net::new_assert(addr, 128).into()
    }
}

/// A new allocation each time, so that equality is by value.
fn attributes(n: u32) -> Arc<Attributes> {
    Arc::new(Attributes {
        communities: [Community(n)].into(),
        ..Attributes::default()
    })
}

fn in_session() -> Rib {
    let mut rib = Rib::new();
    rib.open();
    rib.session_up(&both());
    assert_eq!(
        rib.take(1).end_of_rib,
        [Family::Ipv4, Family::Ipv6],
        "an empty table is complete at once"
    );
    rib
}

#[test]
fn nothing_goes_before_every_list_is_in() {
    let mut rib = Rib::new();
    rib.want(prefix(0), Some(attributes(1)));
    rib.session_up(&both());
    assert!(!rib.due());
    assert!(rib.take(10).is_empty());
    rib.open();
    assert!(rib.due());
    let batch = rib.take(10);
    assert_eq!(batch.routes, [(prefix(0), Some(attributes(1)))]);
    assert_eq!(batch.end_of_rib, [Family::Ipv4, Family::Ipv6]);
    assert!(!rib.due());
}

#[test]
fn end_of_rib_comes_behind_the_last_route_of_its_family() {
    let mut rib = Rib::new();
    rib.open();
    for n in 0..4 {
        rib.want(prefix(n), Some(attributes(1)));
    }
    rib.session_up(&both());
    assert_eq!(rib.take(1).end_of_rib, []);
    assert_eq!(rib.take(2).end_of_rib, [Family::Ipv4]);
    assert_eq!(rib.take(2).end_of_rib, [Family::Ipv6]);
    assert!(rib.take(2).is_empty());
}

#[test]
fn a_wish_taken_back_in_time_is_never_sent() {
    let mut rib = in_session();
    assert!(rib.want(prefix(0), Some(attributes(1))));
    assert!(rib.want(prefix(0), None));
    assert!(!rib.due());
    assert!(rib.take(10).is_empty());

    rib.want(prefix(0), Some(attributes(1)));
    rib.take(10);
    assert!(rib.want(prefix(0), Some(attributes(2))));
    assert!(rib.want(prefix(0), Some(attributes(1))));
    assert!(!rib.due(), "back to what the peer has");
}

#[test]
fn equal_attributes_in_another_allocation_are_no_news() {
    let mut rib = in_session();
    assert!(rib.want(prefix(0), Some(attributes(1))));
    rib.take(10);
    assert!(!rib.want(prefix(0), Some(attributes(1))));
    assert!(!rib.want(prefix(2), None));
    assert!(!rib.due());
}

#[test]
fn a_refresh_outlives_a_change_that_is_taken_back() {
    let mut rib = in_session();
    rib.want(prefix(0), Some(attributes(1)));
    rib.want(prefix(1), Some(attributes(1)));
    rib.take(10);
    rib.refresh(Family::Ipv4);
    rib.want(prefix(0), Some(attributes(2)));
    rib.want(prefix(0), Some(attributes(1)));
    assert_eq!(rib.take(10).routes, [(prefix(0), Some(attributes(1)))]);
    assert!(!rib.due());
}

#[derive(Clone, Debug)]
enum Step {
    Want(u8, Option<u32>),
    Take(usize),
    Open,
    Up(BTreeSet<Family>),
    Down,
    Refresh(Family),
}

fn family() -> impl Strategy<Value = Family> {
    prop_oneof![Just(Family::Ipv4), Just(Family::Ipv6)]
}

/// Sessions last some thirty steps, so that much happens within each.
fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        60 => (0..6u8, proptest::option::weighted(0.6, 0..3u32)).prop_map(|(n, a)| Step::Want(n, a)),
        20 => (0..5usize).prop_map(Step::Take),
        4 => Just(Step::Open),
        2 => proptest::collection::btree_set(family(), 0..3).prop_map(Step::Up),
        1 => Just(Step::Down),
        4 => family().prop_map(Step::Refresh),
    ]
}

/// What the user wants, and a peer that holds exactly what it was told.
#[derive(Default)]
struct Model {
    wanted: BTreeMap<Prefix, Arc<Attributes>>,
    held: BTreeMap<Prefix, Arc<Attributes>>,
    asked_again: BTreeSet<Prefix>,
    families: BTreeSet<Family>,
    markers: BTreeSet<Family>,
    opened: bool,
}

impl Model {
    fn wanted_in_session(&self) -> BTreeMap<Prefix, Arc<Attributes>> {
        let wanted = self.wanted.iter();
        wanted
            .filter(|(prefix, _)| self.families.contains(&Family::of_prefix(prefix)))
            .map(|(prefix, attributes)| (*prefix, attributes.clone()))
            .collect()
    }

    fn receive(&mut self, batch: Batch) {
        assert!(self.opened || batch.is_empty());
        let mut seen = BTreeSet::new();
        for (prefix, attributes) in batch.routes {
            assert!(seen.insert(prefix), "{prefix} twice in one batch");
            assert!(self.families.contains(&Family::of_prefix(&prefix)));
            let again = self.asked_again.remove(&prefix);
            match attributes {
                Some(attributes) => {
                    let before = self.held.insert(prefix, attributes.clone());
                    assert!(
                        again || before != Some(attributes),
                        "{prefix}: a needless update"
                    );
                }
                None => {
                    let before = self.held.remove(&prefix);
                    assert!(before.is_some(), "{prefix}: a needless withdrawal");
                }
            }
        }
        for family in batch.end_of_rib {
            assert!(self.families.contains(&family));
            assert!(self.markers.insert(family), "{family}: a second End-of-RIB");
            let of =
                |(prefix, _): &(&Prefix, &Arc<Attributes>)| Family::of_prefix(prefix) == family;
            let wanted = self.wanted_in_session();
            assert!(
                self.held.iter().filter(of).eq(wanted.iter().filter(of)),
                "{family}: End-of-RIB before the table is complete"
            );
        }
    }

    fn reset(&mut self, families: BTreeSet<Family>) {
        self.held.clear();
        self.asked_again.clear();
        self.markers.clear();
        self.families = families;
    }
}

proptest! {
    #[test]
    fn the_peer_always_ends_with_what_is_wanted(steps in proptest::collection::vec(step(), 0..200)) {
        let mut rib = Rib::new();
        let mut model = Model::default();
        for step in steps {
            match step {
                Step::Want(n, value) => {
                    let value = value.map(attributes);
                    let before = match value.clone() {
                        Some(value) => model.wanted.insert(prefix(n), value),
                        None => model.wanted.remove(&prefix(n)),
                    };
                    prop_assert_eq!(rib.want(prefix(n), value.clone()), before != value);
                }
                Step::Take(limit) => {
                    let due = rib.due();
                    let batch = rib.take(limit);
                    prop_assert!(batch.routes.len() <= limit);
                    prop_assert!(limit == 0 || due != batch.is_empty());
                    model.receive(batch);
                }
                Step::Open => {
                    rib.open();
                    model.opened = true;
                }
                Step::Up(families) => {
                    rib.session_up(&families);
                    model.reset(families);
                }
                Step::Down => {
                    rib.session_down();
                    model.reset(BTreeSet::new());
                }
                Step::Refresh(family) => {
                    rib.refresh(family);
                    let held = model.held.keys().copied();
                    model.asked_again.extend(held.filter(|p| Family::of_prefix(p) == family));
                }
            }
            prop_assert_eq!(rib.wanted_len(), model.wanted.len());
            prop_assert_eq!(rib.advertised_len(), model.held.len());
            prop_assert!(rib.advertised().eq(model.held.iter()));
        }
        rib.open();
        model.opened = true;
        while rib.due() {
            model.receive(rib.take(3));
        }
        prop_assert!(rib.take(3).is_empty());
        prop_assert_eq!(&model.held, &model.wanted_in_session());
        prop_assert_eq!(&model.markers, &model.families);
        prop_assert!(model.asked_again.is_empty(), "asked again and not answered");
        prop_assert_eq!(rib.due_len(), 0);
    }
}
