//! The way of a claim from Pending to its PV, and back if it is deleted on it.

use std::time::{Duration, Instant};

use super::origin::Begin;
use super::step::{Failure, Made, Outcome, Step};
use super::work::{ClaimWork, Looked, Plan};
use super::world::{World, pv_name};
use super::{gids, words, write};
use crate::k8s::objects::{ClaimFact, ClaimKey, ClaimRef, VolumeFact};
use crate::storage::heketi::loods::Source;

/// After an object was not what we thought, its watch gets this long.
pub(super) const SETTLE: Duration = Duration::from_millis(500);

/// What is to be done about one thing.
#[derive(Debug)]
pub(super) enum Next {
    /// This.
    Do(Step),
    /// Nothing until then.
    Until(Instant),
    /// Nothing until something changes.
    Nothing,
}

impl World {
    pub(super) fn next_of_claim(&mut self, key: &ClaimKey, uid: &str, now: Instant) -> Next {
        let mut work = self.works.remove(uid).unwrap_or_default();
        let next = self.claim_step(key, uid, &mut work, now);
        work.flying |= matches!(next, Next::Do(_));
        if !work.is_idle() {
            self.works.insert(uid.into(), work);
        }
        next
    }

    fn claim_step(
        &mut self,
        key: &ClaimKey,
        uid: &str,
        work: &mut ClaimWork,
        now: Instant,
    ) -> Next {
        if work.flying {
            return Next::Nothing;
        }
        if let Some(until) = work.retry.until(now) {
            return Next::Until(until);
        }
        let published = self.published(uid).cloned();
        let Some(claim) = self.claim(key, uid).cloned() else {
            // Only by force: the mark was taken off by hand.
            if published.is_some() {
                work.looked = Looked::Absent { certain: true };
            }
            let next = self.undo(key, uid, false, work);
            if matches!(next, Next::Nothing) && !work.is_in_doubt() {
                *work = ClaimWork::default();
            }
            return next;
        };
        match published {
            Some(_) if claim.marked => Next::Do(Step::Unmark(reference(&claim))),
            Some(volume) => {
                work.settle();
                self.resize(&claim, &volume, work)
            }
            // Another PV took it while ours was being made.
            None if claim.deleting || !claim.volume.is_empty() => {
                match self.undo(key, uid, claim.marked, work) {
                    Next::Nothing if !claim.marked => {
                        work.settle();
                        match self.volumes.find(&claim.volume).cloned() {
                            Some(volume) => self.resize(&claim, &volume, work),
                            None => Next::Nothing,
                        }
                    }
                    next => next,
                }
            }
            None => self.provision(&claim, work, now),
        }
    }

    fn provision(&mut self, claim: &ClaimFact, work: &mut ClaimWork, now: Instant) -> Next {
        if work.plan.is_none() || !work.is_in_doubt() {
            match self.plan(claim) {
                Ok(Some(plan)) => work.plan = Some(plan),
                Ok(None) => return Next::Nothing,
                Err(faults) => {
                    self.tell(words::failed(&reference(claim), &faults.to_string()));
                    self.tally.failed += 1;
                    work.retry.failed(now, true, None, 0.0);
                    return work.retry.until(now).map_or(Next::Nothing, Next::Until);
                }
            }
        }
        let Some(plan) = work.plan.clone() else {
            return Next::Nothing;
        };
        if work.looked == Looked::Not {
            return find(&plan);
        }
        match &work.looked {
            Looked::There(made) if claim.marked && made.gib < plan.gib => Next::Do(Step::Expand {
                target: plan.target(),
                id: made.id.clone(),
                gib: plan.gib,
            }),
            Looked::There(made) if claim.marked => Next::Do(Step::Publish(Box::new(
                write::volume(&plan, made, &claim.access_modes, reference(claim)),
            ))),
            Looked::Absent { .. } => self.make(&plan, claim, work, now),
            _ => self.mark(&plan, claim, work, now),
        }
    }

    fn make(&mut self, plan: &Plan, claim: &ClaimFact, work: &mut ClaimWork, now: Instant) -> Next {
        if work.origin.is_none() {
            match self.origin(claim, plan) {
                Begin::With(origin) => work.origin = origin,
                Begin::First(step) => return Next::Do(step),
                Begin::Not(text) => {
                    if work.waits.as_ref() != Some(&text) {
                        self.tell(words::failed(&reference(claim), &text));
                        self.tally.failed += 1;
                        work.waits = Some(text);
                    }
                    return Next::Nothing;
                }
            }
        }
        if !claim.marked || !work.may_have(plan, claim.gid) {
            return self.mark(plan, claim, work, now);
        }
        work.gid = claim.gid;
        let source = work.origin.as_ref().map(|origin| origin.source.clone());
        ensure(plan, work, source)
    }

