//! The JSON bodies of Heketi's REST API, field by field.
//!
//! Sizes: of volumes in GiB, of devices and bricks in KiB. Ids are 32 lower-case
//! hexadecimal digits. Reading is tolerant (every list may be null or absent);
//! writing gives what a real Heketi 10 gave.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

/// `null` counts as the default, as Go's decoder has it.
fn or_default<'de, D, T>(from: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Option::<T>::deserialize(from).map(Option::unwrap_or_default)
}

/// POST /clusters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterCreate {
    /// May hold block volumes.
    pub block: Option<bool>,
    /// May hold file volumes.
    pub file: Option<bool>,
}

/// GET /clusters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterList {
    /// Ids, in order.
    #[serde(default, deserialize_with = "or_default")]
    pub clusters: Vec<String>,
}

/// GET /clusters/{id}.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterInfo {
    /// Its id.
    pub id: String,
    /// Ids of its nodes, in order.
    #[serde(default, deserialize_with = "or_default")]
    pub nodes: Vec<String>,
    /// Ids of its volumes, in order.
    #[serde(default, deserialize_with = "or_default")]
    pub volumes: Vec<String>,
    /// May hold block volumes.
    #[serde(default)]
    pub block: bool,
    /// May hold file volumes.
    #[serde(default)]
    pub file: bool,
    /// Ids of its block volumes: always empty with our manager.
    #[serde(default, deserialize_with = "or_default")]
    pub blockvolumes: Vec<String>,
}

/// The two kinds of names of a storage host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hostnames {
    /// Where it is managed: our agent listens there.
    #[serde(default, deserialize_with = "or_default")]
    pub manage: Vec<String>,
    /// Where bricks are served.
    #[serde(default, deserialize_with = "or_default")]
    pub storage: Vec<String>,
}

/// Keys and values that placement may look at.
pub type Tags = BTreeMap<String, String>;

/// POST /nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeAdd {
    /// Failure zone, at least 1.
    #[serde(default)]
    pub zone: i64,
    /// Its names.
    #[serde(default)]
    pub hostnames: Hostnames,
    /// Id of the cluster.
    #[serde(default)]
    pub cluster: String,
    /// Its tags.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<Tags>,
}

/// GET /nodes/{id}.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeInfo {
    /// What was asked for.
    #[serde(flatten)]
    pub add: NodeAdd,
    /// Its id.
    pub id: String,
    /// `online`, `offline` or `failed`.
    #[serde(default)]
    pub state: String,
    /// Its devices.
    #[serde(default, deserialize_with = "or_default")]
    pub devices: Vec<DeviceInfo>,
}

/// POST /devices.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceAdd {
    /// A block device, or with our manager a directory.
    #[serde(default)]
    pub name: String,
    /// Id of the node.
    #[serde(default)]
    pub node: String,
    /// Take it although there is something on it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub destroydata: bool,
    /// Its tags.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<Tags>,
}

/// Space of a device, in KiB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StorageSize {
    /// All of it.
    #[serde(default)]
    pub total: u64,
    /// What may still be given out.
    #[serde(default)]
    pub free: u64,
    /// What was given out.
    #[serde(default)]
    pub used: u64,
}

/// A device as its node shows it, and GET /devices/{id}.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceInfo {
    /// Its name.
    pub name: String,
    /// Its space.
    #[serde(default)]
    pub storage: StorageSize,
    /// Its tags.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<Tags>,
    /// Its id.
    pub id: String,
    /// `online`, `offline` or `failed`.
    #[serde(default)]
    pub state: String,
    /// Bricks on it.
    #[serde(default, deserialize_with = "or_default")]
    pub bricks: Vec<BrickInfo>,
}

/// One brick.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrickInfo {
    /// Its id.
    pub id: String,
    /// Its directory on the storage host.
    #[serde(default)]
    pub path: String,
    /// Id of its device.
    #[serde(default)]
    pub device: String,
    /// Id of its node.
    #[serde(default)]
    pub node: String,
    /// Id of its volume.
    #[serde(default)]
    pub volume: String,
    /// In KiB.
    #[serde(default)]
    pub size: u64,
}

