//! What a snapshot is to Loods, kept with its volume: option
//! `user.loods.snapshot.ID`, one for each. The copies themselves lie beside the
//! bricks that they were made of; a copy that no option tells of is nobody's.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::name;
use super::record::PREFIX;

/// A snapshot of a volume.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotRecord {
    /// Its name: one of that name, of all volumes.
    pub name: String,
    /// Of the volume at that time, in GiB.
    pub size: i64,
    /// RFC 3339.
    pub created: String,
    /// In the order of the volume's bricks.
    pub bricks: Vec<SnapshotBrick>,
}

/// A brick that was copied.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotBrick {
    /// Its id.
    pub id: String,
    /// Id of the device that has the copy.
    pub device: String,
    /// In KiB.
    pub size: u64,
}

impl SnapshotRecord {
    /// The option that keeps the snapshot with this id.
    pub fn option(id: &str) -> String {
        format!("{PREFIX}snapshot.{id}")
    }

    /// Option and value.
    pub fn encode(&self, id: &str) -> (String, String) {
        // As JSON, since an option may hold any character but for control characters.
        (Self::option(id), serde_json::json!(self).to_string())
    }

    /// All snapshots of a volume, of its options, by id. `None`: one that does
    /// not make sense; it is there all the same.
    pub fn decode(options: &BTreeMap<String, String>) -> BTreeMap<String, Option<Self>> {
        let first = Self::option("");
        options
            .range(first.clone()..)
            .map_while(|(option, value)| Some((option.strip_prefix(&first)?, value)))
            .map(|(id, value)| {
                let record = serde_json::from_str(value).ok();
                let sound = name::id(id).is_ok();
                (id.to_owned(), record.filter(|_| sound))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_comes_back_and_what_makes_no_sense_is_still_there() {
        let id = "0123456789abcdef0123456789abcdef";
        let record = SnapshotRecord {
            name: "nightly".into(),
            size: 2,
            created: "2026-01-02T03:04:05Z".into(),
            bricks: vec![SnapshotBrick {
                id: "b".repeat(32),
                device: "d".repeat(32),
                size: 2 << 20,
            }],
        };
        let mut options: BTreeMap<String, String> = [record.encode(id)].into();
        options.insert(format!("{PREFIX}snapshot"), "factor 1".into());
        options.insert(format!("{PREFIX}size"), "2Gi".into());
        let other = "f".repeat(32);
        options.insert(SnapshotRecord::option(&other), "{".into());
        let found = SnapshotRecord::decode(&options);
        assert_eq!(found, [(id.to_owned(), Some(record)), (other, None)].into());
    }
}