    /// Chooses a group and writes it down, before anything is made with it.
    fn mark(&mut self, plan: &Plan, claim: &ClaimFact, work: &mut ClaimWork, now: Instant) -> Next {
        if let Looked::There(made) = &work.looked
            && made.gid != 0
        {
            work.gid = Some(made.gid);
        } else if let Some(gid) = work.origin.as_ref().and_then(|origin| origin.gid) {
            work.gid = Some(gid);
        } else if !plan.may_have(work.gid) {
            if self.groups_are_unsure(&plan.class_name, &claim.uid) {
                return Next::Until(now + SETTLE);
            }
            let taken = self.groups(&plan.class_name);
            let Some(gid) = gids::lowest_free(plan.class.gids, &taken) else {
                let (low, high) = plan.class.gids;
                self.tell(words::failed(&reference(claim), &format!(
                    "all groups from gidMin {low} to gidMax {high} of StorageClass {} are taken; delete volumes, or make a class with more",
                    plan.class_name
                )));
                work.retry.failed(now, true, None, 0.0);
                return work.retry.until(now).map_or(Next::Nothing, Next::Until);
            };
            work.gid = Some(gid);
        }
        self.tell_beginning(claim, plan, work);
        let gid = work.gid.unwrap_or_default();
        Next::Do(Step::Mark(reference(claim), gid))
    }

    /// Gets rid of what was begun for a claim that is gone, going, or served otherwise.
    fn undo(&mut self, key: &ClaimKey, uid: &str, marked: bool, work: &mut ClaimWork) -> Next {
        if !marked && !work.is_in_doubt() {
            return Next::Nothing;
        }
        let reference = ClaimRef {
            key: key.clone(),
            uid: uid.into(),
        };
        if let Looked::Absent { certain: true } = work.looked {
            return match marked {
                true => Next::Do(Step::Unmark(reference)),
                false => Next::Nothing,
            };
        }
        if work.plan.is_none()
            && let Some(claim) = self.claim(key, uid).cloned()
        {
            work.plan = self.plan(&claim).ok().flatten();
        }
        let Some(plan) = work.plan.clone() else {
            if !std::mem::replace(&mut work.told_missing, true) {
                self.tell(words::cannot_undo(&reference));
            }
            return Next::Nothing;
        };
        match &work.looked {
            Looked::There(made) => Next::Do(Step::Discard {
                target: plan.target(),
                id: made.id.clone(),
                name: made.name.clone(),
                pv: pv_name(uid),
            }),
            Looked::Absent { .. } => {
                work.gid = work.gid.or(Some(plan.class.gids.0));
                ensure(&plan, work, None)
            }
            Looked::Not => find(&plan),
        }
    }

    pub(super) fn claim_done(
        &mut self,
        key: &ClaimKey,
        uid: &str,
        step: Step,
        outcome: Outcome,
        now: Instant,
        fraction: f64,
    ) {
        let mut work = self.works.remove(uid).unwrap_or_default();
        work.flying = false;
        let held = self.claim(key, uid).filter(|claim| claim.marked);
        let (marked, chosen) = (held.is_some(), held.and_then(|claim| claim.gid));
        if !matches!(
            outcome,
            Outcome::Failed(_) | Outcome::Stale | Outcome::Taken
        ) {
            work.retry.reset();
        }
        match outcome {
            Outcome::Found(Some(made)) | Outcome::Made(made) => {
                work.gid = work.gid.or(chosen);
                self.volume_seen(&mut work, &step, made);
            }
            Outcome::Found(None) => {
                let certain = !marked && work.gid.is_none();
                work.looked = Looked::Absent { certain };
            }
            Outcome::Origin(origin) => work.origin = Some(origin),
            Outcome::Gone => {
                work.looked = Looked::Absent { certain: true };
                self.tally.deleted += 1;
            }
            Outcome::Claim(claim) => {
                if let Step::Resized(_, size) = &step {
                    self.tally.resized += 1;
                    work.grown = None;
                    self.tell(words::resized(&of(key, uid), size));
                }
                self.renew_claim(*claim);
            }
            Outcome::Volume(volume) => {
                if let Step::Publish(write) = &step {
                    self.tally.provisioned += 1;
                    self.tell(words::succeeded(write));
                }
                match step {
                    Step::Capacity(..) => self.renew_volume(*volume),
                    _ => self.put_volume(*volume),
                }
            }
            Outcome::Taken => {
                let text = format!(
                    "a PersistentVolume {} exists and belongs to something else; delete it, and the claim is served",
                    pv_name(uid)
                );
                self.tell(words::failed(&of(key, uid), &text));
                work.retry.failed(now, true, None, fraction);
            }
            Outcome::Removed | Outcome::Stale => work.retry.pause(now + SETTLE),
            Outcome::Failed(failure) => {
                self.claim_failed(key, uid, &mut work, &step, &failure);
                work.retry
                    .failed(now, failure.lasting, failure.after, fraction);
                // Nothing was made for a claim that goes: it need not wait.
                let wanted = self.claim(key, uid).is_some_and(|claim| !claim.deleting);
                if !wanted && work.looked == (Looked::Absent { certain: true }) {
                    work.retry.reset();
                }
            }
        }
        self.works.insert(uid.into(), work);
    }

