//! Which snapshot of the manager a VolumeSnapshot stands for.

use super::hands::{Hands, api, lasting};
use crate::k8s::objects::ClaimKey;
use crate::k8s::volumes::SnapshotFact;
use crate::storage::DRIVER;
use crate::storage::heketi::loods::Source;
use crate::storage::provision::{Failure, Origin, Outcome, Target};

impl Hands {
    /// Reads it, and looks whether the manager has it: the object may be older
    /// than what it tells of.
    pub(super) async fn snapshot(
        &self,
        target: &Target,
        name: &ClaimKey,
        gib: u64,
    ) -> Result<Outcome, Failure> {
        let fact = self.calls.snapshot(name).await.map_err(|error| {
            let why = if error.code() == Some(404) {
                format!(
                    "namespace {} has none of that name yet; this claim is served when it has",
                    name.namespace
                )
            } else {
                error.to_string()
            };
            Failure {
                text: format!("spec.dataSource is VolumeSnapshot {}: {why}", name.name).into(),
                // It is there as soon as somebody makes it, and nothing tells us.
                lasting: false,
                ..api(error)
            }
        })?;
        let handle = handle(name, fact).map_err(|text| Failure {
            lasting: false,
            ..lasting(text)
        })?;
        let heketi = self.backends.open(target).await?;
        let listed = heketi.client.snapshots().await;
        let listed = heketi.judge(listed)?;
        let Some(found) = listed.into_iter().find(|it| *it.id == *handle) else {
            return Err(lasting(format!(
                "spec.dataSource is VolumeSnapshot {}: {} has no snapshot {handle}; name a class of the manager that took it, or make the snapshot anew",
                name.name, target.url
            )));
        };
        let least = u64::try_from(found.size).unwrap_or(0);
        if gib < least {
            return Err(lasting(format!(
                "spec.dataSource is VolumeSnapshot {}: it holds a volume of {least} GiB, and this claim asks for {gib}; ask for at least as much",
                name.name
            )));
        }
        Ok(Outcome::Origin(Origin {
            gid: u32::try_from(found.gid).ok().filter(|gid| *gid != 0),
            source: Source::Snapshot(found.id),
        }))
    }
}

/// The manager's id, or why there is none.
fn handle(name: &ClaimKey, fact: SnapshotFact) -> Result<Box<str>, String> {
    let why = match fact {
        SnapshotFact::Of { driver, handle } if &*driver == DRIVER => return Ok(handle),
        SnapshotFact::Of { driver, .. } => {
            format!("it is of {driver}, and {DRIVER} cannot read what others keep")
        }
        SnapshotFact::Foreign { content } => format!(
            "its VolumeSnapshotContent {content} is another's: spec.volumeSnapshotRef does not name it"
        ),
        SnapshotFact::Unready { error } if error.is_empty() => {
            "it is not ready yet; this claim is served when it is".into()
        }
        SnapshotFact::Unready { error } => format!("it is not ready: {error}"),
    };
    Err(format!(
        "spec.dataSource is VolumeSnapshot {}: {why}",
        name.name
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_ready_and_ours_is_taken() {
        let name = ClaimKey {
            namespace: "n".into(),
            name: "s".into(),
        };
        let of = |driver: &str| SnapshotFact::Of {
            driver: driver.into(),
            handle: "5a".into(),
        };
        assert_eq!(handle(&name, of(DRIVER)), Ok("5a".into()));
        let unready = |error: &str| SnapshotFact::Unready {
            error: error.into(),
        };
        let foreign = SnapshotFact::Foreign {
            content: "c".into(),
        };
        for (fact, words) in [
            (of("other.example"), "it is of other.example"),
            (unready(""), "not ready yet"),
            (unready("heals pending"), "not ready: heals pending"),
            (foreign, "VolumeSnapshotContent c is another's"),
        ] {
            let text = handle(&name, fact).unwrap_err();
            assert!(
                text.contains("VolumeSnapshot s: ") && text.contains(words),
                "{text}"
            );
        }
    }
}
