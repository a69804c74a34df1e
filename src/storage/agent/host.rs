//! One storage host: answers the manager's requests, one after the other for
//! each device.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedMutexGuard, Semaphore};

use super::api::{BrickRecord, Failure, Host, NodeRecord, Reply, Request};
use super::devices::{self, Devices};
use super::layout::{Entry, entry};
use super::{bricks, files, glusterd, leftover, snapshots};
use crate::storage::gluster::name;

/// Calls of `gluster` at one time.
const CALLS: usize = 4;

/// What an agent is given.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Its own directory: records of the node and of the devices.
    pub state: PathBuf,
    /// Devices may lie below these alone.
    pub allow: Vec<PathBuf>,
}

/// The agent of this host.
#[derive(Debug)]
pub struct Agent {
    node: PathBuf,
    devices: Devices,
    /// One for each device, by its id; "" is for the list of them.
    locks: Mutex<BTreeMap<String, Arc<tokio::sync::Mutex<()>>>>,
    calls: Semaphore,
    /// Held as long as this agent lives.
    _lock: File,
}

impl Agent {
    /// Opens the state directory, and makes it if need be. There is one agent
    /// for it at a time.
    pub fn open(settings: Settings) -> Result<Self, Failure> {
        let state = settings.state;
        std::fs::create_dir_all(&state).map_err(|error| Failure::io("make", &state, &error))?;
        let path = state.join("lock");
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|error| Failure::io("open", &path, &error))?;
        lock.try_lock().map_err(|_| {
            Failure::busy(format!(
                "another agent has {}: one for each state directory",
                state.display()
            ))
        })?;
        Ok(Self {
            node: state.join("node.json"),
            devices: Devices::open(&state, settings.allow)?,
            locks: Mutex::default(),
            calls: Semaphore::new(CALLS),
            _lock: lock,
        })
    }

    /// After a start of the host: mounts every finished brick and removes what
    /// is left of removed ones. Names of the volumes that had a brick which was
    /// not mounted.
    pub async fn attach(&self) -> BTreeSet<String> {
        let mut late = BTreeSet::new();
        let known = self.devices.known().unwrap_or_else(|failure| {
            tracing::error!(%failure, "the list of devices cannot be read");
            Vec::new()
        });
        for copy in known {
            let attached = async {
                let device = self.devices.present(&copy.id)?;
                let path = PathBuf::from(&device.name);
                for name in files::names(&path)? {
                    match entry(&name) {
                        Entry::Leftover => bricks::remove_tree(&path.join(&name)).await?,
                        Entry::Brick(id) => {
                            let Some(brick) = devices::brick(&device, &id)? else {
                                continue;
                            };
                            match bricks::attach(&device, &brick.record).await {
                                Ok(true) => {
                                    late.insert(brick.record.volume_name);
                                }
                                Ok(false) => {}
                                Err(failure) => tracing::error!(
                                    brick = id, volume = brick.record.volume_name, %failure,
                                    "a brick cannot be mounted"
                                ),
                            }
                        }
                        Entry::Snapshot(..) | Entry::Other => {}
                    }
                }
                Ok::<_, Failure>(())
            };
            if let Err(failure) = attached.await {
                tracing::error!(device = copy.name, %failure, "a device cannot be used");
            }
        }
        late
    }

    /// Has glusterd run with all bricks mounted: starts it when it is asked to
    /// and it does not run; has it look again for bricks that came too late.
    pub async fn settle(&self, late: &BTreeSet<String>, start: bool) -> Result<(), Failure> {
        if glusterd::answers().await {
            if late.is_empty() {
                return Ok(());
            }
            return glusterd::revive(late).await;
        }
        if start {
            return glusterd::start().await;
        }
        tracing::warn!("glusterd does not answer on this host: start it after the agent");
        Ok(())
    }

    /// Answers one request.
    pub async fn answer(&self, request: Request) -> Reply {
        self.done(request).await.unwrap_or_else(Reply::Failed)
    }

    async fn done(&self, request: Request) -> Result<Reply, Failure> {
        match request {
            Request::Ping => Ok(Reply::Done),
            Request::Look => Ok(Reply::Host(Host {
                node: files::load(&self.node)?,
                devices: {
                    let _list = self.lock("").await;
                    self.devices.look().await?
                },
                gluster: glusterd::version().await,
            })),
            Request::PutNode(node) => self.put_node(node).map(|()| Reply::Done),
            Request::PutDevice(record) => {
                let _list = self.lock("").await;
                let _device = self.lock(&record.id).await;
                self.devices.put(record).await?;
                Ok(Reply::Done)
            }
            Request::RemoveDevice { id } => {
                let _list = self.lock("").await;
                let _device = self.lock(&id).await;
                self.devices.remove(&id)?;
                Ok(Reply::Done)
            }
            Request::MakeBrick(record) => self.make(record).await,
            Request::GrowBrick { id, size } => self.grow(&id, size).await,
            Request::MarkBrick { id, settled } => self.mark(&id, settled).await,
            Request::RemoveBrick { id } => self.remove(&id).await,
            Request::SnapshotBricks { bricks, snapshot } => self.snapshot(bricks, &snapshot).await,
            Request::RemoveSnapshot { snapshot } => {
                name::id(&snapshot)?;
                for device in self.devices.known()? {
                    let _device = self.lock(&device.id).await;
                    if let Ok(device) = self.devices.present(&device.id) {
                        snapshots::remove(&device, &snapshot)?;
                    }
                }
                Ok(Reply::Done)
            }
            Request::Gluster(command) => {
                let _call = self.calls.acquire().await;
                glusterd::run(&command).await.map(Reply::Gluster)
            }
        }
    }

    fn put_node(&self, node: Option<NodeRecord>) -> Result<(), Failure> {
        let Some(node) = node else {
            files::remove(&self.node)?;
            return files::sync_parent(&self.node);
        };
        name::id(&node.id)?;
        name::id(&node.cluster)?;
        for host in node.manage.iter().chain(&node.storage) {
            name::host(host)?;
        }
        files::save(&self.node, &node)
    }

    async fn make(&self, record: BrickRecord) -> Result<Reply, Failure> {
        bricks::check(&record)?;
        let _device = self.lock(&record.device).await;
        let device = self.devices.present(&record.device)?;
        let free = self.devices.space(&device).await?.free;
        bricks::make(&device, &record, free).await?;
        let brick = devices::brick(&device, &record.id)?;
        let brick = brick.ok_or_else(|| {
            Failure::internal(format!("brick {} was made and is gone", record.id))
        })?;
        Ok(Reply::Brick(brick))
    }

    async fn grow(&self, id: &str, size: u64) -> Result<Reply, Failure> {
        let Some((device, _)) = self.devices.find(id)? else {
            return Err(Failure::not_found(format!(
                "brick {id} is not on this host"
            )));
        };
        let _device = self.lock(&device.id).await;
        let Some(brick) = devices::brick(&device, id)? else {
            return Err(Failure::not_found(format!("brick {id} is gone")));
        };
        let free = self.devices.space(&device).await?.free;
        bricks::grow(&device, brick.record, size, free).await?;
        Ok(Reply::Done)
    }

    async fn mark(&self, id: &str, settled: bool) -> Result<Reply, Failure> {
        let not_here = || Failure::not_found(format!("brick {id} is not on this host"));
        let (device, _) = self.devices.find(id)?.ok_or_else(not_here)?;
        let _device = self.lock(&device.id).await;
        let brick = devices::brick(&device, id)?.ok_or_else(not_here)?;
        bricks::mark(&device, brick.record, settled)?;
        Ok(Reply::Done)
    }

    async fn remove(&self, id: &str) -> Result<Reply, Failure> {
        let Some((device, _)) = self.devices.find(id)? else {
            return Ok(Reply::Done);
        };
        let _device = self.lock(&device.id).await;
        let Some(brick) = devices::brick(&device, id)? else {
            return Ok(Reply::Done);
        };
        // Whoever asks should know; but what is removed is somebody's only copy.
        if brick.record.settled {
            return Err(Failure::busy(format!(
                "brick {id} holds volume {}: it goes with the volume alone",
                brick.record.volume_name
            )));
        }
        for volume in glusterd::volumes().await? {
            if volume.bricks.iter().any(|known| known.path == brick.path) {
                return Err(Failure::busy(format!(
                    "brick {id} is part of volume {}: delete that, or replace the brick, first",
                    volume.name
                )));
            }
        }
        leftover::end(&brick.path).await?;
        bricks::remove(&device, id).await?;
        Ok(Reply::Done)
    }

    async fn snapshot(&self, ids: Vec<String>, snapshot: &str) -> Result<Reply, Failure> {
        name::id(snapshot)?;
        let mut found = Vec::new();
        for id in ids {
            let Some((device, _)) = self.devices.find(&id)? else {
                return Err(Failure::not_found(format!(
                    "brick {id} is not on this host"
                )));
            };
            found.push((device, id));
        }
        // In one order, so that two requests never wait for each other.
        let devices: BTreeSet<&str> = found.iter().map(|(device, _)| &*device.id).collect();
        let mut locks = Vec::new();
        for device in devices {
            locks.push(self.lock(device).await);
        }
        snapshots::take(&found, snapshot).await?;
        Ok(Reply::Done)
    }

    async fn lock(&self, device: &str) -> OwnedMutexGuard<()> {
        let lock = {
            let mut locks = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(locks.entry(device.to_owned()).or_default())
        };
        lock.lock_owned().await
    }
}
