//! Volumes: made, shown, grown, removed.

use std::sync::Arc;

use super::super::queue::End;
use super::super::{Manager, flows, new_id, validate};
use super::{Answer, Ask, Refusal, absent, no_path, spawn};
use crate::storage::gluster::record;
use crate::storage::heketi::loods::{ExpandFrom, Source, VolumeFrom};
use crate::storage::heketi::wire::{VolumeCreate, VolumeList};

/// POST /volumes/{id}/clone, as Heketi has it.
#[derive(serde::Deserialize)]
struct CloneRequest {
    #[serde(default)]
    name: String,
}

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
            let named: CloneRequest = ask.parse()?;
            let size = manager
                .state()
                .volumes
                .get(*id)
                .ok_or_else(absent)?
                .record
                .size;
            let create = VolumeCreate {
                size,
                name: named.name,
                ..VolumeCreate::default()
            };
            copy_volume(manager, validate::volume(create)?, id)
        }
        _ => Err(no_path()),
    }
}

fn make(manager: &Arc<Manager>, ask: &Ask<'_>) -> Result<Answer, Refusal> {
    let from: VolumeFrom = ask.parse()?;
    let create = validate::volume(from.create)?;
    match from.source {
        None => make_empty(manager, create),
        Some(Source::Snapshot(id)) => copy_snapshot(manager, create, id),
        Some(Source::Volume(id)) => copy_volume(manager, create, &id),
    }
}

fn make_empty(manager: &Arc<Manager>, create: VolumeCreate) -> Result<Answer, Refusal> {
    for id in create.clusters.iter().flatten() {
        if !manager.state().clusters.contains_key(id) {
            return Err((400, format!("Cluster id {id} not found")));
        }
    }
    let working = Arc::clone(manager);
    spawn(manager, "create-volume", async move {
        let plan = flows::begin_make(&mut working.state(), &create, new_id(), new_id);
        let plan = plan.map_err(|why| format!("Failed to allocate new volume: {why}"))?;
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

fn copy_snapshot(
    manager: &Arc<Manager>,
    create: VolumeCreate,
    id: String,
) -> Result<Answer, Refusal> {
    manager.state().snapshot(&id).ok_or_else(absent)?;
    let working = Arc::clone(manager);
    spawn(manager, "create-volume", async move {
        let copies = {
            let state = working.state();
            let (origin, taken) = state.snapshot(&id).ok_or("Id not found")?;
            flows::Copies {
                id: id.clone(),
                origin: origin.record.clone(),
                size: taken.size,
                bricks: taken.bricks.clone(),
            }
        };
        let source = record::Source::Snapshot(id);
        let made = flows::make_copy(&working, &create, copies, source).await?;
        Ok(End::At(format!("/volumes/{}", made.id)))
    })
}

/// By copies that nobody is told of, and that are gone afterwards.
fn copy_volume(
    manager: &Arc<Manager>,
    create: VolumeCreate,
    volume: &str,
) -> Result<Answer, Refusal> {
    let hold = Hold::take(manager, volume)?;
    let id = new_id();
    let working = Arc::clone(manager);
    spawn(manager, "create-volume", async move {
        // It has no name, and no record: a look removes copies without either.
        let nameless = String::new();
        working.state().taking.insert(id.clone(), nameless);
        let made = copy_now(&working, &create, &hold.id, &id).await;
        working.state().taking.remove(&id);
        Ok(End::At(format!("/volumes/{}", made?)))
    })
}

async fn copy_now(
    manager: &Manager,
    create: &VolumeCreate,
    volume: &str,
    id: &str,
) -> Result<String, String> {
    let (origin, bricks) = flows::copy_bricks(manager, volume, id).await?;
    let copies = flows::Copies {
        id: id.into(),
        size: origin.record.size,
        origin: origin.record.clone(),
        bricks,
    };
    let source = record::Source::Volume(volume.into());
    let made = flows::make_copy(manager, create, copies, source).await;
    flows::forget_copies_of(manager, &origin, id).await;
    Ok(made?.id)
}

/// Keeps a volume for one operation, until it is dropped.
pub(super) struct Hold {
    pub(super) manager: Arc<Manager>,
    pub(super) id: String,
}

impl Hold {
    pub(super) fn take(manager: &Arc<Manager>, id: &str) -> Result<Self, Refusal> {
        let mut state = manager.state();
        state.volumes.get(id).ok_or_else(absent)?;
        if !state.hold(id) {
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
    let snapshots = {
        let state = manager.state();
        let volume = state.volumes.get(id).ok_or_else(absent)?;
        let all = volume.snapshots.values();
        all.map(|taken| taken.name.clone()).collect::<Vec<_>>()
    };
    if !snapshots.is_empty() {
        return Err((
            409,
            format!(
                "volume {id} has snapshots ({}): they would go with it; delete them first",
                snapshots.join(", ")
            ),
        ));
    }
    spawn(manager, "delete-volume", async move {
        flows::remove(&hold.manager, &hold.id).await?;
        Ok(End::Done)
    })
}

fn grow(manager: &Arc<Manager>, ask: &Ask<'_>, id: &str) -> Result<Answer, Refusal> {
    let expand: ExpandFrom = ask.parse()?;
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
    let size = validate::growth(size, expand.expand_size)?;
    spawn(manager, "expand-volume", async move {
        flows::grow(&hold.manager, &hold.id, size).await?;
        Ok(End::At(format!("/volumes/{}", hold.id)))
    })
}
