//! The four works of a node: stage, publish, and both undone. Each may be
//! repeated after any failure and ends with what was asked for, or says why not.
//!
//! ```text
//!   stage     keeper mounts the volume once on this node       .../globalmount
//!   publish   one bind mount of it for each pod                .../pods/UID/volumes/.../mount
//! ```
//!
//! A mount whose process died is met at every step, and replaced.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};

use tonic::{Code, Status};

use super::decide::{self, Conflict, Life, Step};
use super::keeper::client::KeeperError;
use super::keeper::protocol::Kind;
use super::mountinfo::{Mount, at};
use super::mounts::{LIST, Look, Mounts};
use super::place::Places;
use super::records::{Record, Records};
use super::source::Source;
use super::system;
use crate::storage::csi::busy::{Busy, Held};

/// Mounts on top of each other that are taken away in one call.
const DEEPEST: usize = 64;

/// The node's own part of the work.
#[derive(Debug)]
pub struct Works<M> {
    /// The mounts.
    pub mounts: M,
    /// Where mounts may be made.
    pub places: Places,
    /// What was staged.
    pub records: Records,
    /// This node's name: decides which storage host it asks first.
    pub node: String,
    busy: Busy,
}

/// A volume to be published.
#[derive(Clone, Debug)]
pub struct Publication {
    /// Its id in CSI.
    pub volume_id: String,
    /// Where it is staged.
    pub staging: PathBuf,
    /// Where the pod gets it.
    pub target: PathBuf,
    /// Whether the pod only reads.
    pub read_only: bool,
    /// Whether no other place on this node may have it.
    pub alone: bool,
}

impl<M: Mounts> Works<M> {
    /// Works on these mounts.
    pub fn new(mounts: M, places: Places, records: Records, node: impl Into<String>) -> Self {
        Self {
            mounts,
            places,
            records,
            node: node.into(),
            busy: Busy::default(),
        }
    }

    /// Holds a place, or answers ABORTED: the caller comes again.
    pub fn hold(&self, place: &Path) -> Result<Held, Status> {
        self.busy.hold(&place.to_string_lossy())
    }

    /// Mounts a volume at its staging path.
    pub async fn stage(&self, id: &str, source: &Source, staging: &Path) -> Result<(), Status> {
        let _held = self.hold(staging)?;
        self.stage_held(id, source, staging).await.map(|_| ())
    }

    /// [`Self::stage`] for one who holds the place: the mount that is there then.
    pub async fn stage_held(
        &self,
        id: &str,
        source: &Source,
        staging: &Path,
    ) -> Result<Mount, Status> {
        self.plain(staging)?;
        let seen = self.seen(staging).await?;
        let known = self.records.find(staging);
        let conflict = match (&known, &seen) {
            (Some(record), _) => record.against(id, source),
            (None, Some((mount, _))) => foreign(mount, source),
            (None, None) => None,
        };
        match decide::stage(seen.as_ref().map(|(_, life)| *life), conflict) {
            Step::Nothing => {}
            Step::Wait => return Err(silent(staging)),
            Step::Refuse(conflict) => return Err(refused(staging, conflict)),
            Step::Mount => self.mount(source, staging).await?,
            Step::Replace | Step::Restrict => {
                self.clear(staging, true).await?;
                self.mount(source, staging).await?;
            }
        }
        let mount = self.there(staging)?.ok_or_else(|| {
            Status::internal(format!(
                "{} was mounted and is gone again",
                staging.display()
            ))
        })?;
        let record = Record {
            volume_id: id.to_owned(),
            staging: staging.to_owned(),
            source: source.clone(),
            device: mount.device.clone(),
            shown: mount.source.clone(),
            died: Vec::new(),
        };
        let record = match known.clone() {
            Some(known) => known.succeeded_by(record),
            None => record,
        };
        if known.as_ref() != Some(&record) {
            let kept = self.records.put(&record);
            kept.map_err(|error| failed("keep the record of", staging, &error))?;
        }
        Ok(mount)
    }

