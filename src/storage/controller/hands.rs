//! Carries out one step.

use super::backends::{Backends, Open};
use crate::k8s::client::ApiError;
use crate::k8s::objects::{ClaimRef, VolumeFact};
use crate::k8s::volumes::{Calls, ClaimChange, Standing, VolumeChange, VolumeWrite, is_another};
use crate::storage::heketi::error::HeketiError;
use crate::storage::heketi::wire::VolumeInfo;
use crate::storage::provision::{
    Errand, Failure, Outcome, Seen, Step, Target, What, may_destroy, note,
};

/// What steps are done with.
pub(super) struct Hands {
    pub(super) calls: Calls,
    pub(super) backends: Backends,
}

impl Hands {
    pub(super) async fn carry_out(&self, step: &Step) -> Outcome {
        match self.attempt(step).await {
            Ok(outcome) => outcome,
            Err(failure) => Outcome::Failed(failure),
        }
    }

    async fn attempt(&self, step: &Step) -> Result<Outcome, Failure> {
        match step {
            Step::Find { target, name } => {
                let heketi = self.backends.open(target).await?;
                let found = heketi.client.find_by_name(name).await;
                Ok(Outcome::Found(heketi.judge(found)?.map(Into::into)))
            }
            Step::Ensure {
                target,
                volume,
                source,
            } => {
                let heketi = self.backends.open(target).await?;
                let made = match source {
                    Some(source) => heketi.client.clone_volume(volume, source.clone()).await,
                    None => heketi.client.ensure_volume(volume).await,
                };
                made_of(heketi.judge(made)?)
            }
            Step::Snapshot {
                target,
                snapshot,
                gib,
            } => self.snapshot(target, snapshot, *gib).await,
            Step::Expand { target, id, gib } => {
                let heketi = self.backends.open(target).await?;
                let gib = i64::try_from(*gib).unwrap_or(i64::MAX);
                let grown = heketi.client.expand_to(id, gib).await;
                made_of(heketi.judge(grown)?)
            }
            Step::Discard {
                target,
                id,
                name,
                pv,
            } => match self.calls.volume(pv).await.map_err(api)? {
                Standing::Known(volume) => Ok(Outcome::Volume(volume)),
                Standing::Foreign | Standing::Free => self.delete(target, id, Some(name)).await,
            },
            Step::Destroy { target, volume } => self.destroy(target, volume).await,
            Step::Publish(write) => self.publish(write).await,
            Step::Mark(claim, gid) => self.claim(claim, ClaimChange::Mark(*gid)).await,
            Step::Unmark(claim) => self.claim(claim, ClaimChange::Unmark).await,
            Step::Resizing(claim, size) => self.claim(claim, ClaimChange::Resizing(size)).await,
            Step::Infeasible(claim) => self.claim(claim, ClaimChange::Infeasible).await,
            Step::Resized(claim, size) => {
                // First, so that no kubelet sees a new size and begins to work on it.
                let spared = self.claim(claim, ClaimChange::NodeNotNeeded).await?;
                match spared {
                    Outcome::Claim(_) => self.claim(claim, ClaimChange::Resized(size)).await,
                    other => Ok(other),
                }
            }
            Step::Hold(volume) => self.volume(volume, VolumeChange::Hold).await,
            Step::Release(volume) => self.volume(volume, VolumeChange::Release).await,
            Step::Capacity(volume, size) => self.volume(volume, VolumeChange::Capacity(size)).await,
            Step::Remove(volume) => match self.calls.delete_volume(volume).await {
                Ok(()) => Ok(Outcome::Removed),
                Err(error) if is_gone(&error) => Ok(Outcome::Stale),
                Err(error) => Err(api(error)),
            },
        }
    }

    async fn claim(&self, claim: &ClaimRef, change: ClaimChange<'_>) -> Result<Outcome, Failure> {
        match self.calls.patch_claim(claim, change).await {
            Ok(claim) => Ok(Outcome::Claim(Box::new(claim))),
            Err(error) if is_gone(&error) => Ok(Outcome::Stale),
            Err(error) => Err(api(error)),
        }
    }

    async fn volume(
        &self,
        volume: &VolumeFact,
        change: VolumeChange<'_>,
    ) -> Result<Outcome, Failure> {
        match self.calls.patch_volume(volume, change).await {
            Ok(volume) => Ok(Outcome::Volume(Box::new(volume))),
            Err(error) if is_gone(&error) => Ok(Outcome::Stale),
            Err(error) => Err(api(error)),
        }
    }

    /// Looks how a volume fares, or notes it. That it fails is nobody's news:
    /// the next round tries again.
    pub(super) async fn run(&self, errand: &Errand) -> Seen {
        let volume = &errand.volume;
        match &errand.what {
            What::Ask(target) => self.look(target, volume).await,
            What::Note(state) => {
                let change = VolumeChange::Health(note(*state));
                let noted = self.calls.patch_volume(volume, change).await;
                let noted = noted.inspect_err(|error| {
                    tracing::debug!(volume = &*volume.name, "health not noted: {error}")
                });
                Seen::Noted(noted.ok().map(Box::new))
            }
        }
    }

