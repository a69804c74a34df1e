//! The mounts of this node: the seam between what is decided and the kernel.
//! Tests have another side of it that keeps a list in memory.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::keeper::client::{KeeperClient, KeeperError};
use super::keeper::protocol::Question;
use super::mountinfo::{self, Mount};
use super::source::Source;
use super::system::{self, Room};

/// The mounts as this process sees them.
pub const LIST: &str = "/proc/self/mountinfo";
/// How long a file system may take to answer. Gluster waits 42 s for a host by
/// default (network.ping-timeout); a kubelet's patience is not that long.
const PATIENCE: Duration = Duration::from_secs(5);

/// Entries of /proc, and mount namespaces, that are looked at.
const PROCESSES: usize = 1 << 17;
const NAMESPACES: usize = 4096;

/// How a place answers.
#[derive(Debug)]
pub enum Look {
    /// Its file system tells its room.
    Room(Room),
    /// Its process is gone (ENOTCONN).
    Dead,
    /// No answer in time.
    Silent,
    /// Another failure.
    Failed(io::Error),
}

/// What a node does with mounts.
pub trait Mounts: Send + Sync + 'static {
    /// All mounts of this mount namespace.
    fn listed(&self) -> io::Result<Vec<Mount>>;
    /// Asks the file system at a place; answers within seconds.
    fn look(&self, place: &Path) -> impl Future<Output = Look> + Send;
    /// Mounts a volume.
    fn mount(
        &self,
        source: &Source,
        target: &Path,
        turn: usize,
    ) -> impl Future<Output = Result<(), KeeperError>> + Send;
    /// Makes a mount seen at another place as well, with `flags` (see [`system::flag`]).
    fn bind(
        &self,
        from: &Path,
        to: &Path,
        flags: u64,
    ) -> impl Future<Output = io::Result<()>> + Send;
    /// Changes the flags of one mount.
    fn change(&self, point: &Path, flags: u64) -> impl Future<Output = io::Result<()>> + Send;
    /// The mounts of each other mount namespace of this node, and a process in it.
    fn elsewhere(&self) -> impl Future<Output = io::Result<Vec<(u32, Vec<Mount>)>>> + Send;
    /// Puts a copy of what is mounted at `from` on top of `there`, with the
    /// same directory, flags and place; in the mount namespace of a process,
    /// or in this one.
    fn cover(
        &self,
        from: &Path,
        there: &Mount,
        process: Option<u32>,
    ) -> impl Future<Output = io::Result<()>> + Send;
    /// Takes away the mount on top at a place.
    fn unmount(&self, point: &Path, detached: bool) -> impl Future<Output = io::Result<()>> + Send;
}

/// The kernel's mounts, and the keeper that makes those of volumes.
#[derive(Debug)]
pub struct Kernel {
    keeper: KeeperClient,
    /// Places that were asked and have not answered yet: each keeps a thread.
    asked: Arc<Mutex<HashSet<PathBuf>>>,
}

impl Kernel {
    /// With this keeper.
    pub fn new(keeper: KeeperClient) -> Self {
        Self {
            keeper,
            asked: Arc::default(),
        }
    }
}

/// Reads [`LIST`].
pub fn listed() -> io::Result<Vec<Mount>> {
    listed_at(Path::new(LIST))
}

/// Reads the list of another process.
pub fn listed_at(path: &Path) -> io::Result<Vec<Mount>> {
    let mut text = Vec::new();
    File::open(path)?
        .take(mountinfo::LARGEST)
        .read_to_end(&mut text)?;
    Ok(mountinfo::parse(&text))
}

impl Mounts for Kernel {
    fn listed(&self) -> io::Result<Vec<Mount>> {
        listed()
    }

    async fn look(&self, place: &Path) -> Look {
        let place = place.to_owned();
        let asked = Arc::clone(&self.asked);
        if !lock(&asked).insert(place.clone()) {
            return Look::Silent;
        }
        let asking = tokio::task::spawn_blocking(move || {
            let room = system::room(&place);
            lock(&asked).remove(&place);
            room
        });
        match tokio::time::timeout(PATIENCE, asking).await {
            Err(_) => Look::Silent,
            Ok(Ok(Ok(room))) => Look::Room(room),
            Ok(Ok(Err(error))) => match error.raw_os_error() {
                Some(libc::ENOTCONN | libc::ECONNABORTED) => Look::Dead,
                _ => Look::Failed(error),
            },
            Ok(Err(ended)) => Look::Failed(io::Error::other(ended)),
        }
    }

    async fn mount(&self, source: &Source, target: &Path, turn: usize) -> Result<(), KeeperError> {
        let question = Question::Mount {
            source: source.clone(),
            target: target.to_owned(),
            turn,
        };
        self.keeper.ask(&question).await.map(|_| ())
    }

    async fn bind(&self, from: &Path, to: &Path, flags: u64) -> io::Result<()> {
        let (from, to) = (from.to_owned(), to.to_owned());
        aside(move || {
            system::bind(&from, &to)?;
            // A bind mount takes its flags in a second step alone.
            let changed = if flags == 0 {
                Ok(())
            } else {
                system::change(&to, flags)
            };
            if changed.is_err() {
                let _ = system::unmount(&to, true);
            }
            changed
        })
        .await
    }

    async fn change(&self, point: &Path, flags: u64) -> io::Result<()> {
        let point = point.to_owned();
        aside(move || system::change(&point, flags)).await
    }

    async fn elsewhere(&self) -> io::Result<Vec<(u32, Vec<Mount>)>> {
        let found = tokio::task::spawn_blocking(elsewhere).await;
        found.unwrap_or_else(|ended| Err(io::Error::other(ended)))
    }

    async fn cover(&self, from: &Path, there: &Mount, process: Option<u32>) -> io::Result<()> {
        let (from, there) = (from.to_owned(), there.clone());
        aside(move || {
            let device = there.numbers().ok_or(io::ErrorKind::InvalidData)?;
            let namespace = process
                .map(|process| File::open(format!("/proc/{process}/ns/mnt")))
                .transpose()?;
            let tree = system::copy(&from, &there.root, &there.options, there.read_only)?;
            system::put(tree, &there.point, device, namespace)
        })
        .await
    }

    async fn unmount(&self, point: &Path, detached: bool) -> io::Result<()> {
        let point = point.to_owned();
        aside(move || system::unmount(&point, detached)).await
    }
}

/// The mounts of all other namespaces. Processes that end meanwhile are left out.
fn elsewhere() -> io::Result<Vec<(u32, Vec<Mount>)>> {
    let mut known = HashSet::from([fs::read_link("/proc/self/ns/mnt")?]);
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")?.flatten().take(PROCESSES) {
        let Some(process) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        else {
            continue;
        };
        let Ok(namespace) = fs::read_link(entry.path().join("ns/mnt")) else {
            continue;
        };
        if found.len() < NAMESPACES && known.insert(namespace) {
            let mounts = listed_at(&entry.path().join("mountinfo"));
            found.extend(mounts.ok().map(|mounts| (process, mounts)));
        }
    }
    Ok(found)
}

/// On a thread that may wait for the kernel.
async fn aside(work: impl FnOnce() -> io::Result<()> + Send + 'static) -> io::Result<()> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(ended) => Err(io::Error::other(ended)),
    }
}

fn lock(asked: &Mutex<HashSet<PathBuf>>) -> std::sync::MutexGuard<'_, HashSet<PathBuf>> {
    asked.lock().unwrap_or_else(PoisonError::into_inner)
}
