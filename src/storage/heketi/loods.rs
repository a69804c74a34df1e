//! What our manager can do beyond Heketi: JSON below `/loods/v1`.
//!
//! A manager of ours is known by header [`HEADER`] on `GET /hello`.
//!
//! | call | answer |
//! |---|---|
//! | `GET /loods/v1/volumes?name=NAME` | [`VolumeInfo`](super::wire::VolumeInfo), or 404 `Id not found` |
//! | `POST /volumes` with [`VolumeFrom`] | as Heketi: 202, queue, 303 |
//! | `POST /volumes/{id}/expand` with [`ExpandFrom`] | as Heketi; 409 where the size is another |
//! | `POST /loods/v1/snapshots` with [`SnapshotCreate`] | 202, queue, 303 to `/loods/v1/snapshots/{id}` |
//! | `GET /loods/v1/snapshots` | [`SnapshotList`] |
//! | `GET`, `DELETE /loods/v1/snapshots/{id}` | [`SnapshotInfo`]; 202, queue, 204 |
//! | `GET /loods/v1/volumes/{id}/health` | [`Health`] |
//! | `GET /loods/v1/capacity` | [`Capacity`] |
//! | `GET /loods/v1/strangers`, `POST` there with [`Adopt`] to see one | [`StrangerList`] |
//! | `POST /loods/v1/adopt` with [`Adopt`] | 202, queue, 303 to `/volumes/{id}` |

use serde::{Deserialize, Serialize};

use super::wire::{Durability, VolumeCreate};

/// On every answer of `GET /hello`: the manager's version.
pub const HEADER: &str = "x-loods";

/// What a new volume begins with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Source {
    /// Id of a snapshot.
    Snapshot(String),
    /// Id of a volume.
    Volume(String),
}

/// POST /volumes with a source.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct VolumeFrom {
    /// As without.
    #[serde(flatten)]
    pub create: VolumeCreate,
    /// What it begins with; absent: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Source>,
}

/// POST /volumes/{id}/expand that cannot grow a volume twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExpandFrom {
    /// By how much, in GiB.
    pub expand_size: i64,
    /// Only while the volume has this size, in GiB; absent: whatever it has. A
    /// repeated or late request finds another size, and is refused with 409.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<i64>,
}

/// POST /loods/v1/snapshots.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotCreate {
    /// Its name: one of that name already there is the answer.
    pub name: String,
    /// Id of the volume.
    pub volume: String,
}

/// GET /loods/v1/snapshots/{id}.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotInfo {
    /// Its id, as ids of volumes.
    pub id: String,
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// Id of its volume.
    #[serde(default)]
    pub volume: String,
    /// Of the volume at that time, in GiB.
    #[serde(default)]
    pub size: i64,
    /// The group that its files have; 0: none.
    #[serde(default)]
    pub gid: i64,
    /// RFC 3339.
    #[serde(default)]
    pub created: String,
}

/// GET /loods/v1/snapshots.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotList {
    /// In order of their ids.
    #[serde(default)]
    pub snapshots: Vec<SnapshotInfo>,
}

/// How a volume fares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum HealthState {
    /// All bricks serve, nothing waits to be healed.
    #[default]
    Healthy,
    /// It serves, with fewer copies than it should have.
    Degraded,
    /// It does not serve.
    Inaccessible,
    /// Copies differ, and nobody can tell which is right.
    DataLoss,
}

/// GET /loods/v1/volumes/{id}/health.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// The worst that was found.
    pub state: HealthState,
    /// Why, in a sentence; "" where it is healthy.
    #[serde(default)]
    pub reason: String,
    /// Of each brick.
    #[serde(default)]
    pub bricks: Vec<BrickHealth>,
}

/// How a brick fares.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BrickHealth {
    /// Its id.
    pub id: String,
    /// Its storage host.
    #[serde(default)]
    pub host: String,
    /// Its directory there.
    #[serde(default)]
    pub path: String,
    /// Its process serves.
    #[serde(default)]
    pub online: bool,
    /// Files that wait to be healed.
    #[serde(default)]
    pub heal_pending: u64,
    /// Files in split-brain.
    #[serde(default)]
    pub split_brain: u64,
    /// Of its file system.
    #[serde(default)]
    pub size_bytes: u64,
    /// Of its file system.
    #[serde(default)]
    pub free_bytes: u64,
}

/// GET /loods/v1/capacity, in KiB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capacity {
    /// Of all devices.
    pub total: u64,
    /// What may still be given out.
    pub free: u64,
    /// The largest volume that could be made now.
    pub largest: u64,
}

/// POST /loods/v1/adopt: what is known of a volume that somebody else made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Adopt {
    /// Its name in Gluster.
    pub volume: String,
    /// The id that clients know it by; absent: option `user.heketi.id`, its name
    /// if that is `vol_ID`, or glusterd's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// In GiB; absent: what its bricks' file systems have room for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<i64>,
    /// The group that its files have; absent: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gid: Option<i64>,
}

/// A volume that somebody else made, as it would be if it were adopted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Stranger {
    /// Its name in Gluster.
    pub name: String,
    /// Id of its cluster.
    pub cluster: String,
    /// The id that it would have.
    #[serde(default)]
    pub id: String,
    /// In GiB.
    #[serde(default)]
    pub size: i64,
    /// 0: none.
    #[serde(default)]
    pub gid: i64,
    /// How it survives.
    #[serde(default)]
    pub durability: Durability,
    /// Each `HOST:PATH`, in Gluster's order.
    #[serde(default)]
    pub bricks: Vec<String>,
    /// Who may mount it now, as option `auth.allow` has it.
    #[serde(default)]
    pub allowed: String,
    /// Who may mount it afterwards.
    #[serde(default)]
    pub allow: String,
    /// Why it cannot be adopted, and the mend; "" where nothing hinders it.
    #[serde(default)]
    pub refused: String,
}

/// GET /loods/v1/strangers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StrangerList {
    /// By cluster, and then as glusterd has them.
    #[serde(default)]
    pub strangers: Vec<Stranger>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_one_key() {
        let from = VolumeFrom {
            source: Some(Source::Snapshot("5a".into())),
            ..VolumeFrom::default()
        };
        let text = serde_json::to_string(&from).expect("JSON");
        assert!(text.ends_with(r#""source":{"snapshot":"5a"}}"#), "{text}");
        assert_eq!(
            serde_json::from_str::<VolumeFrom>(&text).expect("JSON"),
            from
        );
        let plain = serde_json::to_string(&VolumeFrom::default()).expect("JSON");
        assert_eq!(
            plain,
            serde_json::to_string(&VolumeCreate::default()).expect("JSON")
        );
    }

    #[test]
    fn a_guard_is_left_out_for_heketi() {
        let text = serde_json::to_string(&ExpandFrom {
            expand_size: 3,
            from: None,
        });
        assert_eq!(text.expect("JSON"), r#"{"expand_size":3}"#);
    }
}
