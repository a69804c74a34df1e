//! One test's turn with the shared cluster.

use crate::support::cluster::Cluster;
use std::ops::{Deref, DerefMut};
use std::sync::MutexGuard;

/// The cluster, cleared up. If the test fails, what the cluster has to say is
/// printed.
pub struct Scene(MutexGuard<'static, Cluster>);

impl Scene {
    /// Three nodes Ready, nothing installed, no routes.
    pub fn set() -> Scene {
        let mut scene = Scene(Cluster::shared());
        scene.clear();
        scene
    }

    /// As the test before left it.
    pub fn resume() -> Scene {
        Scene(Cluster::shared())
    }
}

impl Deref for Scene {
    type Target = Cluster;

    fn deref(&self) -> &Cluster {
        &self.0
    }
}

impl DerefMut for Scene {
    fn deref_mut(&mut self) -> &mut Cluster {
        &mut self.0
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.0.story());
        }
    }
}
