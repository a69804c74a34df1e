//! A volume grows in place: each brick, the record, and its quota
//! if it has one.

use futures::future::join_all;

use super::super::placement::Slot;
use super::super::state::{Brick, Volume};
use super::super::validate;
use super::{Manager, Trouble, keep_size};
use crate::storage::agent::api::{Command, Request};
use crate::storage::heketi::wire::VolumeCreate;

/// Grows a volume to `size` GiB. Asked again after a failure it goes on where
/// it ended: a brick is told its size, not how much more.
pub(in super::super) async fn grow(manager: &Manager, id: &str, size: i64) -> Result<(), String> {
    let volume = manager.state().volumes.get(id).cloned();
    let volume = volume.ok_or("Id not found")?;
    let wanted = validate::wanted(&VolumeCreate {
        size,
        durability: volume.record.durability.clone(),
        glustervolumeoptions: volume.record.options.clone(),
        ..VolumeCreate::default()
    });
    let each = wanted.of_each(volume.bricks.len());
    let bricks = volume.bricks.iter().enumerate();
    // An arbiter holds names: more content makes it no larger.
    let content = bricks.filter(|(place, _)| !wanted.is_arbiter(*place));
    let content: Vec<&Brick> = content.map(|(_, brick)| brick).collect();
    if let Some(why) = content.iter().find_map(|brick| brick.is_out_of_reach()) {
        return Err(why);
    }
    let growing: Vec<Slot> = content
        .iter()
        .map(|brick| Slot {
            device: brick.info.device.clone(),
            node: brick.info.node.clone(),
            size: each.saturating_sub(brick.info.size),
            arbiter: false,
        })
        .collect();
    take_room(manager, &growing)?;
    match try_grow(manager, &volume, &content, each, size).await {
        Ok(()) => Ok(()),
        Err(trouble) => {
            let back = growing.iter().map(|slot| (&*slot.device, slot.size));
            manager.state().give_back(back);
            Err(trouble.to_string())
        }
    }
}

fn take_room(manager: &Manager, growing: &[Slot]) -> Result<(), String> {
    let mut state = manager.state();
    for slot in growing {
        let free = state
            .devices
            .get(&slot.device)
            .map_or(0, |device| device.space.free);
        if free < slot.size {
            return Err(format!(
                "No space: device {} has {} GiB, {} GiB more are wanted",
                slot.device,
                free >> 20,
                slot.size.div_ceil(1 << 20)
            ));
        }
    }
    state.promise(growing);
    Ok(())
}

async fn try_grow(
    manager: &Manager,
    volume: &Volume,
    growing: &[&Brick],
    each: u64,
    size: i64,
) -> Result<(), Trouble> {
    let work = growing.iter().map(async |brick| {
        let agent = manager
            .state()
            .nodes
            .get(&brick.info.node)
            .map(|node| node.agent.clone());
        let agent =
            agent.ok_or_else(|| Trouble::Other(format!("node {} is gone", brick.info.node)))?;
        let request = Request::GrowBrick {
            id: brick.info.id.clone(),
            size: each.max(brick.info.size),
        };
        manager.ask(&agent, &request).await?;
        Ok::<_, Trouble>(())
    });
    join_all(work)
        .await
        .into_iter()
        .collect::<Result<(), _>>()?;
    let mut record = volume.record.clone();
    record.size = size;
    manager
        .gluster(
            &record.cluster,
            Command::Set(volume.name.clone(), record.encode()),
        )
        .await?;
    if let Some(known) = manager.state().volumes.get_mut(&record.id) {
        for brick in &mut known.bricks {
            if growing.iter().any(|grown| grown.info.id == brick.info.id) {
                brick.info.size = each.max(brick.info.size);
            }
        }
        known.record = record;
    }
    // After the record, so that quota never lets in more than that says.
    keep_size(manager, &volume.record.id).await;
    Ok(())
}
