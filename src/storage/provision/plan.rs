//! What a claim's class asks for, and which groups are free for it.

use std::collections::BTreeSet;

use super::work::{Looked, Plan};
use super::world::World;
use crate::k8s::objects::ClaimFact;
use crate::storage::class::{self, Class, Faults, claim::Asked, volume_name};

impl World {
    /// What a claim's class asks for; `None`: not ours, or not yet.
    pub(super) fn plan(&self, claim: &ClaimFact) -> Result<Option<Box<Plan>>, Faults> {
        let Some(fact) = claim
            .class
            .as_ref()
            .and_then(|name| self.classes.find(name))
        else {
            return Ok(None);
        };
        if fact.waits_for_consumer && !claim.node_chosen && !claim.marked {
            return Ok(None);
        }
        let class = Class::read(
            &fact.provisioner,
            &fact.parameters,
            self.options.manager.as_deref(),
        );
        let gib = class::claim::judge(Asked {
            access_modes: &claim.access_modes,
            request: &claim.request,
            block: claim.block,
            selector: claim.selector,
            source: claim.source.as_ref(),
        });
        let (class, gib) = match (class, gib) {
            (Ok(class), Ok(gib)) => (class, gib),
            (Err(faults), Ok(_)) | (Ok(_), Err(faults)) => return Err(faults),
            (Err(faults), Err(more)) => return Err(faults.and(more)),
        };
        let prefix = class.name_prefix.as_deref();
        Ok(Some(Box::new(Plan {
            name: volume_name(prefix, &claim.key.namespace, &claim.key.name, &claim.uid).into(),
            class_name: fact.name.clone(),
            provisioner: fact.provisioner.clone(),
            reclaim_policy: fact.reclaim_policy.clone(),
            mount_options: fact.mount_options.clone(),
            source: claim.source.clone(),
            class,
            gib,
        })))
    }

    /// Groups of a class that PVs have, or that volumes will have. A group is
    /// written on its claim before the volume is ordered, so none is forgotten
    /// when a new process begins.
    pub(super) fn groups(&self, class: &str) -> BTreeSet<u32> {
        let of_volumes = self
            .volumes
            .iter()
            .filter(|volume| &*volume.class == class)
            .filter_map(|volume| volume.gid);
        let of_works = self
            .works
            .values()
            .filter(|work| {
                work.plan
                    .as_ref()
                    .is_some_and(|plan| &*plan.class_name == class)
            })
            .filter_map(|work| work.gid);
        let of_claims = self
            .claims
            .iter()
            .filter(|claim| claim.marked && claim.class.as_deref() == Some(class))
            .filter_map(|claim| claim.gid);
        of_volumes.chain(of_works).chain(of_claims).collect()
    }

    /// A volume of this class was begun and its group is not known yet: its claim
    /// was marked by hand, or by a version that did not write the group.
    pub(super) fn groups_are_unsure(&self, class: &str, but: &str) -> bool {
        self.claims.iter().any(|claim| {
            claim.marked
                && claim.gid.is_none()
                && &*claim.uid != but
                && claim.class.as_deref() == Some(class)
                && self.published(&claim.uid).is_none()
                // A mark put on by hand on a claim that cannot be served.
                && matches!(self.plan(claim), Ok(Some(_)))
                && self
                    .works
                    .get(&claim.uid)
                    .is_none_or(|work| work.looked == Looked::Not && work.gid.is_none())
        })
    }
}
