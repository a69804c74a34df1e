//! Reading: one thing, all volumes, or the volume of a name.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU8, Ordering};

use futures::future::join_all;
use hyper::Method;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use super::Heketi;
use crate::storage::heketi::answer::{Said, decode};
use crate::storage::heketi::error::HeketiError;
use crate::storage::heketi::names::Names;
use crate::storage::heketi::wire::{VolumeInfo, VolumeList};

/// Volumes that are read at one time.
pub(super) const AT_ONCE: usize = 8;

/// What was learned of a server.
#[derive(Debug, Default)]
pub(super) struct Look {
    names: Mutex<Names>,
    /// One at a time reads what nobody knows yet, and the others know it then.
    turn: tokio::sync::Mutex<()>,
    kind: AtomicU8,
}

const UNKNOWN: u8 = 0;
const HEKETI: u8 = 1;
const LOODS: u8 = 2;

impl Look {
    pub(super) fn set_loods(&self, loods: bool) {
        let kind = if loods { LOODS } else { HEKETI };
        self.kind.store(kind, Ordering::Relaxed);
    }

    pub(super) fn learn(&self, volume: &VolumeInfo) {
        self.names().learn(&volume.id, &volume.name);
    }

    fn names(&self) -> std::sync::MutexGuard<'_, Names> {
        // Nothing in there is half done when a task panics.
        self.names
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// GET /operations/pending.
#[derive(Deserialize)]
struct Operations {
    #[serde(default)]
    pendingoperations: Vec<Operation>,
}

#[derive(Deserialize)]
struct Operation {
    #[serde(default)]
    type_name: String,
    #[serde(default)]
    status: String,
}

impl Heketi {
    /// Whether our own manager answers: asked once.
    pub(super) async fn is_loods(&self, deadline: Instant) -> Result<bool, HeketiError> {
        match self.0.look.kind.load(Ordering::Relaxed) {
            UNKNOWN => {
                let hello = self.0.exchange.hello();
                let hello = self.by(deadline, "GET", "/hello", hello).await?;
                self.0.look.set_loods(hello.loods.is_some());
                Ok(hello.loods.is_some())
            }
            kind => Ok(kind == LOODS),
        }
    }

    /// What stands at a path below the URL, if anything does.
    pub(super) async fn read_if_there<T: DeserializeOwned>(
        &self,
        path: &str,
    ) -> Result<Option<T>, HeketiError> {
        match self.0.exchange.ask(Method::GET, path, None).await? {
            Said::Body(body) => decode(&self.0.exchange.asked("GET", path), &body).map(Some),
            Said::Absent => Ok(None),
            said => Err(self.unexpected("GET", path, &said)),
        }
    }

    /// What must stand at a path below the URL.
    pub(super) async fn read<T: DeserializeOwned>(&self, path: &str) -> Result<T, HeketiError> {
        let found = self.read_if_there(path).await?;
        found.ok_or_else(|| self.unexpected("GET", path, &Said::Absent))
    }

    /// What is answered to a question with a body.
    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: Vec<u8>,
    ) -> Result<T, HeketiError> {
        match self.0.exchange.ask(Method::POST, path, Some(body)).await? {
            Said::Body(body) => decode(&self.0.exchange.asked("POST", path), &body),
            said => Err(self.unexpected("POST", path, &said)),
        }
    }

    pub(super) async fn find(&self, name: &str) -> Result<Option<VolumeInfo>, HeketiError> {
        if self.is_loods(self.deadline()).await? {
            let path = format!("/loods/v1/volumes?name={name}");
            match self.read_if_there::<VolumeInfo>(&path).await {
                // Not our manager any more: an old Heketi knows no such path.
                Err(HeketiError::Refused { status: 404, .. }) => self.0.look.set_loods(false),
                Ok(Some(volume)) if volume.name != name => {
                    return Err(self.unreadable("GET", &path, "it is a volume of another name"));
                }
                other => return other,
            }
        }
        let fresh = self.learn_names().await?;
        if let Some(volume) = fresh.into_iter().find(|volume| volume.name == name) {
            return Ok(Some(volume));
        }
        let id = self.0.look.names().id_of(name);
        match id {
            Some(id) => self.read_if_there(&format!("/volumes/{id}")).await,
            None => Ok(None),
        }
    }

    /// Lists the volumes and reads those whose names are not known: these are the answer.
    async fn learn_names(&self) -> Result<Vec<VolumeInfo>, HeketiError> {
        let _turn = self.0.look.turn.lock().await;
        let list = self.read::<VolumeList>("/volumes").await?.volumes;
        let unknown = self.0.look.names().compare(&list);
        let fresh = self.read_each(&unknown).await?;
        let mut names = self.0.look.names();
        for volume in &fresh {
            names.learn(&volume.id, &volume.name);
        }
        drop(names);
        Ok(fresh)
    }

    pub(super) async fn read_all(&self) -> Result<Vec<VolumeInfo>, HeketiError> {
        let list = self.read::<VolumeList>("/volumes").await?.volumes;
        self.read_each(&list).await
    }

    /// Those of the ids that are there.
    async fn read_each(&self, ids: &[String]) -> Result<Vec<VolumeInfo>, HeketiError> {
        let mut volumes = Vec::new();
        for some in ids.chunks(AT_ONCE) {
            let reading = some.iter().map(|id| self.read_one(id));
            for volume in join_all(reading).await {
                // One that is gone meanwhile is not missed.
                volumes.extend(volume?);
            }
        }
        Ok(volumes)
    }

    async fn read_one(&self, id: &str) -> Result<Option<VolumeInfo>, HeketiError> {
        if !super::is_id(id) {
            return Err(self.unreadable("GET", "/volumes", "an id is not hexadecimal"));
        }
        self.read_if_there(&format!("/volumes/{id}")).await
    }

    /// Whether any volume is being grown. A server without such a list has none
    /// that could be waited for.
    pub(super) async fn is_growing(&self) -> Result<bool, HeketiError> {
        let path = "/operations/pending";
        match self.read_if_there::<Operations>(path).await {
            Ok(found) => Ok(found.is_some_and(|operations| {
                let mut pending = operations.pendingoperations.iter();
                // A stale or failed one waits to be cleaned up, and grows nothing.
                pending.any(|operation| {
                    operation.type_name.contains("expand")
                        && !matches!(&*operation.status, "stale" | "failed")
                })
            })),
            Err(HeketiError::Refused { status: 404, .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }
}
