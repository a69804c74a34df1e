//! A server that is not what it should be, or that does not know us.

use super::{KEY, client, client_of, limits, wanted};
use crate::stand_in::{Fault, StandIn};

#[tokio::test]
async fn another_key_is_told_of_with_its_mend_and_without_the_key() {
    let server = StandIn::start(KEY);
    let heketi = client(&server, "wrong-key", limits());
    let error = heketi
        .ensure_volume(&wanted("pvc-1"))
        .await
        .expect_err("another key");
    assert_eq!(error.kind(), "unauthorized");
    let text = error.to_string();
    assert!(
        text.contains("signature is invalid") && text.contains("admin key"),
        "{text}"
    );
    assert!(
        !text.contains("wrong-key") && !text.contains("eyJ"),
        "{text}"
    );
    assert!(server.volumes().is_empty());
}

#[tokio::test]
async fn clocks_that_differ_are_both_named() {
    for skew in [-1000, 1000] {
        let server = StandIn::start(KEY);
        server.skew(skew);
        let error = client_of(&server)
            .volumes()
            .await
            .expect_err("the clocks differ");
        assert_eq!(error.kind(), "clockSkew", "{error}");
        let text = error.to_string();
        let apart = |seconds: i64| text.contains(&format!("{seconds} s apart"));
        // The seconds may turn in between.
        assert!((999..=1001).any(apart), "{text}");
        assert!(
            text.contains("our clock shows 20") && text.contains("synchronise"),
            "{text}"
        );
    }
    // As far as the token allows, nobody notices.
    for skew in [-100, 250] {
        let server = StandIn::start(KEY);
        server.skew(skew);
        client_of(&server)
            .volumes()
            .await
            .expect("within what is allowed");
    }
}

#[tokio::test]
async fn nobody_is_followed_to_another_server() {
    let elsewhere = StandIn::start(KEY);
    let to: &'static str = format!("{}/volumes", elsewhere.url()).leak();
    for line in [
        "GET /hello",
        "GET /volumes",
        "POST /volumes",
        "GET /queue/",
        "GET /volumes/",
    ] {
        for status in [301, 302, 303, 307, 308] {
            let server = StandIn::start(KEY);
            server.fault(line, Fault::Redirect(status, to));
            let error = client_of(&server)
                .ensure_volume(&wanted("pvc-1"))
                .await
                .expect_err(line);
            assert_eq!(error.kind(), "redirected", "{line} {status}: {error}");
            assert!(error.to_string().contains(to), "{error}");
        }
    }
    assert_eq!(elsewhere.lines(), [""; 0]);
}

#[tokio::test]
async fn what_is_no_answer_of_heketis_is_named_by_what_was_asked() {
    let cases = [
        (
            Fault::Answer(200, "<html>login</html>"),
            "a page for a browser",
        ),
        (Fault::Answer(200, "{\"volumes\": 5}"), "error at line 1"),
        (
            Fault::Answer(200, "{\"volumes\": [\"../admin\"]}"),
            "not hexadecimal",
        ),
        (Fault::Answer(200, ""), "line 1"),
        (Fault::Answer(202, ""), "202 without a Location"),
        (Fault::Answer(204, ""), "204"),
        (Fault::Huge(5 << 20), "longer than 4194304 bytes"),
        // A list within a list within a list.
        (Fault::Huge(1 << 20), "error at line 1"),
    ];
    for (fault, cause) in cases {
        let server = StandIn::start(KEY);
        let heketi = client_of(&server);
        heketi.hello().await.expect("it greets");
        server.fault("GET /volumes", fault.clone());
        let error = heketi.find_by_name("pvc-1").await.expect_err("a lie");
        let text = error.to_string();
        assert_eq!(error.kind(), "unreadable", "{fault:?}: {text}");
        let asked = format!("GET {}/volumes: ", server.url());
        assert!(
            text.starts_with(&asked) && text.contains(cause),
            "{fault:?}: {text}"
        );
        assert!(text.len() < 400, "{text}");
    }
}

