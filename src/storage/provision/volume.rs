//! The end of a PV: its volume, the object, its finalizer.

use std::time::Instant;

use super::claim::Next;
use super::shelf::Shelf;
use super::step::{Outcome, Step, Target};
use super::words;
use super::work::VolumeWork;
use super::world::World;
use crate::k8s::objects::{ClassFact, VolumeFact};
use crate::storage::DRIVER;
use crate::storage::class::{Auth, Class, judge_secret, judge_url};

/// True if the volume of this PV is to be deleted: nobody holds it any more,
/// its class said so, and it was us who made it. Asked twice: of what the watch
/// told, and of what the API server says just before.
pub fn may_destroy(volume: &VolumeFact) -> bool {
    let left = match &*volume.phase {
        "Released" | "Failed" => true,
        // Made and never taken, and an administrator deletes it.
        "Available" => volume.deleting,
        _ => false,
    };
    left && is_ours(volume) && &*volume.reclaim_policy == "Delete"
}

fn is_ours(volume: &VolumeFact) -> bool {
    volume.csi.is_some() && &*volume.provisioned_by == DRIVER
}

impl World {
    pub(super) fn next_of_volume(&mut self, name: &str, now: Instant) -> Next {
        let Some(volume) = self.volumes.find(&name.into()).cloned() else {
            self.deletions.remove(name);
            return Next::Nothing;
        };
        if !is_ours(&volume) {
            return Next::Nothing;
        }
        let mut work = self.deletions.remove(name).unwrap_or_default();
        let next = self.volume_step(volume, &mut work, now);
        work.flying |= matches!(next, Next::Do(_));
        if work.flying || work.destroyed || !work.retry.is_idle() {
            self.deletions.insert(name.into(), work);
        }
        next
    }

    fn volume_step(&mut self, volume: VolumeFact, work: &mut VolumeWork, now: Instant) -> Next {
        if work.flying {
            return Next::Nothing;
        }
        if let Some(until) = work.retry.until(now) {
            return Next::Until(until);
        }
        if &*volume.reclaim_policy != "Delete" {
            // Whoever keeps the volume may delete the PV without us.
            return match volume.held {
                true => Next::Do(Step::Release(Box::new(volume))),
                false => Next::Nothing,
            };
        }
        if work.destroyed {
            return match (volume.deleting, volume.held) {
                (false, _) => Next::Do(Step::Remove(Box::new(volume))),
                (true, true) => Next::Do(Step::Release(Box::new(volume))),
                (true, false) => Next::Nothing,
            };
        }
        // Without our finalizer somebody let it go by hand.
        if volume.deleting && !volume.held {
            return Next::Nothing;
        }
        if !may_destroy(&volume) {
            return match volume.held || volume.deleting {
                true => Next::Nothing,
                false => Next::Do(Step::Hold(Box::new(volume))),
            };
        }
        if self.is_wanted(&volume) {
            return Next::Nothing;
        }
        let target = match self.judge(&volume) {
            Ok(target) => target,
            Err(text) => {
                self.tell(words::delete_failed(&volume, &text));
                self.tally.failed += 1;
                work.retry.failed(now, true, None, 0.0);
                return work.retry.until(now).map_or(Next::Nothing, Next::Until);
            }
        };
        Next::Do(Step::Destroy {
            target,
            volume: Box::new(volume),
        })
    }

    /// The claim is there after all, and not served by another PV.
    fn is_wanted(&self, volume: &VolumeFact) -> bool {
        volume.claim.as_ref().is_some_and(|of| {
            self.claim(&of.key, &of.uid)
                .is_some_and(|claim| claim.volume.is_empty() || claim.volume == volume.name)
        })
    }

