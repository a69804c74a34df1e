//! A volume that somebody else made becomes ours: it gets a record, and nothing
//! else of it is changed here. Who may mount it is set by the next look.

use std::collections::BTreeSet;

use super::super::adopt;
use super::super::rebuild;
use super::{Manager, Trouble};
use crate::storage::agent::api::Command;
use crate::storage::gluster::{self, Record, replies};
use crate::storage::heketi::loods::{Adopt, Stranger};

/// All volumes without a record, or the one of `wish`'s name, each as it would be.
pub(in super::super) async fn strangers(
    manager: &Manager,
    wish: &Adopt,
) -> Result<Vec<Stranger>, String> {
    let clusters: Vec<String> = manager.state().clusters.keys().cloned().collect();
    let mut found = Vec::new();
    for cluster in clusters {
        // Before the first host is added there is nobody to ask.
        if manager.state().nodes_of(&cluster).next().is_none() {
            continue;
        }
        let info = manager.gluster(&cluster, Command::Info(None)).await;
        let info = info.map_err(|trouble| trouble.to_string())?;
        let all = replies::info(&info).map_err(|error| error.to_string())?;
        for volume in all {
            let wanted = wish.volume.is_empty() || wish.volume == volume.name;
            // A record that does not make sense is mended, and not written anew.
            if wanted && matches!(Record::decode(&volume.options), Ok(None)) {
                found.push(look(manager, &cluster, volume, wish).await);
            }
        }
    }
    Ok(found.into_iter().map(|(stranger, _)| stranger).collect())
}

/// One of them, and its record if it can have one.
async fn look(
    manager: &Manager,
    cluster: &str,
    volume: gluster::Volume,
    wish: &Adopt,
) -> (Stranger, Option<Record>) {
    let judged = judge(manager, cluster, &volume, wish).await;
    let brick = |brick: &gluster::VolumeBrick| format!("{}:{}", brick.host, brick.path);
    let mut stranger = Stranger {
        bricks: volume.bricks.iter().map(brick).collect(),
        allowed: volume
            .options
            .get("auth.allow")
            .cloned()
            .unwrap_or_else(|| "*".into()),
        allow: manager.allowed(cluster).join(","),
        name: volume.name,
        cluster: cluster.into(),
        ..Stranger::default()
    };
    match judged {
        Err(why) => {
            stranger.refused = why;
            (stranger, None)
        }
        Ok(record) => {
            stranger.id.clone_from(&record.id);
            stranger.size = record.size;
            stranger.gid = record.gid;
            stranger.durability = record.durability.clone();
            (stranger, Some(record))
        }
    }
}

async fn judge(
    manager: &Manager,
    cluster: &str,
    volume: &gluster::Volume,
    wish: &Adopt,
) -> Result<Record, String> {
    let told = |error: &dyn std::fmt::Display| error.to_string();
    // One that does not run has no status, and is refused for that.
    let status = match volume.state {
        gluster::VolumeState::Started => {
            let asked = manager.gluster(cluster, Command::Status(volume.name.clone()));
            replies::status(&asked.await.map_err(|error| told(&error))?)
                .map_err(|error| told(&error))?
        }
        _ => Vec::new(),
    };
    let hosts: BTreeSet<String> = {
        let state = manager.state();
        let nodes = state.nodes_of(cluster);
        nodes.flat_map(|node| node.record.storage.clone()).collect()
    };
    let record = adopt::record(volume, cluster, &hosts, &status, wish)?;
    is_free(manager, &volume.name, &record.id)?;
    Ok(record)
}

/// Ids and names are what clients know a volume by: of all clusters.
fn is_free(manager: &Manager, name: &str, id: &str) -> Result<(), String> {
    let state = manager.state();
    if let Some(other) = state.volumes.get(id) {
        return Err(format!(
            "its id would be {id}, which volume {} has; say --id",
            other.name
        ));
    }
    if state.volume_named(name).is_some() || state.making.contains_key(name) {
        return Err(
            "another cluster has a volume of this name, and claims find theirs by name".into(),
        );
    }
    Ok(())
}

/// Writes the record; answers with the volume's id.
pub(in super::super) async fn adopt(manager: &Manager, wish: &Adopt) -> Result<String, String> {
    let mut found = Vec::new();
    let clusters: Vec<String> = manager.state().clusters.keys().cloned().collect();
    for cluster in clusters {
        if manager.state().nodes_of(&cluster).next().is_none() {
            continue;
        }
        let there = manager.in_glusterd(&cluster, &wish.volume).await;
        if let Some(volume) = there.map_err(|trouble| trouble.to_string())? {
            found.push((cluster, volume));
        }
    }
    let (cluster, volume) = match <[_; 1]>::try_from(found) {
        Ok([one]) => one,
        Err(none) if none.is_empty() => {
            return Err(format!("no glusterd has a volume {}", wish.volume));
        }
        Err(_) => {
            return Err(format!(
                "several clusters have a volume {}, and claims find theirs by name",
                wish.volume
            ));
        }
    };
    match Record::decode(&volume.options) {
        Ok(None) => {}
        Ok(Some(record)) => return Ok(record.id),
        Err(error) => return Err(format!("{error}; mend it by gluster volume set")),
    }
    let (stranger, record) = look(manager, &cluster, volume, wish).await;
    let record = record.ok_or(stranger.refused)?;
    {
        let mut state = manager.state();
        if state.making.contains_key(&wish.volume)
            || state.making.values().any(|id| *id == record.id)
        {
            return Err(format!(
                "volume {} or its id is being made; ask again",
                wish.volume
            ));
        }
        state.begin_making(&wish.volume, &record.id);
    }
    let id = record.id.clone();
    let done = write(manager, &wish.volume, record).await;
    manager.state().making.remove(&wish.volume);
    // The next look sets who may mount it.
    manager.doubt.notify_one();
    done.map(|()| id)
        .map_err(|trouble| format!("volume {} is not adopted: {trouble}", wish.volume))
}

async fn write(manager: &Manager, name: &str, record: Record) -> Result<(), Trouble> {
    let set = Command::Set(name.into(), record.encode());
    manager.gluster(&record.cluster, set).await?;
    let there = manager.in_glusterd(&record.cluster, name).await?;
    let there = there.ok_or_else(|| Trouble::Other("it is gone".into()))?;
    rebuild::take(manager, &there, record).await;
    tracing::info!(volume = name, "adopted");
    Ok(())
}
