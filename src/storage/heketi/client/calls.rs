//! Calls of the machines, as requests: one small type for each thing that is
//! made, removed or grown.

use hyper::Method;

use super::beyond::ADOPT;
use super::{Heketi, json};
use crate::storage::heketi::ensure::{Call, Outcome};
use crate::storage::heketi::error::HeketiError;
use crate::storage::heketi::loods::{Adopt, ExpandFrom, SnapshotInfo, SnapshotList, VolumeFrom};
use crate::storage::heketi::wire::VolumeInfo;

/// Translates the calls of one machine.
pub(super) trait Calls<T>: Sync {
    /// What comes of a call.
    fn ask(&self, call: Call) -> impl Future<Output = Outcome<T>> + Send;
}

/// What a read brought, as an outcome.
fn outcome<T>(read: Result<Option<T>, HeketiError>) -> Outcome<T> {
    match read {
        Ok(Some(thing)) => Outcome::Found(thing),
        Ok(None) => Outcome::Absent,
        Err(error) => Outcome::Trouble(error),
    }
}

/// Makes a volume.
pub(super) struct MakeVolume<'a> {
    pub(super) heketi: &'a Heketi,
    pub(super) wanted: &'a VolumeFrom,
    /// Asked one after another; `None`: as the request stands.
    pub(super) clusters: &'a [Option<String>],
}

impl Calls<VolumeInfo> for MakeVolume<'_> {
    async fn ask(&self, call: Call) -> Outcome<VolumeInfo> {
        let name = &*self.wanted.create.name;
        match call {
            Call::Find => outcome(self.heketi.find(name).await),
            Call::Make(at) => {
                let mut body = self.wanted.clone();
                if let Some(Some(cluster)) = self.clusters.get(at) {
                    body.create.clusters = Some(vec![cluster.clone()]);
                }
                let body = Some(json(&body));
                self.heketi.begin(Method::POST, "/volumes", body).await
            }
            Call::ReadAt(path) => match self.heketi.read_at::<VolumeInfo>(&path).await {
                Outcome::Found(volume) if volume.name != name => Outcome::Trouble(
                    self.heketi
                        .unreadable("GET", &path, "it is a volume of another name"),
                ),
                outcome => outcome,
            },
            other => self.heketi.poll_or(other).await,
        }
    }
}

/// Takes a volume of somebody else's under management.
pub(super) struct AdoptVolume<'a> {
    pub(super) heketi: &'a Heketi,
    pub(super) wish: &'a Adopt,
}

impl Calls<VolumeInfo> for AdoptVolume<'_> {
    async fn ask(&self, call: Call) -> Outcome<VolumeInfo> {
        match call {
            Call::Find => outcome(self.heketi.find(&self.wish.volume).await),
            Call::Make(_) => {
                let body = Some(json(self.wish));
                self.heketi.begin(Method::POST, ADOPT, body).await
            }
            Call::ReadAt(path) => self.heketi.read_at(&path).await,
            other => self.heketi.poll_or(other).await,
        }
    }
}

/// Puts a new brick in the place of one.
pub(super) struct ReplaceBrick<'a> {
    pub(super) heketi: &'a Heketi,
    /// Path of its volume.
    pub(super) volume: &'a str,
    /// Its id.
    pub(super) brick: &'a str,
    pub(super) path: &'a str,
}

impl Calls<VolumeInfo> for ReplaceBrick<'_> {
    async fn ask(&self, call: Call) -> Outcome<VolumeInfo> {
        match call {
            Call::Find => {
                let volume = self.heketi.read::<VolumeInfo>(self.volume).await;
                outcome(volume.map(|volume| {
                    let mut bricks = volume.bricks.iter();
                    let is_there = bricks.any(|brick| brick.id == self.brick);
                    (!is_there).then_some(volume)
                }))
            }
            Call::Make(_) => self.heketi.begin(Method::POST, self.path, None).await,
            Call::ReadAt(path) => self.heketi.read_at(&path).await,
            other => self.heketi.poll_or(other).await,
        }
    }
}

/// Takes a snapshot.
pub(super) struct MakeSnapshot<'a> {
    pub(super) heketi: &'a Heketi,
    pub(super) path: &'a str,
    pub(super) name: &'a str,
    pub(super) body: &'a [u8],
}

impl Calls<SnapshotInfo> for MakeSnapshot<'_> {
    async fn ask(&self, call: Call) -> Outcome<SnapshotInfo> {
        match call {
            Call::Find => {
                let list = self.heketi.read::<SnapshotList>(self.path).await;
                outcome(list.map(|list| {
                    let mut snapshots = list.snapshots.into_iter();
                    snapshots.find(|found| found.name == self.name)
                }))
            }
            Call::Make(_) => {
                let body = Some(self.body.to_vec());
                self.heketi.begin(Method::POST, self.path, body).await
            }
            Call::ReadAt(path) => self.heketi.read_at(&path).await,
            other => self.heketi.poll_or(other).await,
        }
    }
}

/// Removes what stands at a path.
pub(super) struct RemoveAt<'a> {
    pub(super) heketi: &'a Heketi,
    pub(super) path: &'a str,
}

impl Calls<serde_json::Value> for RemoveAt<'_> {
    async fn ask(&self, call: Call) -> Outcome<serde_json::Value> {
        match call {
            Call::Remove => self.heketi.begin(Method::DELETE, self.path, None).await,
            Call::Read => outcome(self.heketi.read_if_there(self.path).await),
            other => self.heketi.poll_or(other).await,
        }
    }
}

/// Grows a volume.
pub(super) struct GrowVolume<'a> {
    pub(super) heketi: &'a Heketi,
    pub(super) volume: &'a str,
    pub(super) expand: &'a str,
    /// Our manager answers, which knows of a guard.
    pub(super) guarded: bool,
}

impl Calls<VolumeInfo> for GrowVolume<'_> {
    async fn ask(&self, call: Call) -> Outcome<VolumeInfo> {
        match call {
            Call::Read => outcome(self.heketi.read_if_there(self.volume).await),
            Call::Operations => match self.heketi.is_growing().await {
                Ok(growing) => Outcome::Running(growing),
                Err(error) => Outcome::Trouble(error),
            },
            Call::Grow { from, by } => {
                let body = json(&ExpandFrom {
                    expand_size: by,
                    from: self.guarded.then_some(from),
                });
                self.heketi
                    .begin(Method::POST, self.expand, Some(body))
                    .await
            }
            other => self.heketi.poll_or(other).await,
        }
    }
}
