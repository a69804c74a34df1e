//! How a volume fares, by what glusterd tells of its bricks.

use std::collections::BTreeMap;

use super::Manager;
use super::state::Volume;
use super::validate;
use crate::storage::agent::api::Command;
use crate::storage::gluster::{BrickHeal, BrickStatus, replies};
use crate::storage::heketi::loods::{BrickHealth, Health, HealthState};
use crate::storage::heketi::wire::VolumeCreate;

/// Asks glusterd: with heals, which takes a second or two.
pub(super) async fn health(manager: &Manager, volume: &Volume) -> Result<Health, String> {
    manager.ping().await;
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
    } else if a_set_is_lost(volume, &bricks) {
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

/// Whether more bricks of one set are lost than it can do without. Files are
/// spread over the sets: each must serve for itself.
fn a_set_is_lost(volume: &Volume, bricks: &[BrickHealth]) -> bool {
    let durability = &volume.record.durability;
    let spare = match durability.kind.as_str() {
        // Of three, quorum wants two.
        "replicate" => 1,
        "disperse" => usize::try_from(durability.disperse.redundancy).unwrap_or(0),
        _ => 0,
    };
    let wanted = validate::wanted(&VolumeCreate {
        durability: durability.clone(),
        glustervolumeoptions: volume.record.options.clone(),
        ..VolumeCreate::default()
    });
    let sets = bricks.chunks(wanted.width.max(1) as usize);
    let mut lost = sets.map(|set| set.iter().filter(|brick| !brick.online).count());
    lost.any(|lost| lost > spare)
}

#[cfg(test)]
mod tests {
    use super::super::state::Brick;
    use super::*;
    use crate::storage::gluster::Record;
    use crate::storage::heketi::wire::{BrickInfo, Durability};

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
                durability: Durability::replicate(2),
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
    #[test]
    fn two_sets_that_each_miss_one_serve_on() {
        let mut volume = volume();
        volume.bricks.extend(volume.bricks.clone());
        let health = |online: [bool; 4]| {
            let bricks = online.map(|online| BrickHealth {
                online,
                ..BrickHealth::default()
            });
            a_set_is_lost(&volume, &bricks)
        };
        assert!(!health([false, true, true, false]));
        assert!(health([true, true, false, false]));
    }
}
