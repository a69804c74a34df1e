//! What the manager asks of an agent: one request, one reply, JSON in the body
//! of `POST /v1` over mutual TLS.
//!
//! Every request may be repeated after a lost reply: making what is there
//! already, or removing what is gone, succeeds. The agent checks every name
//! again before it touches anything.

use serde::{Deserialize, Serialize};

use crate::storage::heketi::wire::{StorageSize, Tags};

/// The port of an agent where the topology names none.
pub const PORT: u16 = 24100;

/// A request to an agent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Request {
    /// Whether this host is there: answered at once.
    Ping,
    /// What is on this host: answered with [`Reply::Host`].
    Look,
    /// Keeps what this host is to the manager, in `node.json`; `None` forgets.
    PutNode(Option<NodeRecord>),
    /// Takes a device, or writes its record anew (state, tags).
    PutDevice(DeviceRecord),
    /// Forgets a device that has no bricks.
    RemoveDevice {
        /// Its id.
        id: String,
    },
    /// Makes a brick: answered with [`Reply::Brick`].
    MakeBrick(BrickRecord),
    /// Grows a brick to `size` KiB, online.
    GrowBrick {
        /// Its id.
        id: String,
        /// In KiB.
        size: u64,
    },
    /// Says whether a brick may hold what somebody needs: see [`BrickRecord::settled`].
    MarkBrick {
        /// Its id.
        id: String,
        /// What to write.
        settled: bool,
    },
    /// Removes a brick and all that is in it; refused while it is settled.
    RemoveBrick {
        /// Its id.
        id: String,
    },
    /// Stops writes to these bricks' file systems, copies each brick file by
    /// reflink under the name of the snapshot, lets writes go on.
    SnapshotBricks {
        /// Ids of bricks on this host.
        bricks: Vec<String>,
        /// Id of the snapshot.
        snapshot: String,
    },
    /// Removes the copies of a snapshot on this host.
    RemoveSnapshot {
        /// Id of the snapshot.
        snapshot: String,
    },
    /// Runs one `gluster` command: answered with [`Reply::Gluster`].
    Gluster(Command),
}

/// The answer to a [`Request`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Reply {
    /// Done.
    Done,
    /// The host.
    Host(Host),
    /// The brick, made or found.
    Brick(Brick),
    /// What `gluster --xml` printed; `opRet` in it tells whether it worked.
    Gluster(String),
    /// Not done.
    Failed(Failure),
}

/// Why an agent did not do it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "camelCase")]
#[error("{message}")]
pub struct Failure {
    /// What kind of failure: decides whether another try makes sense.
    pub kind: FailureKind,
    /// Names the object, the value and the mend.
    pub message: String,
}

/// Kinds of [`Failure`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum FailureKind {
    /// The request makes no sense here: no repetition helps.
    Invalid,
    /// No such device or brick.
    NotFound,
    /// Not now: another transaction, a busy mount.
    Busy,
    /// The device is full.
    NoSpace,
    /// This host cannot do such a thing (no reflink, no loop devices).
    Unsupported,
    /// Anything else, with the system's words.
    Internal,
}

/// What an agent found on its host.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Host {
    /// What the manager keeps about it, if it is part of a cluster.
    pub node: Option<NodeRecord>,
    /// Its devices, by id.
    pub devices: Vec<Device>,
    /// `gluster --version`, the number alone.
    pub gluster: String,
}

/// A node, kept in `node.json` in the agent's state directory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeRecord {
    /// Its id.
    pub id: String,
    /// Id of its cluster.
    pub cluster: String,
    /// Whether the cluster takes file volumes, and block volumes: flags are kept with each node.
    pub flags: (bool, bool),
    /// Failure zone, at least 1.
    pub zone: i64,
    /// Where the agent is reached.
    pub manage: Vec<String>,
    /// Where bricks are served: what glusterd's peers call it.
    pub storage: Vec<String>,
    /// `online`, `offline` or `failed`.
    pub state: String,
    /// Its tags.
    pub tags: Tags,
}

