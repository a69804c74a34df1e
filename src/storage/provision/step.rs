//! The steps that a controller carries out, and how they end.

use std::time::Duration;

use super::origin::Origin;
use crate::k8s::objects::{ClaimFact, ClaimKey, ClaimRef, VolumeFact};
use crate::k8s::volumes::VolumeWrite;
use crate::storage::class::Auth;
use crate::storage::heketi::loods::Source;
use crate::storage::heketi::wire::{VolumeCreate, VolumeInfo};

/// What a step is about. Of one thing there is one step at a time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// A claim, and which one of that name.
    Claim(ClaimKey, Box<str>),
    /// A PV, by name.
    Volume(Box<str>),
}

/// A Heketi, or a manager that speaks like one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Without `/` at the end.
    pub url: Box<str>,
    /// How it is asked.
    pub auth: Auth,
}

/// A step to be carried out.
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    /// What it is about; handed back with the outcome.
    pub key: Key,
    /// What to do.
    pub step: Step,
}

/// One call, or two that belong together.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Look a volume up. Ends in `Found`.
    Find {
        /// Where.
        target: Target,
        /// Its name.
        name: Box<str>,
    },
    /// Put our finalizer, the group of its volume and the annotations on a claim.
    /// Ends in `Claim`.
    Mark(ClaimRef, u32),
    /// Make a volume, or find the one of that name. Ends in `Made`.
    Ensure {
        /// Where.
        target: Target,
        /// What.
        volume: Box<VolumeCreate>,
        /// What a new one begins with.
        source: Option<Source>,
    },
    /// Find out which snapshot a VolumeSnapshot stands for. Ends in `Origin`.
    Snapshot {
        /// Where it must be.
        target: Target,
        /// The VolumeSnapshot.
        snapshot: ClaimKey,
        /// How large the volume will be, in GiB.
        gib: u64,
    },
    /// Make a PV. Ends in `Volume`, `Taken` or `Stale`.
    Publish(Box<VolumeWrite>),
    /// Take our finalizer off a claim. Ends in `Claim` or `Stale`.
    Unmark(ClaimRef),
    /// Delete a volume that no PV tells of, after a look whether this is so.
    /// Ends in `Gone`, or in `Volume` if there is such a PV.
    Discard {
        /// Where.
        target: Target,
        /// Heketi's id.
        id: Box<str>,
        /// Its name: another's volume under this id is left alone.
        name: Box<str>,
        /// The PV that must not be there.
        pv: Box<str>,
    },
    /// Say in a claim's status that its volume grows. Ends in `Claim`.
    Resizing(ClaimRef, Box<str>),
    /// Grow a volume to a size in GiB. Ends in `Made`.
    Expand {
        /// Where.
        target: Target,
        /// Heketi's id.
        id: Box<str>,
        /// To what, in GiB.
        gib: u64,
    },
    /// Write a PV's capacity. Ends in `Volume`.
    Capacity(Box<VolumeFact>, Box<str>),
    /// Say in a claim's status how large its volume is, and that nodes have
    /// nothing to do. Ends in `Claim`.
    Resized(ClaimRef, Box<str>),
    /// Say in a claim's status that its volume cannot grow. Ends in `Claim`.
    Infeasible(ClaimRef),
    /// Put our finalizer on a PV. Ends in `Volume`.
    Hold(Box<VolumeFact>),
    /// Delete the volume of a PV, after a look whether it still may be. Ends in
    /// `Gone`, or in `Volume` if it may not.
    Destroy {
        /// Where.
        target: Target,
        /// The PV.
        volume: Box<VolumeFact>,
    },
    /// Delete a PV. Ends in `Removed` or `Stale`.
    Remove(Box<VolumeFact>),
    /// Take our finalizer off a PV. Ends in `Volume` or `Stale`.
    Release(Box<VolumeFact>),
}

/// How a step ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// A look-up: what is there.
    Found(Option<Made>),
    /// A volume, as it is now.
    Made(Made),
    /// What a volume can begin with.
    Origin(Origin),
    /// A claim, as it is now.
    Claim(Box<ClaimFact>),
    /// A PV, as it is now.
    Volume(Box<VolumeFact>),
    /// A volume is no longer there.
    Gone,
    /// A PV is on its way out.
    Removed,
    /// A PV of that name exists and belongs to something else.
    Taken,
    /// The object is not what the step was decided on: the watch will tell.
    Stale,
    /// It failed.
    Failed(Failure),
}

/// Why a step failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// For people. No keys.
    pub text: Box<str>,
    /// Nothing was done, for certain: not even begun.
    pub nothing_done: bool,
    /// It will fail again until somebody changes something.
    pub lasting: bool,
    /// Not before so long.
    pub after: Option<Duration>,
}

/// A volume, as far as provisioning goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// Heketi's id.
    pub id: Box<str>,
    /// Its name in Gluster.
    pub name: Box<str>,
    /// Its size in GiB.
    pub gib: u64,
    /// The hosts to mount it from.
    pub hosts: Vec<Box<str>>,
    /// Its group; 0: none.
    pub gid: u32,
}

impl From<VolumeInfo> for Made {
    fn from(info: VolumeInfo) -> Self {
        let mount = info.mount.glusterfs;
        let mut hosts: Vec<Box<str>> = mount.hosts.into_iter().map(Into::into).collect();
        if hosts.is_empty() {
            // A server that leaves the list out still names one.
            let device = mount.device.rsplit_once(':');
            hosts.extend(device.map(|(host, _)| host.into()));
        }
        Self {
            id: info.id.into(),
            name: info.name.into(),
            gib: u64::try_from(info.size).unwrap_or(0),
            hosts,
            gid: u32::try_from(info.gid).unwrap_or(0),
        }
    }
}

impl Step {
    /// A word for logs.
    pub fn name(&self) -> &'static str {
        match self {
            Step::Find { .. } => "find",
            Step::Mark(..) => "mark",
            Step::Ensure { .. } => "ensure",
            Step::Snapshot { .. } => "snapshot",
            Step::Publish(_) => "publish",
            Step::Unmark(_) => "unmark",
            Step::Discard { .. } => "discard",
            Step::Resizing(..) => "resizing",
            Step::Expand { .. } => "expand",
            Step::Capacity(..) => "capacity",
            Step::Resized(..) => "resized",
            Step::Infeasible(_) => "infeasible",
            Step::Hold(_) => "hold",
            Step::Destroy { .. } => "destroy",
            Step::Remove(_) => "remove",
            Step::Release(_) => "release",
        }
    }
}