    fn volume_seen(&mut self, work: &mut ClaimWork, step: &Step, mut made: Made) {
        if let Step::Expand { gib, .. } = step {
            work.grown = Some(made.gib.max(*gib));
            work.infeasible = false;
        }
        // A resize is about a volume that a PV tells of.
        let provisioning =
            !matches!(step, Step::Expand { .. }) || matches!(work.looked, Looked::There(_));
        if provisioning {
            // A server that does not tell the group has the one that was asked for.
            if made.gid == 0 {
                made.gid = work.gid.unwrap_or(0);
            }
            work.gid = Some(made.gid);
            work.looked = Looked::There(made);
        }
    }

    fn claim_failed(
        &mut self,
        key: &ClaimKey,
        uid: &str,
        work: &mut ClaimWork,
        step: &Step,
        failure: &Failure,
    ) {
        let claim = of(key, uid);
        // It may be gone.
        work.origin = None;
        match step {
            Step::Ensure { .. } if failure.nothing_done => {
                work.looked = Looked::Absent { certain: true };
            }
            Step::Expand { .. } if failure.lasting && work.looked == Looked::Not => {
                work.infeasible = true;
            }
            _ => {}
        }
        let resizing = matches!(
            step,
            Step::Expand { .. } | Step::Capacity(..) | Step::Resized(..) | Step::Resizing(..)
        );
        let notice = match self.claim(key, uid) {
            Some(_) if resizing => words::resize_failed(&claim, &failure.text),
            Some(now) if now.deleting => words::undo_failed(&claim, &failure.text),
            Some(_) => words::failed(&claim, &failure.text),
            None => return,
        };
        self.tell(notice);
    }

    fn tell_beginning(&mut self, claim: &ClaimFact, plan: &Plan, work: &mut ClaimWork) {
        if std::mem::replace(&mut work.told, true) {
            return;
        }
        for notice in words::beginning(&reference(claim), plan) {
            self.tell(notice);
        }
    }

    /// The claim, if it still is this one.
    pub(super) fn claim(&self, key: &ClaimKey, uid: &str) -> Option<&ClaimFact> {
        self.claims.find(key).filter(|claim| &*claim.uid == uid)
    }

    /// The PV that was made for a claim.
    pub(super) fn published(&self, uid: &str) -> Option<&VolumeFact> {
        let volume = self.volumes.find(&pv_name(uid))?;
        let claim = volume.claim.as_ref()?;
        (&*claim.uid == uid).then_some(volume)
    }
}

/// Orders the volume.
fn ensure(plan: &Plan, work: &mut ClaimWork, source: Option<Source>) -> Next {
    let gid = work.gid.unwrap_or_default();
    work.looked = Looked::Not;
    Next::Do(Step::Ensure {
        target: plan.target(),
        volume: Box::new(plan.class.volume(&plan.name, plan.gib, gid)),
        source,
    })
}

fn find(plan: &Plan) -> Next {
    Next::Do(Step::Find {
        target: plan.target(),
        name: plan.name.clone(),
    })
}

pub(super) fn reference(claim: &ClaimFact) -> ClaimRef {
    of(&claim.key, &claim.uid)
}

fn of(key: &ClaimKey, uid: &str) -> ClaimRef {
    ClaimRef {
        key: key.clone(),
        uid: uid.into(),
    }
}