/// How a volume survives the loss of bricks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Durability {
    /// `none`, `replicate` or `disperse`; "" counts as `none`.
    #[serde(default, rename = "type", skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// For `replicate`.
    #[serde(default)]
    pub replicate: Replicate,
    /// For `disperse`.
    #[serde(default)]
    pub disperse: Disperse,
}

impl Durability {
    /// So many copies of each file.
    pub fn replicate(copies: i64) -> Self {
        Self {
            kind: "replicate".into(),
            replicate: Replicate { replica: copies },
            ..Self::default()
        }
    }
}

/// Copies of each file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replicate {
    /// How many; absent: 2.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub replica: i64,
}

/// Erasure coding.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disperse {
    /// Bricks of data.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub data: i64,
    /// Bricks that may be lost.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub redundancy: i64,
}

fn is_zero(number: &i64) -> bool {
    *number == 0
}

/// Room for snapshots, as the thin pools of Heketi need it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Whether room is made.
    #[serde(default)]
    pub enable: bool,
    /// How many times the size, 1 to 100.
    #[serde(default)]
    pub factor: f32,
}

/// POST /volumes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct VolumeCreate {
    /// In GiB.
    #[serde(default)]
    pub size: i64,
    /// Clusters that may hold it; absent: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clusters: Option<Vec<String>>,
    /// Its name; "": `vol_` and the id.
    #[serde(default)]
    pub name: String,
    /// How it survives.
    #[serde(default)]
    pub durability: Durability,
    /// Group that may write; 0: none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub gid: i64,
    /// Options, each `key value`.
    #[serde(
        default,
        deserialize_with = "or_default",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub glustervolumeoptions: Vec<String>,
    /// May hold block volumes.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub block: bool,
    /// Room for snapshots.
    #[serde(default)]
    pub snapshot: Snapshot,
}

/// GET /volumes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeList {
    /// Ids, in order.
    #[serde(default, deserialize_with = "or_default")]
    pub volumes: Vec<String>,
}

/// GET /volumes/{id}.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct VolumeInfo {
    /// In GiB.
    #[serde(default)]
    pub size: i64,
    /// Its name in Gluster.
    #[serde(default)]
    pub name: String,
    /// How it survives.
    #[serde(default)]
    pub durability: Durability,
    /// Group that may write; 0: none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub gid: i64,
    /// Options; Heketi pads them with "" on both sides.
    #[serde(default, deserialize_with = "or_default")]
    pub glustervolumeoptions: Vec<String>,
    /// Room for snapshots.
    #[serde(default)]
    pub snapshot: Snapshot,
    /// Its id.
    pub id: String,
    /// Id of its cluster.
    #[serde(default)]
    pub cluster: String,
    /// How to mount it.
    #[serde(default)]
    pub mount: Mount,
    /// Always `{}` with us.
    #[serde(default)]
    pub blockinfo: BTreeMap<String, serde_json::Value>,
    /// Its bricks.
    #[serde(default, deserialize_with = "or_default")]
    pub bricks: Vec<BrickInfo>,
}

/// How to mount a volume.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// With the FUSE client.
    #[serde(default)]
    pub glusterfs: GlusterfsMount,
}

/// What `mount -t glusterfs` needs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GlusterfsMount {
    /// All hosts of the cluster.
    #[serde(default, deserialize_with = "or_default")]
    pub hosts: Vec<String>,
    /// `host:volume`.
    #[serde(default)]
    pub device: String,
    /// `backup-volfile-servers`, separated by commas (the mount option wants colons).
    #[serde(default, deserialize_with = "or_default")]
    pub options: BTreeMap<String, String>,
}

/// POST /volumes/{id}/expand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeExpand {
    /// By how much, in GiB.
    #[serde(default)]
    pub expand_size: i64,
}

/// POST /volumes/{id}/clone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeClone {
    /// Name of the clone; "": `vol_` and its id.
    #[serde(default)]
    pub name: String,
}
