//! What is remembered about one claim or PV between its steps. None of it has
//! to survive a restart.

use super::origin::Origin;
use super::retry::Retry;
use super::step::{Made, Target};
use crate::k8s::objects::DataSource;
use crate::storage::class::Class;

/// What is known about the volume of a claim's name.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum Looked {
    /// Nothing.
    #[default]
    Not,
    /// It was not listed; `certain`: and it is not being made either.
    Absent { certain: bool },
    /// It is there.
    There(Made),
}

/// What was decided for a claim when work on it began.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) class_name: Box<str>,
    pub(super) class: Class,
    pub(super) provisioner: Box<str>,
    pub(super) reclaim_policy: Box<str>,
    pub(super) mount_options: Vec<Box<str>>,
    /// What it shall begin with.
    pub(super) source: Option<DataSource>,
    /// The volume's name.
    pub(super) name: Box<str>,
    pub(super) gib: u64,
}

impl Plan {
    /// A group was chosen, and it is one of the class's: a claim's owner may
    /// have written what stands in its annotation.
    pub(super) fn may_have(&self, gid: Option<u32>) -> bool {
        let (low, high) = self.class.gids;
        gid.is_some_and(|gid| (low..=high).contains(&gid))
    }

    pub(super) fn target(&self) -> Target {
        Target {
            url: self.class.url.clone(),
            auth: self.class.auth.clone(),
        }
    }
}

/// About a claim.
#[derive(Clone, Debug, Default)]
pub(super) struct ClaimWork {
    /// A step is on its way.
    pub(super) flying: bool,
    pub(super) retry: Retry,
    pub(super) looked: Looked,
    /// The group that the volume has or will have.
    pub(super) gid: Option<u32>,
    pub(super) plan: Option<Box<Plan>>,
    /// What its volume begins with, since it was found out.
    pub(super) origin: Option<Origin>,
    /// Why it waits for what it shall begin with, as its owner was told.
    pub(super) waits: Option<String>,
    /// Its owner was told that work has begun.
    pub(super) told: bool,
    /// Its owner was told that the class is missing.
    pub(super) told_missing: bool,
    /// A resize failed for good, and the status has to say so.
    pub(super) infeasible: bool,
    /// Heketi has grown the volume to so many GiB.
    pub(super) grown: Option<u64>,
}

impl ClaimWork {
    /// A volume may be there that only this memory or the mark tells of.
    pub(super) fn is_in_doubt(&self) -> bool {
        match self.looked {
            Looked::There(_) => true,
            Looked::Absent { certain } => !certain,
            Looked::Not => self.gid.is_some(),
        }
    }

    /// A group that its volume may have.
    pub(super) fn may_have(&self, plan: &Plan, gid: Option<u32>) -> bool {
        let of_origin = self.origin.as_ref().and_then(|origin| origin.gid);
        plan.may_have(gid) || gid.is_some() && gid == of_origin
    }

    /// The claim has its PV: what its making needed is forgotten.
    pub(super) fn settle(&mut self) {
        self.looked = Looked::Not;
        self.gid = None;
        self.plan = None;
        self.origin = None;
        self.told = false;
        self.told_missing = false;
        self.waits = None;
    }

    /// Nothing in it that a new one would not have.
    pub(super) fn is_idle(&self) -> bool {
        !self.flying
            && self.retry.is_idle()
            && self.looked == Looked::Not
            && self.gid.is_none()
            && self.plan.is_none()
            && self.origin.is_none()
            && self.waits.is_none()
            && !self.told
            && !self.told_missing
            && !self.infeasible
            && self.grown.is_none()
    }
}

/// About a PV.
#[derive(Clone, Debug, Default)]
pub(super) struct VolumeWork {
    /// A step is on its way.
    pub(super) flying: bool,
    pub(super) retry: Retry,
    /// Its volume is gone.
    pub(super) destroyed: bool,
}
