//! All claims, PVs and classes that concern us, and which of them is due.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::claim::Next;
use super::health::Rounds;
use super::shelf::Shelf;
use super::step::{Key, Outcome, Task};
use super::work::{ClaimWork, VolumeWork};
use crate::k8s::events::Notice;
use crate::k8s::objects::{ClaimFact, ClaimKey, ClassFact, VolumeFact};
use crate::k8s::watch::Event;

/// What the world is told at the beginning.
#[derive(Clone, Debug)]
pub struct Options {
    /// The manager that a class of our own may leave out.
    pub manager: Option<Box<str>>,
    /// Steps that may be on their way at one time.
    pub in_flight: usize,
    /// Between two rounds in which the health of all volumes is looked at;
    /// `None`: it is not.
    pub health: Option<Duration>,
}

/// What a watch says.
#[derive(Debug)]
pub enum Fact {
    /// About claims.
    Claim(Event<ClaimFact, ClaimKey>),
    /// About PVs.
    Volume(Event<VolumeFact, Box<str>>),
    /// About classes.
    Class(Event<ClassFact, Box<str>>),
}

/// What was done since the process began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// PVs made.
    pub provisioned: u64,
    /// Volumes deleted.
    pub deleted: u64,
    /// Volumes grown.
    pub resized: u64,
    /// Steps that failed.
    pub failed: u64,
}

/// Everything that decisions rest on.
#[derive(Debug)]
pub struct World {
    pub(super) options: Options,
    pub(super) claims: Shelf<ClaimFact>,
    pub(super) volumes: Shelf<VolumeFact>,
    pub(super) classes: Shelf<ClassFact>,
    pub(super) works: BTreeMap<Box<str>, ClaimWork>,
    pub(super) deletions: BTreeMap<Box<str>, VolumeWork>,
    pub(super) dirty: BTreeSet<Key>,
    timers: BTreeSet<(Instant, Key)>,
    flying: usize,
    notices: Vec<Notice>,
    pub(super) tally: Tally,
    pub(super) rounds: Rounds,
}

impl World {
    /// Nothing is known yet.
    pub fn new(options: Options) -> Self {
        Self {
            options,
            claims: Shelf::default(),
            volumes: Shelf::default(),
            classes: Shelf::default(),
            works: BTreeMap::new(),
            deletions: BTreeMap::new(),
            dirty: BTreeSet::new(),
            timers: BTreeSet::new(),
            flying: 0,
            notices: Vec::new(),
            tally: Tally::default(),
            rounds: Rounds::default(),
        }
    }

    /// Takes what a watch says.
    pub fn take(&mut self, fact: Fact) {
        let was_complete = self.is_complete();
        match fact {
            Fact::Claim(event) => {
                for (key, before) in self.claims.take(event) {
                    self.claim_changed(&key, before);
                }
            }
            Fact::Volume(event) => {
                for (name, before) in self.volumes.take(event) {
                    self.volume_changed(&name, before);
                }
            }
            Fact::Class(event) => {
                for (name, _) in self.classes.take(event) {
                    self.class_changed(&name);
                }
            }
        }
        if !was_complete && self.is_complete() {
            self.forget_strangers();
        }
    }

    /// All three lists have been complete: decisions can be made.
    pub fn is_complete(&self) -> bool {
        self.claims.complete && self.volumes.complete && self.classes.complete
    }

    /// Begins anew with the facts that are known, as a process does that has
    /// become the leader. Steps on their way are taken for lost.
    pub fn begin(&mut self) {
        self.works.clear();
        self.deletions.clear();
        self.timers.clear();
        self.rounds = Rounds::default();
        self.flying = 0;
        let claims = self.claims.iter().map(key_of);
        let volumes = self
            .volumes
            .iter()
            .map(|volume| Key::Volume(volume.name.clone()));
        self.dirty = claims.chain(volumes).collect();
    }

    /// The next step that is due, until there is none.
    pub fn next(&mut self, now: Instant) -> Option<Task> {
        while self.timers.first().is_some_and(|(due, _)| *due <= now) {
            self.dirty
                .extend(self.timers.pop_first().map(|(_, key)| key));
        }
        if !self.is_complete() {
            return None;
        }
        while self.flying < self.options.in_flight
            && let Some(key) = self.dirty.pop_first()
        {
            let next = match &key {
                Key::Claim(claim, uid) => self.next_of_claim(claim, uid, now),
                Key::Volume(name) => self.next_of_volume(name, now),
            };
            match next {
                Next::Do(step) => {
                    self.flying += 1;
                    return Some(Task { key, step });
                }
                Next::Until(due) => {
                    self.timers.insert((due, key));
                }
                Next::Nothing => {}
            }
        }
        None
    }

    /// When [`World::next`] has something to say again, if nothing happens until then.
    pub fn wake_at(&self) -> Option<Instant> {
        self.timers.first().map(|(due, _)| *due)
    }

    /// Takes how a step ended. `fraction` (0 to 1) is random.
    pub fn done(&mut self, task: Task, outcome: Outcome, now: Instant, fraction: f64) {
        self.flying = self.flying.saturating_sub(1);
        if let Outcome::Failed(_) = outcome {
            self.tally.failed += 1;
        }
        let Task { key, step } = task;
        match &key {
            Key::Claim(claim, uid) => self.claim_done(claim, uid, step, outcome, now, fraction),
            Key::Volume(name) => self.volume_done(name, &step, outcome, now, fraction),
        }
        self.dirty.insert(key);
    }

