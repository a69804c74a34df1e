//! States of nodes and devices: online, offline, failed. They are kept on the
//! host, which may be what is dead.

use super::Manager;
use super::topology::{put_device, put_node};

/// Gives a node or a device another state. While its host is away the state holds
/// here, so that a dead host's bricks can move, and is written there when the host
/// is back.
pub(in super::super) async fn set_state(
    manager: &Manager,
    id: &str,
    wanted: &str,
) -> Result<(), String> {
    let (node, device) = {
        let state = manager.state();
        let device = state.devices.get(id);
        let node = device.map_or(id, |device| &device.node);
        let node = state.nodes.get(node).cloned();
        (node, device.map(|device| device.record.clone()))
    };
    let mut node = node.ok_or_else(|| format!("no node or device has the id {id} any more"))?;
    let written = match device {
        Some(mut record) => {
            record.state = wanted.into();
            put_device(manager, &node, record).await
        }
        None => {
            node.record.state = wanted.into();
            put_node(manager, &node.agent, node.record.clone()).await
        }
    };
    let mut state = manager.state();
    let known = state.nodes.get(&node.record.id);
    if written.is_err() && known.is_some_and(|node| !node.there) {
        state.owe(id, wanted);
        tracing::warn!(
            id,
            state = wanted,
            "its host is away, and hears of the state when it is back"
        );
        return Ok(());
    }
    state.owed.remove(id);
    written
}

/// Tells hosts that are back.
pub(in super::super) async fn pay_states(manager: &Manager) {
    let owed: Vec<(String, String)> = {
        let state = manager.state();
        let is_there = |id: &str| {
            let node = state.devices.get(id).map_or(id, |device| &device.node);
            state.nodes.get(node).is_some_and(|node| node.there)
        };
        let owed = state.owed.iter();
        owed.filter(|(id, _)| is_there(id))
            .map(|(id, wanted)| (id.clone(), wanted.clone()))
            .collect()
    };
    for (id, wanted) in owed {
        if let Err(why) = set_state(manager, &id, &wanted).await {
            tracing::warn!(id, why, "its host has not heard of its state yet");
        }
    }
}
