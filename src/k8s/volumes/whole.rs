//! PVs as whole objects, for a migration: what is taken away has to be kept, and
//! what is made in its place has to be like it in every field that we do not know.

use std::time::Duration;

use hyper::Request;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Calls, LIMIT, STRATEGIC, sent};
use crate::k8s::FIELD_MANAGER;
use crate::k8s::client::{ApiError, malformed};
use crate::k8s::list::Page;

const PATH: &str = "/api/v1/persistentvolumes";
/// One page of pods may take this long.
const PAGE: Duration = Duration::from_secs(30);

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct List {
    metadata: Meta,
    items: Option<Vec<Value>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Meta {
    #[serde(rename = "continue")]
    next: String,
}

impl Calls {
    /// All PVs that are to be kept of all.
    ///
    /// # Errors
    /// As [`ApiError`].
    pub async fn volumes_where(
        &self,
        keep: impl Fn(&Value) -> bool,
    ) -> Result<Vec<Value>, ApiError> {
        let mut found = Vec::new();
        let mut token = String::new();
        loop {
            let page = Page::fetch(&self.client, &self.volumes, &token).await?;
            let parts = page.parts()?;
            for item in parts.items.unwrap_or_default() {
                if let Ok(volume) = serde_json::from_str::<Value>(item.get())
                    && keep(&volume)
                {
                    found.push(volume);
                }
            }
            if parts.metadata.next.is_empty() {
                return Ok(found);
            }
            token = parts.metadata.next;
        }
    }

    /// A PV, all of it.
    ///
    /// # Errors
    /// As [`ApiError`].
    pub async fn whole_volume(&self, name: &str) -> Result<Option<Value>, ApiError> {
        self.whole(format!("{PATH}/{name}")).await
    }

    /// Makes a PV; with `try_only` the server only says whether it would.
    ///
    /// # Errors
    /// As [`ApiError`]; code 409 where the name is taken.
    pub async fn create_whole_volume(
        &self,
        volume: &Value,
        try_only: bool,
    ) -> Result<(), ApiError> {
        let dry = if try_only { "&dryRun=All" } else { "" };
        let path = format!("{PATH}?fieldManager={FIELD_MANAGER}{dry}");
        let request = sent(Request::post(path), "application/json", volume)?;
        self.client.call(request, LIMIT).await.map(drop)
    }

    /// Merges a change into a PV, this one and no other of its name.
    ///
    /// # Errors
    /// As [`ApiError`].
    pub async fn patch_whole_volume(
        &self,
        name: &str,
        uid: &str,
        mut change: Value,
    ) -> Result<(), ApiError> {
        change["metadata"]["uid"] = uid.into();
        let path = format!("{PATH}/{name}?fieldManager={FIELD_MANAGER}");
        let kind = match change["metadata"].get("finalizers") {
            // A strategic merge would leave the others there.
            Some(_) => "application/merge-patch+json",
            None => STRATEGIC,
        };
        let request = sent(Request::patch(path), kind, &change)?;
        self.client.call(request, LIMIT).await.map(drop)
    }

    /// Deletes a PV, this one and no other of its name.
    ///
    /// # Errors
    /// As [`ApiError`].
    pub async fn delete_whole_volume(&self, name: &str, uid: &str) -> Result<(), ApiError> {
        let body = json!({
            "apiVersion": "v1", "kind": "DeleteOptions",
            "preconditions": {"uid": uid},
        });
        let request = sent(
            Request::delete(format!("{PATH}/{name}")),
            "application/json",
            &body,
        )?;
        self.client.call(request, LIMIT).await.map(drop)
    }

    /// The addresses in an Endpoints object; empty where there is none.
    ///
    /// # Errors
    /// As [`ApiError`].
    pub async fn endpoints(&self, namespace: &str, name: &str) -> Result<Vec<Box<str>>, ApiError> {
        let path = format!("/api/v1/namespaces/{namespace}/endpoints/{name}");
        let endpoints = self.whole(path).await?.unwrap_or_default();
        let subsets = endpoints["subsets"].as_array().into_iter().flatten();
        let mut hosts: Vec<Box<str>> = subsets
            .flat_map(|subset| subset["addresses"].as_array().into_iter().flatten())
            .filter_map(|address| address["ip"].as_str().map(Into::into))
            .collect();
        hosts.sort_unstable();
        hosts.dedup();
        Ok(hosts)
    }

    /// Names of the running pods that use a claim.
    ///
    /// # Errors
    /// As [`ApiError`].
    pub async fn pods_of(&self, namespace: &str, claim: &str) -> Result<Vec<Box<str>>, ApiError> {
        let mut found = Vec::new();
        let mut token = String::new();
        loop {
            // A continuation is base64 for URLs.
            let path = format!("/api/v1/namespaces/{namespace}/pods?limit=200&continue={token}");
            let request = Request::get(path).body(Vec::new()).map_err(malformed)?;
            let list: List = self.client.decode(request, PAGE).await?;
            for pod in list.items.unwrap_or_default() {
                let mut volumes = pod["spec"]["volumes"].as_array().into_iter().flatten();
                let uses =
                    volumes.any(|volume| volume["persistentVolumeClaim"]["claimName"] == claim);
                if uses && pod["status"]["phase"] == "Running" {
                    found.extend(pod["metadata"]["name"].as_str().map(Into::into));
                }
            }
            if list.metadata.next.is_empty() {
                return Ok(found);
            }
            token = list.metadata.next;
        }
    }

    async fn whole(&self, path: String) -> Result<Option<Value>, ApiError> {
        let request = Request::get(path).body(Vec::new()).map_err(malformed)?;
        match self.client.decode(request, LIMIT).await {
            Ok(object) => Ok(Some(object)),
            Err(error) if error.code() == Some(404) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
