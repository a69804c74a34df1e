//! A volume goes: its bricks are marked, it is stopped and deleted in glusterd,
//! then its bricks go.

use futures::future::join_all;

use super::{Manager, PAUSE, TRIES, Trouble};
use crate::storage::agent::api::{Command, Request};

/// Removes a volume that is known.
pub(in super::super) async fn remove(manager: &Manager, id: &str) -> Result<(), String> {
    let known = manager.state().volumes.get(id).cloned();
    let Some(volume) = known else {
        return Ok(());
    };
    let bricks = volume.bricks.iter().map(|brick| {
        let info = &brick.info;
        (info.id.clone(), info.node.clone())
    });
    let bricks: Vec<(String, String)> = bricks.collect();
    let withdrawn = async {
        doom_bricks(manager, &bricks).await?;
        withdraw(manager, &volume.record.cluster, &volume.name).await
    };
    withdrawn.await.map_err(|trouble| trouble.to_string())?;
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

/// Writes beside each brick, (id, node), that it may go: so that one that is
/// left is told from one whose volume glusterd has lost.
pub(in super::super) async fn doom_bricks(
    manager: &Manager,
    bricks: &[(String, String)],
) -> Result<(), Trouble> {
    let work = bricks.iter().map(async |(id, node)| {
        let known = manager.state().nodes.get(node).map(|node| node.agent.clone());
        let agent = known.ok_or_else(|| {
            Trouble::Other(format!(
                "the storage host of brick {id} is not there; a volume is removed when all its hosts are"
            ))
        })?;
        let request = Request::MarkBrick {
            id: id.clone(),
            doomed: true,
        };
        manager.ask(&agent, &request).await?;
        Ok(())
    });
    join_all(work).await.into_iter().collect()
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
