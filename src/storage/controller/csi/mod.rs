//! CSI Controller, for those who bring their own provisioner: the sidecars of
//! Kubernetes, Nomad, the test suite of the specification. Our own controller
//! needs none of it.
//!
//! ```text
//!   sidecar --gRPC--> service --> volumes, snapshots --> Heketi's client --> manager, or a Heketi
//!                       pure: sizes, pages, codes
//! ```
//!
//! One socket serves one server: an id alone does not say which server has the
//! volume, and the calls that delete and expand bring nothing but the id. The
//! key is read from a file, never from a request.
//!
//! An old Heketi makes, expands and deletes; snapshots, clones, capacity and
//! health are announced with our own manager alone.

mod codes;
mod names;
mod pages;
mod service;
mod sizes;
mod snapshots;
mod volumes;

use tokio_util::sync::CancellationToken;

use crate::observe::readiness::Readiness;
use crate::storage::csi::busy::Busy;
use crate::storage::csi::identity::Identity;
use crate::storage::csi::serve::{LARGEST, Services, Socket};
use crate::storage::csi::v1::controller_server::ControllerServer;
use crate::storage::csi::v1::identity_server::IdentityServer;
use crate::storage::heketi::client::Heketi;

/// Answers for one server.
#[derive(Clone, Debug)]
pub struct Controller {
    heketi: Heketi,
    busy: Busy,
}

impl Controller {
    /// Of this server.
    pub fn of(heketi: Heketi) -> Self {
        Self {
            heketi,
            busy: Busy::default(),
        }
    }

    /// Serves Identity and Controller at `socket` until `stop`.
    pub async fn serve(
        self,
        socket: Socket,
        readiness: Readiness,
        stop: CancellationToken,
    ) -> Result<(), tonic::transport::Error> {
        let identity = Identity { readiness };
        let services = Services::default()
            .with(IdentityServer::new(identity).max_decoding_message_size(LARGEST))
            .with(ControllerServer::new(self).max_decoding_message_size(LARGEST));
        socket.serve(services, stop).await
    }
}
