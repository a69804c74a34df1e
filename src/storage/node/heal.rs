//! Mounts that died are mounted again, and healed where pods have them.
//!
//! When a FUSE process dies, three things are dead: the mount at the staging
//! path, its bind mounts for the pods, and the copies of those inside the
//! containers' own mount namespaces. The first is mounted again. Then a copy of
//! it is laid over each of the others, in place: files that were open are lost
//! to their processes, everything else goes on without a new pod.
//!
//! ```text
//!   record: device 0:52 of h:/v died --> every mount namespace of the node:
//!        on top at a place lies 0:52 of h:/v? --> a copy of the new mount on top of it
//! ```
//!
//! It is opt-in (`--heal`): it needs the host's process ids, to see the
//! containers, and acts inside them as root. What acts is a child of a few
//! system calls ([`super::system::put`]).

use std::path::Path;
use std::time::Duration;

use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::decide::Life;
use super::mountinfo::Mount;
use super::mounts::Mounts;
use super::records::Record;
use super::work::Works;

/// Between two rounds. A round asks each volume for its room, which costs its
/// process a request to the bricks.
const ROUND: Duration = Duration::from_secs(5);

/// Goes round until `stop`.
pub async fn watch<M: Mounts>(works: &Works<M>, stop: CancellationToken) {
    let mut rounds = tokio::time::interval(ROUND);
    rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut told = None;
    while stop.run_until_cancelled(rounds.tick()).await.is_some() {
        let failed = round(works).await.err();
        // The same trouble is told once, not every five seconds.
        let words = failed.map(|status| status.message().to_owned());
        if let Some(words) = words.as_ref().filter(|_| told != words) {
            tracing::warn!("a mount that died is not healed yet: {words}");
        }
        told = words;
    }
}

/// Looks at every volume that is staged here, and heals what died. The last
/// failure is answered when all others had their turn.
pub async fn round<M: Mounts>(works: &Works<M>) -> Result<(), Status> {
    let mut failed = Ok(());
    for record in works.records.all() {
        if let Err(status) = revive(works, &record.staging).await {
            failed = Err(status);
        }
    }
    let hurt: Vec<Record> = works
        .records
        .all()
        .into_iter()
        .filter(|record| !record.died.is_empty())
        .collect();
    if hurt.is_empty() {
        return failed;
    }
    let here = works.mounts.listed().map_err(|error| trouble(&error))?;
    let elsewhere = works.mounts.elsewhere().await;
    let elsewhere = elsewhere.map_err(|error| trouble(&error))?;
    for record in hurt {
        if let Err(status) = heal(works, record, &here, &elsewhere).await {
            failed = Err(status);
        }
    }
    failed
}

/// Mounts a volume again that is dead, or gone, at its staging path.
async fn revive<M: Mounts>(works: &Works<M>, staging: &Path) -> Result<(), Status> {
    // Somebody stages or unstages it just now: it is in good hands.
    let Ok(_held) = works.hold(staging) else {
        return Ok(());
    };
    let Some(record) = works.records.find(staging) else {
        return Ok(());
    };
    match works.seen(staging).await? {
        Some((_, Life::Alive | Life::Silent)) => Ok(()),
        None | Some((_, Life::Dead)) => {
            let staged = works.stage_held(&record.volume_id, &record.source, staging);
            staged.await?;
            tracing::warn!(
                volume = record.source.volume,
                "its mount had died, and is mounted again"
            );
            Ok(())
        }
    }
}

/// Covers every dead mount of a volume, here and in containers. When none is
/// left, its dead are forgotten.
async fn heal<M: Mounts>(
    works: &Works<M>,
    record: Record,
    here: &[Mount],
    elsewhere: &[(u32, Vec<Mount>)],
) -> Result<(), Status> {
    let Ok(_held) = works.hold(&record.staging) else {
        return Ok(());
    };
    // Unstaged since, or mounted anew.
    if works.records.find(&record.staging).as_ref() != Some(&record) {
        return Ok(());
    }
    let lists = elsewhere
        .iter()
        .map(|(process, mounts)| (Some(*process), &**mounts));
    let mut healed = 0_u32;
    let mut failed = Ok(());
    for (process, mounts) in std::iter::once((None, here)).chain(lists) {
        for dead in record.dead_in(mounts) {
            match works.mounts.cover(&record.staging, dead, process).await {
                Ok(()) => healed += 1,
                Err(error) => {
                    let of = process.map_or("this node".into(), |id| format!("process {id}"));
                    failed = Err(Status::internal(format!(
                        "{} of {of}: {error}; deleting the pod brings its volume back",
                        dead.point.display()
                    )));
                }
            }
        }
    }
    if healed > 0 {
        tracing::warn!(volume = record.source.volume, healed, "healed in place");
    }
    failed?;
    if healed == 0 {
        let alive = Record {
            died: Vec::new(),
            ..record
        };
        works.records.put(&alive).map_err(|error| trouble(&error))?;
    }
    Ok(())
}

fn trouble(error: &std::io::Error) -> Status {
    Status::internal(error.to_string())
}
