//! What the hosts say: the state is made of it at the start, and corrected by
//! it from then on.
//!
//! What an operation of an earlier life left is ended here: a volume that has
//! its record and no start is started; one without its record never started,
//! and goes; a brick whose volume glusterd does not have goes. Nothing is
//! removed unless its cluster's glusterd answered and nothing works on it.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;

use super::Manager;
use super::flows::{clear_bricks, forget_copies, withdraw};
use super::state::{Brick, Cluster, Device, Node, Volume};
use crate::storage::agent::api::{self, Command, Host, Reply, Request};
use crate::storage::gluster::{self, Record, SnapshotRecord, VolumeState, replies};
use crate::storage::heketi::wire::BrickInfo;

/// Asks all known agents. Answers whether one of the seeds has not been seen.
pub(super) async fn look(manager: &Manager, seeds: &[Box<str>]) -> bool {
    let agents: BTreeSet<String> = {
        let state = manager.state();
        let known = state.nodes.values().map(|node| node.agent.clone());
        seeds.iter().map(ToString::to_string).chain(known).collect()
    };
    let work = agents.iter().map(async |agent| {
        let answer = manager.ask(agent, &Request::Look).await;
        (agent.clone(), answer)
    });
    let mut hosts = Vec::new();
    let mut missing = false;
    for (agent, answer) in join_all(work).await {
        match answer {
            Ok(Reply::Host(host)) => hosts.push((agent, host)),
            Ok(_) => missing = true,
            Err(error) => {
                note_absent(manager, &agent, &error.to_string());
                missing = true;
            }
        }
    }
    for (agent, host) in &hosts {
        take_host(manager, agent, host);
    }
    let clusters: BTreeSet<String> = hosts
        .iter()
        .filter_map(|(_, host)| Some(host.node.as_ref()?.cluster.clone()))
        .collect();
    for cluster in clusters {
        if let Err(error) = volumes(manager, &cluster, &hosts).await {
            tracing::warn!(cluster, error, "volumes cannot be read yet");
            missing = true;
        }
    }
    missing
}

fn note_absent(manager: &Manager, agent: &str, error: &str) {
    let mut state = manager.state();
    let mut nodes = state.nodes.values_mut();
    match nodes.find(|node| node.agent == agent) {
        // Said once, not at every look.
        Some(node) if !node.there => {}
        Some(node) => {
            node.there = false;
            tracing::warn!(
                agent,
                error,
                "a storage host is away: nothing is placed on it"
            );
        }
        None => tracing::warn!(agent, error, "an agent of --agents cannot be asked yet"),
    }
}

fn take_host(manager: &Manager, agent: &str, host: &Host) {
    let Some(record) = &host.node else {
        return;
    };
    let mut state = manager.state();
    let (block, file) = record.flags;
    state
        .clusters
        .entry(record.cluster.clone())
        .or_insert(Cluster { file, block });
    let node = Node {
        record: record.clone(),
        agent: agent.into(),
        there: true,
    };
    state.nodes.insert(record.id.clone(), node);
    // A count that an operation under way has changed is newer than this look.
    let quiet = state.making.is_empty() && state.busy.is_empty();
    for device in &host.devices {
        let id = device.record.id.clone();
        let seen = Device {
            record: device.record.clone(),
            node: record.id.clone(),
            space: device.space,
            reflink: device.reflink,
        };
        match state.devices.get_mut(&id) {
            Some(known) if !quiet => known.record = seen.record,
            _ => {
                state.devices.insert(id, seen);
            }
        }
    }
}

/// Bricks of a cluster as their hosts have them, by (host in glusterd, path).
type Found<'a> = BTreeMap<(String, String), (&'a str, &'a api::Brick)>;

async fn volumes(manager: &Manager, cluster: &str, hosts: &[(String, Host)]) -> Result<(), String> {
    let (in_progress, taking): (BTreeSet<String>, BTreeSet<String>) = {
        let state = manager.state();
        let volumes = state.making.values().chain(&state.busy).cloned();
        (volumes.collect(), state.taking.keys().cloned().collect())
    };
    let all = list(manager, cluster, hosts).await?;
    let found = found(cluster, hosts);
    let mut in_glusterd = BTreeSet::new();
    // What is being taken now was in `taking`, or is told of by now.
    let mut snapshots = taking;
    for volume in &all {
        in_glusterd.insert(volume.name.clone());
        snapshots.extend(SnapshotRecord::decode(&volume.options).into_keys());
        match Record::decode(&volume.options) {
            Ok(Some(record)) if record.cluster == cluster => {
                if !in_progress.contains(&record.id) {
                    take_volume(manager, volume, record, &found).await;
                }
            }
            Ok(Some(_)) => {}
            Ok(None) => unfinished(manager, cluster, volume, &found, &in_progress).await,
            Err(error) => {
                tracing::error!(volume = &*volume.name, %error, "a volume's record does not make sense; mend it by gluster volume set");
            }
        }
    }
    forget_absent(manager, cluster, &in_glusterd, &in_progress);
    sweep_snapshots(manager, cluster, hosts, &snapshots).await;
    let left = found.values().filter(|(_, brick)| {
        let record = &brick.record;
        !in_glusterd.contains(&record.volume_name) && !in_progress.contains(&record.volume)
    });
    let left: Vec<(String, String)> = left
        .map(|(node, brick)| (brick.record.id.clone(), (*node).to_owned()))
        .collect();
    if !left.is_empty() && still_idle(manager, &left, &found) {
        tracing::info!(
            bricks = left.len(),
            "removing bricks of volumes that glusterd does not have"
        );
        clear_bricks(manager, left).await;
    }
    Ok(())
}

