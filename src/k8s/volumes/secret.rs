//! One Secret, asked for by name. Never listed and never watched: our account
//! need see no other.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use hyper::Request;
use k8s_openapi::ByteString;
use serde::Deserialize;

use crate::k8s::client::{ApiError, Client, malformed};

/// A Secret. Its values are never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretFact {
    /// `type`.
    pub kind: Box<str>,
    /// `data`, decoded, in the order of the keys.
    pub entries: BTreeMap<Box<str>, Vec<u8>>,
}

impl fmt::Debug for SecretFact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretFact")
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct Secret {
    #[serde(rename = "type")]
    kind: Option<Box<str>>,
    data: Option<BTreeMap<Box<str>, ByteString>>,
}

pub(super) async fn read(
    client: &Client,
    namespace: &str,
    name: &str,
    limit: Duration,
) -> Result<SecretFact, ApiError> {
    let request = Request::get(format!("/api/v1/namespaces/{namespace}/secrets/{name}"))
        .body(Vec::new())
        .map_err(malformed)?;
    let secret: Secret = client.decode(request, limit).await?;
    let entries = secret.data.unwrap_or_default().into_iter();
    Ok(SecretFact {
        kind: secret.kind.unwrap_or_default(),
        entries: entries.map(|(key, value)| (key, value.0)).collect(),
    })
}
