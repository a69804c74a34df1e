//! How a volume fares, by what glusterd tells of its bricks.

use std::collections::BTreeMap;

use super::Manager;
use super::state::Volume;
use crate::storage::agent::api::Command;
use crate::storage::gluster::{BrickHeal, BrickStatus, replies};
use crate::storage::heketi::loods::{BrickHealth, Health, HealthState};

/// Asks glusterd: with heals, which takes a second or two.
pub(super) async fn health(manager: &Manager, volume: &Volume) -> Result<Health, String> {
    let cluster = &volume.record.cluster;
    let told = |error: &dyn std::fmt::Display| error.to_string();
    let status = manager
        .gluster(cluster, Command::Status(volume.name.clone()))
        .await
        .map_err(|error| told(&error))?;
    let status = replies::status(&status).map_err(|error| told(&error))?;
    let heals = if volume.record.durability.kind == "none" {
        Vec::new()
    } else {
        let heal = manager
            .gluster(cluster, Command::HealSummary(volume.name.clone()))
            .await
            .map_err(|error| told(&error))?;
        replies::heal(&heal).map_err(|error| told(&error))?
    };
    Ok(judge(volume, &status, &heals))
}

/// The worst that two answers of glusterd tell of a volume; pure.
fn judge(volume: &Volume, status: &[BrickStatus], heals: &[BrickHeal]) -> Health {
    let statuses: BTreeMap<(&str, &str), &BrickStatus> = status
        .iter()
        .map(|brick| ((&*brick.host, &*brick.path), brick))
        .collect();
    let heals: BTreeMap<(&str, &str), &BrickHeal> = heals
        .iter()
        .map(|brick| ((&*brick.host, &*brick.path), brick))
        .collect();
    let bricks: Vec<BrickHealth> = volume
        .bricks
        .iter()
        .map(|brick| {
            let place = (&*brick.host, &*brick.info.path);
            let (status, heal) = (statuses.get(&place), heals.get(&place));
            BrickHealth {
                id: brick.info.id.clone(),
                host: brick.host.clone(),
                path: brick.info.path.clone(),
                online: status.is_some_and(|status| status.online),
                heal_pending: heal.and_then(|heal| heal.pending).unwrap_or(0),
                split_brain: heal.and_then(|heal| heal.split_brain).unwrap_or(0),
                size_bytes: status.map_or(0, |status| status.size),
                free_bytes: status.map_or(0, |status| status.free),
            }
        })
        .collect();
    let offline = bricks.iter().filter(|brick| !brick.online);
    let offline: Vec<&str> = offline.map(|brick| &*brick.host).collect();
    let pending: u64 = bricks.iter().map(|brick| brick.heal_pending).sum();
    let split: u64 = bricks.iter().map(|brick| brick.split_brain).sum();
    let (state, reason) = if split > 0 {
        let text = format!(
            "{split} files differ and nobody can tell which copy is right (split-brain): gluster volume heal {} info split-brain lists them",
            volume.name
        );
        (HealthState::DataLoss, text)
    } else if offline.len() > spare(volume) {
        let text = format!("bricks do not serve on {}", offline.join(", "));
        (HealthState::Inaccessible, text)
    } else if !offline.is_empty() {
        let text = format!(
            "bricks do not serve on {}; the others do",
            offline.join(", ")
        );
        (HealthState::Degraded, text)
    } else if pending > 0 {
        let text = format!("{pending} files wait to be healed");
        (HealthState::Degraded, text)
    } else {
        (HealthState::Healthy, String::new())
    };
    Health {
        state,
        reason,
        bricks,
    }
}

/// Bricks of one set that may be lost while it serves on.
fn spare(volume: &Volume) -> usize {
    let durability = &volume.record.durability;
    let lost = match durability.kind.as_str() {
        "replicate" if durability.replicate.replica == 2 => 1,
        // Quorum: more than half of three.
        "replicate" => 1,
        "disperse" => durability.disperse.redundancy,
        _ => 0,
    };
    usize::try_from(lost).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::super::state::Brick;
    use super::*;
    use crate::storage::gluster::Record;
    use crate::storage::heketi::wire::{BrickInfo, Durability, Replicate};

    fn volume() -> Volume {
        let brick = |host: &str| Brick {
            info: BrickInfo {
                id: host.into(),
                path: "/b".into(),
                ..BrickInfo::default()
            },
            host: host.into(),
        };
        Volume {
            name: "v".into(),
            record: Record {
                durability: Durability {
                    kind: "replicate".into(),
                    replicate: Replicate { replica: 2 },
                    ..Durability::default()
                },
                ..Record::default()
            },
            bricks: vec![brick("h1"), brick("h2")],
            ..Volume::default()
        }
    }

    fn status(online: [bool; 2]) -> Vec<BrickStatus> {
        let all = ["h1", "h2"].into_iter().zip(online);
        all.map(|(host, online)| BrickStatus {
            host: host.into(),
            path: "/b".into(),
            online,
            ..BrickStatus::default()
        })
        .collect()
    }

    fn heal(pending: u64, split_brain: u64) -> Vec<BrickHeal> {
        vec![BrickHeal {
            host: "h1".into(),
            path: "/b".into(),
            connected: true,
            pending: Some(pending),
            split_brain: Some(split_brain),
        }]
    }

    #[test]
    fn the_worst_is_told_with_its_reason() {
        for (online, pending, split, state, words) in [
            ([true, true], 0, 0, HealthState::Healthy, ""),
            ([true, true], 3, 0, HealthState::Degraded, "3 files wait"),
            ([false, true], 3, 0, HealthState::Degraded, "h1; the others"),
            ([false, false], 0, 0, HealthState::Inaccessible, "h1, h2"),
            ([true, true], 3, 1, HealthState::DataLoss, "split-brain"),
        ] {
            let health = judge(&volume(), &status(online), &heal(pending, split));
            assert_eq!(health.state, state);
            assert!(health.reason.contains(words), "{}", health.reason);
        }
    }
}
