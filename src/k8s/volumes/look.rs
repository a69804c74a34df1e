//! Reads for a person who asks why: one claim, one class, what was told of it.

use hyper::Request;
use serde::Deserialize;

use super::{Calls, LIMIT};
use crate::k8s::client::{ApiError, asked, malformed, unreadable};
use crate::k8s::list::Page;
use crate::k8s::objects::{ClaimFact, ClaimKey, ClaimRef, ClassFact, Classes, Subject};

/// Events that are read of one claim.
const EVENTS: usize = 100;

/// What stands under the name of a class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClassStanding {
    /// Nothing.
    Absent,
    /// A class of another provisioner.
    Foreign,
    /// One that is served.
    Served(Box<ClassFact>),
}

/// An Event, as it was told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Its type is Warning.
    pub warning: bool,
    /// `reason`.
    pub reason: Box<str>,
    /// `message`.
    pub message: Box<str>,
    /// Who told it: `reportingComponent`, or `source.component`.
    pub by: Box<str>,
    /// When, last; RFC 3339.
    pub last: Box<str>,
    /// How often.
    pub count: u32,
}

#[derive(Deserialize)]
struct EventList {
    #[serde(default)]
    items: Option<Vec<Entry>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Entry {
    #[serde(rename = "type")]
    kind: Option<Box<str>>,
    reason: Option<Box<str>>,
    message: Option<Box<str>>,
    reporting_component: Option<Box<str>>,
    source: Option<Source>,
    event_time: Option<Box<str>>,
    last_timestamp: Option<Box<str>>,
    count: Option<u32>,
    series: Option<Series>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Source {
    component: Option<Box<str>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Series {
    count: Option<u32>,
    last_observed_time: Option<Box<str>>,
}

impl From<Entry> for Told {
    fn from(entry: Entry) -> Self {
        let series = entry.series.unwrap_or_default();
        Self {
            warning: entry.kind.as_deref() == Some("Warning"),
            reason: entry.reason.unwrap_or_default(),
            message: entry.message.unwrap_or_default(),
            by: entry
                .reporting_component
                .filter(|name| !name.is_empty())
                .or_else(|| entry.source.and_then(|source| source.component))
                .unwrap_or_default(),
            last: series
                .last_observed_time
                .or(entry.last_timestamp)
                .or(entry.event_time)
                .unwrap_or_default(),
            count: series.count.or(entry.count).unwrap_or(1).max(1),
        }
    }
}

impl Calls {
    /// One claim, if it is there.
    ///
    /// # Errors
    /// As [`ApiError`].
    pub async fn claim(&self, key: &ClaimKey) -> Result<Option<ClaimFact>, ApiError> {
        let path = format!(
            "/api/v1/namespaces/{}/persistentvolumeclaims/{}",
            key.namespace, key.name
        );
        let request = Request::get(path).body(Vec::new()).map_err(malformed)?;
        match self.read(&self.claims, request).await {
            Err(error) if error.code() == Some(404) => Ok(None),
            other => other,
        }
    }

    /// All claims that have no volume yet.
    ///
    /// # Errors
    /// As [`ApiError`].
    pub async fn pending_claims(&self) -> Result<Vec<ClaimFact>, ApiError> {
        let mut found = Vec::new();
        let mut token = String::new();
        loop {
            let page = Page::fetch(&self.client, &self.claims, &token).await?;
            let parts = page.parts()?;
            for item in parts.items.unwrap_or_default() {
                // One that does not decode is somebody else's trouble here.
                if let Ok(Some(claim)) = self.claims.fact(item.get())
                    && !claim.bound
                {
                    found.push(claim);
                }
            }
            if parts.metadata.next.is_empty() {
                return Ok(found);
            }
            token = parts.metadata.next;
        }
    }

    /// One class.
    ///
    /// # Errors
    /// As [`ApiError`].
    pub async fn class(&self, name: &str, classes: &Classes) -> Result<ClassStanding, ApiError> {
        let path = format!("/apis/storage.k8s.io/v1/storageclasses/{name}");
        let request = Request::get(path).body(Vec::new()).map_err(malformed)?;
        match self.read(classes, request).await {
            Ok(Some(class)) => Ok(ClassStanding::Served(Box::new(class))),
            Ok(None) => Ok(ClassStanding::Foreign),
            Err(error) if error.code() == Some(404) => Ok(ClassStanding::Absent),
            Err(error) => Err(error),
        }
    }

    /// What was told of a claim, as far as the API server still has it.
    ///
    /// # Errors
    /// As [`ApiError`].
    pub async fn told(&self, claim: &ClaimRef) -> Result<Vec<Told>, ApiError> {
        let path = format!(
            "/api/v1/namespaces/{}/events?fieldSelector=involvedObject.uid%3D{}&limit={EVENTS}",
            claim.key.namespace, claim.uid
        );
        let request = Request::get(path).body(Vec::new()).map_err(malformed)?;
        let asked = asked(&request);
        let body = self.client.call(request, LIMIT).await?;
        let list: EventList =
            serde_json::from_slice(&body).map_err(|cause| unreadable(&asked, &cause))?;
        let mut told: Vec<Told> = list
            .items
            .unwrap_or_default()
            .into_iter()
            .map(Told::from)
            .collect();
        told.truncate(EVENTS);
        told.sort_by(|a, b| a.last.cmp(&b.last));
        Ok(told)
    }
}
