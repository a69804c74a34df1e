use proptest::prelude::*;

use super::*;

const ASKED: &str = "GET http://gfs1:8080/volumes/1";

fn said(status: u16, body: &str) -> Result<Said, HeketiError> {
    located(status, None, body)
}

fn located(status: u16, location: Option<&str>, body: &str) -> Result<Said, HeketiError> {
    let answer = Answer {
        status,
        location: location.map(Into::into),
        body: body.into(),
        ..Answer::default()
    };
    read(ASKED, answer, 1_700_000_000)
}

#[test]
fn recorded_answers_mean_what_they_mean() {
    let cases = [
        (202, Some("/queue/b9"), "", "Ok(Accepted(\"/queue/b9\"))"),
        (
            303,
            Some("/volumes/6"),
            "<a href=\"/volumes/6\">See Other</a>.",
            "Ok(SeeOther(\"/volumes/6\"))",
        ),
        (204, None, "", "Ok(Nothing)"),
        (404, None, "Id not found\n", "Ok(Absent)"),
    ];
    for (status, location, body, expected) in cases {
        assert_eq!(format!("{:?}", located(status, location, body)), expected);
    }
    let pending = Answer {
        status: 200,
        pending: true,
        ..Answer::default()
    };
    assert_eq!(read(ASKED, pending, 0), Ok(Said::Pending));
}

#[test]
fn refusals_have_their_kinds() {
    let cases = [
        (400, "Invalid replica value\n", "refused"),
        (401, "Invalid JWT token: Unknown user\n", "unauthorized"),
        (
            401,
            "Invalid JWT token: Token is expired by 5s\n",
            "clockSkew",
        ),
        (
            401,
            "Invalid JWT token: Token used before issued (client and server clocks may differ)\n",
            "clockSkew",
        ),
        (404, "Invalid path or request\n", "refused"),
        (404, "<html><body>Id not found</body></html>", "refused"),
        (404, "", "refused"),
        (429, "Server busy. Retry operation later.\n", "busy"),
        (500, "Failed to allocate new volume: No space\n", "noSpace"),
        (
            500,
            "Failed to allocate new volume: Volume name 'a' already in use\n",
            "refused",
        ),
        (503, "Service disabled for maintenance\n", "refused"),
        (100, "", "unreadable"),
        (206, "", "unreadable"),
    ];
    for (status, body, kind) in cases {
        let error = said(status, body).expect_err(body);
        assert_eq!(error.kind(), kind, "{status} {body}");
        assert!(error.to_string().starts_with(ASKED), "{error}");
    }
    assert!(
        said(500, "Volume name 'a' already in use")
            .expect_err("taken")
            .is_name_taken()
    );
}

#[test]
fn nobody_sends_us_to_another_server() {
    for to in [
        "http://gfs1:8080/volumes/1",
        "https://evil.example/",
        "//evil.example/volumes/1",
        "/\\evil.example",
        "volumes/1",
        "/volumes/../admin",
        "/volumes/1?x=1",
        "/a b",
        "/%2e%2e/",
        "",
    ] {
        let error = located(303, Some(to), "").expect_err(to);
        assert_eq!(error.kind(), "redirected", "{to}");
        assert_eq!(
            located(202, Some(to), "").expect_err(to).kind(),
            "unreadable",
            "{to}"
        );
    }
    for status in [301, 302, 307, 308] {
        let error = located(status, Some("/volumes/1"), "").expect_err("only 303 is Heketi's");
        assert_eq!(error.kind(), "redirected");
    }
}

#[test]
fn a_body_that_does_not_decode_is_never_quoted() {
    let error = decode::<Vec<u8>>(ASKED, b"{\"key\": \"secret\"}").expect_err("no list");
    assert!(!error.to_string().contains("secret"), "{error}");
    let error = decode::<Vec<u8>>(ASKED, b"<html>").expect_err("no list");
    assert!(
        error.to_string().ends_with("it is a page for a browser"),
        "{error}"
    );
}

#[test]
fn a_text_is_cut_to_one_line() {
    let error = said(400, &"a\n\u{1b}[31m".repeat(1000))
        .expect_err("400")
        .to_string();
    assert!(
        error.len() < 700 && !error.contains(['\n', '\u{1b}']),
        "{error}"
    );
}

proptest! {
    #[test]
    fn no_answer_is_a_panic(status in any::<u16>(), location in proptest::option::of(".{0,40}"), body in proptest::collection::vec(any::<u8>(), 0..80), pending: bool) {
        let answer = Answer { status, location: location.map(Into::into), pending, body, ..Answer::default() };
        let _ = read(ASKED, answer, 0);
    }
}
