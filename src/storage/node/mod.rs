//! CSI Identity and Node: mounts on one node.
//!
//! ```text
//!   kubelet --plugins_registry/…-reg.sock--> registration
//!           --plugins/…/csi.sock-----------> identity, service --> work --> mounts --> kernel
//!                                                                   |          '-----> keeper
//!                              pure: source, mountinfo, decide, place
//! ```
//!
//! | file | what |
//! |---|---|
//! | [`source`] | what a PV asks to be mounted, checked word by word |
//! | [`mountinfo`], [`decide`], [`place`] | what is seen, what to do about it, and where |
//! | [`work`] | stage, publish and both undone, each to be repeated at will |
//! | [`mounts`], [`system`] | the seam to the kernel, and its calls |
//! | [`records`] | what was staged, for the process that comes next |
//! | [`heal`] | mounts again what died, in containers too; opt-in |
//! | [`keeper`] | the process that holds the FUSE processes |
//! | [`service`], [`registration`] | what the kubelet asks |
//!
//! A restart of this process touches no mount: those of volumes are the
//! keeper's, and bind mounts are nobody's.

pub mod decide;
pub mod heal;
pub mod keeper;
pub mod mountinfo;
pub mod mounts;
pub mod place;
pub mod records;
pub mod registration;
pub mod service;
pub mod source;
pub mod system;
pub mod work;

use std::path::PathBuf;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::observe::readiness::Readiness;
use crate::storage::DRIVER;
use crate::storage::csi::identity::Identity;
use crate::storage::csi::registration::registration_server::RegistrationServer;
use crate::storage::csi::serve::{LARGEST, Services, Socket, SocketError};
use crate::storage::csi::v1::identity_server::IdentityServer;
use crate::storage::csi::v1::node_server::NodeServer;
use keeper::client::KeeperClient;
use mounts::{Kernel, Mounts};
use registration::{REGISTERED, Registration};
use service::Node;
use work::Works;

/// What the user asked for.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Name of the Node.
    pub node: String,
    /// The CSI socket.
    pub socket: PathBuf,
    /// The mount keeper's socket.
    pub keeper: PathBuf,
    /// The kubelet's directory; mounts are made below it alone.
    pub kubelet: PathBuf,
    /// Where the kubelet looks for plugins; `None`: no registration.
    pub registry: Option<PathBuf>,
    /// Where records of what is staged are kept.
    pub state: PathBuf,
    /// Whether mounts that died are mounted again, and healed in containers.
    pub heal: bool,
}

/// Why a node plugin ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The records of what is staged cannot be kept.
    #[error("cannot keep records in {}: {source}", path.display())]
    Records {
        /// Where.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A socket cannot be had.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// A socket is no longer served.
    #[error("serving {} ended: {source}", path.display())]
    Served {
        /// Which.
        path: PathBuf,
        /// Why.
        source: tonic::transport::Error,
    },
}

/// Serves the kubelet until `stop`.
pub async fn run(
    settings: Settings,
    readiness: Readiness,
    stop: CancellationToken,
) -> Result<(), Error> {
    let kernel = Kernel::new(KeeperClient::new(&settings.keeper));
    let path = settings.state.join("staged");
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let records = records::Records::of_boot(&path, &boot)
        .map_err(|source| Error::Records { path, source })?;
    let places = place::Places::below(&settings.kubelet);
    let works = Arc::new(Works::new(kernel, places, records, &settings.node));
    let watch = async {
        if settings.heal {
            heal::watch(&works, stop.clone()).await;
        }
        Ok(())
    };
    let served = serve(Arc::clone(&works), &settings, readiness, stop.clone());
    futures::future::try_join(served, watch).await.map(|_| ())
}

/// [`run`], on any mounts.
pub async fn serve<M: Mounts>(
    works: Arc<Works<M>>,
    settings: &Settings,
    readiness: Readiness,
    stop: CancellationToken,
) -> Result<(), Error> {
    let identity = Identity {
        readiness: readiness.clone(),
    };
    let csi = Services::default()
        .with(IdentityServer::new(identity).max_decoding_message_size(LARGEST))
        .with(NodeServer::new(Node { works }).max_decoding_message_size(LARGEST));
    let socket = Socket::bind(&settings.socket)?;
    tracing::info!(socket = %socket.path().display(), node = settings.node, "serving CSI");
    let csi = served(socket, csi, stop.clone());
    let Some(registry) = &settings.registry else {
        return csi.await;
    };
    // The CSI socket is there before the kubelet is told of it.
    readiness.expect(REGISTERED);
    let registration = Registration {
        endpoint: settings.socket.clone(),
        readiness,
    };
    let registration = Services::default()
        .with(RegistrationServer::new(registration).max_decoding_message_size(LARGEST));
    let socket = Socket::bind(&registry.join(format!("{DRIVER}-reg.sock")))?;
    let registration = served(socket, registration, stop);
    // Neither goes on without the other.
    let (csi, registration) = futures::future::try_join(csi, registration).await?;
    let ((), ()) = (csi, registration);
    Ok(())
}

async fn served(socket: Socket, services: Services, stop: CancellationToken) -> Result<(), Error> {
    let path = socket.path().to_owned();
    let served = socket.serve(services, stop).await;
    served.map_err(|source| Error::Served { path, source })
}
