//! The writer against a scripted server, in virtual time.

use super::*;
use crate::k8s::fake::{Asked, Reply, server};

fn write(name: &str, version: &str) -> StatusWrite {
    StatusWrite {
        key: ServiceKey::new("d", name),
        uid: "u1".into(),
        resource_version: version.into(),
        ingress: Some(vec!["1.2.3.4".parse().unwrap()]),
        condition: None,
        drop_condition: false,
        orphan_attributes: None,
        clear_reassign: false,
    }
}

fn written(version: u32) -> Reply {
    Reply::ok(format!(
        r#"{{"metadata":{{"resourceVersion":"{version}"}},"spec":{{}}}}"#
    ))
}

/// A writer at work, one write at a time.
struct Desk {
    writer: Writer,
    reports: mpsc::Receiver<Report>,
    leader: watch::Sender<LeaderState>,
    stop: CancellationToken,
    asked: Asked,
    counters: Arc<Counters>,
    work: tokio::task::JoinHandle<()>,
}

fn leading(seconds: u64, term: u64) -> LeaderState {
    LeaderState::Leading {
        until: Instant::now() + Duration::from_secs(seconds),
        term,
    }
}

fn desk(script: Vec<Reply>, state: LeaderState) -> Desk {
    let (client, asked) = server(script);
    let counters = Arc::new(Counters::default());
    let options = Options {
        in_flight: 1,
        ..Options::new(counters.clone())
    };
    let (leader, following) = watch::channel(state);
    let (sender, reports) = mpsc::channel(16);
    let (writer, stop) = (Writer::new(), CancellationToken::new());
    let work = {
        let (writer, stop) = (writer.clone(), stop.clone());
        tokio::spawn(async move { writer.run(client, options, following, sender, stop).await })
    };
    Desk {
        writer,
        reports,
        leader,
        stop,
        asked,
        counters,
        work,
    }
}

impl Desk {
    async fn outcome(&mut self) -> Outcome {
        self.reports.recv().await.unwrap().outcome
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_names_the_version_it_was_decided_on() {
    let mut desk = desk(vec![written(8)], leading(10, 1));
    desk.writer.submit(write("web", "7"), None, 1);
    assert_eq!(
        desk.outcome().await,
        Outcome::Written {
            resource_version: "8".into()
        }
    );
    let (asked, body) = desk.asked.all().remove(0);
    assert_eq!(
        asked,
        "PATCH /api/v1/namespaces/d/services/web/status?fieldManager=loods&timeout=5000ms"
    );
    assert_eq!(
        body,
        r#"{"metadata":{"resourceVersion":"7","uid":"u1"},"status":{"loadBalancer":{"ingress":[{"ip":"1.2.3.4","ipMode":"VIP"}]}}}"#
    );
    assert_eq!(desk.counters.patches.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_the_server_says_decides_whether_it_is_tried_again() {
    let recreated = r#"{"code":422,"reason":"Invalid","message":"metadata.uid: Invalid value: field is immutable"}"#;
    for (reply, expected, again) in [
        (Reply::refused(409), "Conflict", false),
        (Reply::refused(404), "Gone", false),
        (Reply::refused(422), "Invalid", false),
        (Reply::status(422, recreated), "Conflict", false),
        (Reply::refused(403), "Forbidden", true),
        (Reply::refused(429).retry_after(2), "Unavailable", true),
        (Reply::refused(500), "Unavailable", true),
        (Reply::ok("{}"), "Unavailable", true),
    ] {
        let mut desk = desk(vec![reply, written(8)], leading(60, 1));
        desk.writer.submit(write("web", "7"), None, 1);
        assert!(
            format!("{:?}", desk.outcome().await).starts_with(expected),
            "{expected}"
        );
        if again {
            assert_eq!(
                desk.outcome().await,
                Outcome::Written {
                    resource_version: "8".into()
                }
            );
        } else {
            assert_eq!(desk.writer.waiting(), 0, "{expected}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_that_hangs_ends_before_the_term_does() {
    let mut desk = desk(vec![Reply::hang()], leading(3, 1));
    let begun = Instant::now();
    desk.writer.submit(write("web", "7"), None, 1);
    assert!(matches!(desk.outcome().await, Outcome::Unavailable(_)));
    assert!(
        begun.elapsed() <= Duration::from_millis(3002),
        "{:?}",
        begun.elapsed()
    );
    assert!(desk.asked.all()[0].0.ends_with("timeout=3000ms"));
}

#[tokio::test(start_paused = true)]
async fn who_does_not_lead_writes_nothing() {
    let mut desk = desk(vec![written(8)], LeaderState::Following { holder: None });
    desk.writer.submit(write("old", "7"), None, 1);
    tokio::time::sleep(Duration::from_secs(1)).await;
    desk.leader.send_replace(leading(1, 2));
    // Of an earlier term, and of this one: the second is the mark that the first was passed by.
    desk.writer.submit(write("late", "7"), None, 1);
    desk.writer.submit(write("new", "7"), None, 2);
    assert_eq!(desk.reports.recv().await.unwrap().key.name(), "new");
    assert_eq!(desk.asked.all().len(), 1);
    // The term runs out without a word from the Lease.
    tokio::time::sleep(Duration::from_secs(2)).await;
    desk.writer.submit(write("after", "7"), None, 2);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(desk.asked.all().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_newest_intent_replaces_the_unsent_one() {
    let mut desk = desk(vec![Reply::refused(500), written(8)], leading(60, 1));
    desk.writer.submit(write("web", "7"), None, 1);
    assert!(matches!(desk.outcome().await, Outcome::Unavailable(_)));
    let newer = StatusWrite {
        ingress: Some(vec!["1.2.3.5".parse().unwrap()]),
        ..write("web", "7")
    };
    desk.writer.submit(newer, None, 1);
    assert!(matches!(desk.outcome().await, Outcome::Written { .. }));
    let bodies: Vec<bool> = desk
        .asked
        .all()
        .iter()
        .map(|(_, body)| body.contains("1.2.3.5"))
        .collect();
    assert_eq!(bodies, [false, true]);
}

#[tokio::test(start_paused = true)]
async fn a_stop_waits_for_what_is_on_its_way_but_not_long() {
    let desk = desk(vec![Reply::hang()], leading(60, 1));
    desk.writer.submit(write("web", "7"), None, 1);
    while desk.asked.all().is_empty() {
        tokio::task::yield_now().await;
    }
    let begun = Instant::now();
    desk.stop.cancel();
    desk.work.await.unwrap();
    assert!(
        begun.elapsed() <= Duration::from_millis(1002),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(desk.writer.flying(), 1, "it may still land");
}

#[tokio::test(start_paused = true)]
async fn after_a_stop_nothing_flies_that_has_landed() {
    let desk = desk(vec![written(8)], leading(60, 1));
    desk.writer.submit(write("web", "7"), None, 1);
    while desk.asked.all().is_empty() {
        tokio::task::yield_now().await;
    }
    desk.stop.cancel();
    desk.work.await.unwrap();
    assert_eq!(desk.writer.flying(), 0);
}