    async fn look(&self, target: &Target, volume: &VolumeFact) -> Seen {
        let Some(csi) = &volume.csi else {
            return Seen::Nothing;
        };
        let asked = match self.backends.open(target).await {
            Ok(heketi) => {
                let health = heketi.client.health(&csi.handle).await;
                health.map_err(|error| {
                    (
                        matches!(error, HeketiError::Refused { .. }),
                        error.to_string(),
                    )
                })
            }
            Err(failure) => Err((false, failure.text.into())),
        };
        match asked {
            Ok(Some(health)) => Seen::Fares(health.state, health.reason.into()),
            Ok(None) => Seen::Nothing,
            Err((of_this_volume, text)) => {
                tracing::debug!(volume = &*volume.name, "health not told: {text}");
                match of_this_volume {
                    true => Seen::Nothing,
                    false => Seen::Mute,
                }
            }
        }
    }

    async fn publish(&self, write: &VolumeWrite) -> Result<Outcome, Failure> {
        match self.calls.create_volume(write).await {
            Ok(volume) => return Ok(Outcome::Volume(Box::new(volume))),
            Err(error) if error.code() == Some(409) => {}
            Err(error) => return Err(api(error)),
        }
        // An earlier try may have landed.
        match self.calls.volume(&write.name).await.map_err(api)? {
            Standing::Known(volume) if volume.claim.as_ref() == Some(&write.claim) => {
                Ok(Outcome::Volume(volume))
            }
            Standing::Known(_) | Standing::Foreign => Ok(Outcome::Taken),
            Standing::Free => Ok(Outcome::Stale),
        }
    }

    async fn destroy(&self, target: &Target, volume: &VolumeFact) -> Result<Outcome, Failure> {
        let now = match self.calls.volume(&volume.name).await.map_err(api)? {
            Standing::Known(now) => now,
            Standing::Foreign | Standing::Free => return Ok(Outcome::Stale),
        };
        let same = now.uid == volume.uid && now.csi == volume.csi;
        let Some(csi) = now.csi.as_ref().filter(|_| same && may_destroy(&now)) else {
            return Ok(Outcome::Volume(now));
        };
        let name = csi.attributes.get("volume");
        self.delete(target, &csi.handle, name.map(|name| &**name))
            .await
    }

    /// Deletes a volume by id, if it still has the name that goes with it.
    async fn delete(
        &self,
        target: &Target,
        id: &str,
        name: Option<&str>,
    ) -> Result<Outcome, Failure> {
        let heketi = self.backends.open(target).await?;
        let found = heketi.client.volume(id).await;
        let Some(found) = heketi.judge(found)? else {
            return Ok(Outcome::Gone);
        };
        if let Some(name) = name
            && found.name != name
        {
            return Err(lasting(format!(
                "volume {id} of {} is called {:?} and not {name:?}: its database is not the one that made it. It is not deleted; look which volume is meant, and set persistentVolumeReclaimPolicy to Retain to let the PV go",
                target.url, found.name
            )));
        }
        let deleted = heketi.client.delete_volume(id).await;
        heketi.judge(deleted)?;
        Ok(Outcome::Gone)
    }
}

fn made_of(info: VolumeInfo) -> Result<Outcome, Failure> {
    Ok(Outcome::Made(info.into()))
}

/// The object is gone, another one, or on its way out.
fn is_gone(error: &ApiError) -> bool {
    let no_more_finalizers = matches!(error, ApiError::Refused { code: 422, message, .. }
        if message.contains("no new finalizers can be added"));
    error.code() == Some(404) || is_another(error) || no_more_finalizers
}

pub(super) fn lasting(text: String) -> Failure {
    Failure {
        text: text.into(),
        nothing_done: true,
        lasting: true,
        after: None,
    }
}

pub(super) fn api(error: ApiError) -> Failure {
    Failure {
        nothing_done: error.code().is_some_and(|code| code < 500),
        lasting: matches!(error.code(), Some(400 | 403 | 422)),
        after: error.retry_after(),
        text: error.to_string().into(),
    }
}

impl Open {
    /// What an error of Heketi's means for the step.
    pub(super) fn judge<T>(&self, answer: Result<T, HeketiError>) -> Result<T, Failure> {
        answer.map_err(|error| {
            let mut text = error.to_string();
            if let HeketiError::Unauthorized { .. } = error
                && self.key_ends_in_a_line_break
            {
                text.push_str("; the key in the Secret ends in a line break, perhaps by accident (echo -n leaves it out)");
            }
            Failure {
                // Of a name that is taken somebody is making a volume.
                nothing_done: match &error {
                    HeketiError::Invalid(_)
                    | HeketiError::NoSpace { .. }
                    | HeketiError::Unsupported { .. } => true,
                    HeketiError::Refused { .. } => !error.is_name_taken(),
                    _ => false,
                },
                lasting: error.is_final(),
                after: match &error {
                    HeketiError::Busy { after, .. } => *after,
                    _ => None,
                },
                text: text.into(),
            }
        })
    }
}
