//! Clusters, nodes and devices.

use std::sync::Arc;

use serde::Deserialize;

use super::super::queue::End;
use super::super::state::Cluster;
use super::super::{Manager, flows, new_id, validate};
use super::{Answer, Ask, Refusal, absent, bricks, no_path, not_found, spawn};
use crate::storage::heketi::wire::{ClusterCreate, ClusterList, DeviceAdd, NodeAdd, Tags};

/// POST …/state.
#[derive(Deserialize)]
struct State {
    #[serde(default)]
    state: String,
}

/// POST …/tags.
#[derive(Deserialize)]
struct TagsChange {
    #[serde(default)]
    change_type: String,
    #[serde(default)]
    tags: Tags,
}

impl TagsChange {
    fn apply(self, tags: &mut Tags) -> Result<(), Refusal> {
        match self.change_type.as_str() {
            "set" => *tags = self.tags,
            "update" => tags.extend(self.tags),
            "delete" => tags.retain(|key, _| !self.tags.contains_key(key)),
            other => {
                return Err((
                    400,
                    format!("validation failed: change_type: {other} is not valid."),
                ));
            }
        }
        Ok(())
    }
}

/// The next state of a node or a device that has the state `now`.
fn set_state(
    manager: &Arc<Manager>,
    ask: &Ask<'_>,
    id: &str,
    now: &str,
) -> Result<Answer, Refusal> {
    let State { state } = ask.parse()?;
    match state.as_str() {
        "online" | "offline" => {
            let (working, id) = (Arc::clone(manager), id.to_owned());
            spawn(manager, "set-state", async move {
                flows::set_state(&working, &id, &state).await?;
                Ok(End::Done)
            })
        }
        "failed" => bricks::drain(manager, id, now),
        _ => Err((
            400,
            format!("validation failed: state: {state} is not valid state."),
        )),
    }
}

/// POST /clusters/{id}/flags: whether it takes volumes. Kept on each of its hosts.
async fn set_flags(manager: &Manager, ask: &Ask<'_>, id: &str) -> Result<Answer, Refusal> {
    let change: ClusterCreate = ask.parse()?;
    let (flags, nodes) = {
        let state = manager.state();
        let known = state.clusters.get(id).ok_or_else(absent)?;
        let flags = Cluster {
            file: change.file.unwrap_or(known.file),
            block: change.block.unwrap_or(known.block),
        };
        (flags, state.nodes_of(id).cloned().collect::<Vec<_>>())
    };
    for mut node in nodes {
        node.record.flags = (flags.block, flags.file);
        let put = flows::put_node(manager, &node.agent, node.record);
        put.await.map_err(|text| (500, text))?;
    }
    if let Some(known) = manager.state().clusters.get_mut(id) {
        *known = flags;
    }
    Ok(Answer::empty(200))
}

pub(super) async fn clusters(
    manager: &Arc<Manager>,
    ask: &Ask<'_>,
    parts: &[&str],
) -> Result<Answer, Refusal> {
    if let ("POST", ["clusters", id, "flags"]) = (ask.method, parts) {
        return set_flags(manager, ask, id).await;
    }
    let mut state = manager.state();
    match (ask.method, parts) {
        ("GET", ["clusters"]) => {
            let clusters = state.clusters.keys().cloned().collect();
            Ok(Answer::json(200, &ClusterList { clusters }))
        }
        ("POST", ["clusters"]) => {
            let create: ClusterCreate = ask.parse()?;
            let cluster = Cluster {
                file: create.file.unwrap_or(true),
                block: create.block.unwrap_or(true),
            };
            let id = new_id();
            state.clusters.insert(id.clone(), cluster);
            Ok(Answer::json(201, &state.cluster_info(&id)))
        }
        ("GET", ["clusters", id]) => Ok(Answer::json(
            200,
            &state.cluster_info(id).ok_or_else(absent)?,
        )),
        ("DELETE", ["clusters", id]) => {
            let info = state.cluster_info(id).ok_or_else(absent)?;
            if !info.nodes.is_empty() || !info.volumes.is_empty() {
                let text = format!(
                    "Unable to delete cluster [{id}] because it contains volumes and/or nodes"
                );
                return Err((409, text));
            }
            state.clusters.remove(*id);
            Ok(Answer::empty(200))
        }
        _ => Err(no_path()),
    }
}

