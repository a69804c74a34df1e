//! PersistentVolumeClaims (core/v1) to [`ClaimFact`].

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::{Subject, Text, boxed, missing, text};

/// All PersistentVolumeClaims, as a provisioner of this name sees them.
#[derive(Clone, Debug)]
pub struct Claims {
    /// What the annotations say of a claim that is told who serves it.
    pub driver: &'static str,
    /// The finalizer that holds a claim while its volume is made.
    pub mark: &'static str,
}

/// Annotation: the group that a claim's volume is made with. Comes and goes with the mark.
pub const GID: &str = "gluster.loods.io/gid";

/// Namespace and name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClaimKey {
    /// `metadata.namespace`.
    pub namespace: Box<str>,
    /// `metadata.name`.
    pub name: Box<str>,
}

impl std::fmt::Display for ClaimKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// What a claim's volume shall begin with: a TypedObjectReference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataSource {
    /// `apiGroup`; "" for the core group.
    pub group: Box<str>,
    /// `kind`.
    pub kind: Box<str>,
    /// `namespace`, where it is another than the claim's own.
    pub namespace: Option<Box<str>>,
    /// `name`.
    pub name: Box<str>,
}

impl std::fmt::Display for DataSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ", self.kind)?;
        if let Some(namespace) = &self.namespace {
            write!(f, "{namespace}/")?;
        }
        f.write_str(&self.name)
    }
}

/// What a provisioner needs of a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimFact {
    /// Namespace and name.
    pub key: ClaimKey,
    /// `metadata.uid`.
    pub uid: Box<str>,
    /// `metadata.resourceVersion`.
    pub resource_version: Box<str>,
    /// `metadata.deletionTimestamp` is set.
    pub deleting: bool,
    /// Our finalizer is there.
    pub marked: bool,
    /// The group that was chosen when it was marked.
    pub gid: Option<u32>,
    /// Both annotations name our driver.
    pub told: bool,
    /// The class: of the beta annotation, else of the spec. "" counts as one.
    pub class: Option<Box<str>>,
    /// `spec.accessModes`.
    pub access_modes: Vec<Box<str>>,
    /// `spec.resources.requests.storage`, as written; "" where absent.
    pub request: Box<str>,
    /// `spec.volumeMode` is Block.
    pub block: bool,
    /// `spec.selector` is set.
    pub selector: bool,
    /// `spec.dataSourceRef` or `spec.dataSource`.
    pub source: Option<DataSource>,
    /// `spec.volumeName`; "" while unbound.
    pub volume: Box<str>,
    /// The scheduler has chosen a node.
    pub node_chosen: bool,
    /// `status.phase` is Bound.
    pub bound: bool,
    /// `status.capacity.storage`, as written; "" where absent.
    pub capacity: Box<str>,
    /// `status.allocatedResources.storage`, as written; "" where absent.
    pub allocated: Box<str>,
    /// `status.allocatedResourceStatuses.storage`; "" where absent.
    pub resize: Box<str>,
}

impl Subject for Claims {
    type Fact = ClaimFact;
    type Key = ClaimKey;
    const PLURAL: &'static str = "persistentvolumeclaims";

    fn path(&self) -> String {
        "/api/v1/persistentvolumeclaims".into()
    }

    fn field_selector(&self) -> Option<String> {
        None
    }

    fn page(&self) -> u32 {
        500
    }

    fn fact(&self, json: &str) -> serde_json::Result<Option<ClaimFact>> {
        self.read(serde_json::from_str(json)?).map(Some)
    }

    fn key(namespace: &str, name: &str) -> ClaimKey {
        ClaimKey {
            namespace: namespace.into(),
            name: name.into(),
        }
    }
}

