//! A new volume: bricks, then glusterd, then its options, then its start.

use futures::future::join_all;

use super::super::placement::{self, Slot};
use super::super::state::{Brick, State, Volume};
use super::super::{new_id, validate};
use super::{Manager, Trouble, clear_bricks, doom_bricks, unexpected, withdraw};
use crate::storage::agent::api::{BrickRecord, Command, Reply, Request, VolumeLayout};
use crate::storage::gluster::record::Source;
use crate::storage::gluster::{self, Record, SnapshotBrick, replies};
use crate::storage::heketi::wire::{BrickInfo, VolumeCreate};

/// A volume that is to be made, with a place for each brick.
#[derive(Clone, Debug)]
pub(in super::super) struct Plan {
    record: Record,
    name: String,
    slots: Vec<(String, Slot)>,
    /// Bricks of one set, and how many of them are for names alone.
    width: u32,
    arbiter: bool,
    /// A snapshot, and the brick in it that each begins with.
    from: Option<(String, Vec<String>)>,
}

/// What was made.
pub(in super::super) struct Made {
    /// The volume's id.
    pub id: String,
}

/// Chooses cluster and devices, and takes the room. `id` and the ids of bricks
/// are new.
pub(in super::super) fn begin(
    state: &mut State,
    create: &VolumeCreate,
    id: String,
    mut brick_id: impl FnMut() -> String,
) -> Result<Plan, String> {
    let name = free_name(state, create, &id)?;
    let wanted = validate::wanted(create);
    let tags = validate::tags(create);
    let mut why = "No clusters configured".to_owned();
    let candidates: Vec<String> = match &create.clusters {
        Some(named) if !named.is_empty() => named.clone(),
        _ => state.clusters.keys().cloned().collect(),
    };
    for cluster in candidates {
        let Some(known) = state.clusters.get(&cluster) else {
            why = format!("Cluster id {cluster} does not exist");
            continue;
        };
        if !known.file {
            continue;
        }
        match placement::place(&state.rooms(&cluster, &tags), wanted) {
            Ok(slots) => {
                state.promise(&slots);
                state.making.insert(name.clone(), id.clone());
                return Ok(Plan {
                    record: Record {
                        id,
                        cluster,
                        size: create.size,
                        gid: create.gid,
                        durability: create.durability.clone(),
                        options: create.glustervolumeoptions.clone(),
                        snapshot: create.snapshot,
                        source: None,
                    },
                    name,
                    slots: slots.into_iter().map(|slot| (brick_id(), slot)).collect(),
                    width: wanted.width,
                    arbiter: wanted.arbiter,
                    from: None,
                });
            }
            Err(none) => why = none.to_string(),
        }
    }
    Err(why)
}

fn free_name(state: &State, create: &VolumeCreate, id: &str) -> Result<String, String> {
    let name = match create.name.as_str() {
        "" => format!("vol_{id}"),
        name => name.to_owned(),
    };
    if state.volume_named(&name).is_some() || state.making.contains_key(&name) {
        return Err(format!("Volume name '{name}' already in use"));
    }
    Ok(name)
}

