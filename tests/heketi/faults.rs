//! Each call of each operation goes wrong in each way. Never a second volume,
//! and all is well as soon as the server is.

use std::time::Duration;

use loods::storage::heketi::client::{Heketi, Limits};
use loods::storage::heketi::error::HeketiError;

use super::{KEY, client, client_of, limits, wanted};
use crate::stand_in::{Fault, StandIn};

fn faults() -> Vec<Fault> {
    vec![
        Fault::LoseRequest,
        Fault::LoseAnswer,
        LATE,
        Fault::Repeat,
        Fault::Error,
        Fault::ErrorAfter,
        Fault::Fail("Unable to execute command on gfs1"),
        Fault::Busy(None),
        Fault::Maintenance,
        Fault::Answer(200, "<html>login</html>"),
        Fault::Answer(200, "{\"unexpected\": true}"),
        Fault::Answer(404, "<html>not here</html>"),
        Fault::Answer(502, "<html>bad gateway</html>"),
        Fault::Huge(5 << 20),
        Fault::Redirect(302, "/volumes"),
        Fault::Restart,
    ]
}

/// Longer than a call of [`hasty`] may take.
const LATE: Fault = Fault::Delay(Duration::from_millis(600));

/// As `limits`, with calls that are shorter than that delay.
fn hasty(server: &StandIn) -> Heketi {
    let limits = Limits {
        call: Duration::from_millis(200),
        ..limits()
    };
    client(server, KEY, limits)
}

/// Again and again, as the controller does; a fresh process each time.
async fn insist<T>(
    server: &StandIn,
    what: &str,
    fault: &Fault,
    attempt: impl AsyncFn(Heketi) -> Result<T, HeketiError>,
) -> T {
    let mut told = Vec::new();
    for _ in 0..4 {
        let heketi = if *fault == LATE {
            hasty(server)
        } else {
            client_of(server)
        };
        match attempt(heketi).await {
            Ok(done) => {
                assert_eq!(server.faults_left(), 0, "{what}: this fault never happened");
                return done;
            }
            Err(error) => told.push(error.to_string()),
        }
    }
    panic!("{what}: {told:#?}; {:#?}", server.lines());
}

#[tokio::test]
async fn a_volume_is_made_once_whatever_goes_wrong() {
    let lines = [
        "GET /hello",
        "GET /clusters",
        "GET /volumes",
        "POST /volumes",
        "GET /queue/",
        "GET /volumes/",
    ];
    for line in lines {
        for fault in faults() {
            let what = format!("{line}: {fault:?}");
            let server = StandIn::start(KEY);
            server.fault(line, fault.clone());
            let create = wanted("pvc-1");
            let volume = insist(&server, &what, &fault, async |heketi| {
                heketi.ensure_volume(&create).await
            })
            .await;
            let volumes = server.volumes();
            assert_eq!(volumes, [volume], "{what}");
        }
    }
}

#[tokio::test]
async fn a_volume_is_made_once_although_answers_are_lost_in_a_row() {
    let server = StandIn::start(KEY);
    server.slow(Duration::from_millis(20));
    for fault in [
        Fault::LoseAnswer,
        Fault::LoseRequest,
        Fault::Repeat,
        Fault::ErrorAfter,
    ] {
        server.fault("POST /volumes", fault.clone());
        server.fault("GET /volumes", fault.clone());
        server.fault("GET /queue/", fault);
    }
    // They may be found before all faults have happened.
    let mut made = None;
    for _ in 0..10 {
        made = client_of(&server)
            .ensure_volume(&wanted("pvc-1"))
            .await
            .ok();
        if made.is_some() {
            break;
        }
    }
    assert_eq!(server.volumes(), [made.expect("it is made")]);
}

#[tokio::test]
async fn a_lost_create_is_not_repeated_in_another_cluster() {
    let server = StandIn::start(KEY);
    server.add_cluster(Some(500));
    server.slow(Duration::from_millis(50));
    // It is being made, and nobody sees it yet.
    server.fault("POST /volumes", Fault::LoseAnswer);
    let volume = client_of(&server)
        .ensure_volume(&wanted("pvc-1"))
        .await
        .expect("it is found");
    assert_eq!(server.volumes(), [volume]);
    let asked = server.lines();
    assert!(
        asked.iter().any(|line| line == "POST /volumes 500"),
        "the name was taken: {asked:?}"
    );
}