#[derive(Deserialize)]
struct Claim<'a> {
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
    namespace: Option<Text<'a>>,
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
    #[serde(borrow, rename = "volume.beta.kubernetes.io/storage-class")]
    class: Option<Text<'a>>,
    #[serde(borrow, rename = "volume.kubernetes.io/storage-provisioner")]
    provisioner: Option<Text<'a>>,
    #[serde(borrow, rename = "volume.beta.kubernetes.io/storage-provisioner")]
    beta_provisioner: Option<Text<'a>>,
    #[serde(borrow, rename = "volume.kubernetes.io/selected-node")]
    node: Option<Text<'a>>,
    // As `GID`.
    #[serde(borrow, rename = "gluster.loods.io/gid")]
    gid: Option<Text<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct Spec<'a> {
    #[serde(borrow)]
    storage_class_name: Option<Text<'a>>,
    #[serde(borrow)]
    access_modes: Option<Vec<Text<'a>>>,
    #[serde(borrow)]
    resources: Option<Resources<'a>>,
    #[serde(borrow)]
    volume_mode: Option<Text<'a>>,
    selector: Option<IgnoredAny>,
    #[serde(borrow)]
    data_source: Option<Source<'a>>,
    #[serde(borrow)]
    data_source_ref: Option<Source<'a>>,
    #[serde(borrow)]
    volume_name: Option<Text<'a>>,
}

#[derive(Deserialize, Default)]
struct Resources<'a> {
    #[serde(borrow)]
    requests: Option<Storage<'a>>,
}

/// Of a map by resource the one entry that claims have.
#[derive(Deserialize, Default)]
pub(super) struct Storage<'a> {
    #[serde(borrow)]
    pub(super) storage: Option<Text<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Source<'a> {
    #[serde(borrow)]
    api_group: Option<Text<'a>>,
    #[serde(borrow)]
    namespace: Option<Text<'a>>,
    #[serde(borrow)]
    kind: Option<Text<'a>>,
    #[serde(borrow)]
    name: Option<Text<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct Status<'a> {
    #[serde(borrow)]
    phase: Option<Text<'a>>,
    #[serde(borrow)]
    capacity: Option<Storage<'a>>,
    #[serde(borrow)]
    allocated_resources: Option<Storage<'a>>,
    #[serde(borrow)]
    allocated_resource_statuses: Option<Storage<'a>>,
}

/// The storage of such a map, "" where there is none.
fn storage(map: Option<Storage<'_>>) -> Box<str> {
    boxed(map.and_then(|map| map.storage)).unwrap_or_default()
}

impl Claims {
    fn read(&self, claim: Claim<'_>) -> serde_json::Result<ClaimFact> {
        let meta = claim.metadata;
        let annotations = meta.annotations.unwrap_or_default();
        let spec = claim.spec.unwrap_or_default();
        let status = claim.status.unwrap_or_default();
        let finalizers = meta.finalizers.unwrap_or_default();
        let source = spec.data_source_ref.or(spec.data_source);
        Ok(ClaimFact {
            key: Self::key(
                text(&meta.namespace),
                &meta.name.ok_or_else(|| missing("metadata.name"))?.0,
            ),
            uid: meta.uid.ok_or_else(|| missing("metadata.uid"))?.boxed(),
            resource_version: boxed(meta.resource_version).unwrap_or_default(),
            deleting: meta.deletion_timestamp.is_some(),
            marked: finalizers.iter().any(|name| name.0 == self.mark),
            gid: text(&annotations.gid).parse().ok(),
            told: text(&annotations.provisioner) == self.driver
                && text(&annotations.beta_provisioner) == self.driver,
            class: boxed(annotations.class.or(spec.storage_class_name)),
            access_modes: spec
                .access_modes
                .unwrap_or_default()
                .iter()
                .map(Text::boxed)
                .collect(),
            request: storage(spec.resources.and_then(|resources| resources.requests)),
            block: text(&spec.volume_mode) == "Block",
            selector: spec.selector.is_some(),
            source: source.map(|source| DataSource {
                group: boxed(source.api_group).unwrap_or_default(),
                kind: boxed(source.kind).unwrap_or_default(),
                namespace: boxed(source.namespace)
                    .filter(|of| !of.is_empty() && **of != *text(&meta.namespace)),
                name: boxed(source.name).unwrap_or_default(),
            }),
            volume: boxed(spec.volume_name).unwrap_or_default(),
            node_chosen: !text(&annotations.node).is_empty(),
            bound: text(&status.phase) == "Bound",
            capacity: storage(status.capacity),
            allocated: storage(status.allocated_resources),
            resize: storage(status.allocated_resource_statuses),
        })
    }
}