/// A volume that begins with a snapshot's content: each brick beside the one it
/// is a copy of, and as durable as that volume.
fn begin_copy(
    state: &mut State,
    create: &VolumeCreate,
    snapshot: &str,
    source: Source,
) -> Result<Plan, String> {
    let id = new_id();
    let name = free_name(state, create, &id)?;
    let (origin, taken) = state.snapshot(snapshot).ok_or("Id not found")?;
    if create.size < taken.size {
        return Err(format!(
            "size: {} GiB are less than the {} GiB of what is copied; ask for at least as much",
            create.size, taken.size
        ));
    }
    let record = Record {
        id: id.clone(),
        cluster: origin.record.cluster.clone(),
        size: create.size,
        gid: create.gid,
        durability: origin.record.durability.clone(),
        options: origin.record.options.clone(),
        snapshot: create.snapshot,
        source: Some(source),
    };
    let bricks = taken.bricks.clone();
    let wanted = validate::wanted(&VolumeCreate {
        size: create.size,
        durability: record.durability.clone(),
        glustervolumeoptions: record.options.clone(),
        ..VolumeCreate::default()
    });
    let each = wanted.of_each(bricks.len());
    let rooms = state.rooms(&record.cluster, &[]);
    let slot = |(place, brick): (usize, &SnapshotBrick)| {
        let room = rooms.iter().find(|room| room.device == brick.device);
        let room = room.ok_or_else(|| {
            format!(
                "device {} has a copy of the snapshot and takes no bricks now",
                brick.device
            )
        })?;
        let arbiter = wanted.is_arbiter(place);
        let size = if arbiter {
            brick.size
        } else {
            each.max(brick.size)
        };
        if room.free < size {
            return Err(format!(
                "No space: device {} has {} GiB, {} GiB are wanted",
                room.device,
                room.free >> 20,
                size.div_ceil(1 << 20)
            ));
        }
        Ok(Slot {
            device: room.device.clone(),
            node: room.node.clone(),
            size,
            arbiter,
        })
    };
    let slots: Result<Vec<Slot>, String> = bricks.iter().enumerate().map(slot).collect();
    let slots = slots?;
    state.promise(&slots);
    state.making.insert(name.clone(), id);
    Ok(Plan {
        record,
        name,
        slots: slots.into_iter().map(|slot| (new_id(), slot)).collect(),
        width: wanted.width,
        arbiter: wanted.arbiter,
        from: Some((
            snapshot.into(),
            bricks.into_iter().map(|brick| brick.id).collect(),
        )),
    })
}

/// Makes a volume with a snapshot's content.
pub(in super::super) async fn make_copy(
    manager: &Manager,
    create: &VolumeCreate,
    snapshot: &str,
    source: Source,
) -> Result<Made, String> {
    let plan = begin_copy(&mut manager.state(), create, snapshot, source)?;
    make(manager, plan).await
}

/// Makes it; takes everything back if that fails.
pub(in super::super) async fn make(manager: &Manager, plan: Plan) -> Result<Made, String> {
    let made = try_make(manager, &plan).await;
    let mut state = manager.state();
    state.making.remove(&plan.name);
    match made {
        Ok(bricks) => {
            let id = plan.record.id.clone();
            let volume = Volume {
                name: plan.name,
                record: plan.record,
                bricks,
                ..Volume::default()
            };
            state.volumes.insert(id.clone(), volume);
            Ok(Made { id })
        }
        Err(trouble) => {
            state.give_back(
                plan.slots
                    .iter()
                    .map(|(_, slot)| (&*slot.device, slot.size)),
            );
            Err(trouble.to_string())
        }
    }
}

async fn try_make(manager: &Manager, plan: &Plan) -> Result<Vec<Brick>, Trouble> {
    let made = make_bricks(manager, plan).await;
    let done = match made {
        Ok(bricks) => make_volume(manager, plan, &bricks).await.map(|()| bricks),
        Err(trouble) => Err(trouble),
    };
    if let Err(trouble) = &done {
        tracing::warn!(volume = &*plan.name, %trouble, "a volume is not made; what was begun is removed");
        let bricks = plan.slots.iter();
        let bricks: Vec<_> = bricks
            .map(|(id, slot)| (id.clone(), slot.node.clone()))
            .collect();
        // What cannot be marked or removed now is found again by `rebuild`.
        if let Err(trouble) = doom_bricks(manager, &bricks).await {
            tracing::warn!(volume = &*plan.name, %trouble, "not all its bricks can be marked for removal");
        }
        if take_back(manager, plan).await.is_ok() {
            clear_bricks(manager, bricks).await;
        }
    }
    done
}

/// Removes the volume from glusterd if it is this one: the name may belong to
/// one that an earlier life of the manager had ordered.
async fn take_back(manager: &Manager, plan: &Plan) -> Result<(), Trouble> {
    let cluster = &plan.record.cluster;
    match in_glusterd(manager, cluster, &plan.name).await? {
        Some(volume) if is_of(plan, &volume) => withdraw(manager, cluster, &plan.name).await,
        _ => Ok(()),
    }
}

/// A volume as glusterd has it; `None`: it has none of that name.
async fn in_glusterd(
    manager: &Manager,
    cluster: &str,
    name: &str,
) -> Result<Option<gluster::Volume>, Trouble> {
    match manager
        .gluster(cluster, Command::Info(Some(name.into())))
        .await
    {
        Ok(text) => {
            let mut volumes = replies::info(&text)?.into_iter();
            Ok(volumes.find(|volume| volume.name == name))
        }
        Err(trouble) if trouble.is_not_found() => Ok(None),
        Err(trouble) => Err(trouble),
    }
}

