//! Volumes as glusterd has them: taken over, or ended where they were left.
//!
//! | as it is found | what was interrupted | what is done |
//! |---|---|---|
//! | without a record, not started, on bricks of ours that are not settled | its making | it goes |
//! | with its record, never started | its making | it is started |
//! | stopped, its bricks not settled | its removal, which a client must order again | it is started |
//! | stopped, its bricks settled | nothing: somebody stopped it | nothing |
//! | on directories, and without the quota of its size | its making, growth or a brick's replacement | quota is set |
//! | its barrier is up | a snapshot | the barrier comes down |

use super::super::Manager;
use super::super::flows::{clear_bricks, keep_size, limit, mark, withdraw};
use super::super::state::{Brick, Volume};
use super::{Found, place};
use crate::storage::agent::api::Command;
use crate::storage::gluster::{self, Record, SnapshotRecord, VolumeState, name};
use crate::storage::heketi::wire::BrickInfo;

/// Where glusterd keeps that writes wait.
const BARRIER: &str = "features.barrier";

pub(super) async fn take(
    manager: &Manager,
    volume: &gluster::Volume,
    record: Record,
    found: &Found<'_>,
) {
    let id = record.id.clone();
    let known = manager.state().volumes.get(&id).cloned();
    let known = known.unwrap_or_default();
    let bricks = volume.bricks.iter().map(|brick| {
        let Some((node, found)) = found.get(&place(brick)) else {
            // Its host is away, or somebody else made it: as it was known, or by what
            // its path tells.
            return known_brick(&known, manager, brick, &id);
        };
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
    });
    let taken = Volume {
        name: volume.name.clone(),
        record,
        bricks: bricks.collect(),
        snapshots: snapshots(volume),
        limit: limit(volume),
    };
    {
        let mut state = manager.state();
        state.leaving.remove(&id);
        state.volumes.insert(id, taken.clone());
    }
    finish(manager, volume, &taken, found).await;
}

fn snapshots(volume: &gluster::Volume) -> std::collections::BTreeMap<String, SnapshotRecord> {
    SnapshotRecord::decode(&volume.options)
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
        .collect()
}

/// Ends what was left half done with a volume that has its record.
async fn finish(manager: &Manager, volume: &gluster::Volume, taken: &Volume, found: &Found<'_>) {
    let (cluster, name) = (&taken.record.cluster, &volume.name);
    let ours = volume.bricks.iter().filter_map(|b| found.get(&place(b)));
    let unsettled: Vec<(String, String)> = ours
        .filter(|(_, brick)| !brick.record.settled)
        .map(|(node, brick)| (brick.record.id.clone(), (*node).to_owned()))
        .collect();
    let interrupted = match volume.state {
        VolumeState::Created => true,
        VolumeState::Stopped => !unsettled.is_empty(),
        VolumeState::Started => false,
    };
    if interrupted {
        let start = Command::Start(name.clone(), false);
        match manager.gluster(cluster, start).await {
            Ok(_) => tracing::info!(
                volume = &**name,
                "a volume that was left stopped is started"
            ),
            Err(trouble) => {
                tracing::warn!(volume = &**name, %trouble, "a volume does not start");
                return;
            }
        }
    }
    if let Err(trouble) = mark(manager, unsettled, true).await {
        tracing::warn!(volume = &**name, %trouble, "its bricks are not marked as settled yet");
    }
    if volume.state != VolumeState::Stopped {
        keep_size(manager, &taken.record.id).await;
    }
    if volume.options.get(BARRIER).is_some_and(|up| up == "enable") {
        match manager
            .gluster(cluster, Command::Barrier(name.clone(), false))
            .await
        {
            Ok(_) => tracing::info!(volume = &**name, "a barrier that was left up is down"),
            Err(trouble) => {
                tracing::warn!(volume = &**name, %trouble, "a barrier cannot be taken down yet");
            }
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
    Brick {
        info: BrickInfo {
            id: name::brick_id(&brick.host, &brick.path),
            path: brick.path.clone(),
            node: node.map(|node| node.record.id.clone()).unwrap_or_default(),
            volume: volume.into(),
            ..BrickInfo::default()
        },
        host: brick.host.clone(),
    }
}

/// The volume that this one was, if its record was taken away, as by `gluster
/// volume reset`, while we know it.
pub(super) fn lost(manager: &Manager, cluster: &str, there: &gluster::Volume) -> Option<Volume> {
    let state = manager.state();
    let known = state.volume_named(&there.name)?;
    let id = &known.record.id;
    let is_it = known.record.cluster == cluster
        && known.shares_a_brick(there)
        && !state.in_hand(id)
        && !state.leaving.contains(id);
    is_it.then(|| known.clone())
}

/// Gives a volume its record and those of its snapshots again.
pub(super) async fn write_anew(manager: &Manager, known: &Volume) {
    let mut options = known.record.encode();
    let snapshots = known.snapshots.iter();
    options.extend(snapshots.map(|(id, taken)| taken.encode(id)));
    let set = Command::Set(known.name.clone(), options);
    match manager.gluster(&known.record.cluster, set).await {
        Ok(_) => tracing::warn!(
            volume = &*known.name,
            "its record was gone (gluster volume reset?) and is written anew"
        ),
        Err(trouble) => {
            tracing::error!(volume = &*known.name, %trouble, "its record is gone and cannot be written anew yet")
        }
    }
}

/// A volume without a record: ours if its bricks are, and then it never served.
pub(super) async fn unfinished(
    manager: &Manager,
    cluster: &str,
    volume: &gluster::Volume,
    found: &Found<'_>,
) {
    let places = volume.bricks.iter();
    let bricks: Vec<_> = places.filter_map(|b| found.get(&place(b))).collect();
    let ours = {
        let state = manager.state();
        bricks.len() == volume.bricks.len()
            && !state.making.contains_key(&volume.name)
            && bricks.iter().all(|(_, brick)| {
                let record = &brick.record;
                record.volume_name == volume.name
                    && !record.settled
                    && !state.in_hand(&record.volume)
            })
    };
    // One that serves may hold something: it is left to people.
    if !ours || volume.state == VolumeState::Started {
        return;
    }
    tracing::info!(
        volume = &*volume.name,
        "removing a volume whose making was interrupted"
    );
    match withdraw(manager, cluster, &volume.name).await {
        Ok(()) => {
            let bricks = bricks
                .iter()
                .map(|(node, brick)| (brick.record.id.clone(), (*node).to_owned()));
            clear_bricks(manager, bricks).await;
        }
        Err(trouble) => {
            tracing::warn!(volume = &*volume.name, %trouble, "it cannot be removed yet")
        }
    }
}

/// Whether a volume in glusterd is this one, and no other of its name.
fn is_it(there: &gluster::Volume, id: &str, volume: &Volume) -> bool {
    let record = Record::decode(&there.options);
    there.name == volume.name && !matches!(record, Ok(Some(other)) if other.id != id)
}

/// Volumes that somebody deleted by hand.
pub(super) fn forget_absent(manager: &Manager, cluster: &str, all: &[gluster::Volume]) {
    let mut state = manager.state();
    let gone = state.volumes.iter().filter(|(id, volume)| {
        volume.record.cluster == cluster
            && !state.in_hand(id)
            && !all.iter().any(|there| is_it(there, id, volume))
    });
    let gone: Vec<String> = gone.map(|(id, _)| id.clone()).collect();
    for id in gone {
        state.leaving.remove(&id);
        if let Some(volume) = state.volumes.remove(&id) {
            tracing::warn!(
                volume = &*volume.name,
                "glusterd no longer has this volume; it is forgotten"
            );
        }
    }
}
