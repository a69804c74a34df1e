//! A snapshot: every brick copied at one moment, and then the record of it.
//!
//! The record is what makes it one. Copies without it, of a try that was
//! interrupted, are removed by the next look at their hosts.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;

use super::super::health::health;
use super::super::state::Volume;
use super::{Manager, Trouble};
use crate::storage::agent::api::{Command, Request};
use crate::storage::gluster::{SnapshotBrick, SnapshotRecord};
use crate::storage::heketi::loods::HealthState;

/// Takes a snapshot of a volume that nothing else works on.
pub(in super::super) async fn take_snapshot(
    manager: &Manager,
    volume: &str,
    id: &str,
    name: &str,
) -> Result<(), String> {
    let (volume, bricks) = copy_bricks(manager, volume, id).await?;
    let record = SnapshotRecord {
        name: name.into(),
        size: volume.record.size,
        created: jiff::Timestamp::now()
            .strftime("%Y-%m-%dT%H:%M:%SZ")
            .to_string(),
        bricks,
    };
    let set = Command::Set(volume.name.clone(), vec![record.encode(id)]);
    if let Err(trouble) = manager.gluster(&volume.record.cluster, set).await {
        forget_copies_of(manager, &volume, id).await;
        return Err(trouble.to_string());
    }
    if let Some(known) = manager.state().volumes.get_mut(&volume.record.id) {
        known.snapshots.insert(id.into(), record);
    }
    Ok(())
}

/// Copies the bricks of a volume that nothing else works on. Whoever has them
/// copied keeps the id in `State::taking` until there is a record of it, or until
/// the copies are gone.
pub(in super::super) async fn copy_bricks(
    manager: &Manager,
    volume: &str,
    id: &str,
) -> Result<(Volume, Vec<SnapshotBrick>), String> {
    let known = manager.state().volumes.get(volume).cloned();
    let volume = known.ok_or("Id not found")?;
    possible(manager, &volume)?;
    let found = health(manager, &volume).await?;
    if found.state != HealthState::Healthy {
        // Marks of what waits to be healed carry the volume's name into the copy.
        return Err(format!(
            "volume {} is not healthy: {}; a snapshot is taken when it is",
            volume.name, found.reason
        ));
    }
    if let Err(trouble) = try_copy(manager, &volume, id).await {
        forget_copies_of(manager, &volume, id).await;
        return Err(trouble.to_string());
    }
    let bricks = volume.bricks.iter().map(|brick| SnapshotBrick {
        id: brick.info.id.clone(),
        device: brick.info.device.clone(),
        size: brick.info.size,
    });
    let bricks = bricks.collect();
    Ok((volume, bricks))
}

/// Whether all its devices share blocks.
fn possible(manager: &Manager, volume: &Volume) -> Result<(), String> {
    let state = manager.state();
    for brick in &volume.bricks {
        if let Some(why) = brick.is_out_of_reach() {
            return Err(why);
        }
        let device = state.devices.get(&brick.info.device);
        let device = device.ok_or_else(|| format!("brick {} has no device", brick.info.id))?;
        if !device.reflink {
            return Err(format!(
                "device {} ({}) has a file system without reflink, so that a snapshot would be a whole copy: use XFS (mkfs.xfs -m reflink=1) or btrfs",
                device.record.id, device.record.name
            ));
        }
    }
    Ok(())
}

async fn try_copy(manager: &Manager, volume: &Volume, id: &str) -> Result<(), Trouble> {
    let cluster = &volume.record.cluster;
    let barrier = |on| manager.gluster(cluster, Command::Barrier(volume.name.clone(), on));
    // Nothing is acknowledged that one copy has and another has not.
    barrier(true).await?;
    let work = agents(manager, volume)
        .into_iter()
        .map(async |(agent, bricks)| {
            let request = Request::SnapshotBricks {
                bricks,
                snapshot: id.into(),
            };
            manager.ask(&agent, &request).await.map(drop)
        });
    let copied: Result<Vec<()>, _> = join_all(work).await.into_iter().collect();
    barrier(false).await?;
    Ok(copied.map(drop)?)
}

/// Agents of a volume's bricks, with the bricks of each.
fn agents(manager: &Manager, volume: &Volume) -> BTreeMap<String, Vec<String>> {
    let state = manager.state();
    let mut agents: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for brick in &volume.bricks {
        if let Some(node) = state.nodes.get(&brick.info.node) {
            let bricks = agents.entry(node.agent.clone()).or_default();
            bricks.push(brick.info.id.clone());
        }
    }
    agents
}

/// Removes a snapshot: its record first, so that nothing is made of half of it.
pub(in super::super) async fn drop_snapshot(
    manager: &Manager,
    volume: &str,
    id: &str,
) -> Result<(), String> {
    let known = manager.state().volumes.get(volume).cloned();
    let volume = known.ok_or("Id not found")?;
    let Some(record) = volume.snapshots.get(id) else {
        return Ok(());
    };
    let reset = Command::Reset(volume.name.clone(), SnapshotRecord::option(id));
    let done = manager.gluster(&volume.record.cluster, reset).await;
    done.map_err(|trouble| trouble.to_string())?;
    let devices: BTreeSet<&String> = record.bricks.iter().map(|brick| &brick.device).collect();
    let agents: BTreeSet<String> = {
        let mut state = manager.state();
        if let Some(known) = state.volumes.get_mut(&volume.record.id) {
            known.snapshots.remove(id);
        }
        let devices = devices.into_iter().filter_map(|id| state.devices.get(id));
        let nodes = devices.filter_map(|device| state.nodes.get(&device.node));
        nodes.map(|node| node.agent.clone()).collect()
    };
    forget_copies(manager, agents, id).await;
    Ok(())
}

/// Removes the copies of a volume's bricks that nothing tells of.
pub(in super::super) async fn forget_copies_of(manager: &Manager, volume: &Volume, id: &str) {
    forget_copies(manager, agents(manager, volume).into_keys(), id).await;
}

/// Removes the copies of a snapshot that nothing tells of.
pub(in super::super) async fn forget_copies(
    manager: &Manager,
    agents: impl IntoIterator<Item = String>,
    id: &str,
) {
    let work = agents.into_iter().map(async |agent| {
        let request = Request::RemoveSnapshot {
            snapshot: id.into(),
        };
        if let Err(error) = manager.ask(&agent, &request).await {
            tracing::warn!(agent, snapshot = id, %error, "copies are not removed yet; it is tried again at the next look");
        }
    });
    join_all(work).await;
}
