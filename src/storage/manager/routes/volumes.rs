//! Volumes: made, shown, grown, removed.

use std::sync::Arc;

use super::super::queue::End;
use super::super::{Manager, flows, new_id, validate};
use super::{Answer, Ask, Refusal, absent, no_path, spawn};
use crate::storage::heketi::loods::{ExpandFrom, VolumeFrom};
use crate::storage::heketi::wire::VolumeList;

pub(super) fn answer(
    manager: &Arc<Manager>,
    ask: &Ask<'_>,
    parts: &[&str],
) -> Result<Answer, Refusal> {
    match (ask.method, parts) {
        ("GET", ["volumes"]) => {
            let volumes = manager.state().volumes.keys().cloned().collect();
            Ok(Answer::json(200, &VolumeList { volumes }))
        }
        ("POST", ["volumes"]) => make(manager, ask),
        ("GET", ["volumes", id]) => {
            let info = manager.state().volume_info(id);
            Ok(Answer::json(200, &info.ok_or_else(absent)?))
        }
        ("DELETE", ["volumes", id]) => remove(manager, id),
        ("POST", ["volumes", id, "expand"]) => grow(manager, ask, id),
        ("POST", ["volumes", id, "clone"]) => {
            manager.state().volumes.get(*id).ok_or_else(absent)?;
            Err((501, "volumes are not cloned by this server yet".into()))
        }
        _ => Err(no_path()),
    }
}

fn make(manager: &Arc<Manager>, ask: &Ask<'_>) -> Result<Answer, Refusal> {
    let from: VolumeFrom = ask.parse()?;
    if from.source.is_some() {
        return Err((
            501,
            "volumes are not made from others by this server yet".into(),
        ));
    }
    let create = validate::volume(from.create)?;
    let working = Arc::clone(manager);
    spawn(manager, "create-volume", async move {
        let plan = flows::begin_make(&mut working.state(), &create, new_id(), new_id)?;
        let made = flows::make(&working, plan).await?;
        if create.durability.kind == "replicate" && validate::wanted(&create).width == 2 {
            tracing::warn!(
                volume = &*made.id,
                "two copies and nobody to decide between them: after a fault of the network they may differ (split-brain)"
            );
        }
        Ok(End::At(format!("/volumes/{}", made.id)))
    })
}

/// Keeps a volume for one operation, until it is dropped.
struct Hold {
    manager: Arc<Manager>,
    id: String,
}

impl Hold {
    fn take(manager: &Arc<Manager>, id: &str) -> Result<Self, Refusal> {
        let mut state = manager.state();
        state.volumes.get(id).ok_or_else(absent)?;
        if !state.busy.insert(id.into()) {
            return Err((
                409,
                format!("another operation works on volume {id}; ask again when it has ended"),
            ));
        }
        drop(state);
        Ok(Self {
            manager: Arc::clone(manager),
            id: id.into(),
        })
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.manager.state().busy.remove(&self.id);
    }
}

fn remove(manager: &Arc<Manager>, id: &str) -> Result<Answer, Refusal> {
    let hold = Hold::take(manager, id)?;
    spawn(manager, "delete-volume", async move {
        flows::remove(&hold.manager, &hold.id).await?;
        Ok(End::Done)
    })
}

fn grow(manager: &Arc<Manager>, ask: &Ask<'_>, id: &str) -> Result<Answer, Refusal> {
    let expand: ExpandFrom = ask.parse()?;
    if expand.expand_size == 0 {
        return Err((
            400,
            "validation failed: expand_size: cannot be blank.".into(),
        ));
    }
    if expand.expand_size < 0 {
        return Err((
            400,
            "validation failed: expand_size: must be no less than 1.".into(),
        ));
    }
    let hold = Hold::take(manager, id)?;
    let size = manager
        .state()
        .volumes
        .get(id)
        .ok_or_else(absent)?
        .record
        .size;
    if let Some(from) = expand.from.filter(|from| *from != size) {
        return Err((
            409,
            format!("the volume has {size} GiB, not {from}: it has grown already"),
        ));
    }
    let size = size.saturating_add(expand.expand_size);
    spawn(manager, "expand-volume", async move {
        flows::grow(&hold.manager, &hold.id, size).await?;
        Ok(End::At(format!("/volumes/{}", hold.id)))
    })
}
