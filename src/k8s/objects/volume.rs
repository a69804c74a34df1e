//! PersistentVolumes (core/v1) to [`VolumeFact`].

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::claim::{ClaimKey, Storage};
use super::{Subject, Text, boxed, missing, text};

/// The annotation of a PV that tells how its volume fares; absent: well.
pub const HEALTH: &str = "gluster.loods.io/health";

/// The PersistentVolumes of one CSI driver, and those of the removed
/// GlusterFS plugin: their groups are taken.
#[derive(Clone, Debug)]
pub struct Volumes {
    /// `spec.csi.driver`.
    pub driver: &'static str,
    /// The finalizer that holds a PV until its volume is gone.
    pub finalizer: &'static str,
}

/// What a provisioner needs of a PV.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeFact {
    /// `metadata.name`.
    pub name: Box<str>,
    /// `metadata.uid`.
    pub uid: Box<str>,
    /// `metadata.resourceVersion`.
    pub resource_version: Box<str>,
    /// `metadata.deletionTimestamp` is set.
    pub deleting: bool,
    /// Our finalizer is there.
    pub held: bool,
    /// `spec.storageClassName`.
    pub class: Box<str>,
    /// Annotation `pv.beta.kubernetes.io/gid`.
    pub gid: Option<u32>,
    /// Annotation `pv.kubernetes.io/provisioned-by`.
    pub provisioned_by: Box<str>,
    /// `spec.persistentVolumeReclaimPolicy`.
    pub reclaim_policy: Box<str>,
    /// `status.phase`.
    pub phase: Box<str>,
    /// `spec.capacity.storage`, as written.
    pub capacity: Box<str>,
    /// Annotation [`HEALTH`]: how its volume fares, as told last.
    pub health: Box<str>,
    /// `spec.claimRef`.
    pub claim: Option<ClaimRef>,
    /// `spec.csi`; `None`: a PV of the removed plugin.
    pub csi: Option<CsiFact>,
}

/// A claim, and which one of that name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimRef {
    /// Namespace and name.
    pub key: ClaimKey,
    /// Its uid; "" where a person bound them by hand.
    pub uid: Box<str>,
}

/// `spec.csi`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CsiFact {
    /// `volumeHandle`.
    pub handle: Box<str>,
    /// `volumeAttributes`.
    pub attributes: BTreeMap<Box<str>, Box<str>>,
}

impl Subject for Volumes {
    type Fact = VolumeFact;
    type Key = Box<str>;
    const PLURAL: &'static str = "persistentvolumes";

    fn path(&self) -> String {
        "/api/v1/persistentvolumes".into()
    }

    fn field_selector(&self) -> Option<String> {
        None
    }

    fn page(&self) -> u32 {
        500
    }

    fn fact(&self, json: &str) -> serde_json::Result<Option<VolumeFact>> {
        self.read(serde_json::from_str(json)?)
    }

    fn key(_: &str, name: &str) -> Box<str> {
        name.into()
    }
}

#[derive(Deserialize)]
struct Volume<'a> {
    #[serde(borrow)]
    metadata: Meta<'a>,
    #[serde(borrow)]
    spec: Option<Spec<'a>>,
    #[serde(borrow)]
    status: Option<Status<'a>>,
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
    deletion_timestamp: Option<IgnoredAny>,
    #[serde(borrow)]
    finalizers: Option<Vec<Text<'a>>>,
    #[serde(borrow)]
    annotations: Option<Annotations<'a>>,
}

#[derive(Deserialize, Default)]
struct Annotations<'a> {
    #[serde(borrow, rename = "pv.beta.kubernetes.io/gid")]
    gid: Option<Text<'a>>,
    #[serde(borrow, rename = "pv.kubernetes.io/provisioned-by")]
    provisioned_by: Option<Text<'a>>,
    #[serde(borrow, rename = "volume.beta.kubernetes.io/storage-class")]
    class: Option<Text<'a>>,
    #[serde(borrow, rename = "gluster.loods.io/health")]
    health: Option<Text<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct Spec<'a> {
    #[serde(borrow)]
    storage_class_name: Option<Text<'a>>,
    #[serde(borrow)]
    persistent_volume_reclaim_policy: Option<Text<'a>>,
    #[serde(borrow)]
    capacity: Option<Storage<'a>>,
    #[serde(borrow)]
    claim_ref: Option<Reference<'a>>,
    #[serde(borrow)]
    csi: Option<Csi<'a>>,
    glusterfs: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Reference<'a> {
    #[serde(borrow)]
    namespace: Option<Text<'a>>,
    #[serde(borrow)]
    name: Option<Text<'a>>,
    #[serde(borrow)]
    uid: Option<Text<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Csi<'a> {
    #[serde(borrow)]
    driver: Option<Text<'a>>,
    #[serde(borrow)]
    volume_handle: Option<Text<'a>>,
    volume_attributes: Option<BTreeMap<Box<str>, Box<str>>>,
}

#[derive(Deserialize, Default)]
struct Status<'a> {
    #[serde(borrow)]
    phase: Option<Text<'a>>,
}

impl Volumes {
    fn read(&self, volume: Volume<'_>) -> serde_json::Result<Option<VolumeFact>> {
        let meta = volume.metadata;
        let annotations = meta.annotations.unwrap_or_default();
        let spec = volume.spec.unwrap_or_default();
        let csi = spec.csi.filter(|csi| text(&csi.driver) == self.driver);
        if csi.is_none() && spec.glusterfs.is_none() {
            return Ok(None);
        }
        let finalizers = meta.finalizers.unwrap_or_default();
        Ok(Some(VolumeFact {
            name: meta.name.ok_or_else(|| missing("metadata.name"))?.boxed(),
            uid: boxed(meta.uid).unwrap_or_default(),
            resource_version: boxed(meta.resource_version).unwrap_or_default(),
            deleting: meta.deletion_timestamp.is_some(),
            held: finalizers.iter().any(|name| name.0 == self.finalizer),
            class: boxed(annotations.class.or(spec.storage_class_name)).unwrap_or_default(),
            gid: text(&annotations.gid).parse().ok(),
            provisioned_by: boxed(annotations.provisioned_by).unwrap_or_default(),
            reclaim_policy: boxed(spec.persistent_volume_reclaim_policy).unwrap_or_default(),
            phase: boxed(volume.status.unwrap_or_default().phase).unwrap_or_default(),
            capacity: boxed(spec.capacity.and_then(|map| map.storage)).unwrap_or_default(),
            health: boxed(annotations.health).unwrap_or_default(),
            claim: spec.claim_ref.map(|claim| ClaimRef {
                key: ClaimKey {
                    namespace: text(&claim.namespace).into(),
                    name: text(&claim.name).into(),
                },
                uid: text(&claim.uid).into(),
            }),
            csi: csi.map(|csi| CsiFact {
                handle: text(&csi.volume_handle).into(),
                attributes: csi.volume_attributes.unwrap_or_default(),
            }),
        }))
    }
}
