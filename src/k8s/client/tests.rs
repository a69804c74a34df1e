use super::*;
use crate::k8s::fake::{End, Reply, server};

fn get() -> Request<Vec<u8>> {
    Request::get("/api/v1/x?a=b").body(vec![]).unwrap()
}

const LIMIT: Duration = Duration::from_secs(3);

async fn outcome(reply: Reply) -> String {
    let (client, _) = server(vec![reply]);
    let error = client.call(get(), LIMIT).await.unwrap_err();
    format!("{}; {error}; {:?}", error.kind(), error.retry_after())
}

#[tokio::test(start_paused = true)]
async fn each_failure_is_one_line_that_names_the_question() {
    assert_eq!(
        outcome(Reply::refused(500)).await,
        "500; GET /api/v1/x: the API server says 500 R: m; None"
    );
    assert_eq!(
        outcome(Reply::refused(429).retry_after(7)).await,
        "429; GET /api/v1/x: the API server says 429 R: m; Some(7s)"
    );
    assert_eq!(
        outcome(Reply::hang()).await,
        "timedOut; GET /api/v1/x: no answer within 3s; None"
    );
    assert_eq!(
        outcome(Reply::ok("{").then(End::Silent)).await,
        "timedOut; GET /api/v1/x: no answer within 3s; None"
    );
    assert_eq!(
        outcome(Reply::ok("{").then(End::Broken)).await,
        "unreachable; GET /api/v1/x: reset by peer; None"
    );
}

#[tokio::test]
async fn an_answer_that_does_not_decode_is_not_quoted() {
    let (client, _) = server(vec![Reply::ok(r#"{"password":"hush"}"#)]);
    let error = client.decode::<Vec<u8>>(get(), LIMIT).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "GET /api/v1/x: the answer does not decode: Data at line 1, column 0"
    );
}

#[tokio::test]
async fn an_answer_without_an_end_is_not_read_to_its_end() {
    let body = |length: usize| Body::from(vec![b'x'; length]);
    assert_eq!(
        read_all(body(8), 8, "GET /x").await.map(|all| all.len()),
        Ok(8)
    );
    let error = read_all(body(9), 8, "GET /x").await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "GET /x: the answer does not decode: it is longer than 8 bytes"
    );
}
