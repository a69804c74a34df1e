//! The watch against a scripted server, in virtual time.

use super::*;
use crate::facts::{ServiceFact, ServiceKey};
use crate::k8s::fake::{Asked, End, Reply, server};
use crate::k8s::objects::{Services, Slices};

fn service(name: &str, version: u32) -> String {
    format!(
        r#"{{"metadata":{{"name":"{name}","namespace":"d","uid":"u","resourceVersion":"{version}"}},"spec":{{"type":"LoadBalancer"}}}}"#
    )
}

fn list(version: u32, next: &str, items: &[String]) -> Reply {
    let items = items.join(",");
    Reply::ok(format!(
        r#"{{"metadata":{{"resourceVersion":"{version}","continue":"{next}"}},"items":[{items}]}}"#
    ))
}

fn line(kind: &str, object: &str) -> String {
    format!(r#"{{"type":"{kind}","object":{object}}}"#)
}

fn bookmark(version: u32) -> String {
    line(
        "BOOKMARK",
        &format!(r#"{{"kind":"Service","metadata":{{"resourceVersion":"{version}"}}}}"#),
    )
}

const EXPIRED: &str = r#"{"type":"ERROR","object":{"kind":"Status","status":"Failure","code":410,"reason":"Expired","message":"too old"}}"#;

fn say(event: Event<ServiceFact, ServiceKey>) -> String {
    match event {
        Event::Begin => "begin".into(),
        Event::Apply(fact) => format!("{}@{}", fact.key, fact.resource_version),
        Event::Delete(key, version) => format!("-{key}@{version}"),
        Event::End => "end".into(),
        Event::Rewound => "rewound".into(),
    }
}

/// What came out, what was asked and how long it took, once the script is over.
struct Run {
    events: String,
    asked: String,
    took: Duration,
    counters: Arc<Counters>,
}

async fn play(script: Vec<Reply>) -> Run {
    let length = script.len();
    let (client, asked) = server(script);
    let counters = Arc::new(Counters::default());
    let options = Options {
        spread: Duration::ZERO,
        counters: counters.clone(),
    };
    let (facts, mut received) = mpsc::channel(1024);
    let begun = Instant::now();
    let watch = tokio::spawn(run(client, Services, options, facts, say));
    // One request more than the script holds: everything before it was digested.
    while asked.words().len() <= length {
        sleep(Duration::from_millis(10)).await;
    }
    let took = begun.elapsed();
    watch.abort();
    let mut events = Vec::new();
    while let Ok(event) = received.try_recv() {
        events.push(event);
    }
    Run {
        events: events.join(" "),
        asked: words(&asked),
        took,
        counters,
    }
}

fn words(asked: &Asked) -> String {
    asked.words().join(" ")
}

#[tokio::test(start_paused = true)]
async fn a_list_comes_page_by_page_and_the_watch_follows_on() {
    let run = play(vec![
        list(5, "p2", &[service("a", 1), service("b", 2)]),
        list(5, "", &[service("c", 3)]),
        Reply::lines(
            &[
                &line("MODIFIED", &service("a", 6)),
                &line("DELETED", &service("b", 7)),
                &bookmark(9),
            ],
            End::InTime,
        ),
    ])
    .await;
    assert_eq!(run.events, "begin d/a@1 d/b@2 d/c@3 end d/a@6 -d/b@7");
    assert_eq!(
        run.asked, "list list+p2 watch@5 watch@9",
        "a watch that ends in time goes on without a probe"
    );
    assert!((60..=120).contains(&run.took.as_secs()), "{:?}", run.took);
    assert_eq!(
        (
            run.counters.updates.count(),
            run.counters.update_errors.count()
        ),
        (5, 0)
    );
}

#[tokio::test(start_paused = true)]
async fn after_410_a_new_list_comes_without_deletions() {
    for gone in [Reply::lines(&[EXPIRED], End::Closed), Reply::refused(410)] {
        let run = play(vec![
            list(5, "", &[service("a", 1), service("b", 2)]),
            gone,
            list(8, "", &[service("b", 2)]),
        ])
        .await;
        assert_eq!(run.events, "begin d/a@1 d/b@2 end begin d/b@2 end");
        assert_eq!(run.asked, "list watch@5 list watch@8");
    }
}

#[tokio::test(start_paused = true)]
async fn an_object_that_does_not_decode_is_skipped_alone() {
    let odd = r#"{"metadata":{"name":"odd","namespace":"d","resourceVersion":"7"},"spec":{"ports":"none"}}"#.to_string();
    let run = play(vec![
        list(
            5,
            "",
            &[service("a", 1), odd.clone(), "17".into(), service("b", 2)],
        ),
        Reply::lines(
            &[
                &line("ADDED", &odd),
                &line("ADDED", "[]"),
                &line("ADDED", &service("c", 8)),
            ],
            End::Closed,
        ),
        list(8, "", &[]),
    ])
    .await;
    assert_eq!(run.events, "begin d/a@1 d/b@2 end d/c@8");
    assert_eq!(run.counters.undecodable.count(), 4);
    assert_eq!(run.asked, "list watch@5 probe watch@8");
}

#[tokio::test(start_paused = true)]
async fn a_truncated_line_is_asked_for_again() {
    let whole = line("ADDED", &service("b", 7));
    let half = format!(
        "{}\n{}",
        line("ADDED", &service("a", 6)),
        &whole[..whole.len() / 2]
    );
    for end in [End::Closed, End::Broken, End::Silent] {
        let run = play(vec![
            list(5, "", &[]),
            Reply::ok(half.clone()).then(end),
            list(7, "", &[]),
            Reply::lines(&[&whole], End::Closed),
        ])
        .await;
        assert_eq!(run.events, "begin end d/a@6 d/b@7", "{end:?}");
        assert_eq!(run.asked, "list watch@5 probe watch@6 probe", "{end:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_line_that_is_no_json_breaks_the_watch_and_not_the_view() {
    let run = play(vec![
        list(5, "", &[]),
        Reply::lines(&["<html>"], End::Silent),
        list(5, "", &[]),
        Reply::lines(&[&line("ADDED", &service("a", 6))], End::Silent),
    ]);
    let run = tokio::time::timeout(Duration::from_secs(300), run)
        .await
        .unwrap();
    assert_eq!(run.events, "begin end d/a@6");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_fails_is_asked_again_later_and_later() {
    let run = play(vec![
        Reply::refused(500),
        Reply::refused(503),
        Reply::refused(429).retry_after(40),
        list(5, "", &[service("a", 1)]),
        Reply::refused(500),
        Reply::refused(500),
        list(6, "", &[]),
    ])
    .await;
    assert_eq!(run.events, "begin d/a@1 end");
    assert_eq!(run.asked, "list list list list watch@5 probe probe watch@5");
    assert_eq!(run.counters.update_errors.count(), 5);
    // At least half of 0.8 and 1.6, all of Retry-After, half of 6.4 and 12.8.
    assert!(run.took >= Duration::from_millis(50_800), "{:?}", run.took);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_back_after_long_and_knows_no_old_version_is_listed_at_once() {
    let away = || Reply::refused(503).retry_after(40);
    let script = vec![
        list(5, "", &[service("a", 1)]),
        away(),
        away(),
        away(),
        away(),
        away(),
        away(),
        list(9, "", &[]),
        Reply::refused(410),
        list(9, "", &[service("a", 8)]),
    ];
    let run = play(script).await;
    assert_eq!(run.events, "begin d/a@1 end begin d/a@8 end");
    // Six times Retry-After, and the first of the waits before a list.
    assert!(run.took < Duration::from_secs(242), "{:?}", run.took);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_forgets_each_version_at_once_is_listed_later_and_later() {
    let mut script = vec![list(5, "", &[])];
    for _ in 0..6 {
        script.extend([Reply::refused(410), list(5, "", &[])]);
    }
    let run = play(script).await;
    // At least half of 0.8, 1.6, 3.2, 6.4, 12.8 and 25.6.
    assert!(run.took >= Duration::from_secs(25), "{:?}", run.took);
}

#[tokio::test(start_paused = true)]
async fn a_second_page_that_fails_begins_the_list_anew() {
    let run = play(vec![
        list(5, "p2", &[service("a", 1)]),
        Reply::refused(410),
        list(6, "", &[service("b", 2)]),
    ])
    .await;
    assert_eq!(run.events, "begin d/a@1 begin d/b@2 end");
}

#[tokio::test(start_paused = true)]
async fn a_restored_etcd_is_noticed_when_the_watch_comes_back() {
    let run = play(vec![
        list(50, "", &[service("a", 40)]),
        Reply::lines(&[&line("ADDED", &service("b", 60))], End::Broken),
        Reply::refused(503),
        list(20, "", &[service("x", 1)]),
        list(21, "", &[service("a", 15)]),
        Reply::lines(&[&line("MODIFIED", &service("a", 22))], End::InTime),
    ])
    .await;
    assert_eq!(
        run.events,
        "begin d/a@40 end d/b@60 rewound begin d/a@15 end d/a@22"
    );
    assert_eq!(
        run.asked,
        "list watch@50 probe probe list watch@21 watch@22"
    );
    assert_eq!(run.counters.regressions.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_step_back_within_a_watch_is_noticed_too() {
    for back in [bookmark(30), line("MODIFIED", &service("a", 30))] {
        let run = play(vec![
            list(50, "", &[]),
            Reply::lines(&[&back], End::Silent),
            list(31, "", &[service("a", 30)]),
        ])
        .await;
        assert_eq!(run.events, "begin end rewound begin d/a@30 end");
        assert_eq!(run.counters.regressions.count(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_of_an_older_history_says_so_before_it_begins() {
    let run = play(vec![
        list(50, "", &[service("a", 40)]),
        Reply::refused(410),
        list(20, "", &[service("a", 15)]),
    ])
    .await;
    assert_eq!(run.events, "begin d/a@40 end rewound begin d/a@15 end");
    assert_eq!(run.counters.regressions.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_probe_may_be_ahead_of_the_watch() {
    let run = play(vec![
        list(5, "", &[]),
        Reply::lines(&[], End::Broken),
        list(9, "", &[]),
        Reply::lines(&[&line("ADDED", &service("a", 6))], End::InTime),
    ])
    .await;
    assert_eq!(run.events, "begin end d/a@6");
    assert_eq!(run.counters.regressions.count(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_object_no_longer_of_interest_is_deleted() {
    let slice = |label: &str, version: u32| {
        format!(
            r#"{{"metadata":{{"name":"s","namespace":"d","resourceVersion":"{version}","labels":{{{label}}}}},"addressType":"IPv4","endpoints":null}}"#
        )
    };
    let ours = slice(r#""kubernetes.io/service-name":"web""#, 6);
    let (client, _) = server(vec![
        list(5, "", &[slice("", 1)]),
        Reply::lines(
            &[&line("ADDED", &ours), &line("MODIFIED", &slice("", 7))],
            End::Silent,
        ),
    ]);
    let options = Options {
        spread: Duration::ZERO,
        counters: Arc::default(),
    };
    let (facts, mut received) = mpsc::channel(16);
    let watch = tokio::spawn(run(
        client,
        Slices { node: "n1".into() },
        options,
        facts,
        |event| event,
    ));
    let mut events = Vec::new();
    for _ in 0..4 {
        events.push(received.recv().await.unwrap());
    }
    watch.abort();
    assert!(
        matches!(&events[..], [Event::Begin, Event::End, Event::Apply(fact), Event::Delete(key, _)]
        if fact.service == ServiceKey::new("d", "web") && key.name() == "s")
    );
}

#[tokio::test(start_paused = true)]
async fn the_watch_ends_with_its_receiver() {
    let (client, _) = server(vec![list(5, "", &[])]);
    let options = Options {
        spread: Duration::from_secs(9),
        counters: Arc::default(),
    };
    let (facts, received) = mpsc::channel(1);
    drop(received);
    let ended = tokio::time::timeout(
        Duration::from_secs(10),
        run(client, Services, options, facts, say),
    )
    .await;
    assert!(ended.is_ok());
}