/// A device, kept in `loods-device.json` in the device's directory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceRecord {
    /// Its id.
    pub id: String,
    /// A directory.
    pub name: String,
    /// `online`, `offline` or `failed`.
    pub state: String,
    /// Its tags.
    pub tags: Tags,
    /// What its bricks are; decided when it is added.
    pub kind: BrickKind,
}

/// What a brick is made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum BrickKind {
    /// A sparse file with XFS in it, by a loop device: its size is kept by the
    /// file system, it grows online, and snapshots are reflinks.
    #[default]
    Loop,
    /// A plain directory: its size is kept by Gluster's quota.
    Directory,
}

/// A device as an agent finds it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Device {
    /// Its record.
    pub record: DeviceRecord,
    /// Of the file system it lies on, less what bricks may still grow into.
    pub space: StorageSize,
    /// Whether the file system makes reflinks: snapshots need it.
    pub reflink: bool,
    /// Its bricks.
    pub bricks: Vec<Brick>,
    /// Ids of snapshots that have a copy here.
    pub snapshots: Vec<String>,
}

/// What the manager says of a brick; kept beside it in `brick_<id>.json`, so
/// that a brick tells of its volume also before the volume is made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BrickRecord {
    /// Its id.
    pub id: String,
    /// Id of its device.
    pub device: String,
    /// Id of its volume.
    pub volume: String,
    /// Name of its volume in Gluster.
    pub volume_name: String,
    /// In KiB.
    pub size: u64,
    /// Group that owns the brick's root, mode 2775; 0: root alone.
    pub gid: u32,
    /// Begin with the content of a brick as a snapshot has it: (snapshot, brick).
    pub source: Option<(String, String)>,
    /// Its volume serves, so that it may hold the only copy of something. Taken
    /// back before the volume is removed: a glusterd that forgot its volumes is
    /// no reason to remove their bricks.
    #[serde(default)]
    pub settled: bool,
}

/// A brick as an agent finds it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Brick {
    /// Its record.
    pub record: BrickRecord,
    /// The directory that glusterd is given.
    pub path: String,
}

/// One `gluster` command that the manager may have run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Command {
    /// `peer probe`.
    PeerProbe(String),
    /// `peer detach`.
    PeerDetach(String),
    /// `pool list`.
    PoolList,
    /// `volume info`; `None`: all.
    Info(Option<String>),
    /// `volume create`.
    Create(VolumeLayout),
    /// `volume start`, with `force` for bricks that died.
    Start(String, bool),
    /// `volume stop … force`.
    Stop(String),
    /// `volume delete`.
    Delete(String),
    /// `volume set` of several options at once.
    Set(String, Vec<(String, String)>),
    /// `volume reset` of one option.
    Reset(String, String),
    /// `volume status … detail`.
    Status(String),
    /// `volume heal … info summary`.
    HealSummary(String),
    /// `volume heal … full`, or without: what is pending.
    Heal(String, bool),
    /// `volume replace-brick … commit force`: volume, old `host:path`, new.
    ReplaceBrick(String, String, String),
    /// `volume add-brick` with more sets of the same layout: volume, `host:path` each.
    AddBricks(String, Vec<String>),
    /// `volume barrier … enable` or `disable`.
    Barrier(String, bool),
    /// `volume quota … enable` and a limit on `/`, in KiB.
    Quota(String, u64),
}

/// The bricks of a volume to be made, in Gluster's order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VolumeLayout {
    /// Its name.
    pub name: String,
    /// Copies of each file; 1: no replication.
    pub replica: u32,
    /// Of these, bricks that hold names alone: 0 or 1.
    pub arbiter: u32,
    /// Bricks of data and bricks that may be lost; (0, 0): no erasure coding.
    pub disperse: (u32, u32),
    /// `host:path` of each brick.
    pub bricks: Vec<String>,
    /// Take bricks on the root file system, or two copies on one host.
    pub force: bool,
}
