//! Bricks that are directories keep no size: Gluster's quota does, for the whole
//! volume.
//!
//! What it was set to is written beside the volume's record, so that the next
//! look sees what is missing, whatever was interrupted.

use super::super::state::{Brick, State, Volume};
use super::{Manager, Trouble};
use crate::storage::agent::api::{BrickKind, Command};
use crate::storage::gluster;

/// Beside the record, in KiB.
const OPTION: &str = "user.loods.limit";
/// How long quota goes by what it saw last, in seconds: below four fifths of the
/// limit, and above. With Gluster's 60 and 5 a fast writer gets gigabytes more.
const OFTEN: [(&str, &str); 2] = [
    ("features.soft-timeout", "5"),
    ("features.hard-timeout", "1"),
];
/// Gluster's own, which tells whether quota is there at all.
const QUOTA: &str = "features.quota";

/// What a volume is kept to, in KiB; `None`: by its bricks alone.
pub(in super::super) fn limit(volume: &gluster::Volume) -> Option<u64> {
    let on = volume.options.get(QUOTA).is_some_and(|state| state == "on");
    let set = volume.options.get(OPTION)?;
    set.parse().ok().filter(|_| on)
}

/// What it should be kept to; pure. A quota that is there stays
/// when the last directory is gone: it does no harm, and taking it away would
/// have Gluster look at every file.
fn wanted(state: &State, volume: &Volume) -> Option<u64> {
    let kept = on_directories(state, &volume.bricks) || volume.limit.is_some();
    let size = u64::try_from(volume.record.size)
        .ok()?
        .checked_mul(1 << 20)?;
    kept.then_some(size)
}

/// Whether some of these bricks are directories.
pub(super) fn on_directories(state: &State, bricks: &[Brick]) -> bool {
    bricks.iter().any(|brick| {
        let device = state.devices.get(&brick.info.device);
        device.is_some_and(|device| device.record.kind == BrickKind::Directory)
    })
}

/// Has Gluster keep a started volume to its record's size where its bricks do
/// not; answers with what it is kept to then.
pub(super) async fn keep_to(manager: &Manager, volume: &Volume) -> Result<Option<u64>, Trouble> {
    let wanted = wanted(&manager.state(), volume);
    let Some(limit) = wanted.filter(|_| wanted != volume.limit) else {
        return Ok(volume.limit);
    };
    let (cluster, name) = (&volume.record.cluster, &volume.name);
    manager
        .gluster(cluster, Command::Quota(name.clone(), limit))
        .await?;
    let mut set = vec![(OPTION.to_owned(), limit.to_string())];
    // Whoever asked for others has his.
    let asked = &volume.record.options;
    let own = |key: &str| asked.iter().any(|option| option.starts_with(key));
    let often = OFTEN.into_iter().filter(|(key, _)| !own(key));
    set.extend(often.map(|(key, value)| (key.into(), value.into())));
    manager
        .gluster(cluster, Command::Set(name.clone(), set))
        .await?;
    Ok(Some(limit))
}

/// The same of a volume that serves already; what fails is done by the next look.
pub(in super::super) async fn keep_size(manager: &Manager, id: &str) {
    let volume = manager.state().volumes.get(id).cloned();
    let Some(volume) = volume else {
        return;
    };
    match keep_to(manager, &volume).await {
        Ok(limit) => {
            if let Some(known) = manager.state().volumes.get_mut(id) {
                known.limit = limit;
            }
        }
        Err(trouble) => {
            tracing::warn!(volume = &*volume.name, %trouble, "its size is not kept by quota yet");
        }
    }
}
