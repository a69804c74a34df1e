//! Mounts in memory: what the kernel would list, and the faults that a test makes.

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use loods::storage::node::keeper::client::KeeperError;
use loods::storage::node::keeper::protocol::Kind;
use loods::storage::node::mountinfo::{Mount, at};
use loods::storage::node::mounts::{Look, Mounts};
use loods::storage::node::source::Source;
use loods::storage::node::system::{self, Room};

/// Shared by the test and the service.
#[derive(Clone, Debug, Default)]
pub struct Fake(Arc<Mutex<State>>);

#[derive(Debug, Default)]
pub struct State {
    pub mounts: Vec<Mount>,
    /// Devices whose process is gone.
    pub dead: HashSet<String>,
    /// Devices whose process does not answer.
    pub silent: HashSet<String>,
    /// What the keeper answers instead of mounting.
    pub refusal: Option<(Kind, String)>,
    /// Nobody is at the keeper's socket.
    pub no_keeper: bool,
    /// Places where a file is open.
    pub open: HashSet<PathBuf>,
    /// What containers have mounted, each by a process of it.
    pub elsewhere: Vec<(u32, Vec<Mount>)>,
    /// Each call that changed something, in order.
    pub calls: Vec<String>,
    /// A mount waits until the test lets it go on.
    pub gate: Option<Arc<tokio::sync::Semaphore>>,
    next: u32,
}

impl Fake {
    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("no test panics with it")
    }

    pub fn at(&self, place: &Path) -> Option<Mount> {
        at(&self.lock().mounts, place).cloned()
    }

    /// The process of the mount at `place` dies.
    pub fn kill(&self, place: &Path) {
        let device = self.at(place).expect("mounted").device;
        self.lock().dead.insert(device);
    }

    /// The calls since the last time.
    pub fn calls(&self) -> Vec<String> {
        std::mem::take(&mut self.lock().calls)
    }
}

impl State {
    fn told(&mut self, what: &str, place: &Path) {
        let name = place.file_name().unwrap_or_default().to_string_lossy();
        self.calls.push(format!("{what} {name}"));
    }
}

fn options_of(flags: u64) -> BTreeMap<&'static str, u64> {
    let all = ["ro", "nosuid", "nodev", "noexec", "noatime"];
    let bits = all.map(|option| (option, system::flag(option)));
    bits.into_iter()
        .filter(|(_, bit)| flags & bit != 0)
        .collect()
}

impl Mounts for Fake {
    fn listed(&self) -> io::Result<Vec<Mount>> {
        Ok(self.lock().mounts.clone())
    }

    async fn look(&self, place: &Path) -> Look {
        let Some(mount) = self.at(place) else {
            return Look::Failed(io::ErrorKind::NotFound.into());
        };
        let state = self.lock();
        if state.dead.contains(&mount.device) {
            Look::Dead
        } else if state.silent.contains(&mount.device) {
            Look::Silent
        } else {
            Look::Room(Room {
                octets: (100, 40, 60),
                inodes: (10, 3, 7),
            })
        }
    }

    async fn mount(&self, source: &Source, target: &Path, _turn: usize) -> Result<(), KeeperError> {
        let gate = self.lock().gate.clone();
        if let Some(gate) = gate {
            gate.acquire().await.expect("never closed").forget();
        }
        let mut state = self.lock();
        if state.no_keeper {
            return Err(KeeperError::Unreachable {
                socket: "/keeper.sock".into(),
                source: io::ErrorKind::ConnectionRefused.into(),
            });
        }
        if let Some((kind, message)) = state.refusal.clone() {
            return Err(KeeperError::Failed { kind, message });
        }
        state.told("mount", target);
        state.next += 1;
        let device = format!("0:{}", state.next);
        state.mounts.push(Mount {
            device,
            root: "/".into(),
            point: target.to_owned(),
            read_only: source.read_only,
            options: vec!["nosuid".into()],
            kind: "fuse.glusterfs".into(),
            source: source.device(0),
        });
        Ok(())
    }

    async fn bind(&self, from: &Path, to: &Path, flags: u64) -> io::Result<()> {
        let below = self.at(from).ok_or(io::ErrorKind::NotFound)?;
        let options = options_of(flags);
        let mut state = self.lock();
        state.told("bind", to);
        state.mounts.push(Mount {
            point: to.to_owned(),
            read_only: options.contains_key("ro"),
            ..below
        });
        Ok(())
    }

    async fn change(&self, point: &Path, flags: u64) -> io::Result<()> {
        let mut state = self.lock();
        state.told("change", point);
        let mounts = state.mounts.iter_mut().rev();
        for mount in mounts.filter(|mount| mount.point == point).take(1) {
            let options = options_of(flags);
            mount.read_only = options.contains_key("ro");
            let kept = options.keys().filter(|&&option| option != "ro");
            mount.options = kept.map(|&option| option.to_owned()).collect();
        }
        Ok(())
    }

    async fn elsewhere(&self) -> io::Result<Vec<(u32, Vec<Mount>)>> {
        Ok(self.lock().elsewhere.clone())
    }

    async fn cover(&self, from: &Path, there: &Mount, process: Option<u32>) -> io::Result<()> {
        let below = self.at(from).ok_or(io::ErrorKind::NotFound)?;
        let mut state = self.lock();
        state.told("cover", &there.point);
        let cover = Mount {
            device: below.device,
            ..there.clone()
        };
        match process {
            None => state.mounts.push(cover),
            Some(process) => {
                let mut lists = state.elsewhere.iter_mut();
                let list = lists.find(|(of, _)| *of == process);
                list.ok_or(io::ErrorKind::NotFound)?.1.push(cover);
            }
        }
        Ok(())
    }

    async fn unmount(&self, point: &Path, detached: bool) -> io::Result<()> {
        let mut state = self.lock();
        if state.open.contains(point) && !detached {
            return Err(io::Error::from_raw_os_error(libc::EBUSY));
        }
        state.told(if detached { "detach" } else { "unmount" }, point);
        let found = state.mounts.iter().rposition(|mount| mount.point == point);
        let found = found.ok_or_else(|| io::Error::from_raw_os_error(libc::EINVAL))?;
        state.mounts.remove(found);
        Ok(())
    }
}
