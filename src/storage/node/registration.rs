//! Tells the kubelet that this driver is here: it watches its directory
//! `plugins_registry` for sockets, asks each who it is, and says whether it
//! took it. No sidecar is needed for two calls.

use std::path::PathBuf;

use tonic::{Request, Response, Status};

use crate::observe::readiness::Readiness;
use crate::storage::DRIVER;
use crate::storage::csi::registration::{
    InfoRequest, PluginInfo, RegistrationStatus, RegistrationStatusResponse, registration_server,
};

/// Name of the condition that holds once the kubelet took us.
pub const REGISTERED: &str = "registration with the kubelet";

/// Answers the kubelet.
#[derive(Clone, Debug)]
pub struct Registration {
    /// The CSI socket, as the kubelet reaches it.
    pub endpoint: PathBuf,
    /// Where [`REGISTERED`] is kept.
    pub readiness: Readiness,
}

#[tonic::async_trait]
impl registration_server::Registration for Registration {
    async fn get_info(&self, _: Request<InfoRequest>) -> Result<Response<PluginInfo>, Status> {
        Ok(Response::new(PluginInfo {
            r#type: "CSIPlugin".into(),
            name: DRIVER.into(),
            endpoint: self.endpoint.to_string_lossy().into_owned(),
            // The kubelet looks at the major version alone.
            supported_versions: vec!["1.0.0".into()],
        }))
    }

    async fn notify_registration_status(
        &self,
        request: Request<RegistrationStatus>,
    ) -> Result<Response<RegistrationStatusResponse>, Status> {
        let told = request.into_inner();
        self.readiness.set(REGISTERED, told.plugin_registered);
        if told.plugin_registered {
            tracing::info!("the kubelet took driver {DRIVER}");
        } else {
            let why: String = told.error.chars().take(500).collect();
            tracing::error!(
                "the kubelet refused driver {DRIVER}: {why}; it asks again when this process starts anew"
            );
        }
        Ok(Response::new(RegistrationStatusResponse {}))
    }
}
