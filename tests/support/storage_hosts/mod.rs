//! Storage hosts in memory: what agents and glusterds would have, and a line to
//! them that fails, loses answers and dies where it is told to.
//!
//! [`Hosts`] stays what it is while managers come and go; each manager has a
//! [`Line`] of its own. A line that died never answers again: what its manager
//! was doing ends there, as it does when a process is killed.

#![allow(dead_code, reason = "each test uses a part of it")]

mod agent;
mod glusterd;
mod told;

pub use agent::free;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::future::BoxFuture;
use tokio::sync::watch;

use loods::storage::agent::api::{
    BrickKind, BrickRecord, DeviceRecord, Failure, FailureKind, NodeRecord, Reply, Request,
};
use loods::storage::agent::client::AgentError;
use loods::storage::manager::agents::Agents;

/// All hosts.
#[derive(Debug, Default)]
pub struct Hosts(Mutex<World>);

/// What there is.
#[derive(Clone, Debug, Default)]
pub struct World {
    /// By what the manager calls the agent.
    pub hosts: BTreeMap<String, Host>,
    /// Volumes of each pool of peers, by name.
    pub pools: BTreeMap<u32, BTreeMap<String, Volume>>,
    /// What is still under way, and after how many more calls it ends.
    pub slow: Vec<(u32, String, Request)>,
}

#[derive(Clone, Debug, Default)]
pub struct Host {
    /// What its peers call it.
    pub storage: String,
    /// Peers have the same number.
    pub pool: u32,
    /// Nothing of it answers.
    pub away: bool,
    /// Its agent does not answer, and glusterd and the bricks serve.
    pub mute: bool,
    /// Its glusterd takes the others for half a peer each, as after some deaths.
    pub half: bool,
    /// Volumes that its glusterd still has when it was left out of their removal.
    pub left_out: BTreeMap<String, Volume>,
    pub node: Option<NodeRecord>,
    /// By id.
    pub devices: BTreeMap<String, Device>,
    /// What a directory on it can do, for devices to come.
    pub reflink: bool,
    /// Of a directory on it, in KiB.
    pub total: u64,
}

#[derive(Clone, Debug, Default)]
pub struct Device {
    pub record: DeviceRecord,
    pub total: u64,
    pub reflink: bool,
    /// By id.
    pub bricks: BTreeMap<String, Brick>,
    /// Copies, by ids of snapshot and brick.
    pub copies: BTreeMap<(String, String), Brick>,
}

#[derive(Clone, Debug, Default)]
pub struct Brick {
    pub record: BrickRecord,
    /// Stands for its files.
    pub content: String,
}

#[derive(Clone, Debug, Default)]
pub struct Volume {
    pub state: &'static str,
    /// Bricks of a set, arbiters and redundancy among them.
    pub replica: u32,
    pub arbiter: u32,
    pub disperse: (u32, u32),
    /// Storage host and path of each.
    pub bricks: Vec<(String, String)>,
    pub options: BTreeMap<String, String>,
    /// Files that wait to be healed, as each brick tells it.
    pub pending: BTreeMap<String, u64>,
    pub split_brain: u64,
    /// What its files may come to, in KiB.
    pub quota: Option<u64>,
    /// Bricks whose process does not run.
    pub dead: BTreeSet<(String, String)>,
}

/// How a call goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Luck {
    Good,
    /// Nothing happens, and the manager is told so.
    Refused,
    /// Nothing happens, and the manager does not know.
    Unsent,
    /// It happens, and the manager does not know.
    Lost,
    /// It happens, and the manager gives up waiting.
    Late,
    /// The manager gives up waiting, and it happens some calls later.
    Slow,
    /// The manager dies, and it happens when the next one has begun.
    DiesDuring,
    /// The manager dies, and nothing happens.
    DiesBefore,
    /// It happens, and the manager dies.
    DiesAfter,
}

impl Hosts {
    /// Hosts `gfs1` … with storage addresses `10.0.0.1` …, each alone, with
    /// directories of so many GiB on file systems that make reflinks.
    pub fn new(count: u32, gib: u64) -> Arc<Self> {
        let mut world = World::default();
        for n in 1..=count {
            let host = Host {
                storage: format!("10.0.0.{n}"),
                pool: n,
                reflink: true,
                total: gib << 20,
                ..Host::default()
            };
            world.hosts.insert(format!("gfs{n}"), host);
            world.pools.insert(n, BTreeMap::new());
        }
        Arc::new(Self(Mutex::new(world)))
    }

    pub fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is still under way ends.
    pub fn end_slow(&self) {
        let mut world = self.world();
        for (_, host, request) in std::mem::take(&mut world.slow) {
            world.answer(&host, &request);
        }
    }

    /// One call's time goes by.
    fn pass(&self) {
        let mut world = self.world();
        let (ended, slow) = std::mem::take(&mut world.slow)
            .into_iter()
            .partition(|(left, ..)| *left == 0);
        world.slow = slow;
        world.slow.iter_mut().for_each(|(left, ..)| *left -= 1);
        let ended: Vec<(u32, String, Request)> = ended;
        for (_, host, request) in ended {
            world.answer(&host, &request);
        }
    }

    /// The volume of this name, in whatever pool.
    pub fn volume(&self, name: &str) -> Option<Volume> {
        let world = self.world();
        let mut pools = world.pools.values();
        pools.find_map(|volumes| volumes.get(name).cloned())
    }

