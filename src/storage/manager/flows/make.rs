//! A new volume: bricks, then glusterd, then its options, then its start, then
//! the quota of directories.

use futures::future::join_all;

use super::super::state::{Brick, Volume};
use super::plan::{Copies, Plan, begin_copy};
use super::{
    Manager, Trouble, clear_bricks, keep_to, on_directories, settle, unexpected, withdraw,
};
use crate::storage::agent::api::{BrickRecord, Command, Reply, Request, VolumeLayout};
use crate::storage::gluster;
use crate::storage::gluster::record::Source;
use crate::storage::heketi::wire::{BrickInfo, VolumeCreate};

/// What was made.
pub(in super::super) struct Made {
    /// The volume's id.
    pub id: String,
}

/// Makes a volume with the content of copies.
pub(in super::super) async fn make_copy(
    manager: &Manager,
    create: &VolumeCreate,
    copies: Copies,
    source: Source,
) -> Result<Made, String> {
    let plan = begin_copy(&mut manager.state(), create, copies, source)?;
    make(manager, plan).await
}

/// Makes it; takes everything back if that fails.
pub(in super::super) async fn make(manager: &Manager, plan: Plan) -> Result<Made, String> {
    let made = try_make(manager, &plan).await;
    let mut state = manager.state();
    state.making.remove(&plan.name);
    match made {
        Ok(volume) => {
            let id = plan.record.id;
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

async fn try_make(manager: &Manager, plan: &Plan) -> Result<Volume, Trouble> {
    let made = make_bricks(manager, plan).await;
    let done = match made {
        Ok(bricks) => make_volume(manager, plan, bricks).await,
        Err(trouble) => Err(trouble),
    };
    if let Err(trouble) = &done {
        tracing::warn!(volume = &*plan.name, %trouble, "a volume is not made; what was begun is removed");
        // What cannot be removed now is found again by `rebuild`.
        if take_back(manager, plan).await.is_ok() {
            let bricks = plan
                .slots
                .iter()
                .map(|(id, slot)| (id.clone(), slot.node.clone()));
            clear_bricks(manager, bricks).await;
        }
    }
    done
}

/// Removes the volume from glusterd if it is this one: the name may belong to
/// one that an earlier life of the manager had ordered.
async fn take_back(manager: &Manager, plan: &Plan) -> Result<(), Trouble> {
    let cluster = &plan.record.cluster;
    match manager.in_glusterd(cluster, &plan.name).await? {
        Some(volume) if is_of(plan, &volume) => withdraw(manager, cluster, &plan.name).await,
        _ => Ok(()),
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
            let record = BrickRecord {
                id: id.clone(),
                device: slot.device.clone(),
                volume: plan.record.id.clone(),
                volume_name: plan.name.clone(),
                size: slot.size,
                gid: u32::try_from(plan.record.gid).unwrap_or(0),
                settled: false,
                source: plan.from.as_ref().and_then(|(snapshot, bricks)| {
                    Some((snapshot.clone(), bricks.get(place)?.clone()))
                }),
            };
            make_brick(manager, record, &slot.node).await
        });
    // All of them end before anything is taken back.
    join_all(work).await.into_iter().collect()
}

/// One brick, on the node that has its device.
pub(super) async fn make_brick(
    manager: &Manager,
    record: BrickRecord,
    node: &str,
) -> Result<Brick, Trouble> {
    let (agent, host) = {
        let state = manager.state();
        let known = state.nodes.get(node);
        let known = known.ok_or_else(|| Trouble::Other(format!("node {node} is gone")))?;
        let host = known.record.storage.first().cloned();
        (known.agent.clone(), host.unwrap_or_default())
    };
    let mut info = BrickInfo {
        id: record.id.clone(),
        path: String::new(),
        device: record.device.clone(),
        node: node.into(),
        volume: record.volume.clone(),
        size: record.size,
    };
    match manager.ask(&agent, &Request::MakeBrick(record)).await? {
        Reply::Brick(brick) => info.path = brick.path,
        other => return Err(unexpected(&agent, &other)),
    }
    Ok(Brick { info, host })
}

async fn make_volume(
    manager: &Manager,
    plan: &Plan,
    bricks: Vec<Brick>,
) -> Result<Volume, Trouble> {
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
        // glusterd takes none on the root file system, in case a disk is not mounted.
        // Each device has its record in it, so that this shows before.
        force: on_directories(&manager.state(), &bricks),
    };
    match manager.gluster(cluster, Command::Create(layout)).await {
        Ok(_) => {}
        // Perhaps the answer to the first try was lost.
        Err(trouble) if trouble.is_there_already() => {
            let there = manager.in_glusterd(cluster, &plan.name).await?;
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
    let mut volume = Volume {
        name: plan.name.clone(),
        record: plan.record.clone(),
        bricks,
        ..Volume::default()
    };
    volume.limit = keep_to(manager, &volume).await?;
    settle(manager, &volume.name, &volume.bricks).await;
    Ok(volume)
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