    async fn mount(&self, source: &Source, staging: &Path) -> Result<(), Status> {
        fs::create_dir_all(staging).map_err(|error| failed("make", staging, &error))?;
        let mut turn = DefaultHasher::new();
        (&self.node, &source.volume).hash(&mut turn);
        #[allow(clippy::cast_possible_truncation)] // any number will do
        let turn = turn.finish() as usize;
        let mounted = self.mounts.mount(source, staging, turn).await;
        mounted.map_err(|error| {
            let code = match &error {
                KeeperError::Unreachable { .. } => Code::Unavailable,
                KeeperError::Failed { kind, .. } => match kind {
                    Kind::Invalid => Code::InvalidArgument,
                    Kind::TimedOut => Code::DeadlineExceeded,
                    Kind::Unsupported => Code::FailedPrecondition,
                    Kind::Refused | Kind::Internal => Code::Internal,
                },
            };
            Status::new(code, format!("volume {}: {error}", source.volume))
        })
    }

    /// Takes a volume from its staging path.
    pub async fn unstage(&self, staging: &Path) -> Result<(), Status> {
        let _held = self.hold(staging)?;
        self.plain(staging)?;
        // Forgotten first: nobody mounts again what is to go.
        let forgotten = self.records.remove(staging);
        forgotten.map_err(|error| failed("forget the record of", staging, &error))?;
        self.clear(staging, false).await
    }

    /// Gives a volume to a pod.
    pub async fn publish(&self, asked: &Publication, source: &Source) -> Result<(), Status> {
        let _held = self.hold(&asked.target)?;
        self.plain(&asked.target)?;
        let staged = self.staged(asked, source).await?;
        if asked.alone {
            self.alone(asked, &staged)?;
        }
        let seen = self.seen(&asked.target).await?;
        let there = seen.as_ref().map(|(mount, life)| (mount, *life));
        match decide::publish(there, &staged, asked.read_only) {
            Step::Nothing => return Ok(()),
            Step::Wait => return Err(silent(&asked.target)),
            Step::Refuse(conflict) => return Err(refused(&asked.target, conflict)),
            Step::Restrict => {
                let flags = flags(&staged.options, true);
                let changed = self.mounts.change(&asked.target, flags).await;
                return changed.map_err(|error| failed("make read-only", &asked.target, &error));
            }
            Step::Replace => self.clear(&asked.target, true).await?,
            Step::Mount => {}
        }
        let made = fs::create_dir_all(&asked.target);
        made.map_err(|error| failed("make", &asked.target, &error))?;
        let read_only = asked.read_only || staged.read_only;
        let flags = if read_only {
            flags(&staged.options, true)
        } else {
            0
        };
        let bound = self.mounts.bind(&asked.staging, &asked.target, flags).await;
        bound.map_err(|error| failed("mount the volume at", &asked.target, &error))
    }

    /// The mount at the staging path; one that died is mounted again first.
    async fn staged(&self, asked: &Publication, source: &Source) -> Result<Mount, Status> {
        match self.seen(&asked.staging).await? {
            Some((mount, Life::Alive)) => Ok(mount),
            Some((_, Life::Silent)) => Err(silent(&asked.staging)),
            None if self.records.find(&asked.staging).is_none() => {
                Err(Status::failed_precondition(format!(
                    "volume {} is not staged at {}: call NodeStageVolume first",
                    asked.volume_id,
                    asked.staging.display()
                )))
            }
            _ => {
                let _held = self.hold(&asked.staging)?;
                // As it was staged, not as this pod wants it.
                let known = self.records.find(&asked.staging);
                let source = known.map_or_else(|| source.clone(), |record| record.source);
                self.stage_held(&asked.volume_id, &source, &asked.staging)
                    .await
            }
        }
    }

