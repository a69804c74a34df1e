//! StorageClasses (storage.k8s.io/v1) to [`ClassFact`].

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Subject, Text, boxed, missing, text};

/// The StorageClasses of these provisioners.
#[derive(Clone, Debug)]
pub struct Classes {
    /// The names served.
    pub provisioners: Vec<Box<str>>,
}

/// What a provisioner needs of a class.
#[derive(Clone, PartialEq, Eq)]
pub struct ClassFact {
    /// `metadata.name`.
    pub name: Box<str>,
    /// `metadata.uid`: tells a class that was made anew.
    pub uid: Box<str>,
    /// `metadata.resourceVersion`.
    pub resource_version: Box<str>,
    /// `provisioner`.
    pub provisioner: Box<str>,
    /// `parameters`. One of them may be a key: never shown.
    pub parameters: BTreeMap<Box<str>, Box<str>>,
    /// `reclaimPolicy`; "Delete" where absent.
    pub reclaim_policy: Box<str>,
    /// `mountOptions`.
    pub mount_options: Vec<Box<str>>,
    /// `volumeBindingMode` is WaitForFirstConsumer.
    pub waits_for_consumer: bool,
}

impl std::fmt::Debug for ClassFact {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClassFact")
            .field("name", &self.name)
            .field("resource_version", &self.resource_version)
            .finish_non_exhaustive()
    }
}

impl Subject for Classes {
    type Fact = ClassFact;
    type Key = Box<str>;
    const PLURAL: &'static str = "storageclasses";

    fn path(&self) -> String {
        "/apis/storage.k8s.io/v1/storageclasses".into()
    }

    fn field_selector(&self) -> Option<String> {
        None
    }

    fn page(&self) -> u32 {
        500
    }

    fn fact(&self, json: &str) -> serde_json::Result<Option<ClassFact>> {
        let class: StorageClass<'_> = serde_json::from_str(json)?;
        let provisioner = text(&class.provisioner);
        if !self.provisioners.iter().any(|name| **name == *provisioner) {
            return Ok(None);
        }
        let policy = text(&class.reclaim_policy);
        Ok(Some(ClassFact {
            name: class
                .metadata
                .name
                .ok_or_else(|| missing("metadata.name"))?
                .boxed(),
            uid: boxed(class.metadata.uid).unwrap_or_default(),
            resource_version: boxed(class.metadata.resource_version).unwrap_or_default(),
            provisioner: provisioner.into(),
            parameters: class.parameters.unwrap_or_default(),
            reclaim_policy: if policy.is_empty() { "Delete" } else { policy }.into(),
            mount_options: class.mount_options.unwrap_or_default(),
            waits_for_consumer: text(&class.volume_binding_mode) == "WaitForFirstConsumer",
        }))
    }

    fn key(_: &str, name: &str) -> Box<str> {
        name.into()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StorageClass<'a> {
    #[serde(borrow)]
    metadata: Meta<'a>,
    #[serde(borrow)]
    provisioner: Option<Text<'a>>,
    parameters: Option<BTreeMap<Box<str>, Box<str>>>,
    #[serde(borrow)]
    reclaim_policy: Option<Text<'a>>,
    mount_options: Option<Vec<Box<str>>>,
    #[serde(borrow)]
    volume_binding_mode: Option<Text<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Meta<'a> {
    #[serde(borrow)]
    name: Option<Text<'a>>,
    #[serde(borrow)]
    uid: Option<Text<'a>>,
    #[serde(borrow)]
    resource_version: Option<Text<'a>>,
}