#[tokio::test]
async fn a_volume_is_removed_whatever_goes_wrong() {
    for line in ["DELETE /volumes/", "GET /queue/"] {
        for fault in faults() {
            let what = format!("{line}: {fault:?}");
            let server = StandIn::start(KEY);
            let volume = client_of(&server)
                .ensure_volume(&wanted("pvc-1"))
                .await
                .expect("it is made");
            server.fault(line, fault.clone());
            insist(&server, &what, &fault, async |heketi| {
                heketi.delete_volume(&volume.id).await
            })
            .await;
            assert_eq!(server.volumes(), [], "{what}");
        }
    }
}

#[tokio::test]
async fn a_volume_grows_to_its_size_whatever_goes_wrong() {
    for loods in [false, true] {
        for line in [
            "GET /volumes/ID",
            "GET /operations/pending",
            "POST /volumes/ID/expand",
            "GET /queue/",
        ] {
            for fault in faults() {
                // Beyond anybody without the guard.
                if !loods && fault == Fault::Repeat && line.starts_with("POST") {
                    continue;
                }
                let what = format!("{line}: {fault:?}, our manager: {loods}");
                let server = StandIn::start(KEY);
                server.as_loods(loods);
                let volume = client_of(&server)
                    .ensure_volume(&wanted("pvc-1"))
                    .await
                    .expect("it is made");
                server.fault(&line.replace("ID", &volume.id), fault.clone());
                let grown = insist(&server, &what, &fault, async |heketi| {
                    heketi.expand_to(&volume.id, 7).await
                })
                .await;
                assert_eq!((grown.size, server.volumes()[0].size), (7, 7), "{what}");
            }
        }
    }
}

#[tokio::test]
async fn a_growth_under_way_is_waited_for() {
    let server = StandIn::start(KEY);
    let volume = client_of(&server)
        .ensure_volume(&wanted("pvc-1"))
        .await
        .expect("it is made");
    server.slow(Duration::from_millis(100));
    server.fault(
        &format!("POST /volumes/{}/expand", volume.id),
        Fault::LoseAnswer,
    );
    let heketi = client_of(&server);
    let grown = heketi
        .expand_to(&volume.id, 4)
        .await
        .expect("it is seen to grow");
    assert_eq!((grown.size, server.volumes()[0].size), (4, 4));
    assert_eq!(
        server
            .lines()
            .iter()
            .filter(|line| line.contains("/expand"))
            .count(),
        1
    );
}

#[tokio::test]
async fn a_server_that_takes_too_long_is_told_of_and_asked_again_later() {
    let server = StandIn::start(KEY);
    server.slow(Duration::from_millis(300));
    let short = Limits {
        whole: Duration::from_millis(100),
        ..limits()
    };
    let error = client(&server, KEY, short)
        .ensure_volume(&wanted("pvc-1"))
        .await
        .expect_err("it is slow");
    assert_eq!(error.kind(), "timedOut", "{error}");
    assert!(
        error.to_string().contains("/volumes") && !error.is_final(),
        "{error}"
    );
    let volume = client_of(&server)
        .ensure_volume(&wanted("pvc-1"))
        .await
        .expect("it comes");
    assert_eq!(server.volumes(), [volume]);
}

#[tokio::test]
async fn a_name_that_stays_taken_is_told_of() {
    let server = StandIn::start(KEY);
    server.slow(Duration::from_secs(3600));
    let short = Limits {
        whole: Duration::from_secs(1),
        ..limits()
    };
    server.fault("POST /volumes", Fault::LoseAnswer);
    let error = client(&server, KEY, short)
        .ensure_volume(&wanted("pvc-1"))
        .await
        .expect_err("an hour");
    assert!(error.is_name_taken(), "{error}");
}

#[tokio::test]
async fn a_server_that_is_away_is_told_of_at_once() {
    let server = StandIn::start(KEY);
    let heketi = client_of(&server);
    let url = server.url();
    drop(server);
    let error = heketi
        .ensure_volume(&wanted("pvc-1"))
        .await
        .expect_err("nobody is there");
    assert_eq!(error.kind(), "unreachable");
    let text = error.to_string();
    assert!(text.contains(&url) && text.contains("refused"), "{text}");
}