    /// Changes the volume of this name.
    pub fn change(&self, name: &str, change: impl FnOnce(&mut Volume)) {
        let mut world = self.world();
        let mut pools = world.pools.values_mut();
        change(
            pools
                .find_map(|volumes| volumes.get_mut(name))
                .expect("it is there"),
        );
    }
}

impl World {
    /// Whether a brick, by storage host and path, is on a device of directories.
    pub fn is_on_directory(&self, (storage, path): &(String, String)) -> bool {
        let hosts = self.hosts.values().filter(|host| host.storage == *storage);
        let mut devices = hosts.flat_map(|host| host.devices.values());
        devices.any(|device| {
            let prefix = format!("{}/", device.record.name);
            path.starts_with(&prefix) && device.record.kind == BrickKind::Directory
        })
    }

    pub fn volumes(&self) -> impl Iterator<Item = (&String, &Volume)> {
        self.pools.values().flatten()
    }

    /// Every brick: storage host, path, and what it is.
    pub fn bricks(&self) -> Vec<(String, String, Brick)> {
        let mut all = Vec::new();
        for host in self.hosts.values() {
            for device in host.devices.values() {
                for (id, brick) in &device.bricks {
                    let path = format!("{}/brick_{id}/brick", device.record.name);
                    all.push((host.storage.clone(), path, brick.clone()));
                }
            }
        }
        all
    }

    /// Changes the brick at a place.
    pub fn brick_at(&mut self, storage: &str, path: &str) -> Option<&mut Brick> {
        let host = self
            .hosts
            .values_mut()
            .find(|host| host.storage == storage)?;
        let mut devices = host.devices.values_mut();
        devices.find_map(|device| {
            let name = device.record.name.clone();
            let mut bricks = device.bricks.iter_mut();
            let here = bricks.find(|(id, _)| format!("{name}/brick_{id}/brick") == path);
            here.map(|(_, brick)| brick)
        })
    }
}

/// One manager's way to the hosts.
#[derive(Debug)]
pub struct Line {
    hosts: Arc<Hosts>,
    lucks: Mutex<VecDeque<Luck>>,
    asked: Mutex<Vec<(String, Request)>>,
    dead: watch::Sender<bool>,
}

impl Line {
    /// With the luck of each call, in order; after those all is good.
    pub fn new(hosts: &Arc<Hosts>, lucks: impl IntoIterator<Item = Luck>) -> Arc<Self> {
        Arc::new(Self {
            hosts: Arc::clone(hosts),
            lucks: Mutex::new(lucks.into_iter().collect()),
            asked: Mutex::default(),
            dead: watch::Sender::new(false),
        })
    }

    /// The luck of the calls to come.
    pub fn shall(&self, lucks: impl IntoIterator<Item = Luck>) {
        *lock(&self.lucks) = lucks.into_iter().collect();
    }

    /// How many calls to come have a luck that was given.
    pub fn left(&self) -> usize {
        lock(&self.lucks).len()
    }

    /// What was asked until now, in order, and forgets it.
    pub fn asked(&self) -> Vec<(String, Request)> {
        std::mem::take(&mut *lock(&self.asked))
    }

    pub fn is_dead(&self) -> bool {
        *self.dead.borrow()
    }

    /// When the manager has died.
    pub async fn died(&self) {
        // The sender is ours: it cannot be gone.
        let _ = self.dead.subscribe().wait_for(|dead| *dead).await;
    }

    async fn ask(&self, host: &str, request: &Request) -> Result<Reply, AgentError> {
        // Others have their turn, as they would have over a network.
        tokio::task::yield_now().await;
        if self.is_dead() {
            return std::future::pending().await;
        }
        self.hosts.pass();
        lock(&self.asked).push((host.into(), request.clone()));
        let luck = lock(&self.lucks).pop_front().unwrap_or(Luck::Good);
        let unreachable = || AgentError::Unreachable {
            host: host.into(),
            why: "luck".into(),
        };
        let late = |calls| {
            let slow = (calls, host.to_owned(), request.clone());
            self.hosts.world().slow.push(slow);
        };
        let happens = || self.hosts.world().answer(host, request);
        match luck {
            Luck::Good => {}
            Luck::Refused => {
                let failure = Failure {
                    kind: FailureKind::Internal,
                    message: "luck".into(),
                };
                let host = host.into();
                return Err(AgentError::Failed { host, failure });
            }
            Luck::Unsent => return Err(unreachable()),
            Luck::Lost => {
                let _ = happens();
                return Err(unreachable());
            }
            Luck::Late | Luck::Slow => {
                match luck {
                    Luck::Late => drop(happens()),
                    _ => late(3),
                }
                let limit = std::time::Duration::from_secs(1);
                let host = host.into();
                return Err(AgentError::TimedOut { host, limit });
            }
            Luck::DiesBefore | Luck::DiesAfter | Luck::DiesDuring => {
                match luck {
                    Luck::DiesAfter => drop(happens()),
                    Luck::DiesDuring => late(8),
                    _ => {}
                }
                self.dead.send_replace(true);
                return std::future::pending().await;
            }
        }
        match happens() {
            None => Err(unreachable()),
            Some(Reply::Failed(failure)) => Err(AgentError::Failed {
                host: host.into(),
                failure,
            }),
            Some(reply) => Ok(reply),
        }
    }
}

impl Agents for Line {
    fn call<'a>(
        &'a self,
        host: &'a str,
        request: &'a Request,
    ) -> BoxFuture<'a, Result<Reply, AgentError>> {
        Box::pin(self.ask(host, request))
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
