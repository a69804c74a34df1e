use proptest::prelude::*;

use super::*;
use crate::facts::ConditionFact;

fn intent(name: &str, version: &str, message: &str) -> Intent {
    let condition = ConditionFact {
        status: true,
        reason: "InPool".into(),
        message: message.into(),
    };
    let write = StatusWrite {
        key: ServiceKey::new("d", name),
        uid: "u".into(),
        resource_version: version.into(),
        ingress: None,
        condition: Some(condition),
        drop_condition: false,
        orphan_attributes: None,
        clear_reassign: false,
    };
    Intent {
        write,
        stands: None,
        term: 1,
    }
}

fn message(intent: &Intent) -> &str {
    intent
        .write
        .condition
        .as_ref()
        .map_or("", |condition| &condition.message)
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn the_newest_intent_takes_the_place_of_an_unsent_one() {
    let (mut dirty, now) = (Dirty::default(), Instant::now());
    dirty.submit(intent("a", "1", "old"), now);
    dirty.submit(intent("b", "1", "b"), now + SECOND);
    dirty.submit(intent("a", "2", "new"), now + 2 * SECOND);
    let later = now + 3 * SECOND;
    let taken: Vec<String> = std::iter::from_fn(|| dirty.take(later))
        .map(|i| message(&i).to_string())
        .collect();
    assert_eq!(taken, ["new", "b"]);
}

#[test]
fn one_service_has_one_write_on_its_way_and_the_next_moves_to_its_version() {
    let (mut dirty, now) = (Dirty::default(), Instant::now());
    dirty.submit(intent("a", "1", "first"), now);
    let first = dirty.take(now).unwrap();
    dirty.submit(intent("a", "1", "second"), now);
    assert_eq!(dirty.take(now), None);
    dirty.landed(&first.write.key, Landing::Written("2".into()), now, 0.0);
    let second = dirty.take(now).unwrap();
    assert_eq!(
        (
            message(&second),
            &*second.write.resource_version,
            second.stands
        ),
        ("second", "2", Some(true))
    );
}

#[test]
fn an_intent_of_another_version_is_not_moved() {
    let (mut dirty, now) = (Dirty::default(), Instant::now());
    dirty.submit(intent("a", "1", "first"), now);
    let first = dirty.take(now).unwrap();
    dirty.submit(intent("a", "5", "second"), now);
    dirty.landed(&first.write.key, Landing::Written("2".into()), now, 0.0);
    assert_eq!(&*dirty.take(now).unwrap().write.resource_version, "5");
}

#[test]
fn what_failed_comes_again_later_and_later_and_yields_to_what_is_newer() {
    let (mut dirty, now) = (Dirty::default(), Instant::now());
    dirty.submit(intent("a", "1", "old"), now);
    let old = dirty.take(now).unwrap();
    dirty.landed(&old.write.key, Landing::Retry(Duration::ZERO), now, 0.0);
    assert_eq!(dirty.next_ready(), Some(now + Duration::from_millis(200)));
    assert_eq!(dirty.take(now), None);
    dirty.submit(intent("a", "2", "new"), now);
    assert_eq!(
        dirty.take(now),
        None,
        "a newer intent does not jump the wait"
    );
    let then = now + SECOND;
    assert_eq!(message(&dirty.take(then).unwrap()), "new");
    dirty.landed(&old.write.key, Landing::Retry(Duration::ZERO), then, 0.0);
    assert_eq!(dirty.next_ready(), Some(then + Duration::from_millis(400)));
    dirty.clear();
    assert_eq!((dirty.next_ready(), dirty.waiting()), (None, 0));
}

#[test]
fn what_is_over_is_not_sent_again() {
    let (mut dirty, now) = (Dirty::default(), Instant::now());
    dirty.submit(intent("a", "1", ""), now);
    let taken = dirty.take(now).unwrap();
    dirty.landed(&taken.write.key, Landing::Over, now, 0.0);
    assert_eq!((dirty.take(now + 60 * SECOND), dirty.waiting()), (None, 0));
}

#[derive(Clone, Debug)]
enum Move {
    Submit(u8),
    Take,
    Land(u8, u8),
    Pass(u64),
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let one = prop_oneof![
        (0u8..4).prop_map(Move::Submit),
        Just(Move::Take),
        (0u8..4, 0u8..3).prop_map(|(key, how)| Move::Land(key, how)),
        (0u64..500).prop_map(Move::Pass),
    ];
    prop::collection::vec(one, 0..120)
}

proptest! {
    /// Whatever happens, a Service has one write on its way at most, and the
    /// last one wanted is sent in the end.
    #[test]
    fn the_last_intent_wins(moves in moves()) {
        let (mut dirty, mut now) = (Dirty::default(), Instant::now());
        let mut flying: BTreeMap<ServiceKey, String> = BTreeMap::new();
        let mut wanted: BTreeMap<ServiceKey, String> = BTreeMap::new();
        let mut count = 0;
        for step in moves {
            match step {
                Move::Submit(key) => {
                    count += 1;
                    let intent = intent(&key.to_string(), "1", &count.to_string());
                    wanted.insert(intent.write.key.clone(), count.to_string());
                    dirty.submit(intent, now);
                }
                Move::Take => {
                    if let Some(intent) = dirty.take(now) {
                        let twice = flying.insert(intent.write.key.clone(), message(&intent).into());
                        prop_assert_eq!(twice, None);
                    }
                }
                Move::Land(key, how) => {
                    let key = ServiceKey::new("d", &key.to_string());
                    if let Some(sent) = flying.remove(&key) {
                        let landing = match how {
                            0 => Landing::Retry(Duration::ZERO),
                            1 => Landing::Over,
                            _ => Landing::Written("2".into()),
                        };
                        if how > 0 && wanted.get(&key) == Some(&sent) {
                            wanted.remove(&key);
                        }
                        dirty.landed(&key, landing, now, 0.5);
                    }
                }
                Move::Pass(millis) => now += Duration::from_millis(millis),
            }
        }
        for key in flying.into_keys() {
            dirty.landed(&key, Landing::Retry(Duration::ZERO), now, 0.5);
        }
        now += 60 * SECOND;
        let sent: BTreeMap<ServiceKey, String> =
            std::iter::from_fn(|| dirty.take(now)).map(|i| (i.write.key.clone(), message(&i).into())).collect();
        prop_assert_eq!(sent, wanted);
    }
}