    /// ReadWriteOncePod: refuses where another place has the volume.
    fn alone(&self, asked: &Publication, staged: &Mount) -> Result<(), Status> {
        let mounts = self.listed()?;
        let other = mounts.iter().find(|mount| {
            mount.device == staged.device
                && mount.root == staged.root
                && mount.point != asked.staging
                && mount.point != asked.target
        });
        match other {
            None => Ok(()),
            Some(other) => Err(Status::failed_precondition(format!(
                "volume {} is published at {} already, and its access mode (ReadWriteOncePod) allows one place",
                asked.volume_id,
                other.point.display()
            ))),
        }
    }

    /// Takes a volume from a pod, and removes the directory, if it is empty.
    pub async fn unpublish(&self, target: &Path) -> Result<(), Status> {
        let _held = self.hold(target)?;
        self.plain(target)?;
        self.clear(target, false).await?;
        match fs::remove_dir(target) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(failed("remove", target, &error))
            }
            _ => Ok(()),
        }
    }

    /// Takes away all that is mounted at a place; at once what is dead.
    pub async fn clear(&self, place: &Path, dead: bool) -> Result<(), Status> {
        for _ in 0..DEEPEST {
            if self.there(place)?.is_none() {
                return Ok(());
            }
            let detached = dead || matches!(self.mounts.look(place).await, Look::Dead);
            let taken = self.mounts.unmount(place, detached).await;
            taken.map_err(|error| match error.raw_os_error() {
                Some(libc::EBUSY) => Status::internal(format!(
                    "{} is in use: a process on this node still has a file of it open (lsof tells which)",
                    place.display()
                )),
                _ => failed("unmount", place, &error),
            })?;
        }
        Err(Status::internal(format!(
            "more than {DEEPEST} mounts lie on top of each other at {}",
            place.display()
        )))
    }

    /// What is mounted at a place, and whether it lives.
    pub async fn seen(&self, place: &Path) -> Result<Option<(Mount, Life)>, Status> {
        let Some(mount) = self.there(place)? else {
            return Ok(None);
        };
        let life = match self.mounts.look(place).await {
            Look::Room(_) => Life::Alive,
            Look::Dead => Life::Dead,
            Look::Silent => Life::Silent,
            Look::Failed(error) => return Err(failed("look at", place, &error)),
        };
        Ok(Some((mount, life)))
    }

    /// What is mounted at a place.
    pub fn there(&self, place: &Path) -> Result<Option<Mount>, Status> {
        Ok(at(&self.listed()?, place).cloned())
    }

    fn listed(&self) -> Result<Vec<Mount>, Status> {
        self.mounts
            .listed()
            .map_err(|error| failed("read", Path::new(LIST), &error))
    }

    fn plain(&self, place: &Path) -> Result<(), Status> {
        self.places
            .plain(place)
            .map_err(|error| failed("use", place, &error))
    }
}

/// Of a mount that no record tells of: whether Gluster says another volume's name.
fn foreign(mount: &Mount, source: &Source) -> Option<Conflict> {
    let volume = mount.source.rsplit(':').next().unwrap_or_default();
    let name = volume.trim_start_matches('/').split('/').next();
    (mount.kind == "fuse.glusterfs" && name != Some(source.volume_name()))
        .then_some(Conflict::OtherVolume)
}

/// The flags of a bind mount that loses none of `options`.
fn flags(options: &[String], read_only: bool) -> u64 {
    let kept = options
        .iter()
        .fold(0, |sum, option| sum | system::flag(option));
    kept | if read_only { system::flag("ro") } else { 0 }
}

fn silent(place: &Path) -> Status {
    Status::unavailable(format!(
        "the volume at {} does not answer: its process waits for the storage hosts; are they up, and is port 24007 open from this node?",
        place.display()
    ))
}

fn refused(place: &Path, conflict: Conflict) -> Status {
    Status::already_exists(format!("{}: {conflict}", place.display()))
}

fn failed(what: &str, place: &Path, error: &io::Error) -> Status {
    Status::internal(format!("cannot {what} {}: {error}", place.display()))
}