/// The volumes of a cluster. A glusterd that has lost its state, or was detached,
/// knows none, and has no peers: what it says is not taken for the truth.
async fn list(
    manager: &Manager,
    cluster: &str,
    hosts: &[(String, Host)],
) -> Result<Vec<gluster::Volume>, String> {
    let told = |error: &dyn std::fmt::Display| error.to_string();
    let of_cluster = |host: &Host| {
        host.node
            .as_ref()
            .is_some_and(|node| node.cluster == cluster)
    };
    let wanted = hosts.iter().filter(|(_, host)| of_cluster(host)).count();
    let pool = manager.gluster(cluster, Command::PoolList).await;
    let pool = replies::pool(&pool.map_err(|error| told(&error))?).map_err(|error| told(&error))?;
    if pool.len() < wanted {
        return Err(format!(
            "glusterd has {} peers, itself among them, and the cluster has {wanted} hosts: has it lost its state?",
            pool.len()
        ));
    }
    let text = manager.gluster(cluster, Command::Info(None)).await;
    replies::info(&text.map_err(|error| told(&error))?).map_err(|error| told(&error))
}

/// Removes copies that no volume tells of: their taking was interrupted, or
/// their removal was.
async fn sweep_snapshots(
    manager: &Manager,
    cluster: &str,
    hosts: &[(String, Host)],
    known: &BTreeSet<String>,
) {
    for (agent, host) in hosts {
        if host
            .node
            .as_ref()
            .is_none_or(|node| node.cluster != cluster)
        {
            continue;
        }
        let copies = host.devices.iter().flat_map(|device| &device.snapshots);
        let left: BTreeSet<&String> = copies.filter(|id| !known.contains(*id)).collect();
        for id in left {
            tracing::info!(agent, snapshot = &**id, "removing copies of no snapshot");
            forget_copies(manager, [agent.clone()], id).await;
        }
    }
}

fn found<'a>(cluster: &str, hosts: &'a [(String, Host)]) -> Found<'a> {
    let mut found = Found::new();
    for (_, host) in hosts {
        let Some(node) = host.node.as_ref().filter(|node| node.cluster == cluster) else {
            continue;
        };
        let Some(storage) = node.storage.first() else {
            continue;
        };
        for brick in host.devices.iter().flat_map(|device| &device.bricks) {
            found.insert((storage.clone(), brick.path.clone()), (&node.id, brick));
        }
    }
    found
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

async fn take_volume(
    manager: &Manager,
    volume: &gluster::Volume,
    record: Record,
    found: &Found<'_>,
) {
    let (cluster, id) = (record.cluster.clone(), record.id.clone());
    let known = manager
        .state()
        .volumes
        .get(&id)
        .cloned()
        .unwrap_or_default();
    let bricks = volume.bricks.iter().map(|brick| {
        let place = (brick.host.clone(), brick.path.clone());
        match found.get(&place) {
            Some((node, found)) => Brick {
                info: BrickInfo {
                    id: found.record.id.clone(),
                    path: found.path.clone(),
                    device: found.record.device.clone(),
                    node: (*node).to_owned(),
                    volume: id.clone(),
                    size: found.record.size,
                },
                host: brick.host.clone(),
            },
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
    manager.state().volumes.insert(id, taken);
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

/// A volume without a record: ours if its bricks are, and then never started.
async fn unfinished(
    manager: &Manager,
    cluster: &str,
    volume: &gluster::Volume,
    found: &Found<'_>,
    in_progress: &BTreeSet<String>,
) {
    let places = volume.bricks.iter();
    let bricks: Vec<_> = places
        .filter_map(|brick| found.get(&(brick.host.clone(), brick.path.clone())))
        .collect();
    let ours = bricks.len() == volume.bricks.len()
        && bricks.iter().all(|(_, brick)| {
            brick.record.volume_name == volume.name && !in_progress.contains(&brick.record.volume)
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

/// Volumes that somebody deleted by hand.
fn forget_absent(
    manager: &Manager,
    cluster: &str,
    in_glusterd: &BTreeSet<String>,
    in_progress: &BTreeSet<String>,
) {
    let mut state = manager.state();
    let busy = state.busy.clone();
    state.volumes.retain(|id, volume| {
        let stays = volume.record.cluster != cluster
            || in_glusterd.contains(&volume.name)
            || in_progress.contains(id)
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
