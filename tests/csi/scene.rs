//! A node plugin on mounts in memory, its kubelet directory, and a client.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use loods::observe::readiness::Readiness;
use loods::storage::csi::v1::identity_client::IdentityClient;
use loods::storage::csi::v1::node_client::NodeClient;
use loods::storage::csi::v1::volume_capability::access_mode::Mode;
use loods::storage::csi::v1::volume_capability::{AccessMode, AccessType, MountVolume};
use loods::storage::csi::v1::{
    NodePublishVolumeRequest, NodeStageVolumeRequest, NodeUnpublishVolumeRequest,
    NodeUnstageVolumeRequest, VolumeCapability,
};
use loods::storage::node::place::Places;
use loods::storage::node::records::Records;
use loods::storage::node::work::Works;
use loods::storage::node::{self, Settings};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint};

use crate::fake::Fake;

pub struct Scene {
    pub dir: PathBuf,
    pub mounts: Fake,
    pub readiness: Readiness,
    pub settings: Settings,
    pub works: Arc<Works<Fake>>,
    pub stop: CancellationToken,
    pub serving: JoinHandle<Result<(), node::Error>>,
}

impl Scene {
    /// A plugin that is served by the time this returns.
    pub async fn new() -> Scene {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("loods-csi-{}-{number}", std::process::id());
        let dir = std::env::temp_dir().join(name);
        Scene::at(dir, Fake::default()).await
    }

    pub async fn at(dir: PathBuf, mounts: Fake) -> Scene {
        fs::create_dir_all(&dir).expect("a directory");
        let settings = Settings {
            node: "n1".into(),
            socket: dir.join("csi.sock"),
            keeper: dir.join("keeper.sock"),
            kubelet: dir.clone(),
            registry: Some(dir.join("registry")),
            state: dir.clone(),
            heal: false,
        };
        let works = Arc::new(Works::new(
            mounts.clone(),
            Places::below(&dir),
            Records::in_directory(dir.join("staged")),
            "n1",
        ));
        let readiness = Readiness::default();
        let stop = CancellationToken::new();
        let serving = {
            let works = Arc::clone(&works);
            let (settings, readiness, stop) = (settings.clone(), readiness.clone(), stop.clone());
            tokio::spawn(async move { node::serve(works, &settings, readiness, stop).await })
        };
        let scene = Scene {
            dir,
            mounts,
            readiness,
            settings,
            works,
            stop,
            serving,
        };
        // Both sockets are bound in the first step of the task.
        while !scene.registration().exists() {
            assert!(!scene.serving.is_finished(), "it ended at once");
            tokio::task::yield_now().await;
        }
        scene
    }

    pub fn registration(&self) -> PathBuf {
        self.dir.join("registry/gluster.loods.io-reg.sock")
    }

    pub async fn node(&self) -> NodeClient<Channel> {
        NodeClient::new(channel(&self.settings.socket).await)
    }

    pub async fn identity(&self) -> IdentityClient<Channel> {
        IdentityClient::new(channel(&self.settings.socket).await)
    }

    pub fn staging(&self) -> PathBuf {
        self.dir.join("globalmount")
    }

    pub fn target(&self, pod: &str) -> PathBuf {
        self.dir.join("pods").join(pod)
    }

    pub fn stage_request(&self) -> NodeStageVolumeRequest {
        NodeStageVolumeRequest {
            volume_id: "volume-1".into(),
            staging_target_path: text(&self.staging()),
            volume_capability: Some(capability(Mode::MultiNodeMultiWriter)),
            volume_context: context("vol_1"),
        }
    }

    pub fn publish_request(&self, pod: &str) -> NodePublishVolumeRequest {
        NodePublishVolumeRequest {
            volume_id: "volume-1".into(),
            staging_target_path: text(&self.staging()),
            target_path: text(&self.target(pod)),
            volume_capability: Some(capability(Mode::MultiNodeMultiWriter)),
            readonly: false,
            volume_context: context("vol_1"),
        }
    }

    pub fn unpublish_request(&self, pod: &str) -> NodeUnpublishVolumeRequest {
        NodeUnpublishVolumeRequest {
            volume_id: "volume-1".into(),
            target_path: text(&self.target(pod)),
        }
    }

    pub fn unstage_request(&self) -> NodeUnstageVolumeRequest {
        NodeUnstageVolumeRequest {
            volume_id: "volume-1".into(),
            staging_target_path: text(&self.staging()),
        }
    }

    /// Ends the plugin as a SIGTERM would.
    pub async fn end(&mut self) {
        self.stop.cancel();
        let ended = (&mut self.serving).await.expect("no panic");
        ended.expect("a clean end");
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.serving.abort();
        let _ = fs::remove_dir_all(&self.dir);
    }
}

pub async fn channel(socket: &Path) -> Channel {
    let endpoint = Endpoint::from_shared(format!("unix:{}", socket.display()));
    let channel = endpoint.expect("a path").connect().await;
    channel.expect("somebody listens")
}

pub fn text(path: &Path) -> String {
    path.to_str().expect("UTF-8").to_owned()
}

pub fn context(volume: &str) -> HashMap<String, String> {
    let pairs = [("volume", volume), ("hosts", "10.0.0.1,10.0.0.2")];
    HashMap::from(pairs.map(|(key, value)| (key.to_owned(), value.to_owned())))
}

pub fn capability(mode: Mode) -> VolumeCapability {
    VolumeCapability {
        access_type: Some(AccessType::Mount(MountVolume::default())),
        access_mode: Some(AccessMode { mode: mode.into() }),
    }
}