/// Whether it consists of the bricks that were made for this plan.
fn is_of(plan: &Plan, volume: &gluster::Volume) -> bool {
    volume.bricks.iter().all(|brick| {
        let mut parts = brick.path.split('/');
        let id = parts.find_map(|part| part.strip_prefix("brick_"));
        plan.slots.iter().any(|(own, _)| Some(own.as_str()) == id)
    })
}

async fn make_bricks(manager: &Manager, plan: &Plan) -> Result<Vec<Brick>, Trouble> {
    let work = plan
        .slots
        .iter()
        .enumerate()
        .map(async |(place, (id, slot))| {
            let (agent, host) = {
                let state = manager.state();
                let node = state.nodes.get(&slot.node);
                let node =
                    node.ok_or_else(|| Trouble::Other(format!("node {} is gone", slot.node)))?;
                let host = node.record.storage.first().cloned();
                (node.agent.clone(), host.unwrap_or_default())
            };
            let record = BrickRecord {
                id: id.clone(),
                device: slot.device.clone(),
                volume: plan.record.id.clone(),
                volume_name: plan.name.clone(),
                size: slot.size,
                gid: u32::try_from(plan.record.gid).unwrap_or(0),
                source: plan.from.as_ref().and_then(|(snapshot, bricks)| {
                    Some((snapshot.clone(), bricks.get(place)?.clone()))
                }),
                doomed: false,
            };
            let brick = match manager.ask(&agent, &Request::MakeBrick(record)).await? {
                Reply::Brick(brick) => brick,
                other => return Err(unexpected(&agent, &other)),
            };
            Ok(Brick {
                info: BrickInfo {
                    id: id.clone(),
                    path: brick.path,
                    device: slot.device.clone(),
                    node: slot.node.clone(),
                    volume: plan.record.id.clone(),
                    size: slot.size,
                },
                host,
            })
        });
    // All of them end before anything is taken back.
    join_all(work).await.into_iter().collect()
}

async fn make_volume(manager: &Manager, plan: &Plan, bricks: &[Brick]) -> Result<(), Trouble> {
    let cluster = &plan.record.cluster;
    let durability = &plan.record.durability;
    let count = |number: i64| u32::try_from(number).unwrap_or(0);
    let layout = VolumeLayout {
        name: plan.name.clone(),
        replica: if durability.kind == "replicate" {
            plan.width
        } else {
            1
        },
        arbiter: u32::from(plan.arbiter),
        disperse: match durability.kind.as_str() {
            "disperse" => (
                count(durability.disperse.data),
                count(durability.disperse.redundancy),
            ),
            _ => (0, 0),
        },
        bricks: bricks
            .iter()
            .map(|brick| format!("{}:{}", brick.host, brick.info.path))
            .collect(),
        force: false,
    };
    match manager.gluster(cluster, Command::Create(layout)).await {
        Ok(_) => {}
        // Perhaps the answer to the first try was lost.
        Err(trouble) if trouble.is_there_already() => {
            let there = in_glusterd(manager, cluster, &plan.name).await?;
            if !there.is_some_and(|volume| is_of(plan, &volume)) {
                return Err(trouble);
            }
        }
        Err(trouble) => return Err(trouble),
    }
    let options = options(manager, plan);
    manager
        .gluster(cluster, Command::Set(plan.name.clone(), options))
        .await?;
    manager
        .gluster(cluster, Command::Start(plan.name.clone(), false))
        .await?;
    Ok(())
}

/// The record, who may mount, and what was asked for.
fn options(manager: &Manager, plan: &Plan) -> Vec<(String, String)> {
    let mut options = plan.record.encode();
    let allowed = manager.allowed(&plan.record.cluster);
    options.push(("auth.allow".into(), allowed.join(",")));
    // 42 s of stalled reads after a host is lost are Gluster's default.
    options.push(("network.ping-timeout".into(), "10".into()));
    for option in &plan.record.options {
        if let Some((key, value)) = option.split_once(' ') {
            options.retain(|(known, _)| known != key);
            options.push((key.into(), value.trim().into()));
        }
    }
    options
}
