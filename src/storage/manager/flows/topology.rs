//! Nodes and devices come, change and go. Their records lie on their hosts.

use super::super::new_id;
use super::super::state::{Device, Node};
use super::{Manager, unexpected};
use crate::storage::agent::api::{
    BrickKind, Command, DeviceRecord, Host, NodeRecord, Reply, Request,
};
use crate::storage::heketi::wire::{DeviceAdd, NodeAdd, Tags};

/// Makes a storage host a node of a cluster; its glusterd a peer of the others'.
pub(in super::super) async fn add_node(
    manager: &Manager,
    add: &NodeAdd,
    id: String,
) -> Result<(), String> {
    // Two at a time would each find a cluster without a peer to join.
    let _alone = manager.peering.lock().await;
    let host = add.hostnames.manage.first().map_or("", String::as_str);
    let storage = add.hostnames.storage.first().map_or("", String::as_str);
    let agent = manager.agent_of(host);
    let found = look(manager, &agent).await?;
    if let Some(other) = found.node.filter(|node| node.id != id) {
        return Err(format!(
            "{host} is node {} of cluster {} already: remove it there first",
            other.id, other.cluster
        ));
    }
    let (peer, flags) = {
        let state = manager.state();
        let cluster = state
            .clusters
            .get(&add.cluster)
            .copied()
            .unwrap_or_default();
        (state.agent_for(&add.cluster), (cluster.block, cluster.file))
    };
    if let Some(peer) = peer {
        manager
            .gluster_at(&peer, Command::PeerProbe(storage.into()))
            .await
            .map_err(|trouble| format!("{storage} does not become a peer: {trouble}"))?;
    }
    let record = NodeRecord {
        id: id.clone(),
        cluster: add.cluster.clone(),
        flags,
        zone: add.zone,
        manage: add.hostnames.manage.clone(),
        storage: add.hostnames.storage.clone(),
        state: "online".into(),
        tags: add.tags.clone().unwrap_or_default(),
    };
    put_node(manager, &agent, record).await
}

/// Writes a node's record on its host, and takes it over.
pub(in super::super) async fn put_node(
    manager: &Manager,
    agent: &str,
    record: NodeRecord,
) -> Result<(), String> {
    let request = Request::PutNode(Some(record.clone()));
    manager
        .ask(agent, &request)
        .await
        .map_err(|error| error.to_string())?;
    let node = Node {
        record,
        agent: agent.into(),
        there: true,
        away: None,
        // As it is until the next look tells.
        peers: 1,
    };
    let mut state = manager.state();
    state.touch(&node.record.id);
    let known = state.nodes.get(&node.record.id).map(|known| known.peers);
    let node = Node {
        peers: known.unwrap_or(node.peers),
        ..node
    };
    state.nodes.insert(node.record.id.clone(), node);
    Ok(())
}

/// A node without devices goes; its glusterd leaves the others.
pub(in super::super) async fn remove_node(manager: &Manager, id: &str) -> Result<(), String> {
    let _alone = manager.peering.lock().await;
    let (node, peer) = {
        let state = manager.state();
        let Some(node) = state.nodes.get(id).cloned() else {
            return Ok(());
        };
        let mut others = state
            .nodes_of(&node.record.cluster)
            .filter(|other| other.record.id != id && other.there);
        let peer = others.next().map(|other| other.agent.clone());
        drop(others);
        (node, peer)
    };
    let told = |trouble: String| format!("node {id} is not removed: {trouble}");
    if let (Some(peer), Some(storage)) = (peer, node.record.storage.first()) {
        manager
            .gluster_at(&peer, Command::PeerDetach(storage.clone()))
            .await
            .map_err(|trouble| told(trouble.to_string()))?;
    }
    manager
        .ask(&node.agent, &Request::PutNode(None))
        .await
        .map_err(|error| told(error.to_string()))?;
    let mut state = manager.state();
    state.touch(id);
    state.nodes.remove(id);
    Ok(())
}

/// Of a device's tags, what its bricks are to be.
const BRICKS: &str = "bricks";

/// What a new device's bricks are to be; the agent takes directories also where
/// nothing else is to be had.
fn kind(tags: &Tags) -> Result<BrickKind, String> {
    match tags.get(BRICKS).map(String::as_str) {
        None | Some("loop") => Ok(BrickKind::Loop),
        Some("directory") => Ok(BrickKind::Directory),
        Some(other) => Err(format!(
            "tag {BRICKS}: {other:?}: a device's bricks are loop (the default) or directory"
        )),
    }
}

/// Takes a directory of a node as a device.
pub(in super::super) async fn add_device(manager: &Manager, add: &DeviceAdd) -> Result<(), String> {
    let node = manager.state().nodes.get(&add.node).cloned();
    let node = node.ok_or("Node id does not exist")?;
    let tags = add.tags.clone().unwrap_or_default();
    let kind = kind(&tags)?;
    // It may be there by an earlier try whose answer was lost.
    let host = look(manager, &node.agent).await?;
    let mut there = host.devices.into_iter().map(|device| device.record);
    let known = there.find(|record| record.name == add.name);
    let record = known.unwrap_or_else(|| DeviceRecord {
        id: new_id(),
        name: add.name.clone(),
        state: "online".into(),
        tags,
        kind,
    });
    put_device(manager, &node, record).await
}

/// Writes a device's record on its host, and takes it over.
pub(in super::super) async fn put_device(
    manager: &Manager,
    node: &Node,
    record: DeviceRecord,
) -> Result<(), String> {
    let id = record.id.clone();
    let request = Request::PutDevice(record);
    manager
        .ask(&node.agent, &request)
        .await
        .map_err(|error| error.to_string())?;
    let host = look(manager, &node.agent).await?;
    let found = host
        .devices
        .into_iter()
        .find(|device| device.record.id == id);
    let found = found
        .ok_or_else(|| format!("agent {} took device {id} and does not show it", node.agent))?;
    let mut state = manager.state();
    state.touch(&id);
    state.devices.insert(
        id,
        Device {
            record: found.record,
            node: node.record.id.clone(),
            space: found.space,
            reflink: found.reflink,
        },
    );
    Ok(())
}

/// A device without bricks goes.
pub(in super::super) async fn remove_device(manager: &Manager, id: &str) -> Result<(), String> {
    let agent = {
        let state = manager.state();
        let Some(device) = state.devices.get(id) else {
            return Ok(());
        };
        state.nodes.get(&device.node).map(|node| node.agent.clone())
    };
    let agent = agent.ok_or("its node is gone")?;
    let request = Request::RemoveDevice { id: id.into() };
    manager
        .ask(&agent, &request)
        .await
        .map_err(|error| error.to_string())?;
    let mut state = manager.state();
    state.touch(id);
    state.devices.remove(id);
    Ok(())
}

async fn look(manager: &Manager, agent: &str) -> Result<Host, String> {
    match manager.ask(agent, &Request::Look).await {
        Ok(Reply::Host(host)) => Ok(host),
        Ok(other) => Err(unexpected(agent, &other).to_string()),
        Err(error) => Err(error.to_string()),
    }
}
