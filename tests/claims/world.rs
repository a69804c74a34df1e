//! What all tests share: the control plane and two hosts for controllers.

use crate::support::control_plane::ControlPlane;
use crate::support::lab::{Host, Lab};
use crate::support::tools;
use std::net::TcpListener;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

/// The namespace of the controller's own objects.
pub const NAMESPACE: &str = "loods-storage";
/// Where the stand-in listens, in the laboratory.
const HEKETI: (&str, u16) = ("198.19.0.1", 8080);

/// Everything that outlives one test.
pub struct World {
    pub lab: Lab,
    pub plane: ControlPlane,
    /// Where the two controllers run.
    pub hosts: Vec<Host>,
}

impl World {
    /// The shared world, made by the first who asks. A test that failed leaves
    /// it usable: each test begins by clearing up.
    pub fn shared() -> MutexGuard<'static, World> {
        static WORLD: OnceLock<Mutex<World>> = OnceLock::new();
        WORLD
            .get_or_init(|| Mutex::new(World::new()))
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn new() -> World {
        let lab = Lab::new();
        let hosts = (1..=2)
            .map(|n| lab.host(&format!("c{n}"), 20 + n))
            .collect();
        let plane = ControlPlane::start(&lab);
        let manifest = tools::repository().join("manifests/storage.yaml");
        plane.kubectl(&["apply", "-f", &manifest.to_string_lossy()]);
        World { lab, plane, hosts }
    }

    /// A socket that listens where classes say that Heketi is.
    pub fn listener(&self) -> TcpListener {
        let namespace = self.lab.core().open_namespace();
        let listener = std::thread::spawn(move || {
            nix::sched::setns(namespace, nix::sched::CloneFlags::CLONE_NEWNET)
                .expect("root may enter a namespace");
            TcpListener::bind(HEKETI).expect("the port is free")
        });
        listener.join().expect("a listener")
    }
}

/// `resturl`.
pub fn heketi_url() -> String {
    format!("http://{}:{}", HEKETI.0, HEKETI.1)
}

/// A file of `config/storage/`, with the stand-in in place of the article's Heketi.
pub fn storage(file: &str) -> String {
    let path = tools::repository().join("config/storage").join(file);
    let text = std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.replace("http://gfs1:8080", &heketi_url())
}
