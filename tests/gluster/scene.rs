//! The storage hosts that all tests share, and the words that they are written in.

use crate::support::gluster::{Gluster, KEY, Server};
use crate::support::lab::Lab;
use crate::support::wait;
use loods::storage::heketi::client::{Credentials, Heketi, Limits, Trust};
use loods::storage::heketi::wire::{Durability, VolumeCreate, VolumeInfo};
use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

pub struct World {
    pub gluster: Gluster,
    /// Hosts that mount volumes.
    pub web: [Server; 2],
    pub lab: Lab,
    /// A test has failed, and may have left something.
    failed: bool,
}

/// One test's turn. If it fails, what everybody has to say is printed.
pub struct Scene(MutexGuard<'static, World>);

impl Deref for Scene {
    type Target = World;

    fn deref(&self) -> &World {
        &self.0
    }
}

impl DerefMut for Scene {
    fn deref_mut(&mut self) -> &mut World {
        &mut self.0
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.failed = true;
            eprintln!("{}", self.gluster.story());
        }
        for web in &self.web {
            // There may be none.
            let _ = web.shell("umount -l /mnt/*");
        }
    }
}

impl Scene {
    /// No volumes, all hosts as the topology has them.
    pub fn set() -> Scene {
        static WORLD: OnceLock<Mutex<World>> = OnceLock::new();
        let world = WORLD.get_or_init(|| Mutex::new(World::new()));
        let scene = Scene(world.lock().unwrap_or_else(PoisonError::into_inner));
        scene.clear();
        scene
    }

    /// Removes what the test before has left, if it failed.
    fn clear(&self) {
        for server in &self.gluster.servers {
            self.lab.plug(&server.host);
        }
        self.wait_nodes();
        self.ask(async |heketi| {
            for snapshot in heketi.snapshots().await.expect("snapshots") {
                let gone = heketi.delete_snapshot(&snapshot.id).await;
                gone.expect("a snapshot is removed");
            }
            for volume in heketi.volumes().await.expect("volumes") {
                let gone = heketi.delete_volume(&volume.id).await;
                gone.expect("a volume is removed");
            }
        });
        if self.failed {
            // What no volume tells of, whatever it holds.
            for server in &self.gluster.servers {
                let device = server.device();
                let script = format!("cd {} && umount brick_*; rm -rf brick_*", device.display());
                server.shell(&script).expect("its bricks are removed");
            }
        }
        self.wait_nothing_left();
    }

    /// Until the manager has all hosts and their devices.
    #[track_caller]
    pub fn wait_nodes(&self) {
        wait::until_within(Duration::from_secs(60), "the manager has its hosts", || {
            let nodes = self.ask(async |heketi| heketi.nodes(&[]).await);
            let nodes = nodes.map_err(|error| error.to_string())?;
            let devices = nodes.iter().map(|node| node.devices.len());
            wait::check(
                devices.sum::<usize>() == self.gluster.servers.len(),
                nodes.len(),
            )
        });
    }

    /// No volume, no brick, no copy, no loop device.
    #[track_caller]
    pub fn wait_nothing_left(&self) {
        wait::until_within(Duration::from_secs(90), "nothing is left", || {
            let left = self.gluster.left()?;
            wait::check(left.is_empty(), left)
        });
    }
}

/// As the article's class asks for it.
pub fn wanted(name: &str, gib: i64) -> VolumeCreate {
    VolumeCreate {
        size: gib,
        name: name.into(),
        durability: Durability::replicate(2),
        gid: 2000,
        ..VolumeCreate::default()
    }
}

impl World {
    /// Four storage hosts and two that mount.
    pub fn new() -> World {
        let lab = Lab::new();
        let web = [("web1", 51), ("web2", 52)].map(|(name, n)| Server::client(&lab, name, n));
        let allow = web.iter().map(|web| web.host.v4.to_string()).collect();
        World {
            gluster: Gluster::start(&lab, 4, true, allow),
            web,
            lab,
            failed: false,
        }
    }

    /// Asks the manager, from the laboratory's network.
    pub fn ask<T: Send>(&self, work: impl AsyncFnOnce(Heketi) -> T + Send) -> T {
        self.ask_at(&self.gluster.url(), Limits::default(), work)
    }

    /// The same by another way, with less patience.
    pub fn ask_at<T: Send>(
        &self,
        url: &str,
        limits: Limits,
        work: impl AsyncFnOnce(Heketi) -> T + Send,
    ) -> T {
        let namespace = self.lab.core().open_namespace();
        let asked = || {
            nix::sched::setns(namespace, nix::sched::CloneFlags::CLONE_NEWNET)
                .expect("root may enter a namespace");
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            let credentials = Credentials::new("admin", KEY.as_bytes()).expect("a key");
            let heketi = Heketi::new(url, Some(credentials), &Trust::Host, limits);
            runtime.block_on(work(heketi.expect("a URL")))
        };
        std::thread::scope(|scope| scope.spawn(asked).join().expect("no panic"))
    }

    /// The volume of this name, made if it is not there.
    #[track_caller]
    pub fn make(&self, name: &str, gib: i64) -> VolumeInfo {
        let wanted = wanted(name, gib);
        let made = self.ask(async |heketi| heketi.ensure_volume(&wanted).await);
        made.expect("a volume is made")
    }

    #[track_caller]
    pub fn remove(&self, id: &str) {
        let removed = self.ask(async |heketi| heketi.delete_volume(id).await);
        removed.expect("a volume is removed");
    }
}
