//! Each fault, as a client of the store meets it.

use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use super::tests::{next, service, watched};
use super::{Fault, Faults, Store};
use crate::k8s::{lastgood, list};

const LATE: Duration = Duration::from_secs(3);

fn misbehaving(faults: Faults) -> Store {
    let store = Store::default();
    store.set_faults(faults);
    store
}

#[tokio::test(start_paused = true)]
async fn a_patch_is_refused_late_or_done_without_an_answer() {
    let of = |patch| {
        misbehaving(Faults {
            patch,
            ..Faults::default()
        })
    };
    let write = async |store: &Store| lastgood::write(&store.client(), "ns", "peers: []").await;
    let is_there = async |store: &Store| {
        let copy = lastgood::read(&store.client(), "ns").await.expect("read");
        copy.is_some()
    };
    let store = of(Fault::Refuse(503));
    let refused = write(&store).await.expect_err("refused");
    assert_eq!((refused.code(), is_there(&store).await), (Some(503), false));

    let (store, begun) = (of(Fault::Delay(LATE)), Instant::now());
    write(&store).await.expect("late");
    assert!(begun.elapsed() >= LATE && is_there(&store).await);

    let store = of(Fault::Lose);
    let lost = write(&store).await.expect_err("no answer");
    assert_eq!((&*lost.kind(), is_there(&store).await), ("timedOut", true));
}

#[tokio::test(start_paused = true)]
async fn a_list_is_refused_late_or_never_answered() {
    let of = |list| {
        misbehaving(Faults {
            list,
            ..Faults::default()
        })
    };
    let store = of(Fault::Lose);
    let lost = list::count_nodes(&store.client(), 5).await;
    assert_eq!(lost.expect_err("no answer").kind(), "timedOut");

    let (store, begun) = (of(Fault::Delay(LATE)), Instant::now());
    assert_eq!(list::count_nodes(&store.client(), 5).await, Ok(0));
    assert!(begun.elapsed() >= LATE);

    // The daemon's watch goes on as soon as it is answered.
    let store = of(Fault::Refuse(503));
    let mut told = watched(&store);
    let quiet = tokio::time::timeout(Duration::from_secs(60), told.recv()).await;
    assert!(quiet.is_err(), "{quiet:?}");
    store.set_faults(Faults::default());
    assert_eq!(next(&mut told, 2).await, ["begin", "end"]);
}

#[tokio::test(start_paused = true)]
async fn a_watch_is_stale_or_refused() {
    let store = Store::default();
    let of = |watch| Faults {
        watch,
        ..Faults::default()
    };
    let mut told = watched(&store);
    next(&mut told, 2).await;
    store.set_faults(of(Fault::Delay(LATE)));
    let begun = Instant::now();
    store.apply(service("a")).expect("a Service");
    assert_eq!(next(&mut told, 1).await, ["apply default/a 0"]);
    assert!(begun.elapsed() >= LATE);

    // Refused is the next one, when this one has come to its end.
    store.set_faults(of(Fault::Refuse(500)));
    let quiet = tokio::time::timeout(Duration::from_secs(300), told.recv()).await;
    assert!(quiet.is_err(), "{quiet:?}");
    let mut changed = service("a");
    changed["spec"]["ports"] = json!([{"port": 81}]);
    store.apply(changed).expect("a Service");
    let quiet = tokio::time::timeout(Duration::from_secs(300), told.recv()).await;
    assert!(quiet.is_err(), "{quiet:?}");
    store.set_faults(Faults::default());
    assert_eq!(next(&mut told, 1).await, ["apply default/a 0"]);
}
