//! How volumes fare: looked at in rounds, and told to their claims on a change.
//!
//! ```text
//!   a round: every bound PV, one at a time --Ask--> Seen --a change--> Event on the claim
//!   the next begins a while after its end                     '--Note--> annotation on the PV
//! ```
//!
//! What was told last stands on the PV, so a new process repeats nothing and
//! still tells when all is well again. The Event comes before the note: a
//! process that dies between the two tells twice rather than never.
//!
//! Gluster shows files that are being written as waiting to be healed, for a
//! moment. So that a volume is degraded, or well again, is told when two looks
//! in a row say so; that it is lost, at once.
//!
//! glusterd takes a second and a lock to tell of one volume's heals. So between
//! two looks there is a rest, three times as long as the look was.
//!
//! Only our manager tells of health. A server that does not, or does not answer,
//! is left alone until the next round; looks have nothing to do with the steps
//! of claims and their number.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Instant;

use super::step::Target;
use super::volume::target_of;
use super::words;
use super::world::World;
use crate::k8s::objects::{ClaimRef, VolumeFact};
use crate::storage::heketi::loods::HealthState;

/// How much longer than a look the rest after it is.
const REST: u32 = 3;

/// Something to be done about the health of the volume of one PV.
#[derive(Clone, Debug, PartialEq)]
pub struct Errand {
    /// The PV.
    pub volume: Box<VolumeFact>,
    /// What.
    pub what: What,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// Ask the server that has it. Ends in any but `Noted`.
    Ask(Target),
    /// Write on the PV what was told. Ends in `Noted`.
    Note(HealthState),
}

/// What came of it.
#[derive(Clone, Debug, PartialEq)]
pub enum Seen {
    /// The volume fares so, for this reason.
    Fares(HealthState, Box<str>),
    /// This server does not tell of this volume now.
    Nothing,
    /// Nor of any other.
    Mute,
    /// The PV as it is since; `None`: it could not be written.
    Noted(Option<Box<VolumeFact>>),
}

/// What is remembered of one volume.
#[derive(Clone, Copy, Debug)]
struct Known {
    told: HealthState,
    seen: HealthState,
}

/// Where the looks are.
#[derive(Debug, Default)]
pub(super) struct Rounds {
    /// When the next begins; `None`: not known yet.
    begins: Option<Instant>,
    /// PVs of this round that are still to be looked at.
    left: VecDeque<Box<str>>,
    /// PVs whose note is to be written.
    notes: BTreeSet<Box<str>>,
    /// Servers that do not tell, in this round.
    mute: Vec<Target>,
    /// By the PV's uid.
    known: BTreeMap<Box<str>, Known>,
    /// When the errand that is on its way began.
    flying: Option<Instant>,
    /// No look before.
    rest: Option<Instant>,
}

impl Rounds {
    fn is_over(&self) -> bool {
        self.flying.is_none() && self.left.is_empty() && self.notes.is_empty()
    }
}

impl World {
    /// The next errand that is due, until there is none.
    pub fn errand(&mut self, now: Instant) -> Option<Errand> {
        let every = self.options.health?;
        if !self.is_complete() || self.rounds.flying.is_some() {
            return None;
        }
        let begins = *self.rounds.begins.get_or_insert(now + every);
        if self.rounds.is_over() && begins <= now {
            self.begin_round();
        }
        let rests = self.rounds.rest.is_some_and(|until| now < until);
        let errand = self.next_note();
        let errand = match errand {
            None if !rests => self.next_look(),
            errand => errand,
        };
        self.rounds.flying = errand.is_some().then_some(now);
        if begins <= now && self.rounds.is_over() {
            self.rounds.begins = Some(now + every);
        }
        errand
    }

    /// When [`World::errand`] has something to say again, if nothing happens
    /// until then.
    pub fn errand_at(&self) -> Option<Instant> {
        self.options.health?;
        let rounds = &self.rounds;
        match rounds.flying {
            Some(_) => None,
            None if rounds.is_over() => rounds.begins,
            None => rounds.rest,
        }
    }

