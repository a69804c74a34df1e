//! What a claim's volume begins with: nothing, a copy of another claim's
//! volume, or what a snapshot holds.
//!
//! Found out before the claim is marked and before anything is made, so that a
//! claim whose source does not exist has no finalizer to wait for. Only names
//! come from the claim; whose volume that is, and where, is read from PVs and
//! from the manager. A volume that is undone is never filled.

use super::step::Step;
use super::volume::target_of;
use super::work::Plan;
use super::world::World;
use crate::k8s::objects::{ClaimFact, ClaimKey, DataSource};
use crate::storage::DRIVER;
use crate::storage::class::{claim::is_snapshot, quantity};
use crate::storage::heketi::loods::Source;

/// What a volume begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// By its id at the manager.
    pub source: Source,
    /// The group that its files have: the copy has it as well, or pods could not
    /// write to them.
    pub gid: Option<u32>,
}

/// How far this is known.
pub(super) enum Begin {
    /// The volume can be made, with this.
    With(Option<Origin>),
    /// This is to be done first.
    First(Step),
    /// Not before something changes, and why.
    Not(String),
}

impl World {
    /// What the volume of a claim begins with.
    pub(super) fn origin(&self, claim: &ClaimFact, plan: &Plan) -> Begin {
        let Some(source) = &plan.source else {
            return Begin::With(None);
        };
        let key = ClaimKey {
            namespace: claim.key.namespace.clone(),
            name: source.name.clone(),
        };
        if is_snapshot(source) {
            return Begin::First(Step::Snapshot {
                target: plan.target(),
                snapshot: key,
                gib: plan.gib,
            });
        }
        match self.of_claim(&key, plan) {
            Ok(origin) => Begin::With(Some(origin)),
            Err(text) => Begin::Not(format!("spec.dataSource is {source}: {text}")),
        }
    }

    fn of_claim(&self, key: &ClaimKey, plan: &Plan) -> Result<Origin, String> {
        let other = self.claims.find(key);
        let other = other
            .ok_or_else(|| format!("there is no claim of that name with a volume of {DRIVER}"))?;
        if other.volume.is_empty() {
            return Err("it has no volume yet; this claim is served when it has".into());
        }
        let ours = self.volumes.find(&other.volume).filter(|volume| {
            let of = volume.claim.as_ref();
            of.is_some_and(|of| of.uid == other.uid)
        });
        let (volume, csi) = ours
            .and_then(|volume| Some((volume, volume.csi.as_ref()?)))
            .ok_or_else(|| {
                format!(
                    "its PersistentVolume {} is not one of {DRIVER}, which can copy its own alone",
                    other.volume
                )
            })?;
        let target = target_of(volume, &self.classes, self.options.manager.as_deref())?;
        if target.url != plan.class.url {
            return Err(format!(
                "its volume is at {}, and StorageClass {} asks {}; name a class of the same manager",
                target.url, plan.class_name, plan.class.url
            ));
        }
        let least = quantity::bytes(&volume.capacity).map_or(0, quantity::gib);
        if plan.gib < least {
            return Err(format!(
                "its volume has {}, and this claim asks for {} GiB; ask for at least as much",
                volume.capacity, plan.gib
            ));
        }
        Ok(Origin {
            source: Source::Volume((*csi.handle).into()),
            gid: volume.gid,
        })
    }

    /// Claims that begin with this one's volume may be served now.
    pub(super) fn wake_clones(&mut self, of: &ClaimKey) {
        if !self.is_complete() {
            // All are looked at then.
            return;
        }
        let is_clone = |claim: &&ClaimFact| {
            claim.key.namespace == of.namespace
                && claim
                    .source
                    .as_ref()
                    .is_some_and(|it: &DataSource| it.name == of.name)
        };
        let clones = self.claims.iter().filter(is_clone);
        let clones: Vec<_> = clones.map(super::world::key_of).collect();
        self.dirty.extend(clones);
    }
}
