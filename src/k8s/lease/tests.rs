//! The driver against a scripted server, in virtual time.

use super::*;
use crate::k8s::fake::{Reply, server};

const OURS: &str = r#"{"metadata":{"name":"loods","resourceVersion":"7"},"spec":{"holderIdentity":"a","leaseDurationSeconds":15,"leaseTransitions":2}}"#;

fn options() -> Options {
    Options {
        namespace: "metallb-system".into(),
        name: "loods".into(),
        identity: "a".into(),
        timing: Timing::default(),
        counters: Arc::default(),
    }
}

/// Runs the driver for so many virtual seconds, then stops it. What it
/// published and when, in tenths of a second; and what it asked.
async fn play(script: Vec<Reply>, seconds: u64) -> (Vec<(u128, bool)>, Vec<(String, String)>) {
    let (client, asked) = server(script);
    let (sender, mut state) = watch::channel(LeaderState::Following { holder: None });
    let stop = CancellationToken::new();
    let begun = Instant::now();
    let driver = tokio::spawn(run(client, options(), sender, stop.clone()));
    let stopper = tokio::spawn(async move {
        sleep(Duration::from_secs(seconds)).await;
        stop.cancel();
    });
    let mut changes = Vec::new();
    let mut led = false;
    while state.changed().await.is_ok() {
        let leads = matches!(*state.borrow(), LeaderState::Leading { .. });
        if leads != led {
            changes.push((begun.elapsed().as_millis() / 100, leads));
            led = leads;
        }
    }
    driver.await.unwrap();
    stopper.await.unwrap();
    (changes, asked.all())
}

#[tokio::test(start_paused = true)]
async fn a_missing_lease_is_made_and_given_back_at_the_end() {
    let script = vec![
        Reply::refused(404),
        Reply::ok("{}"),
        Reply::ok(OURS),
        Reply::ok("{}"),
    ];
    let (changes, asked) = play(script, 1).await;
    assert_eq!(changes, [(0, true), (10, false)]);
    let verbs: Vec<&str> = asked
        .iter()
        .map(|(asked, _)| asked.split('?').next().unwrap())
        .collect();
    let leases = "/apis/coordination.k8s.io/v1/namespaces/metallb-system/leases";
    let one = format!("{leases}/loods");
    assert_eq!(
        verbs,
        [
            format!("GET {one}"),
            format!("POST {leases}"),
            format!("GET {one}"),
            format!("PUT {one}")
        ]
    );
    let released = &asked[3].1;
    assert!(
        released.contains(r#""holderIdentity":"","leaseDurationSeconds":1,"leaseTransitions":2"#),
        "{released}"
    );
    assert!(released.contains(r#""resourceVersion":"7""#), "{released}");
}

#[tokio::test(start_paused = true)]
async fn a_leader_whose_calls_hang_stops_at_its_deadline() {
    let (changes, _) = play(vec![Reply::ok(OURS), Reply::ok("{}")], 60).await;
    assert_eq!(changes, [(0, true), (100, false)]);
}

#[tokio::test(start_paused = true)]
async fn a_conflict_is_no_lead() {
    let (changes, asked) = play(vec![Reply::refused(404), Reply::refused(409)], 1).await;
    assert_eq!((changes, asked.len()), (vec![], 2));
}

#[tokio::test(start_paused = true)]
async fn the_lease_of_another_one_is_not_touched() {
    let theirs = OURS.replace(r#""a""#, r#""b""#);
    let (changes, asked) = play(vec![Reply::ok(theirs); 4], 5).await;
    assert_eq!(changes, []);
    assert!(
        asked.iter().all(|(asked, _)| asked.starts_with("GET")),
        "{asked:?}"
    );
}