    fn begin_round(&mut self) {
        let all = self.volumes.iter().filter(|volume| is_looked_at(volume));
        self.rounds.left = all.map(|volume| volume.name.clone()).collect();
        self.rounds.mute.clear();
        let there: BTreeSet<&str> = self.volumes.iter().map(|volume| &*volume.uid).collect();
        self.rounds.known.retain(|uid, _| there.contains(&**uid));
    }

    fn next_note(&mut self) -> Option<Errand> {
        while let Some(name) = self.rounds.notes.pop_first() {
            let Some(volume) = self.volumes.find(&name) else {
                continue;
            };
            let Some(known) = self.rounds.known.get(&volume.uid) else {
                continue;
            };
            if noted(volume) != known.told {
                return Some(Errand {
                    volume: Box::new(volume.clone()),
                    what: What::Note(known.told),
                });
            }
        }
        None
    }

    fn next_look(&mut self) -> Option<Errand> {
        while let Some(name) = self.rounds.left.pop_front() {
            let volume = self.volumes.find(&name);
            let Some(volume) = volume.filter(|volume| is_looked_at(volume)) else {
                continue;
            };
            let manager = self.options.manager.as_deref();
            // Whom to ask is told where it is needed: when the volume is to grow or go.
            let Ok(target) = target_of(volume, &self.classes, manager) else {
                continue;
            };
            if !self.rounds.mute.contains(&target) {
                return Some(Errand {
                    volume: Box::new(volume.clone()),
                    what: What::Ask(target),
                });
            }
        }
        None
    }

    /// Takes what came of an errand.
    pub fn errand_done(&mut self, errand: Errand, seen: Seen, now: Instant) {
        let began = self.rounds.flying.take().unwrap_or(now);
        if let What::Ask(_) = errand.what {
            self.rounds.rest = Some(now + now.saturating_duration_since(began) * REST);
        }
        match (errand.what, seen) {
            (What::Ask(_), Seen::Fares(state, reason)) => {
                self.fares(&errand.volume, state, &reason);
            }
            (What::Ask(target), Seen::Mute) => self.rounds.mute.push(target),
            (What::Note(_), Seen::Noted(Some(volume))) => self.renew_volume(*volume),
            // The next round writes it.
            _ => {}
        }
        if self.rounds.is_over() {
            self.rounds.begins = self.options.health.map(|every| now + every);
        }
    }

    fn fares(&mut self, asked: &VolumeFact, state: HealthState, reason: &str) {
        let Some(volume) = self.volumes.find(&asked.name) else {
            return;
        };
        let Some(claim) = claim_of(volume).filter(|_| volume.uid == asked.uid) else {
            return;
        };
        let before = noted(volume);
        let known = self.rounds.known.entry(volume.uid.clone());
        let known = known.or_insert(Known {
            told: before,
            seen: before,
        });
        let at_once = matches!(state, HealthState::Inaccessible | HealthState::DataLoss);
        let sure = at_once || known.seen == state;
        known.seen = state;
        let notice = (sure && known.told != state).then(|| {
            known.told = state;
            words::health(claim, volume, state, reason)
        });
        if known.told != before {
            self.rounds.notes.insert(asked.name.clone());
        }
        if let Some(notice) = notice {
            self.tell(notice);
        }
    }
}

/// Volumes that somebody may use.
fn is_looked_at(volume: &VolumeFact) -> bool {
    volume.csi.is_some()
        && !volume.deleting
        && &*volume.phase == "Bound"
        && claim_of(volume).is_some()
}

fn claim_of(volume: &VolumeFact) -> Option<&ClaimRef> {
    volume.claim.as_ref().filter(|claim| !claim.uid.is_empty())
}

/// What the PV says that was told last.
fn noted(volume: &VolumeFact) -> HealthState {
    match &*volume.health {
        "degraded" => HealthState::Degraded,
        "inaccessible" => HealthState::Inaccessible,
        "dataLoss" => HealthState::DataLoss,
        _ => HealthState::Healthy,
    }
}

/// What is written on the PV; `None`: nothing, all is well.
pub fn note(state: HealthState) -> Option<&'static str> {
    match state {
        HealthState::Healthy => None,
        HealthState::Degraded => Some("degraded"),
        HealthState::Inaccessible => Some("inaccessible"),
        HealthState::DataLoss => Some("dataLoss"),
    }
}
