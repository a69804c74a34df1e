//! The ConfigMap that holds the configuration text.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;

use super::{Subject, Text, text};

/// One ConfigMap, by namespace and name.
#[derive(Clone, Debug)]
pub struct ConfigMaps {
    /// `metadata.namespace`.
    pub namespace: Box<str>,
    /// `metadata.name`.
    pub name: Box<str>,
    /// The key in `data` under which the text stands.
    pub key: Box<str>,
}

/// The configuration text as it stands in the cluster.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ConfigFact {
    /// `metadata.uid`: an Event about the ConfigMap needs it.
    pub uid: Box<str>,
    /// `metadata.resourceVersion`.
    pub resource_version: Box<str>,
    /// The text; `None`: the ConfigMap has no such key.
    pub text: Option<Box<str>>,
}

/// The text holds passwords: only its length shows.
impl fmt::Debug for ConfigFact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConfigFact")
            .field("uid", &self.uid)
            .field("resource_version", &self.resource_version)
            .field(
                "text",
                &self
                    .text
                    .as_ref()
                    .map(|text| format!("{} bytes", text.len())),
            )
            .finish()
    }
}

impl Subject for ConfigMaps {
    type Fact = ConfigFact;
    type Key = ();
    const PLURAL: &'static str = "configmaps";

    fn path(&self) -> String {
        format!("/api/v1/namespaces/{}/configmaps", self.namespace)
    }

    fn field_selector(&self) -> Option<String> {
        Some(format!("metadata.name={}", self.name))
    }

    fn probe_selector(&self) -> Option<String> {
        self.field_selector()
    }

    fn page(&self) -> u32 {
        1
    }

    fn fact(&self, json: &str) -> serde_json::Result<Option<ConfigFact>> {
        self.read(json).map(Some)
    }

    fn key(_: &str, _: &str) {}
}

impl ConfigMaps {
    /// Decodes a ConfigMap.
    pub(in crate::k8s) fn read(&self, json: &str) -> serde_json::Result<ConfigFact> {
        let map: ConfigMap<'_> = serde_json::from_str(json)?;
        let mut data = map.data.unwrap_or_default();
        Ok(ConfigFact {
            uid: text(&map.metadata.uid).into(),
            resource_version: text(&map.metadata.resource_version).into(),
            text: data.remove(&*self.key).flatten(),
        })
    }
}

#[derive(Deserialize)]
struct ConfigMap<'a> {
    #[serde(borrow)]
    metadata: Meta<'a>,
    data: Option<BTreeMap<Box<str>, Option<Box<str>>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Meta<'a> {
    #[serde(borrow)]
    uid: Option<Text<'a>>,
    #[serde(borrow)]
    resource_version: Option<Text<'a>>,
}
