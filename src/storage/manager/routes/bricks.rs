//! Bricks that move to other devices.

use std::sync::Arc;

use super::super::queue::End;
use super::super::{Manager, flows};
use super::volumes::Hold;
use super::{Answer, Refusal, absent, spawn};

/// POST /loods/v1/bricks/{id}/replace. Ends at the volume, as it is then.
pub(super) fn replace(manager: &Arc<Manager>, id: &str) -> Result<Answer, Refusal> {
    move_away(manager, id, |volume| End::At(format!("/volumes/{volume}")))
}

/// POST /bricks/to-evict/{id}, as Heketi has it: the same, and ends at nothing.
pub(super) fn evict(manager: &Arc<Manager>, id: &str) -> Result<Answer, Refusal> {
    move_away(manager, id, |_| End::Done)
}

fn move_away(
    manager: &Arc<Manager>,
    id: &str,
    end: impl FnOnce(&str) -> End + Send + 'static,
) -> Result<Answer, Refusal> {
    let volume = {
        let state = manager.state();
        let mut volumes = state.volumes.iter();
        let of = volumes.find(|(_, volume)| volume.bricks.iter().any(|brick| brick.info.id == id));
        of.map(|(id, _)| id.clone()).ok_or_else(absent)?
    };
    let hold = Hold::take(manager, &volume)?;
    let id = id.to_owned();
    spawn(manager, "replace-brick", async move {
        let new = flows::replace(&hold.manager, &hold.id, &id).await?;
        tracing::info!(volume = &*hold.id, old = &*id, new, "a brick is replaced");
        Ok(end(&hold.id))
    })
}

/// POST /devices/{id}/state {"state": "failed"}, or of a node: all bricks go
/// elsewhere. As with Heketi, it must be offline before, so that nothing new comes
/// meanwhile. What failed in the midst is asked for again: bricks that have moved
/// stay so.
pub(super) fn drain(manager: &Arc<Manager>, id: &str, state: &str) -> Result<Answer, Refusal> {
    if state == "online" {
        let (name, word) = match manager.state().nodes.contains_key(id) {
            true => ("Node", "node"),
            false => ("Device", "device"),
        };
        return Err((
            400,
            format!("{name} must be offline before remove operation is performed, {word}:{id}"),
        ));
    }
    let (working, id) = (Arc::clone(manager), id.to_owned());
    spawn(manager, "drain", async move {
        for (volume, brick) in on(&working, &id) {
            let hold = Hold::take(&working, &volume).map_err(|(_, text)| text)?;
            flows::replace(&working, &hold.id, &brick).await?;
        }
        let written = flows::set_state(&working, &id, "failed").await;
        written.map_err(|why| {
            format!("all bricks of {id} are elsewhere now, and its state is not written: {why}")
        })?;
        Ok(End::Done)
    })
}

/// Volume and id of each brick on a device or a node.
fn on(manager: &Manager, id: &str) -> Vec<(String, String)> {
    let state = manager.state();
    let bricks = state.volumes.iter().flat_map(|(volume, known)| {
        let bricks = known.bricks.iter().map(|brick| &brick.info);
        bricks.map(move |info| (volume, info))
    });
    bricks
        .filter(|(_, info)| info.device == id || info.node == id)
        .map(|(volume, info)| (volume.clone(), info.id.clone()))
        .collect()
}
