//! A Heketi topology file: clusters of nodes, each with its devices.
//!
//! Loading it twice changes nothing: a node is known by its first management
//! name, a device by its name. With our agents a device is a directory.

use std::path::Path;

use serde::Deserialize;

use super::state::Cluster;
use super::{Error, Manager, flows, new_id};
use crate::storage::heketi::wire::{DeviceAdd, Hostnames, NodeAdd, Tags};

/// Largest file, in octets: a thousand nodes come to a few hundred thousand.
const LARGEST: u64 = 4 << 20;

/// The whole file.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Topology {
    #[serde(default)]
    clusters: Vec<WantedCluster>,
}

#[derive(Clone, Debug, Deserialize)]
struct WantedCluster {
    #[serde(default)]
    nodes: Vec<WantedNode>,
    file: Option<bool>,
    block: Option<bool>,
}

#[derive(Clone, Debug, Deserialize)]
struct WantedNode {
    node: NodeShape,
    #[serde(default)]
    devices: Vec<WantedDevice>,
}

#[derive(Clone, Debug, Deserialize)]
struct NodeShape {
    zone: i64,
    hostnames: Hostnames,
    tags: Option<Tags>,
}

/// A name alone, or with what Heketi may be told of it.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum WantedDevice {
    Name(String),
    More {
        name: String,
        #[serde(default)]
        destroydata: bool,
        tags: Option<Tags>,
    },
}

/// Reads the file.
pub(super) fn read(path: &Path) -> Result<Topology, Error> {
    let wrong = |why: String| Error::Topology {
        path: path.display().to_string().into(),
        why,
    };
    let size = std::fs::metadata(path)
        .map_err(|error| wrong(error.to_string()))?
        .len();
    if size > LARGEST {
        return Err(wrong(format!("{size} octets are more than {LARGEST}")));
    }
    let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))
}

/// Makes what is not there yet; answers with the topology if something is to be
/// tried again.
pub(super) async fn load(manager: &Manager, topology: Topology) -> Option<Topology> {
    let mut all_there = true;
    for cluster in &topology.clusters {
        let Some(id) = cluster_of(manager, cluster) else {
            tracing::error!(
                "--topology: nodes of one cluster there belong to several here; nothing of it is loaded"
            );
            continue;
        };
        for wanted in &cluster.nodes {
            if let Err(why) = load_node(manager, &id, wanted).await {
                let node = wanted.node.hostnames.manage.first();
                tracing::warn!(node, why, "--topology: a node cannot be loaded yet");
                all_there = false;
            }
        }
    }
    (!all_there).then_some(topology)
}

/// The cluster that has the nodes already, or a new one.
fn cluster_of(manager: &Manager, wanted: &WantedCluster) -> Option<String> {
    let mut state = manager.state();
    let mut known: Vec<String> = state
        .nodes
        .values()
        .filter(|node| {
            let first = node.record.manage.first();
            let mut names = wanted
                .nodes
                .iter()
                .map(|wanted| wanted.node.hostnames.manage.first());
            names.any(|name| name == first)
        })
        .map(|node| node.record.cluster.clone())
        .collect();
    known.sort();
    known.dedup();
    match known.len() {
        0 => {
            // Of an earlier try, while not a single node could be added.
            let nodes = &state.nodes;
            let empty = state
                .clusters
                .keys()
                .find(|id| nodes.values().all(|node| node.record.cluster != **id));
            if let Some(empty) = empty {
                return Some(empty.clone());
            }
            let id = new_id();
            let cluster = Cluster {
                file: wanted.file.unwrap_or(true),
                block: wanted.block.unwrap_or(true),
            };
            state.clusters.insert(id.clone(), cluster);
            Some(id)
        }
        1 => known.pop(),
        _ => None,
    }
}

async fn load_node(manager: &Manager, cluster: &str, wanted: &WantedNode) -> Result<(), String> {
    let first = wanted.node.hostnames.manage.first();
    let known = {
        let state = manager.state();
        let mut nodes = state.nodes.values();
        let found = nodes.find(|node| node.record.manage.first() == first);
        found.map(|node| node.record.id.clone())
    };
    let id = match known {
        Some(id) => id,
        None => {
            let add = NodeAdd {
                zone: wanted.node.zone,
                hostnames: wanted.node.hostnames.clone(),
                cluster: cluster.into(),
                tags: wanted.node.tags.clone(),
            };
            super::validate::node(&add).map_err(|(_, text)| text)?;
            let id = new_id();
            flows::add_node(manager, &add, id.clone()).await?;
            id
        }
    };
    for device in &wanted.devices {
        let (name, destroydata, tags) = match device {
            WantedDevice::Name(name) => (name, false, None),
            WantedDevice::More {
                name,
                destroydata,
                tags,
            } => (name, *destroydata, tags.clone()),
        };
        let known = {
            let state = manager.state();
            let mut devices = state.devices.values();
            devices.any(|device| device.node == id && device.record.name == *name)
        };
        if known {
            continue;
        }
        let add = DeviceAdd {
            name: name.clone(),
            node: id.clone(),
            destroydata,
            tags,
        };
        flows::add_device(manager, &add).await?;
    }
    Ok(())
}
