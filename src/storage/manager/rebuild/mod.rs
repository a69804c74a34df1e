//! What the hosts say: the state is made of it at the start, and corrected by
//! it from then on.
//!
//! ```text
//!   look ── each agent: its node, devices, bricks ── each glusterd: how many peers
//!     '── for each cluster: its volumes, as the glusterd with most peers has them
//!           volumes  taken over; one that was left half made or half removed is ended
//!           sweep    bricks and copies that belong to nothing go
//! ```
//!
//! Nothing is removed unless its cluster's glusterd answered, and nothing that
//! an operation works on, or has worked on since the look began: what was seen
//! of that is old.

mod allow;
mod sweep;
mod volumes;

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;

use super::Manager;
use super::away::joined;
use super::flows;
use super::state::{Cluster, Device, Node};
use crate::storage::agent::api::{self, Command, Host, Reply, Request};
use crate::storage::gluster::{self, Record, SnapshotRecord, replies};

/// How a look went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Looked {
    /// Something is missing, so that another look should come soon.
    pub missing: bool,
    /// All volumes of each cluster that was seen are known: others are not there.
    pub whole: bool,
}

/// Asks all known agents.
pub(super) async fn look(manager: &Manager, seeds: &[Box<str>]) -> Looked {
    let agents: BTreeSet<String> = {
        let mut state = manager.state();
        state.begin_look();
        let known = state.nodes.values().map(|node| node.agent.clone());
        seeds.iter().map(ToString::to_string).chain(known).collect()
    };
    let work = agents.iter().map(async |agent| {
        let answer = manager.ask(agent, &Request::Look).await;
        let in_cluster = matches!(&answer, Ok(Reply::Host(host)) if host.node.is_some());
        let peers = if in_cluster {
            peers(manager, agent).await
        } else {
            0
        };
        (agent.clone(), answer, peers)
    });
    let mut hosts = Vec::new();
    let mut missing = false;
    for (agent, answer, peers) in join_all(work).await {
        match answer {
            Ok(Reply::Host(host)) => {
                take_host(manager, &agent, &host, peers);
                hosts.push((agent, host));
            }
            Ok(_) => missing = true,
            Err(error) => {
                note_absent(manager, &agent, &error.to_string());
                missing = true;
            }
        }
    }
    flows::pay_states(manager).await;
    let clusters: BTreeSet<String> = hosts
        .iter()
        .filter_map(|(_, host)| Some(host.node.as_ref()?.cluster.clone()))
        .collect();
    // Where nobody answers, every volume would seem to be gone.
    let mut whole = !missing || !clusters.is_empty();
    let all_here = !missing;
    for cluster in clusters {
        if let Err(error) = cluster_volumes(manager, &cluster, &hosts, all_here).await {
            tracing::warn!(cluster, error, "volumes cannot be read yet");
            missing = true;
            whole = false;
        }
    }
    Looked { missing, whole }
}

/// How many peers a host's glusterd has joined with, itself among them; 0: it does not say.
async fn peers(manager: &Manager, agent: &str) -> usize {
    let told = manager.ask(agent, &Request::Gluster(Command::PoolList));
    match told.await {
        Ok(Reply::Gluster(text)) => replies::pool(&text).map_or(0, |peers| joined(&peers)),
        _ => 0,
    }
}

fn note_absent(manager: &Manager, agent: &str, error: &str) {
    let known = {
        let state = manager.state();
        state.nodes.values().any(|node| node.agent == agent)
    };
    if !known {
        tracing::warn!(agent, error, "an agent of --agents cannot be asked yet");
    }
    manager.note_away(agent, error);
}

