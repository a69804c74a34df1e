//! ConfigMap `loods-last-good`: a copy of the configuration text that was
//! accepted last. The leader writes it; a process that starts on a bad or
//! missing configuration reads it, so that a typing error at noon and a restart
//! at three in the morning do not add up to an outage.
//!
//! The text holds passwords, and stands where the original stands already. It
//! is never logged.

use std::time::Duration;

use hyper::Request;
use hyper::http::header::CONTENT_TYPE;
use serde_json::json;

use super::FIELD_MANAGER;
use super::client::{ApiError, Client, asked, malformed, unreadable};
use super::objects::{ConfigFact, ConfigMaps};

/// `metadata.name`.
pub const NAME: &str = "loods-last-good";
/// The key in `data`.
pub const KEY: &str = "config";

/// One read or write may take this long.
const LIMIT: Duration = Duration::from_secs(5);

/// The copy, or `None` where there is none yet.
pub async fn read(client: &Client, namespace: &str) -> Result<Option<ConfigFact>, ApiError> {
    let request = Request::get(path(namespace))
        .body(Vec::new())
        .map_err(malformed)?;
    let asked = asked(&request);
    let body = match client.call(request, LIMIT).await {
        Ok(body) => body,
        Err(error) if error.code() == Some(404) => return Ok(None),
        Err(error) => return Err(error),
    };
    let map = ConfigMaps {
        namespace: namespace.into(),
        name: NAME.into(),
        key: KEY.into(),
    };
    let text = std::str::from_utf8(&body).map_err(|_| ApiError::Unreadable {
        asked: asked.clone(),
        cause: "not UTF-8".into(),
    })?;
    map.read(text)
        .map(Some)
        .map_err(|cause| unreadable(&asked, &cause))
}

/// Writes the copy, by server-side apply: it is created where missing, and a
/// text that is there already changes nothing.
pub async fn write(client: &Client, namespace: &str, text: &str) -> Result<(), ApiError> {
    let body = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": NAME,
            "namespace": namespace,
            "annotations": {"loods.io/about": "The configuration Loods accepted last. Written by its leader; edits are undone."},
        },
        "data": {KEY: text},
    });
    let request = Request::patch(format!(
        "{}?fieldManager={FIELD_MANAGER}&force=true",
        path(namespace)
    ))
    .header(CONTENT_TYPE, "application/apply-patch+yaml")
    .body(body.to_string().into_bytes())
    .map_err(malformed)?;
    client.call(request, LIMIT).await.map(drop)
}

fn path(namespace: &str) -> String {
    format!("/api/v1/namespaces/{namespace}/configmaps/{NAME}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::k8s::fake::{Reply, server};

    #[tokio::test]
    async fn a_copy_is_read_back_or_found_missing() {
        let map = r#"{"metadata":{"uid":"u","resourceVersion":"3"},"data":{"config":"peers: []"}}"#;
        let (client, _) = server(vec![
            Reply::ok(map),
            Reply::refused(404),
            Reply::refused(403),
            Reply::ok("[]"),
        ]);
        let copy = read(&client, "ns").await.unwrap().unwrap();
        assert_eq!(copy.text.as_deref(), Some("peers: []"));
        assert_eq!(read(&client, "ns").await, Ok(None));
        assert_eq!(read(&client, "ns").await.unwrap_err().code(), Some(403));
        assert_eq!(read(&client, "ns").await.unwrap_err().kind(), "unreadable");
    }

    #[tokio::test]
    async fn a_copy_is_applied_and_its_error_does_not_quote_it() {
        let (client, asked) = server(vec![Reply::ok("{}"), Reply::refused(403)]);
        write(&client, "ns", "password: hush").await.unwrap();
        let error = write(&client, "ns", "password: hush").await.unwrap_err();
        assert!(!error.to_string().contains("hush"));
        let (asked, body) = asked.all().remove(0);
        assert_eq!(
            asked,
            "PATCH /api/v1/namespaces/ns/configmaps/loods-last-good?fieldManager=loods&force=true"
        );
        assert!(
            body.contains(r#""data":{"config":"password: hush"}"#),
            "{body}"
        );
    }
}
