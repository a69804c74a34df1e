//! Where a new volume goes, before anything of it is made; pure but for new ids.

use super::super::placement::{self, Slot};
use super::super::state::State;
use super::super::{new_id, validate};
use crate::storage::gluster::record::Source;
use crate::storage::gluster::{Record, SnapshotBrick};
use crate::storage::heketi::wire::VolumeCreate;

/// A volume that is to be made, with a place for each brick.
#[derive(Clone, Debug)]
pub(in super::super) struct Plan {
    pub(super) record: Record,
    pub(super) name: String,
    /// Each with the id of the brick.
    pub(super) slots: Vec<(String, Slot)>,
    /// Bricks of one set, and whether the last of them is for names alone.
    pub(super) width: u32,
    pub(super) arbiter: bool,
    /// A snapshot, and the brick in it that each begins with.
    pub(super) from: Option<(String, Vec<String>)>,
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
                state.begin_making(&name, &id);
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

/// Copies of all bricks of a volume.
pub(in super::super) struct Copies {
    /// Of the snapshot that they are.
    pub id: String,
    /// The volume's.
    pub origin: Record,
    /// In GiB, as it was then.
    pub size: i64,
    /// Of each brick.
    pub bricks: Vec<SnapshotBrick>,
}

/// A volume that begins with the content of copies: each brick beside the one it
/// is a copy of, and as durable as that volume.
pub(super) fn begin_copy(
    state: &mut State,
    create: &VolumeCreate,
    copies: Copies,
    source: Source,
) -> Result<Plan, String> {
    let id = new_id();
    let name = free_name(state, create, &id)?;
    let (origin, bricks) = (&copies.origin, copies.bricks);
    if create.size < copies.size {
        return Err(format!(
            "size: {} GiB are less than the {} GiB of what is copied; ask for at least as much",
            create.size, copies.size
        ));
    }
    let record = Record {
        id: id.clone(),
        cluster: origin.cluster.clone(),
        size: create.size,
        gid: create.gid,
        durability: origin.durability.clone(),
        options: origin.options.clone(),
        snapshot: create.snapshot,
        source: Some(source),
    };
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
    state.begin_making(&name, &id);
    Ok(Plan {
        record,
        name,
        slots: slots.into_iter().map(|slot| (new_id(), slot)).collect(),
        width: wanted.width,
        arbiter: wanted.arbiter,
        from: Some((
            copies.id,
            bricks.into_iter().map(|brick| brick.id).collect(),
        )),
    })
}
