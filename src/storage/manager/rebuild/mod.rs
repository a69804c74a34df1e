//! What the hosts say: the state is made of it at the start, and corrected by
//! it from then on.
//!
//! What an operation of an earlier life left is ended here: a volume that has
//! its record and no start is started; one without its record never started,
//! and goes; a brick whose volume glusterd does not have goes. Nothing is
//! removed unless its cluster's glusterd answered and nothing works on it, and
//! no brick that may hold a user's files: glusterd may have lost its memory.

mod sweep;
mod take;

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;

use super::Manager;
use super::state::{Cluster, Device, Node, Volume};
use crate::storage::agent::api::{self, Command, Host, Reply, Request};
use crate::storage::gluster::{Record, SnapshotRecord, replies};

/// How a look went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Looked {
    /// A host or a cluster did not answer: look again soon.
    pub missing: bool,
    /// The volumes of each cluster that was seen are known: what is not among
    /// them is not there.
    pub whole: bool,
}

/// Asks all known agents.
pub(super) async fn look(manager: &Manager, seeds: &[Box<str>]) -> Looked {
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
    // With nobody there it would be said of every volume that it is gone.
    let mut whole = !missing || !clusters.is_empty();
    let all_here = !missing;
    for cluster in clusters {
        if let Err(error) = volumes(manager, &cluster, &hosts, all_here).await {
            tracing::warn!(cluster, error, "volumes cannot be read yet");
            missing = true;
            whole = false;
        }
    }
    Looked { missing, whole }
}

fn note_absent(manager: &Manager, agent: &str, error: &str) {
    if !manager
        .state()
        .nodes
        .values()
        .any(|node| node.agent == agent)
    {
        tracing::warn!(agent, error, "an agent of --agents cannot be asked yet");
    }
    manager.note_away(agent, error);
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

/// What was known and what was under way before glusterd was asked: what has
/// changed since is newer than its answer.
struct Before {
    /// Volumes that an operation works on, by id.
    in_progress: BTreeSet<String>,
    /// Snapshots that are being taken, by id.
    taking: BTreeSet<String>,
    /// Volumes, by id.
    known: BTreeMap<String, Volume>,
}

impl Before {
    fn note(manager: &Manager) -> Self {
        let state = manager.state();
        let working = state.making.values().chain(&state.busy);
        Self {
            in_progress: working.cloned().collect(),
            taking: state.taking.keys().cloned().collect(),
            known: state.volumes.clone(),
        }
    }
}

async fn volumes(
    manager: &Manager,
    cluster: &str,
    hosts: &[(String, Host)],
    all_here: bool,
) -> Result<(), String> {
    let before = Before::note(manager);
    let text = manager
        .gluster(cluster, Command::Info(None))
        .await
        .map_err(|trouble| trouble.to_string())?;
    let all = replies::info(&text).map_err(|error| error.to_string())?;
    let found = found(cluster, hosts);
    let mut in_glusterd = BTreeSet::new();
    // What is being taken now was in `taking`, or is told of by now.
    let mut snapshots = before.taking.clone();
    for volume in &all {
        in_glusterd.insert(volume.name.clone());
        snapshots.extend(SnapshotRecord::decode(&volume.options).into_keys());
        match Record::decode(&volume.options) {
            Ok(Some(record)) if record.cluster == cluster => {
                if !before.in_progress.contains(&record.id) {
                    take::volume(manager, volume, record, &found, &before, all_here).await;
                }
            }
            Ok(Some(_)) => {}
            Ok(None) => sweep::unfinished(manager, cluster, volume, &found, &before).await,
            Err(error) => {
                tracing::error!(volume = &*volume.name, %error, "a volume's record does not make sense; mend it by gluster volume set");
            }
        }
    }
    take::forget_absent(manager, cluster, &in_glusterd, &before);
    sweep::snapshots(manager, cluster, hosts, &snapshots, &in_glusterd).await;
    sweep::bricks(manager, &found, &in_glusterd, &before).await;
    Ok(())
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
