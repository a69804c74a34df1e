//! One VolumeSnapshot (snapshot.storage.k8s.io/v1) and what it is bound to,
//! asked for by name.

use hyper::Request;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::{Calls, LIMIT};
use crate::k8s::client::{ApiError, malformed};
use crate::k8s::objects::ClaimKey;

const GROUP: &str = "/apis/snapshot.storage.k8s.io/v1";

/// What a VolumeSnapshot stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SnapshotFact {
    /// Nothing yet: it is not bound, or not ready.
    Unready {
        /// `status.error.message`; "" where there is none.
        error: Box<str>,
    },
    /// It names a content that does not name it: anybody may write such a name.
    Foreign {
        /// The VolumeSnapshotContent.
        content: Box<str>,
    },
    /// A snapshot of a driver's.
    Of {
        /// `spec.driver` of the content.
        driver: Box<str>,
        /// `status.snapshotHandle` of the content.
        handle: Box<str>,
    },
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Snapshot {
    metadata: Meta,
    status: Option<Status>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Meta {
    uid: Box<str>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    bound_volume_snapshot_content_name: Option<Box<str>>,
    ready_to_use: Option<bool>,
    error: Option<Trouble>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Trouble {
    message: Option<Box<str>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Content {
    spec: ContentSpec,
    status: Option<ContentStatus>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct ContentSpec {
    driver: Box<str>,
    volume_snapshot_ref: Reference,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Reference {
    uid: Box<str>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct ContentStatus {
    snapshot_handle: Option<Box<str>>,
}

impl Calls {
    /// What this VolumeSnapshot stands for.
    pub async fn snapshot(&self, key: &ClaimKey) -> Result<SnapshotFact, ApiError> {
        let path = format!(
            "{GROUP}/namespaces/{}/volumesnapshots/{}",
            key.namespace, key.name
        );
        let snapshot: Snapshot = self.object(path).await?;
        let status = snapshot.status.unwrap_or_default();
        let error = status.error.and_then(|error| error.message);
        let unready = SnapshotFact::Unready {
            error: error.unwrap_or_default(),
        };
        let name = status.bound_volume_snapshot_content_name;
        let Some(name) = name.filter(|_| status.ready_to_use == Some(true)) else {
            return Ok(unready);
        };
        if !is_name(&name) {
            return Ok(SnapshotFact::Foreign { content: name });
        }
        let path = format!("{GROUP}/volumesnapshotcontents/{name}");
        let content: Content = self.object(path).await?;
        let of = content.spec.volume_snapshot_ref.uid;
        if of.is_empty() || of != snapshot.metadata.uid {
            return Ok(SnapshotFact::Foreign { content: name });
        }
        let handle = content.status.unwrap_or_default().snapshot_handle;
        Ok(match handle.filter(|handle| !handle.is_empty()) {
            Some(handle) => SnapshotFact::Of {
                driver: content.spec.driver,
                handle,
            },
            None => unready,
        })
    }

    async fn object<T: DeserializeOwned>(&self, path: String) -> Result<T, ApiError> {
        let request = Request::get(path).body(Vec::new()).map_err(malformed)?;
        self.client.decode(request, LIMIT).await
    }
}

/// What may stand in a path: a DNS subdomain.
fn is_name(name: &str) -> bool {
    (1..=253).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte))
}
