//! What a provisioner of volumes writes: PVs, and a few fields of claims.
//!
//! Each patch names the uid of the object that was decided on: an object that
//! was made anew under the same name is left alone. What the server answers is
//! the object as it is since, so nobody has to wait for a watch to know it.

mod body;
mod look;
mod secret;
mod snapshot;
#[cfg(test)]
mod tests;
mod whole;

use std::collections::BTreeMap;
use std::time::Duration;

use hyper::Request;
use hyper::http::header::CONTENT_TYPE;
use hyper::http::request::Builder;
use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};

use super::FIELD_MANAGER;
use super::client::{ApiError, Client, asked, malformed, unreadable};
use super::objects::{ClaimFact, ClaimRef, Claims, Subject, VolumeFact, Volumes};
pub use look::{ClassStanding, Told};
pub use secret::SecretFact;
pub use snapshot::SnapshotFact;

/// One read or write may take this long.
const LIMIT: Duration = Duration::from_secs(10);

/// A PV to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeWrite {
    /// `metadata.name`.
    pub name: Box<str>,
    /// `metadata.annotations`.
    pub annotations: BTreeMap<Box<str>, Box<str>>,
    /// `spec.capacity.storage`.
    pub capacity: Box<str>,
    /// `spec.accessModes`.
    pub access_modes: Vec<Box<str>>,
    /// `spec.persistentVolumeReclaimPolicy`.
    pub reclaim_policy: Box<str>,
    /// `spec.storageClassName`.
    pub class: Box<str>,
    /// `spec.mountOptions`.
    pub mount_options: Vec<Box<str>>,
    /// `spec.claimRef`.
    pub claim: ClaimRef,
    /// `spec.csi.volumeHandle`.
    pub handle: Box<str>,
    /// `spec.csi.volumeAttributes`.
    pub attributes: BTreeMap<Box<str>, Box<str>>,
}

