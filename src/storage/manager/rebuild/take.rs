//! Taking over what glusterd tells of a volume.

use std::collections::BTreeSet;

use super::super::Manager;
use super::super::state::{Brick, Volume};
use super::{Before, Found};
use crate::storage::agent::api::{Command, Request};
use crate::storage::gluster::{self, Record, SnapshotRecord, VolumeState};
use crate::storage::heketi::wire::BrickInfo;

/// Takes over a volume of ours, and mends what an interrupted operation left
/// of it.
pub(super) async fn volume(
    manager: &Manager,
    volume: &gluster::Volume,
    record: Record,
    found: &Found<'_>,
    before: &Before,
    all_here: bool,
) {
    let (cluster, id) = (record.cluster.clone(), record.id.clone());
    let known = before.known.get(&id).cloned().unwrap_or_default();
    let mut spared = Vec::new();
    let bricks = volume.bricks.iter().map(|brick| {
        let place = (brick.host.clone(), brick.path.clone());
        match found.get(&place) {
            Some((node, found)) => {
                if found.record.doomed {
                    spared.push((found.record.id.clone(), (*node).to_owned()));
                }
                Brick {
                    info: BrickInfo {
                        id: found.record.id.clone(),
                        path: found.path.clone(),
                        device: found.record.device.clone(),
                        node: (*node).to_owned(),
                        volume: id.clone(),
                        size: found.record.size,
                    },
                    host: brick.host.clone(),
                }
            }
            // Its host is away: as it was known, or by what its path tells.
            None => known_brick(&known, manager, brick, &id),
        }
    });
    let taken = Volume {
        name: volume.name.clone(),
        record,
        bricks: bricks.collect(),
        snapshots: SnapshotRecord::decode(&volume.options)
            .into_iter()
            .filter_map(|(id, record)| {
                if record.is_none() {
                    tracing::error!(
                        volume = &*volume.name,
                        snapshot = &*id,
                        "the record of a snapshot does not make sense; it is kept, and not shown"
                    );
                }
                Some((id, record?))
            })
            .collect(),
    };
    {
        let mut state = manager.state();
        let working = state.busy.contains(&id) || state.making.values().any(|making| *making == id);
        if working || state.volumes.get(&id) != before.known.get(&id) {
            return;
        }
        state.volumes.insert(id, taken);
    }
    // Whoever wanted it removed asks again.
    for (brick, node) in spared {
        mark(manager, &node, &brick).await;
    }
    if volume.state == VolumeState::Created {
        let start = Command::Start(volume.name.clone(), false);
        match manager.gluster(&cluster, start).await {
            Ok(_) => tracing::info!(
                volume = &*volume.name,
                "a volume that was made and not started is started"
            ),
            Err(trouble) => {
                tracing::warn!(volume = &*volume.name, %trouble, "a volume does not start")
            }
        }
    }
    allow(manager, volume, &cluster, all_here).await;
}

async fn mark(manager: &Manager, node: &str, brick: &str) {
    let agent = manager
        .state()
        .nodes
        .get(node)
        .map(|node| node.agent.clone());
    let Some(agent) = agent else {
        return;
    };
    let request = Request::MarkBrick {
        id: brick.into(),
        doomed: false,
    };
    if let Err(error) = manager.ask(&agent, &request).await {
        tracing::warn!(brick, %error, "a brick is still marked for removal; it is tried again at the next look");
    }
}

/// Who may mount it follows `--allow` and the cluster's nodes. While a host is
/// away nobody loses what he has.
async fn allow(manager: &Manager, volume: &gluster::Volume, cluster: &str, all_here: bool) {
    const OPTION: &str = "auth.allow";
    let told = volume.options.get(OPTION).map_or("", String::as_str);
    let now: BTreeSet<String> = told.split(',').map(|one| one.trim().to_owned()).collect();
    let mut wanted: BTreeSet<String> = manager.allowed(cluster).into_iter().collect();
    if !all_here {
        wanted.extend(now.iter().filter(|one| !one.is_empty()).cloned());
    }
    if wanted == now {
        return;
    }
    let wanted: Vec<String> = wanted.into_iter().collect();
    let option = (OPTION.to_owned(), wanted.join(","));
    let set = Command::Set(volume.name.clone(), vec![option]);
    match manager.gluster(cluster, set).await {
        Ok(_) => {
            tracing::info!(
                volume = &*volume.name,
                allowed = wanted.join(","),
                "other hosts may mount it now"
            )
        }
        Err(trouble) => {
            tracing::warn!(volume = &*volume.name, %trouble, "who may mount it cannot be changed yet")
        }
    }
}

fn known_brick(
    known: &Volume,
    manager: &Manager,
    brick: &gluster::VolumeBrick,
    volume: &str,
) -> Brick {
    let same = |one: &&Brick| one.host == brick.host && one.info.path == brick.path;
    if let Some(known) = known.bricks.iter().find(same) {
        return known.clone();
    }
    let state = manager.state();
    let mut nodes = state.nodes.values();
    let node = nodes.find(|node| node.record.storage.contains(&brick.host));
    let mut parts = brick.path.split('/');
    let id = parts.find_map(|part| part.strip_prefix("brick_"));
    Brick {
        info: BrickInfo {
            id: id.unwrap_or_default().into(),
            path: brick.path.clone(),
            node: node.map(|node| node.record.id.clone()).unwrap_or_default(),
            volume: volume.into(),
            ..BrickInfo::default()
        },
        host: brick.host.clone(),
    }
}

/// Volumes that somebody deleted by hand.
pub(super) fn forget_absent(
    manager: &Manager,
    cluster: &str,
    in_glusterd: &BTreeSet<String>,
    before: &Before,
) {
    let mut state = manager.state();
    let busy = state.busy.clone();
    state.volumes.retain(|id, volume| {
        let stays = volume.record.cluster != cluster
            || in_glusterd.contains(&volume.name)
            || before.in_progress.contains(id)
            || before.known.get(id) != Some(volume)
            || busy.contains(id);
        if !stays {
            tracing::warn!(
                volume = &*volume.name,
                "glusterd no longer has this volume; it is forgotten"
            );
        }
        stays
    });
}