fn take_host(manager: &Manager, agent: &str, host: &Host, peers: usize) {
    let mut state = manager.state();
    let own = host.node.as_ref().map_or("", |node| &node.id);
    // A removal whose answer was lost.
    let gone = state.nodes.values().filter(|node| node.agent == agent);
    let gone: Vec<String> = gone.map(|node| node.record.id.clone()).collect();
    for id in gone {
        if id != own && !state.in_hand(&id) {
            state.nodes.remove(&id);
        }
    }
    let Some(record) = &host.node else {
        return;
    };
    let (block, file) = record.flags;
    state
        .clusters
        .entry(record.cluster.clone())
        .or_insert(Cluster { file, block });
    if !state.in_hand(&record.id) {
        let node = Node {
            record: record.clone(),
            agent: agent.into(),
            there: true,
            away: None,
            peers,
        };
        state.nodes.insert(record.id.clone(), node);
    }
    let seen: BTreeMap<&String, &api::Device> = host
        .devices
        .iter()
        .map(|device| (&device.record.id, device))
        .collect();
    let known = state
        .devices
        .iter()
        .filter(|(_, device)| device.node == record.id);
    let gone: Vec<String> = known
        .filter(|(id, _)| !seen.contains_key(id) && !state.in_hand(id))
        .map(|(id, _)| id.clone())
        .collect();
    for id in gone {
        state.devices.remove(&id);
    }
    for (id, device) in seen {
        if state.in_hand(id) {
            continue;
        }
        let mut space = device.space;
        // What was promised since is not on the disk yet.
        if let Some(known) = state.devices.get(id).filter(|_| state.moves(id)) {
            space = known.space;
        }
        let taken = Device {
            record: device.record.clone(),
            node: record.id.clone(),
            space,
            reflink: device.reflink,
        };
        state.devices.insert(id.clone(), taken);
    }
}

/// Takes a volume whose bricks somebody else made, and that has its record now.
pub(super) async fn take(manager: &Manager, volume: &gluster::Volume, record: Record) {
    volumes::take(manager, volume, record, &Found::new()).await;
}

/// Bricks of a cluster as their hosts have them, by (host in glusterd, path).
type Found<'a> = BTreeMap<(String, String), (&'a str, &'a api::Brick)>;

async fn cluster_volumes(
    manager: &Manager,
    cluster: &str,
    hosts: &[(String, Host)],
    all_here: bool,
) -> Result<(), String> {
    // Before glusterd is asked: what is taken after that has no copies in `hosts`.
    let mut snapshots: BTreeSet<String> = manager.state().taking.keys().cloned().collect();
    let text = manager
        .gluster(cluster, Command::Info(None))
        .await
        .map_err(|trouble| trouble.to_string())?;
    let all = replies::info(&text).map_err(|error| error.to_string())?;
    let found = found(cluster, hosts);
    let mut known = sweep::Volumes::default();
    for volume in &all {
        snapshots.extend(SnapshotRecord::decode(&volume.options).into_keys());
        let record = Record::decode(&volume.options);
        known.add(volume, record.as_ref().ok().and_then(Option::as_ref));
        match record {
            Ok(Some(record)) if record.cluster == cluster => {
                if !manager.state().in_hand(&record.id) {
                    volumes::take(manager, volume, record, &found).await;
                    allow::follow(manager, cluster, volume, all_here).await;
                }
            }
            Ok(Some(_)) => {}
            Ok(None) => match volumes::lost(manager, cluster, volume) {
                Some(known) => {
                    snapshots.extend(known.snapshots.keys().cloned());
                    volumes::write_anew(manager, &known).await;
                }
                None => volumes::unfinished(manager, cluster, volume, &found).await,
            },
            Err(error) => {
                tracing::error!(volume = &*volume.name, %error, "a volume's record does not make sense; mend it by gluster volume set");
            }
        }
    }
    volumes::forget_absent(manager, cluster, &all);
    sweep::bricks(manager, &known, &found).await;
    sweep::copies(manager, cluster, hosts, &snapshots, &known).await;
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

/// Where glusterd has a brick.
fn place(brick: &gluster::VolumeBrick) -> (String, String) {
    (brick.host.clone(), brick.path.clone())
}
