//! Parameter `volumetype`: how a volume survives the loss of bricks.

use super::fault::{Faults, quoted};
use crate::storage::heketi::wire::{Disperse, Durability, Replicate};

/// As the removed plugin had it.
const DEFAULT_REPLICA: i64 = 3;
/// Heketi makes no more copies than this.
const MOST_REPLICA: i64 = 3;
/// The sets that Heketi makes: data and redundancy.
const SETS: [(i64, i64); 4] = [(2, 1), (4, 2), (8, 3), (8, 4)];

const FIELD: &str = "volumetype";

/// `replicate:3` where nothing is said.
pub(super) fn default() -> Durability {
    replicate(DEFAULT_REPLICA)
}

fn replicate(replica: i64) -> Durability {
    Durability {
        kind: "replicate".into(),
        replicate: Replicate { replica },
        ..Durability::default()
    }
}

/// Reads `none`, `replicate[:N]` or `disperse:DATA:REDUNDANCY`.
pub(super) fn read(value: &str, faults: &mut Faults) -> Durability {
    let mut parts = value.split(':');
    let kind = parts.next().unwrap_or("");
    let rest: Vec<&str> = parts.collect();
    match (kind, &rest[..]) {
        ("", []) => default(),
        ("none", []) => Durability {
            kind: "none".into(),
            ..Durability::default()
        },
        ("replicate", []) => default(),
        ("replicate", [replica]) => replicas(value, replica, faults),
        ("disperse", [data, redundancy]) => disperse(value, data, redundancy, faults),
        ("disperse", _) => {
            faults.add(FIELD, format!(
                "StorageClass must have data:redundancy count set for disperse volumes in storage class option 'volumetype': {} has not; write for example disperse:4:2",
                quoted(value)
            ));
            default()
        }
        _ => {
            faults.add(FIELD, format!(
                "error parsing value for option 'volumetype': {} is none of none, replicate, replicate:N and disperse:DATA:REDUNDANCY",
                quoted(value)
            ));
            default()
        }
    }
}

fn replicas(value: &str, text: &str, faults: &mut Faults) -> Durability {
    let Some(replica) = count(value, text, faults) else {
        return default();
    };
    if replica > MOST_REPLICA {
        faults.add(FIELD, format!(
            "volumetype {}: {replica} copies are more than Heketi makes; write replicate:2 or replicate:3",
            quoted(value)
        ));
    }
    if replica == 1 {
        faults.add(FIELD, format!(
            "volumetype {}: one copy is no replica, and gluster refuses it; write none, or replicate:3",
            quoted(value)
        ));
    }
    // Heketi takes an absent count for 2; the removed plugin sent 0 as absent.
    replicate(if replica == 0 { 2 } else { replica })
}

fn disperse(value: &str, data: &str, redundancy: &str, faults: &mut Faults) -> Durability {
    let (data, redundancy) = (count(value, data, faults), count(value, redundancy, faults));
    let (Some(data), Some(redundancy)) = (data, redundancy) else {
        return default();
    };
    if !SETS.contains(&(data, redundancy)) {
        faults.add(FIELD, format!(
            "volumetype {}: Heketi makes no such set; write disperse:2:1, disperse:4:2, disperse:8:3 or disperse:8:4",
            quoted(value)
        ));
    }
    Durability {
        kind: "disperse".into(),
        disperse: Disperse { data, redundancy },
        ..Durability::default()
    }
}

fn count(value: &str, text: &str, faults: &mut Faults) -> Option<i64> {
    let trouble = match text.parse::<i32>() {
        Ok(number) if number < 0 => "negative values are not allowed",
        Ok(number) => return Some(number.into()),
        Err(_) => "a whole number is wanted",
    };
    faults.add(FIELD, format!(
        "error parsing volumeType {}: {trouble}, and {} is not one; write for example replicate:3 or disperse:4:2",
        quoted(value),
        quoted(text)
    ));
    None
}