    /// Events to be written since the last time.
    pub fn notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    /// What was done so far.
    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// Steps on their way.
    pub fn flying(&self) -> usize {
        self.flying
    }

    /// Claims and PVs that are known, and how many of each fail.
    pub fn sizes(&self) -> [(&'static str, usize, usize); 2] {
        let claims = self.works.values();
        let volumes = self.deletions.values();
        [
            (
                "claim",
                self.claims.iter().count(),
                claims.filter(|work| work.retry.is_failing()).count(),
            ),
            (
                "volume",
                self.volumes.iter().filter(|it| it.csi.is_some()).count(),
                volumes.filter(|work| work.retry.is_failing()).count(),
            ),
        ]
    }

    pub(super) fn tell(&mut self, notice: Notice) {
        self.notices.push(notice);
    }

    pub(super) fn renew_claim(&mut self, claim: ClaimFact) {
        if let Some((key, before)) = self.claims.renew(claim) {
            self.claim_changed(&key, before);
        }
    }

    pub(super) fn renew_volume(&mut self, volume: VolumeFact) {
        if let Some((name, before)) = self.volumes.renew(volume) {
            self.volume_changed(&name, before);
        }
    }

    /// A PV that we made, or found: our finalizer keeps it until we let it go.
    pub(super) fn put_volume(&mut self, volume: VolumeFact) {
        if let Some((name, before)) = self.volumes.put(volume) {
            self.volume_changed(&name, before);
        }
    }

    fn claim_changed(&mut self, key: &ClaimKey, before: Option<ClaimFact>) {
        let now = self.claims.find(key);
        if let Some(claim) = now {
            let asked_anew = before.as_ref().is_some_and(|before| {
                before.uid == claim.uid
                    && (before.request != claim.request
                        || before.deleting != claim.deleting
                        || before.class != claim.class)
            });
            if asked_anew && let Some(work) = self.works.get_mut(&claim.uid) {
                work.retry.reset();
                work.infeasible = false;
            }
            self.dirty.insert(key_of(claim));
        }
        self.wake_clones(key);
        if let Some(before) = before {
            // Also its PV may wait for it to go.
            self.dirty.insert(Key::Volume(pv_name(&before.uid)));
            self.dirty.insert(key_of(&before));
        }
        if self.is_complete()
            && let Some(claim) = self.claims.find(key)
            && !self.concerns_us(claim)
        {
            let key = key.clone();
            self.claims.retain(|claim| claim.key != key);
        }
    }

    fn volume_changed(&mut self, name: &str, before: Option<VolumeFact>) {
        let now = self.volumes.find(&name.into());
        let (gone, phase_moved) = match (&before, now) {
            (Some(before), Some(now)) => (false, before.phase != now.phase),
            (_, now) => (now.is_none(), true),
        };
        let now = now.cloned();
        for claim in before.iter().chain(&now).filter_map(|it| it.claim.as_ref()) {
            self.dirty
                .insert(Key::Claim(claim.key.clone(), claim.uid.clone()));
            self.wake_clones(&claim.key);
        }
        if gone {
            self.deletions.remove(name);
        } else {
            if phase_moved && let Some(work) = self.deletions.get_mut(name) {
                work.retry.reset();
            }
            self.dirty.insert(Key::Volume(name.into()));
        }
    }

    fn class_changed(&mut self, name: &str) {
        for claim in self.claims.iter() {
            if claim.class.as_deref() == Some(name) {
                if let Some(work) = self.works.get_mut(&claim.uid) {
                    work.retry.reset();
                    work.told_missing = false;
                }
                self.dirty.insert(key_of(claim));
            }
        }
        for volume in self.volumes.iter().filter(|volume| &*volume.class == name) {
            if let Some(work) = self.deletions.get_mut(&volume.name) {
                work.retry.reset();
            }
            self.dirty.insert(Key::Volume(volume.name.clone()));
        }
    }

    /// A cluster may have ten thousand claims that others serve.
    fn concerns_us(&self, claim: &ClaimFact) -> bool {
        let unbound = claim.volume.is_empty();
        claim.marked
            || claim
                .class
                .as_ref()
                .is_some_and(|class| self.classes.find(class).is_some())
            || !unbound && self.volumes.find(&claim.volume).is_some()
            // Its class may be made after it.
            || unbound && claim.class.is_some()
    }

    fn forget_strangers(&mut self) {
        let strangers: BTreeSet<ClaimKey> = self
            .claims
            .iter()
            .filter(|claim| !self.concerns_us(claim))
            .map(|claim| claim.key.clone())
            .collect();
        self.claims.retain(|claim| !strangers.contains(&claim.key));
    }
}

pub(super) fn key_of(claim: &ClaimFact) -> Key {
    Key::Claim(claim.key.clone(), claim.uid.clone())
}

/// What the PV of a claim is called.
pub(super) fn pv_name(uid: &str) -> Box<str> {
    format!("pvc-{uid}").into()
}