/// A change of a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimChange<'a> {
    /// Our finalizer, the annotations that tell who serves it, and its volume's group.
    Mark(u32),
    /// Our finalizer goes, and the group.
    Unmark,
    /// Status: its volume is about to grow to this.
    Resizing(&'a str),
    /// Status: its volume cannot grow.
    Infeasible,
    /// Status: its volume has this size.
    Resized(&'a str),
    /// The annotation that spares the nodes the rest of a resize.
    NodeNotNeeded,
}

/// A change of a PV.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VolumeChange<'a> {
    /// Our finalizer.
    Hold,
    /// Our finalizer goes.
    Release,
    /// `spec.capacity.storage`.
    Capacity(&'a str),
    /// The annotation that tells how its volume fares; `None`: it goes.
    Health(Option<&'a str>),
}

/// What stands under the name of a PV.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nothing.
    Free,
    /// A PV of another driver.
    Foreign,
    /// One that we know how to read.
    Known(Box<VolumeFact>),
}

/// Reads and writes for a provisioner. Clones share the client.
#[derive(Clone)]
pub struct Calls {
    /// The API server.
    pub client: Client,
    /// How claims are read.
    pub claims: Claims,
    /// How PVs are read.
    pub volumes: Volumes,
}

impl Calls {
    /// Makes a PV. A second one of this name is a refusal with code 409.
    pub async fn create_volume(&self, write: &VolumeWrite) -> Result<VolumeFact, ApiError> {
        let body = body::volume(write, &self.volumes);
        let request = Request::post(format!(
            "/api/v1/persistentvolumes?fieldManager={FIELD_MANAGER}"
        ));
        self.volume_of(sent(request, "application/json", &body)?)
            .await
    }

    /// What stands under this name now, by a consistent read.
    pub async fn volume(&self, name: &str) -> Result<Standing, ApiError> {
        let request = Request::get(format!("/api/v1/persistentvolumes/{name}"))
            .body(Vec::new())
            .map_err(malformed)?;
        match self.read(&self.volumes, request).await {
            Ok(Some(fact)) => Ok(Standing::Known(Box::new(fact))),
            Ok(None) => Ok(Standing::Foreign),
            Err(error) if error.code() == Some(404) => Ok(Standing::Free),
            Err(error) => Err(error),
        }
    }

    /// Changes a PV.
    pub async fn patch_volume(
        &self,
        volume: &VolumeFact,
        change: VolumeChange<'_>,
    ) -> Result<VolumeFact, ApiError> {
        let body = body::volume_change(&volume.uid, change, &self.volumes);
        let path = format!(
            "/api/v1/persistentvolumes/{}?fieldManager={FIELD_MANAGER}",
            volume.name
        );
        self.volume_of(sent(Request::patch(path), STRATEGIC, &body)?)
            .await
    }

    /// Deletes a PV, this one and no other of its name.
    pub async fn delete_volume(&self, volume: &VolumeFact) -> Result<(), ApiError> {
        let body = json!({
            "apiVersion": "v1", "kind": "DeleteOptions",
            "preconditions": {"uid": &volume.uid},
        });
        let path = format!("/api/v1/persistentvolumes/{}", volume.name);
        let request = sent(Request::delete(path), "application/json", &body)?;
        self.client.call(request, LIMIT).await.map(drop)
    }

    /// Changes a claim.
    pub async fn patch_claim(
        &self,
        claim: &ClaimRef,
        change: ClaimChange<'_>,
    ) -> Result<ClaimFact, ApiError> {
        let today = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let (part, body) = body::claim_change(&claim.uid, change, &self.claims, &today);
        let path = format!(
            "/api/v1/namespaces/{}/persistentvolumeclaims/{}{part}?fieldManager={FIELD_MANAGER}",
            claim.key.namespace, claim.key.name
        );
        let request = sent(Request::patch(path), STRATEGIC, &body)?;
        let asked = asked(&request);
        let fact = self.read(&self.claims, request).await?;
        fact.ok_or_else(|| foreign(&asked))
    }

    /// One Secret, by name.
    pub async fn secret(&self, namespace: &str, name: &str) -> Result<SecretFact, ApiError> {
        secret::read(&self.client, namespace, name, LIMIT).await
    }

    async fn volume_of(&self, request: Request<Vec<u8>>) -> Result<VolumeFact, ApiError> {
        let asked = asked(&request);
        let fact = self.read(&self.volumes, request).await?;
        fact.ok_or_else(|| foreign(&asked))
    }

    async fn read<S: Subject>(
        &self,
        subject: &S,
        request: Request<Vec<u8>>,
    ) -> Result<Option<S::Fact>, ApiError> {
        let asked = asked(&request);
        let body = self.client.call(request, LIMIT).await?;
        let text = std::str::from_utf8(&body).map_err(|_| ApiError::Unreadable {
            asked: asked.clone(),
            cause: "not UTF-8".into(),
        })?;
        subject
            .fact(text)
            .map_err(|cause| unreadable(&asked, &cause))
    }
}

/// True if an error says that the object is not, or no longer, the one that
/// was decided on. A re-created one: its uid "is immutable".
pub fn is_another(error: &ApiError) -> bool {
    match error {
        ApiError::Refused { code: 409, .. } => true,
        ApiError::Refused {
            code: 422, message, ..
        } => message.contains("metadata.uid"),
        _ => false,
    }
}

const STRATEGIC: &str = "application/strategic-merge-patch+json";

fn sent(request: Builder, kind: &str, body: &Value) -> Result<Request<Vec<u8>>, ApiError> {
    request
        .header(CONTENT_TYPE, kind)
        .body(body.to_string().into_bytes())
        .map_err(malformed)
}

/// The answer to a write is not the object that was written.
fn foreign(asked: &str) -> ApiError {
    ApiError::Unreadable {
        asked: asked.into(),
        cause: "an object of another kind".into(),
    }
}