pub(super) async fn nodes(
    manager: &Arc<Manager>,
    ask: &Ask<'_>,
    parts: &[&str],
) -> Result<Answer, Refusal> {
    match (ask.method, parts) {
        ("POST", ["nodes"]) => add_node(manager, ask),
        ("GET", ["nodes", id]) => {
            let info = manager.state().node_info(id);
            Ok(Answer::json(200, &info.ok_or_else(absent)?))
        }
        ("DELETE", ["nodes", id]) => {
            let info = manager.state().node_info(id).ok_or_else(absent)?;
            if !info.devices.is_empty() {
                let text = format!("Unable to delete node [{id}] because it contains devices");
                return Err((409, text));
            }
            let (working, id) = (Arc::clone(manager), info.id);
            spawn(manager, "remove-node", async move {
                flows::remove_node(&working, &id).await?;
                Ok(End::Done)
            })
        }
        ("POST", ["nodes", id, "state"]) => {
            let node = manager.state().nodes.get(*id).cloned().ok_or_else(absent)?;
            set_state(manager, ask, id, &node.record.state)
        }
        ("POST", ["nodes", id, "tags"]) => {
            let mut node = manager.state().nodes.get(*id).cloned().ok_or_else(absent)?;
            ask.parse::<TagsChange>()?.apply(&mut node.record.tags)?;
            let tags = node.record.tags.clone();
            flows::put_node(manager, &node.agent, node.record)
                .await
                .map_err(|text| (500, text))?;
            Ok(Answer::json(200, &tags))
        }
        _ => Err(no_path()),
    }
}

fn add_node(manager: &Arc<Manager>, ask: &Ask<'_>) -> Result<Answer, Refusal> {
    let add: NodeAdd = ask.parse()?;
    validate::node(&add)?;
    {
        let state = manager.state();
        if !state.clusters.contains_key(&add.cluster) {
            return Err(not_found("Cluster id does not exist"));
        }
        for node in state.nodes.values() {
            let known = node.record.manage.iter().chain(&node.record.storage);
            let asked = add.hostnames.manage.iter().chain(&add.hostnames.storage);
            let mut asked = asked.filter(|name| known.clone().any(|known| known == *name));
            if let Some(name) = asked.next() {
                let text = format!(
                    "Hostname {name} already used by node with id {}",
                    node.record.id
                );
                return Err((409, text));
            }
        }
    }
    let (working, id) = (Arc::clone(manager), new_id());
    spawn(manager, "add-node", async move {
        flows::add_node(&working, &add, id.clone()).await?;
        Ok(End::At(format!("/nodes/{id}")))
    })
}

pub(super) async fn devices(
    manager: &Arc<Manager>,
    ask: &Ask<'_>,
    parts: &[&str],
) -> Result<Answer, Refusal> {
    match (ask.method, parts) {
        ("POST", ["devices"]) => {
            let add: DeviceAdd = ask.parse()?;
            if add.name.is_empty() {
                return Err((400, "validation failed: name: cannot be blank.".into()));
            }
            if !manager.state().nodes.contains_key(&add.node) {
                return Err(not_found("Node id does not exist"));
            }
            let working = Arc::clone(manager);
            spawn(manager, "add-device", async move {
                flows::add_device(&working, &add).await?;
                Ok(End::Done)
            })
        }
        ("GET", ["devices", id]) => {
            let info = manager.state().device_info(id);
            Ok(Answer::json(200, &info.ok_or_else(absent)?))
        }
        ("GET", ["devices", id, "resync"]) => {
            // Space is asked of the hosts every minute anyway.
            manager.state().device_info(id).ok_or_else(absent)?;
            spawn(manager, "resync-device", async move { Ok(End::Done) })
        }
        ("DELETE", ["devices", id]) => {
            let info = manager.state().device_info(id).ok_or_else(absent)?;
            // One without bricks needs no state before it goes.
            if !info.bricks.is_empty() {
                let text = format!(
                    "device: {id} is not in failed state: it has bricks, which go elsewhere when it is set to offline and then to failed"
                );
                return Err((400, text));
            }
            let (working, id) = (Arc::clone(manager), info.id);
            spawn(manager, "remove-device", async move {
                flows::remove_device(&working, &id).await?;
                Ok(End::Done)
            })
        }
        ("POST", ["devices", id, "state"]) => {
            let (_, record) = device(manager, id)?;
            set_state(manager, ask, id, &record.state)
        }
        ("POST", ["devices", id, "tags"]) => {
            let (node, mut record) = device(manager, id)?;
            ask.parse::<TagsChange>()?.apply(&mut record.tags)?;
            let tags = record.tags.clone();
            flows::put_device(manager, &node, record)
                .await
                .map_err(|text| (500, text))?;
            Ok(Answer::json(200, &tags))
        }
        _ => Err(no_path()),
    }
}

type Found = (
    super::super::state::Node,
    crate::storage::agent::api::DeviceRecord,
);

fn device(manager: &Manager, id: &str) -> Result<Found, Refusal> {
    let state = manager.state();
    let device = state.devices.get(id).ok_or_else(absent)?;
    let node = state.nodes.get(&device.node).ok_or_else(absent)?;
    Ok((node.clone(), device.record.clone()))
}