#[tokio::test]
async fn a_page_that_says_404_removes_nothing() {
    let server = StandIn::start(KEY);
    let heketi = client_of(&server);
    let volume = heketi
        .ensure_volume(&wanted("pvc-1"))
        .await
        .expect("it is made");
    for body in [
        "<html>Id not found</html>",
        "404 page not found",
        "Invalid path or request",
        "",
    ] {
        server.fault("DELETE /volumes/", Fault::Answer(404, body));
        let error = heketi
            .delete_volume(&volume.id)
            .await
            .expect_err("somebody else says so");
        assert_eq!(error.kind(), "refused", "{error}");
        server.fault("GET /volumes/", Fault::Answer(404, body));
        heketi
            .volume(&volume.id)
            .await
            .expect_err("somebody else says so");
    }
    assert_eq!(server.volumes().len(), 1);
}

#[tokio::test]
async fn the_location_of_another_volume_is_not_taken_for_ours() {
    let server = StandIn::start(KEY);
    let heketi = client_of(&server);
    let other = heketi
        .ensure_volume(&wanted("pvc-other"))
        .await
        .expect("it is made");
    let to: &'static str = format!("/volumes/{}", other.id).leak();
    server.fault("GET /queue/", Fault::Redirect(303, to));
    let volume = heketi
        .ensure_volume(&wanted("pvc-1"))
        .await
        .expect("found by its name");
    assert_eq!(volume.name, "pvc-1");
}

#[tokio::test]
async fn a_refusal_is_told_in_the_servers_words() {
    let server = StandIn::start(KEY);
    let heketi = client_of(&server);
    let mut create = wanted("pvc-1");
    create.durability.replicate.replica = 4;
    let error = heketi
        .ensure_volume(&create)
        .await
        .expect_err("four copies");
    assert!(error.is_final(), "{error}");
    assert_eq!(
        error.to_string(),
        format!(
            "POST {}/volumes: Heketi says 400 \"Invalid replica value\"",
            server.url()
        )
    );
    server.fault("POST /volumes", Fault::Maintenance);
    let error = heketi
        .ensure_volume(&wanted("pvc-1"))
        .await
        .expect_err("maintenance");
    assert!(
        !error.is_final() && error.to_string().contains("503"),
        "{error}"
    );
}

#[tokio::test]
async fn the_other_user_of_heketi_leaks_which_is_why_we_refuse_it() {
    use loods::storage::heketi::token::{Key, User, sign};
    let server = StandIn::start(KEY);
    let key = Key::new(b"userkey-lab").expect("a key");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now = i64::try_from(now.expect("after 1970").as_secs()).expect("before 2300");
    let ask = |method: &'static str, path: String, body: &'static str| {
        let token = sign(User::User, &key, method, &path, now);
        let address = server.address();
        async move {
            use tokio::io::{AsyncReadExt, AsyncWriteExt};
            let mut stream = tokio::net::TcpStream::connect(address)
                .await
                .expect("it listens");
            let request = format!(
                "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: bearer {token}\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            );
            stream
                .write_all(request.as_bytes())
                .await
                .expect("it is sent");
            let mut answer = String::new();
            stream
                .read_to_string(&mut answer)
                .await
                .expect("it answers");
            answer
        }
    };
    let made = ask(
        "POST",
        "/volumes".into(),
        r#"{"size":1,"durability":{"type":"none"}}"#,
    )
    .await;
    assert!(made.starts_with("HTTP/1.1 202"), "{made}");
    let queue = made
        .lines()
        .find_map(|line| line.strip_prefix("location: "))
        .expect("a queue")
        .to_owned();
    let polled = ask("GET", queue, "").await;
    assert!(
        polled.starts_with("HTTP/1.1 401") && polled.ends_with("Administrator access required\n"),
        "{polled}"
    );
    assert_eq!(server.volumes().len(), 1, "nobody knows of it");
}
