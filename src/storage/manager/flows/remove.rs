//! A volume goes: stopped, deleted in glusterd, then its bricks.

use futures::future::join_all;

use super::{Manager, PAUSE, TRIES, Trouble};
use crate::storage::agent::api::{Command, Request};

/// Removes a volume that is known.
pub(in super::super) async fn remove(manager: &Manager, id: &str) -> Result<(), String> {
    let known = manager.state().volumes.get(id).cloned();
    let Some(volume) = known else {
        return Ok(());
    };
    withdraw(manager, &volume.record.cluster, &volume.name)
        .await
        .map_err(|trouble| trouble.to_string())?;
    let bricks = volume.bricks.iter().map(|brick| {
        let info = &brick.info;
        (info.id.clone(), info.node.clone())
    });
    let left = clear_bricks(manager, bricks).await;
    let mut state = manager.state();
    state.volumes.remove(id);
    // The room of a brick that its host still has comes back when it is gone.
    let gone = volume
        .bricks
        .iter()
        .filter(|brick| !left.contains(&brick.info.id));
    state.give_back(gone.map(|brick| (&*brick.info.device, brick.info.size)));
    Ok(())
}

/// Stops and deletes a volume in glusterd. One that is not there is as good.
pub(in super::super) async fn withdraw(
    manager: &Manager,
    cluster: &str,
    name: &str,
) -> Result<(), Trouble> {
    let mut tries = 1;
    loop {
        match stop_and_delete(manager, cluster, name).await {
            Ok(()) => return Ok(()),
            Err(trouble) if trouble.is_not_found() => return Ok(()),
            // A peer that was away for the stop hears of it only now.
            Err(trouble) if trouble.is_started() && tries < TRIES => {
                tokio::time::sleep(PAUSE * 3).await;
                tries += 1;
            }
            Err(trouble) => return Err(trouble),
        }
    }
}

async fn stop_and_delete(manager: &Manager, cluster: &str, name: &str) -> Result<(), Trouble> {
    for step in [Command::Stop(name.into()), Command::Delete(name.into())] {
        manager.gluster(cluster, step).await?;
    }
    Ok(())
}

/// Removes bricks, (id, node) each, of a volume that glusterd no longer has;
/// answers with those that their hosts still have. A look finds them again.
pub(in super::super) async fn clear_bricks(
    manager: &Manager,
    bricks: impl IntoIterator<Item = (String, String)>,
) -> Vec<String> {
    let work = bricks.into_iter().map(async |(id, node)| {
        let agent = manager.state().nodes.get(&node).map(|node| node.agent.clone());
        let Some(agent) = agent else {
            return Some(id);
        };
        match manager.ask(&agent, &Request::RemoveBrick { id: id.clone() }).await {
            Ok(_) => None,
            Err(error) => {
                tracing::warn!(brick = &*id, %error, "a brick is not removed yet; it is tried again at the next look");
                Some(id)
            }
        }
    });
    join_all(work).await.into_iter().flatten().collect()
}
