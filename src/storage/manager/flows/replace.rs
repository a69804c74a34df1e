//! A brick moves: a new one takes its place in its volume, and is healed from
//! the others of its set.
//!
//! What the old one holds is given up with it. So it only goes where each file
//! is whole on the others: they all serve, nothing is in split-brain, and nothing
//! waits to be healed, unless the brick itself is what does not serve.
//!
//! Whatever is interrupted, the next look ends it: a new brick that is in no
//! volume goes, one that is in its volume is marked as settled, and an old one
//! whose volume goes on without it goes.

use super::super::health::health;
use super::super::placement::{SMALLEST, Slot, Wanted, substitute};
use super::super::state::{Brick, Volume};
use super::super::{new_id, validate};
use super::make::make_brick;
use super::{Manager, Trouble, clear_bricks, keep_size, mark, settle};
use crate::storage::agent::api::{BrickRecord, Command};
use crate::storage::agent::client::AgentError;
use crate::storage::heketi::loods::BrickHealth;
use crate::storage::heketi::wire::VolumeCreate;

/// Puts a new brick in the place of this one; answers with the new one's id.
pub(in super::super) async fn replace(
    manager: &Manager,
    volume: &str,
    brick: &str,
) -> Result<String, String> {
    let volume = manager.state().volumes.get(volume).cloned();
    let volume = volume.ok_or("Id not found")?;
    let place = volume
        .bricks
        .iter()
        .position(|known| known.info.id == brick);
    let place = place.ok_or("Id not found")?;
    let asked = VolumeCreate {
        size: volume.record.size,
        durability: volume.record.durability.clone(),
        glustervolumeoptions: volume.record.options.clone(),
        ..VolumeCreate::default()
    };
    let wanted = validate::wanted(&asked);
    may_go(&volume)?;
    let of_set = set(place, &wanted);
    let now = health(manager, &volume).await?;
    is_known(manager, &volume.bricks[place], now.bricks[place].online)?;
    others_are_whole(
        &volume.name,
        place,
        &now.bricks[of_set.clone()],
        of_set.start,
    )?;
    let slot = {
        let mut state = manager.state();
        let others = of_set.filter(|other| *other != place);
        let others: Vec<&str> = others
            .map(|other| &*volume.bricks[other].info.node)
            .collect();
        let rooms = state.rooms(&volume.record.cluster, &validate::tags(&asked));
        let old = &volume.bricks[place].info;
        let like = Slot {
            device: old.device.clone(),
            node: old.node.clone(),
            size: match (old.size, wanted.is_arbiter(place)) {
                // Its host has never been seen.
                (0, false) => wanted.of_each(volume.bricks.len()).max(SMALLEST),
                (size, _) => size.max(SMALLEST),
            },
            arbiter: wanted.is_arbiter(place),
        };
        let slot = substitute(&rooms, &like, &others, wanted.strict_zones);
        let slot = slot.map_err(|none| none.to_string())?;
        state.promise(std::slice::from_ref(&slot));
        slot
    };
    match swap(manager, &volume, place, &slot).await {
        Ok(id) => Ok(id),
        Err(trouble) => {
            manager.state().give_back([(&*slot.device, slot.size)]);
            Err(format!(
                "brick {brick} of volume {} is not replaced: {trouble}",
                volume.name
            ))
        }
    }
}

/// While an agent does not answer, its bricks look like those of somebody else.
fn is_known(manager: &Manager, brick: &Brick, online: bool) -> Result<(), String> {
    let nodes = &manager.state().nodes;
    let there = nodes.get(&brick.info.node).is_some_and(|node| node.there);
    if there || !online || !brick.info.device.is_empty() {
        return Ok(());
    }
    Err(format!(
        "brick {}:{} serves, and the agent of its host does not answer, so that nobody knows whether it is an old one: start loods storage agent there",
        brick.host, brick.info.path
    ))
}

/// The places of a brick's set, in Gluster's order.
fn set(place: usize, wanted: &Wanted) -> std::ops::Range<usize> {
    let width = wanted.width.max(1) as usize;
    let first = place / width * width;
    first..first + width
}

fn may_go(volume: &Volume) -> Result<(), String> {
    let name = &volume.name;
    if volume.record.durability.kind == "none" {
        return Err(format!(
            "volume {name} has one copy of each file (durability none): a new brick could be healed from nowhere; copy its files by a mount into a new volume"
        ));
    }
    if volume.snapshots.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = volume
        .snapshots
        .values()
        .map(|taken| &*taken.name)
        .collect();
    Err(format!(
        "volume {name} has snapshots ({}), which are copies beside its bricks: delete them first",
        names.join(", ")
    ))
}

