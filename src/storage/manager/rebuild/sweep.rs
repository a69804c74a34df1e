//! Removing what interrupted operations left.

use std::collections::BTreeSet;

use futures::future::join_all;

use super::super::Manager;
use super::super::flows::{clear_bricks, doom_bricks, forget_copies, withdraw};
use super::{Before, Found};
use crate::storage::agent::api::{FailureKind, Host, Request};
use crate::storage::agent::client::AgentError;
use crate::storage::gluster::{self, VolumeState};

/// Removes copies whose volume does not tell of them: their taking was
/// interrupted, or their removal was. Those of a volume that glusterd does not
/// have may be the last of it, and stay.
pub(super) async fn snapshots(
    manager: &Manager,
    cluster: &str,
    hosts: &[(String, Host)],
    known: &BTreeSet<String>,
    in_glusterd: &BTreeSet<String>,
) {
    for (agent, host) in hosts {
        if host
            .node
            .as_ref()
            .is_none_or(|node| node.cluster != cluster)
        {
            continue;
        }
        let left: BTreeSet<&String> = host
            .devices
            .iter()
            .flat_map(|device| {
                device.copies.iter().filter(|copy| {
                    let mut bricks = device.bricks.iter();
                    let brick = bricks.find(|brick| brick.record.id == copy.brick);
                    brick.is_none_or(|brick| in_glusterd.contains(&brick.record.volume_name))
                })
            })
            .map(|copy| &copy.snapshot)
            .filter(|id| !known.contains(*id))
            .collect();
        for id in left {
            tracing::info!(agent, snapshot = &**id, "removing copies of no snapshot");
            forget_copies(manager, [agent.clone()], id).await;
        }
    }
}

/// Removes bricks of volumes that glusterd does not have, if they hold nothing
/// or were to be removed.
pub(super) async fn bricks(
    manager: &Manager,
    found: &Found<'_>,
    in_glusterd: &BTreeSet<String>,
    before: &Before,
) {
    let left: Vec<(String, String)> = {
        let state = manager.state();
        let left = found.values().filter(|(_, brick)| {
            let record = &brick.record;
            !in_glusterd.contains(&record.volume_name)
                && !before.in_progress.contains(&record.volume)
                && !state.kept.contains(&record.id)
        });
        left.map(|(node, brick)| (brick.record.id.clone(), (*node).to_owned()))
            .collect()
    };
    if left.is_empty() || !still_idle(manager, &left, found) {
        return;
    }
    tracing::info!(
        bricks = left.len(),
        "looking at bricks of volumes that glusterd does not have"
    );
    let work = left
        .iter()
        .map(|(brick, node)| sweep_brick(manager, brick, node));
    join_all(work).await;
}

async fn sweep_brick(manager: &Manager, brick: &str, node: &str) {
    let agent = manager
        .state()
        .nodes
        .get(node)
        .map(|node| node.agent.clone());
    let Some(agent) = agent else {
        return;
    };
    let request = Request::SweepBrick { id: brick.into() };
    match manager.ask(&agent, &request).await {
        Ok(_) => tracing::info!(brick, "a brick of no volume is removed"),
        // Said once.
        Err(AgentError::Failed { failure, .. }) if failure.kind == FailureKind::Invalid => {
            tracing::error!(agent, "{failure}");
            manager.state().kept.insert(brick.into());
        }
        Err(error) => {
            tracing::warn!(brick, %error, "a brick is not removed yet; it is tried again at the next look")
        }
    }
}

/// The look began before an operation that has begun since: its bricks stay.
fn still_idle(manager: &Manager, left: &[(String, String)], found: &Found<'_>) -> bool {
    let state = manager.state();
    let ids: BTreeSet<&String> = left.iter().map(|(id, _)| id).collect();
    let records = found.values().map(|(_, brick)| &brick.record);
    let mut volumes = records
        .filter(|record| ids.contains(&record.id))
        .map(|record| &record.volume);
    volumes.all(|volume| {
        !state.busy.contains(volume)
            && !state.volumes.contains_key(volume)
            && state.making.values().all(|making| making != volume)
    })
}

/// A volume without a record: ours if its bricks are, and then never started.
pub(super) async fn unfinished(
    manager: &Manager,
    cluster: &str,
    volume: &gluster::Volume,
    found: &Found<'_>,
    before: &Before,
) {
    let places = volume.bricks.iter();
    let bricks: Vec<_> = places
        .filter_map(|brick| found.get(&(brick.host.clone(), brick.path.clone())))
        .collect();
    let ours = bricks.len() == volume.bricks.len()
        && bricks.iter().all(|(_, brick)| {
            brick.record.volume_name == volume.name
                && !before.in_progress.contains(&brick.record.volume)
        });
    // One that was started may hold something: it is left to people.
    if !ours
        || volume.state != VolumeState::Created
        || manager.state().making.contains_key(&volume.name)
    {
        return;
    }
    tracing::info!(
        volume = &*volume.name,
        "removing a volume whose making was interrupted"
    );
    let bricks: Vec<(String, String)> = bricks
        .iter()
        .map(|(node, brick)| (brick.record.id.clone(), (*node).to_owned()))
        .collect();
    let removed = async {
        doom_bricks(manager, &bricks).await?;
        withdraw(manager, cluster, &volume.name).await
    };
    match removed.await {
        Ok(()) => {
            clear_bricks(manager, bricks).await;
        }
        Err(trouble) => {
            tracing::warn!(volume = &*volume.name, %trouble, "it cannot be removed yet")
        }
    }
}
