//! What this server can do beyond Heketi: paths below `/loods/v1`.

use std::sync::Arc;

use super::super::health::health;
use super::super::placement::SMALLEST;
use super::super::queue::End;
use super::super::{Manager, flows, new_id};
use super::volumes::Hold;
use super::{Answer, Ask, Refusal, absent, bricks, is_id, no_path, spawn};
use crate::storage::gluster::name;
use crate::storage::heketi::loods::{Adopt, Capacity, SnapshotCreate, SnapshotList, StrangerList};

/// `parts` stand behind `/loods/v1/`.
pub(super) async fn answer(
    manager: &Arc<Manager>,
    ask: &Ask<'_>,
    parts: &[&str],
) -> Result<Answer, Refusal> {
    match (ask.method, parts) {
        ("GET", ["volumes"]) => {
            // Names have no character that a query would have to escape.
            let name = ask.query.strip_prefix("name=").ok_or_else(no_path)?;
            let state = manager.state();
            let found = state.volume_named(name).ok_or_else(absent)?;
            // Whoever asks by name would take it for the one that is wanted.
            if state.leaving.contains(&found.record.id) {
                return Err((
                    429,
                    format!("volume {name} is being removed; ask again later"),
                ));
            }
            let info = state.volume_info(&found.record.id).ok_or_else(absent)?;
            Ok(Answer::json(200, &info))
        }
        ("GET", ["volumes", id, "health"]) if is_id(id) => {
            let volume = manager.state().volumes.get(*id).cloned();
            let volume = volume.ok_or_else(absent)?;
            let health = health(manager, &volume).await.map_err(|text| (500, text))?;
            Ok(Answer::json(200, &health))
        }
        ("GET", ["strangers"]) => strangers(manager, &Adopt::default()).await,
        ("POST", ["strangers"]) => strangers(manager, &ask.parse()?).await,
        ("POST", ["adopt"]) => adopt(manager, ask.parse()?),
        ("POST", ["bricks", id, "replace"]) if is_id(id) => bricks::replace(manager, id),
        ("GET", ["capacity"]) => Ok(Answer::json(200, &capacity(manager))),
        ("GET", ["snapshots"]) => {
            let snapshots = manager.state().snapshot_infos();
            Ok(Answer::json(200, &SnapshotList { snapshots }))
        }
        ("POST", ["snapshots"]) => take(manager, ask),
        ("GET", ["snapshots", id]) => {
            let all = manager.state().snapshot_infos();
            let found = all.into_iter().find(|info| info.id == **id);
            Ok(Answer::json(200, &found.ok_or_else(absent)?))
        }
        ("DELETE", ["snapshots", id]) if is_id(id) => drop_snapshot(manager, id),
        _ => Err(no_path()),
    }
}

/// Of all devices that may take bricks.
fn capacity(manager: &Manager) -> Capacity {
    let state = manager.state();
    let usable = state
        .clusters
        .keys()
        .flat_map(|cluster| state.rooms(cluster, &[]));
    let largest = usable.map(|room| room.free).max().unwrap_or(0);
    let spaces = state.devices.values().map(|device| device.space);
    let (total, free) = spaces.fold((0, 0), |(total, free), space| {
        (total + space.total, free + space.free)
    });
    Capacity {
        total,
        free,
        largest: if largest < SMALLEST { 0 } else { largest },
    }
}

/// Volumes that somebody else made.
async fn strangers(manager: &Manager, wish: &Adopt) -> Result<Answer, Refusal> {
    let found = flows::strangers(manager, wish).await;
    let strangers = found.map_err(|text| (500, text))?;
    Ok(Answer::json(200, &StrangerList { strangers }))
}

fn adopt(manager: &Arc<Manager>, wish: Adopt) -> Result<Answer, Refusal> {
    name::volume(&wish.volume).map_err(|why| (400, why.to_string()))?;
    let working = Arc::clone(manager);
    spawn(manager, "adopt-volume", async move {
        let id = flows::adopt(&working, &wish).await?;
        Ok(End::At(format!("/volumes/{id}")))
    })
}

const AT: &str = "/loods/v1/snapshots";

/// One of that name is the answer, whatever volume it is of: the client compares.
fn take(manager: &Arc<Manager>, ask: &Ask<'_>) -> Result<Answer, Refusal> {
    let SnapshotCreate { name, volume } = ask.parse()?;
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() || name.len() > 200 || !name.chars().all(plain) {
        return Err((
            400,
            format!(
                "name {:?}: a snapshot's name has 1 to 200 letters, digits, - and _",
                name.chars().take(80).collect::<String>()
            ),
        ));
    }
    let there = manager.state().snapshot_infos();
    if let Some(there) = there.into_iter().find(|info| info.name == name) {
        let at = format!("{AT}/{}", there.id);
        return spawn(manager, "snapshot", async { Ok(End::At(at)) });
    }
    let hold = Hold::take(manager, &volume)?;
    let id = new_id();
    {
        let mut state = manager.state();
        if state.taking.values().any(|taking| *taking == name) {
            return Err((409, format!("snapshot {name} is being taken; ask again")));
        }
        state.taking.insert(id.clone(), name.clone());
    }
    let begun = spawn(manager, "snapshot", {
        let id = id.clone();
        async move {
            let taken = flows::take_snapshot(&hold.manager, &hold.id, &id, &name).await;
            hold.manager.state().taking.remove(&id);
            taken?;
            Ok(End::At(format!("{AT}/{id}")))
        }
    });
    if begun.is_err() {
        manager.state().taking.remove(&id);
    }
    begun
}

fn drop_snapshot(manager: &Arc<Manager>, id: &str) -> Result<Answer, Refusal> {
    let volume = match manager.state().snapshot(id) {
        Some((volume, _)) => volume.record.id.clone(),
        None => return Err(absent()),
    };
    let hold = Hold::take(manager, &volume)?;
    let id = id.to_owned();
    spawn(manager, "remove-snapshot", async move {
        flows::drop_snapshot(&hold.manager, &hold.id, &id).await?;
        Ok(End::Done)
    })
}