/// Pure. `bricks` are those of one set, the first of which is the volume's `first`.
fn others_are_whole(
    volume: &str,
    place: usize,
    bricks: &[BrickHealth],
    first: usize,
) -> Result<(), String> {
    let own = bricks.get(place - first).is_some_and(|brick| brick.online);
    let others = bricks.iter().enumerate();
    let others = others
        .filter(|(at, _)| first + at != place)
        .map(|(_, brick)| brick);
    for brick in others {
        if !brick.online {
            return Err(format!(
                "volume {volume} would lose what only this brick has: {}:{} does not serve; have it serve and heal first (gluster volume status {volume})",
                brick.host, brick.path
            ));
        }
        if brick.split_brain > 0 {
            return Err(format!(
                "volume {volume} has {} files in split-brain on {}: resolve them first (gluster volume heal {volume} info split-brain)",
                brick.split_brain, brick.host
            ));
        }
        if own && brick.heal_pending > 0 {
            return Err(format!(
                "{} files of volume {volume} wait to be healed: ask again when they are (gluster volume heal {volume} info summary)",
                brick.heal_pending
            ));
        }
    }
    match bricks.get(place - first) {
        Some(brick) if own && brick.heal_pending + brick.split_brain > 0 => Err(format!(
            "{} files of volume {volume} wait to be healed: ask again when they are (gluster volume heal {volume} info summary)",
            brick.heal_pending + brick.split_brain
        )),
        _ => Ok(()),
    }
}

async fn swap(
    manager: &Manager,
    volume: &Volume,
    place: usize,
    slot: &Slot,
) -> Result<String, Trouble> {
    let old = &volume.bricks[place];
    let record = BrickRecord {
        id: new_id(),
        device: slot.device.clone(),
        volume: volume.record.id.clone(),
        volume_name: volume.name.clone(),
        size: slot.size,
        gid: u32::try_from(volume.record.gid).unwrap_or(0),
        settled: false,
        source: None,
    };
    let id = record.id.clone();
    let made = make_brick(manager, record, &slot.node).await;
    let done = match &made {
        Ok(new) => commit(manager, volume, old, new).await,
        Err(trouble) => Err(trouble.clone()),
    };
    if let Err(trouble) = done {
        // One that may still get its place is left to the next look.
        if !matches!(trouble, Trouble::Agent(AgentError::TimedOut { .. })) {
            clear_bricks(manager, [(id, slot.node.clone())]).await;
        }
        return Err(trouble);
    }
    let new = made?;
    settle(manager, &volume.name, std::slice::from_ref(&new)).await;
    let place_of_old = (old.info.id.clone(), old.info.node.clone());
    let left = match mark(manager, [place_of_old.clone()], false).await {
        Ok(()) => clear_bricks(manager, [place_of_old]).await,
        // Its host is away: the brick goes when a look has found it again.
        Err(_) => vec![old.info.id.clone()],
    };
    {
        let mut state = manager.state();
        if let Some(known) = state.volumes.get_mut(&volume.record.id)
            && let Some(known) = known.bricks.get_mut(place)
        {
            *known = new;
        }
        if left.is_empty() {
            state.give_back([(&*old.info.device, old.info.size)]);
        }
    }
    // A directory may have come in the place of a file system.
    keep_size(manager, &volume.record.id).await;
    // It heals by itself within ten minutes; there is no need to wait for that.
    let heal = Command::Heal(volume.name.clone(), false);
    if let Err(trouble) = manager.gluster(&volume.record.cluster, heal).await {
        tracing::warn!(volume = &*volume.name, %trouble, "healing of a new brick begins later");
    }
    Ok(id)
}

/// Has glusterd put one in the other's place.
async fn commit(
    manager: &Manager,
    volume: &Volume,
    old: &Brick,
    new: &Brick,
) -> Result<(), Trouble> {
    let at = |brick: &Brick| format!("{}:{}", brick.host, brick.info.path);
    let (cluster, name) = (&volume.record.cluster, &volume.name);
    let swap = Command::ReplaceBrick(name.clone(), at(old), at(new));
    let Err(trouble) = manager.gluster(cluster, swap).await else {
        return Ok(());
    };
    // Perhaps the answer was lost.
    let there = manager.in_glusterd(cluster, name).await?;
    let bricks = there.map(|there| there.bricks).unwrap_or_default();
    let is_in = bricks
        .iter()
        .any(|brick| (&brick.host, &brick.path) == (&new.host, &new.info.path));
    if is_in { Ok(()) } else { Err(trouble) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_brick_goes_only_where_the_others_have_everything() {
        let brick = |online, heal_pending, split_brain| BrickHealth {
            host: "h".into(),
            path: "/b".into(),
            online,
            heal_pending,
            split_brain,
            ..BrickHealth::default()
        };
        let whole = brick(true, 0, 0);
        let dead = brick(false, 0, 0);
        let waits = brick(true, 3, 0);
        let differs = brick(true, 0, 1);
        for (own, other, refusal) in [
            (&whole, &whole, None),
            (&dead, &whole, None),
            (&dead, &waits, None),
            (&whole, &waits, Some("3 files")),
            (&waits, &whole, Some("3 files")),
            (&whole, &dead, Some("does not serve")),
            (&dead, &dead, Some("does not serve")),
            (&dead, &differs, Some("split-brain")),
        ] {
            let set = [own.clone(), other.clone()];
            let told = others_are_whole("vol", 4, &set, 4).err();
            match (refusal, &told) {
                (Some(words), Some(told)) => assert!(told.contains(words), "{told}"),
                (None, None) => {}
                _ => panic!("{set:?}: {told:?}"),
            }
        }
    }
}
