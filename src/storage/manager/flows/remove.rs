//! A volume goes: stopped, deleted in glusterd, then its bricks.

use futures::future::join_all;

use super::super::state::Volume;
use super::{Manager, PAUSE, TRIES, Trouble, mark, places};
use crate::storage::agent::api::{Command, Request};
use crate::storage::agent::client::AgentError;

/// Removes a volume that is known.
pub(in super::super) async fn remove(manager: &Manager, id: &str) -> Result<(), String> {
    let known = manager.state().volumes.get(id).cloned();
    let Some(volume) = known else {
        return Ok(());
    };
    manager.state().leaving.insert(id.into());
    take_down(manager, &volume)
        .await
        .map_err(|trouble| trouble.to_string())?;
    let left = clear_bricks(manager, places(&volume.bricks)).await;
    for brick in &volume.bricks {
        if brick.info.device.is_empty() {
            tracing::warn!(
                volume = &*volume.name,
                host = &*brick.host,
                path = &*brick.info.path,
                "the directory of a brick that we did not make stays, with its files"
            );
        }
    }
    let mut state = manager.state();
    state.volumes.remove(id);
    state.leaving.remove(id);
    // The room of a brick that its host still has comes back when it is gone.
    let gone = volume
        .bricks
        .iter()
        .filter(|brick| !left.contains(&brick.info.id));
    state.give_back(gone.map(|brick| (&*brick.info.device, brick.info.size)));
    Ok(())
}

/// From here on its bricks are nobody's only copy. If it stays nevertheless, a
/// look starts it again and settles them.
async fn take_down(manager: &Manager, volume: &Volume) -> Result<(), Trouble> {
    let (cluster, name) = (&volume.record.cluster, &volume.name);
    let there = manager.in_glusterd(cluster, name).await?;
    mark(manager, places(&volume.bricks), false).await?;
    match there {
        // Somebody deleted it by hand, and made another of its name.
        Some(other) if !volume.shares_a_brick(&other) => Ok(()),
        _ => withdraw(manager, cluster, name).await,
    }
}

/// Stops and deletes a volume in glusterd. One that is not there is as good.
///
/// A glusterd that comes back just then may have been left out though it counted
/// as joined, and gives the volume back to the others: so all are asked afterwards.
pub(in super::super) async fn withdraw(
    manager: &Manager,
    cluster: &str,
    name: &str,
) -> Result<(), Trouble> {
    let mut tries = 1;
    loop {
        let still = match stop_and_delete(manager, cluster, name).await {
            Err(trouble) if trouble.is_not_found() => still_known(manager, cluster, name).await?,
            Ok(()) => still_known(manager, cluster, name).await?,
            // A peer that was away for the stop hears of it only now.
            Err(trouble) if trouble.is_started() && tries < TRIES => true,
            Err(trouble) => return Err(trouble),
        };
        if !still {
            return Ok(());
        }
        if tries == TRIES {
            return Err(Trouble::Other(format!(
                "volume {name} was deleted, and a glusterd of cluster {cluster} still has it: look at gluster volume list on each host; the removal is tried again when it is asked for again"
            )));
        }
        tokio::time::sleep(PAUSE * tries.clamp(3, 10)).await;
        tries += 1;
    }
}

/// Whether any glusterd of a cluster still has a volume. A host that is away by
/// now is not asked.
async fn still_known(manager: &Manager, cluster: &str, name: &str) -> Result<bool, Trouble> {
    let agents = manager.state().agents_of(cluster);
    let asking = agents.iter().map(async |agent| {
        let info = Command::Info(Some(name.into()));
        match manager.gluster_at(agent, info).await {
            Ok(_) => Ok(true),
            Err(trouble) if trouble.is_not_found() => Ok(false),
            Err(Trouble::Agent(AgentError::Unreachable { .. })) => Ok(false),
            Err(trouble) => Err(trouble),
        }
    });
    let told: Result<Vec<bool>, Trouble> = join_all(asking).await.into_iter().collect();
    Ok(told?.contains(&true))
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