    /// Which Heketi to ask, if it is right to ask at all.
    fn judge(&self, volume: &VolumeFact) -> Result<Target, String> {
        let handle = volume.csi.as_ref().map_or("", |csi| &csi.handle);
        let twin = self.volumes.iter().find(|other| {
            other.name != volume.name && other.csi.as_ref().is_some_and(|it| &*it.handle == handle)
        });
        if let Some(twin) = twin {
            return Err(format!(
                "PersistentVolume {} has the same volume {handle}: it is not deleted; delete one of the two objects, after setting its persistentVolumeReclaimPolicy to Retain",
                twin.name
            ));
        }
        target_of(volume, &self.classes, self.options.manager.as_deref())
    }

    pub(super) fn volume_done(
        &mut self,
        name: &str,
        step: &Step,
        outcome: Outcome,
        now: Instant,
        fraction: f64,
    ) {
        let mut work = self.deletions.remove(name).unwrap_or_default();
        work.flying = false;
        match outcome {
            Outcome::Gone => {
                work.retry.reset();
                work.destroyed = true;
                self.tally.deleted += 1;
            }
            Outcome::Volume(volume) => {
                // The server knows it otherwise: what was true may be true again.
                work.retry.reset();
                let before = self.volumes.find(&volume.name).cloned();
                self.renew_volume(*volume);
                if matches!(step, Step::Destroy { .. })
                    && before.as_ref() == self.volumes.find(&name.into())
                {
                    work.retry.pause(now + super::claim::SETTLE);
                }
            }
            // Its object says so by the watch.
            Outcome::Removed | Outcome::Stale | Outcome::Taken => {
                work.retry.pause(now + super::claim::SETTLE);
            }
            Outcome::Failed(failure) => {
                if let Some(volume) = self.volumes.find(&name.into()) {
                    let notice = words::delete_failed(volume, &failure.text);
                    self.tell(notice);
                }
                work.retry
                    .failed(now, failure.lasting, failure.after, fraction);
            }
            Outcome::Found(_) | Outcome::Made(_) | Outcome::Claim(_) | Outcome::Origin(_) => {}
        }
        self.deletions.insert(name.into(), work);
    }
}

/// Which Heketi has the volume of a PV, and how it is asked: from the PV, and
/// from its class what a PV does not tell.
pub(super) fn target_of(
    volume: &VolumeFact,
    classes: &Shelf<ClassFact>,
    manager: Option<&str>,
) -> Result<Target, String> {
    let csi = volume.csi.as_ref();
    let attribute = |key: &str| csi.and_then(|csi| csi.attributes.get(key)).map(|it| &**it);
    let class = classes
        .find(&volume.class)
        .and_then(|fact| Class::read(&fact.provisioner, &fact.parameters, manager).ok());
    let url = match (attribute("resturl"), &class) {
        (Some(url), _) => judge_url(url).map_err(|trouble| {
            format!(
                "PersistentVolume {}, volumeAttributes.resturl {url:?}: {trouble}",
                volume.name
            )
        })?,
        (None, Some(class)) => class.url.clone(),
        (None, None) => {
            return Err(format!(
                "PersistentVolume {} does not tell which Heketi has its volume: volumeAttributes.resturl is missing, and so is StorageClass {:?}; make the class again",
                volume.name, volume.class
            ));
        }
    };
    let auth = match (attribute("secretName"), attribute("secretNamespace")) {
        (Some(name), Some(namespace)) => {
            Auth::Secret(judge_secret(namespace, name).map_err(|faults| {
                format!(
                    "PersistentVolume {}, volumeAttributes: {faults}",
                    volume.name
                )
            })?)
        }
        _ if attribute("restuser").is_none() && attribute("resturl").is_some() => Auth::None,
        // The key stood in the class, and is copied nowhere.
        _ => match class {
            Some(class) if class.url == url => class.auth,
            _ => {
                return Err(format!(
                    "the key for {url} stood in parameter restuserkey of StorageClass {:?}, which is gone or names another resturl; make the class again as it was",
                    volume.class
                ));
            }
        },
    };
    Ok(Target { url, auth })
}
