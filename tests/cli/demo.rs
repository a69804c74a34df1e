//! `loods demo --once`, as somebody without root and without a cluster runs it.

#[path = "../support/readme.rs"]
mod readme;

use std::time::{Duration, Instant};

use crate::loods;

#[test]
fn the_story_is_told_and_every_table_is_right() {
    let called = loods(&["demo", "--once", "--port", "11791"], "");
    assert_eq!(called.code, Some(0), "{called:?}");
    assert_eq!(called.errors, "");
    let text = &called.output;
    assert!(!text.contains("WRONG") && !text.contains('\x1b'), "{text}");
    assert!(text.contains("13. "), "the last step is told: {text}");
    for shown in [
        "whoami-lb   LoadBalancer   10.111.65.124   1.2.3.4       80:31174/TCP",
        "B       1.2.3.4/32 [200/0] via 127.0.0.101",
        "- B       1.2.3.8/32 [200/0] via 127.0.0.101",
        "addressInUse: 1.2.3.4",
        "poolExhausted: ",
        "11 |   - 1.2.3.4-1.2.3.8888",
        "Administrative Shutdown (6/2): \"Loods stops on this node\"",
        "one-too-many      LoadBalancer   10.111.65.130   1.2.3.9",
    ] {
        assert!(text.contains(shown), "{shown}: {text}");
    }
}

#[test]
fn a_port_in_use_is_named_with_the_way_out() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("it is bound").port().to_string();
    let called = loods(&["demo", "--once", "--port", &port], "");
    assert_eq!(called.code, Some(1), "{called:?}");
    assert!(
        called.errors.contains(&port) && called.errors.contains("--port"),
        "{called:?}"
    );
}

#[test]
fn a_reader_that_goes_ends_the_demo_but_not_its_verdict() {
    for (once, port) in [(true, "11793"), (false, "11794")] {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_loods"));
        command.args(["demo", "--port", port]);
        command.args(once.then_some("--once"));
        command.stdout(std::process::Stdio::piped());
        let mut demo = command.spawn().expect("it starts");
        drop(demo.stdout.take());
        let limit = Instant::now() + Duration::from_secs(30);
        let ended = loop {
            match demo.try_wait().expect("a child") {
                Some(ended) => break ended,
                None if Instant::now() > limit => {
                    demo.kill().expect("killed");
                    panic!("it goes on without a reader, once: {once}");
                }
                None => std::thread::sleep(Duration::from_millis(20)),
            }
        };
        assert_eq!(ended.code(), Some(0), "once: {once}");
    }
}

/// The demo's files are the article's, with one substitution.
#[test]
fn the_files_are_the_articles_but_for_the_router() {
    let read = |path: &str| {
        let path = format!("{}/config/{path}", env!("CARGO_MANIFEST_DIR"));
        std::fs::read_to_string(path).expect("readable")
    };
    for file in ["whoami.yaml", "traefik-ingress.yaml"] {
        assert_eq!(
            read(&format!("demo/{file}")),
            read(&format!("article/{file}"))
        );
    }
    let article = read("article/config.yaml");
    let substituted = article.replace(
        "peer-address: 10.x.x.1\n",
        "peer-address: 127.0.0.1\n      peer-port: 11790\n",
    );
    assert_ne!(substituted, article);
    assert_eq!(read("demo/config.yaml"), substituted);
}

#[test]
fn the_readme_shows_what_the_demo_says() {
    let told = loods(&["demo", "--once", "--port", "11792"], "").output;
    assert!(readme::lines_told("demo", &told) > 20);
}
