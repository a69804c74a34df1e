//! A claim that asks for more than its volume has.
//!
//! In the order in which CSI's own resizer does it, each step told by what the
//! objects say: status InProgress, the volume, the PV's capacity, the claim's
//! capacity. There is nothing for the nodes to do: a mounted GlusterFS volume
//! is larger at once.

use super::claim::{Next, reference};
use super::step::Step;
use super::volume::target_of;
use super::words;
use super::work::ClaimWork;
use super::world::World;
use crate::k8s::objects::{ClaimFact, VolumeFact};
use crate::storage::class::quantity::{bytes, gib};

/// `status.allocatedResourceStatuses` of a resize that a controller works on.
const CONTROLLER: &str = "ControllerResize";

impl World {
    pub(super) fn resize(
        &mut self,
        claim: &ClaimFact,
        volume: &VolumeFact,
        work: &mut ClaimWork,
    ) -> Next {
        let theirs = volume
            .claim
            .as_ref()
            .is_some_and(|of| of.uid == claim.uid && of.key == claim.key);
        let Some(csi) = volume.csi.as_ref().filter(|_| theirs) else {
            return Next::Nothing;
        };
        if claim.deleting || volume.deleting || !claim.bound {
            return Next::Nothing;
        }
        let (Some(asked), Some(has), Some(shown)) = (
            bytes(&claim.request),
            bytes(&volume.capacity),
            bytes(&claim.capacity),
        ) else {
            return Next::Nothing;
        };
        if asked <= has {
            // Grown, or the claim went back to what it had.
            let unfinished = claim.resize.starts_with(CONTROLLER);
            return match shown < asked || unfinished {
                true => Next::Do(Step::Resized(reference(claim), volume.capacity.clone())),
                false => Next::Nothing,
            };
        }
        let wanted = gib(asked);
        if let Some(grown) = work.grown
            && grown >= wanted
        {
            let size = format!("{grown}Gi").into();
            return Next::Do(Step::Capacity(Box::new(volume.clone()), size));
        }
        let target = match target_of(volume, &self.classes, self.options.manager.as_deref()) {
            Ok(target) => target,
            Err(text) => {
                // Told once: it is told anew when class or claim change.
                if !std::mem::replace(&mut work.told_missing, true) {
                    self.tell(words::resize_failed(&reference(claim), &text));
                }
                return Next::Nothing;
            }
        };
        if work.infeasible {
            if &*claim.resize != "ControllerResizeInfeasible" {
                return Next::Do(Step::Infeasible(reference(claim)));
            }
        } else if bytes(&claim.allocated) != Some(asked) || claim.resize.is_empty() {
            self.tell(words::resizing(&reference(claim), wanted));
            return Next::Do(Step::Resizing(reference(claim), claim.request.clone()));
        }
        Next::Do(Step::Expand {
            target,
            id: csi.handle.clone(),
            gib: wanted,
        })
    }
}
