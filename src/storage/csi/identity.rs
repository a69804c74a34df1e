//! CSI Identity: who we are, what the driver serves, and whether this part is ready.

use tonic::{Request, Response, Status};

use super::v1::identity_server;
use super::v1::plugin_capability::{Service, Type, VolumeExpansion, service, volume_expansion};
use super::v1::{
    Flag, GetPluginCapabilitiesRequest, GetPluginCapabilitiesResponse, GetPluginInfoRequest,
    GetPluginInfoResponse, PluginCapability, ProbeRequest, ProbeResponse,
};
use crate::observe::readiness::Readiness;
use crate::storage::DRIVER;

/// Answers for one socket.
#[derive(Clone, Debug)]
pub struct Identity {
    /// What must hold before calls make sense.
    pub readiness: Readiness,
}

#[tonic::async_trait]
impl identity_server::Identity for Identity {
    async fn get_plugin_info(
        &self,
        _: Request<GetPluginInfoRequest>,
    ) -> Result<Response<GetPluginInfoResponse>, Status> {
        Ok(Response::new(GetPluginInfoResponse {
            name: DRIVER.into(),
            vendor_version: env!("CARGO_PKG_VERSION").into(),
        }))
    }

    async fn get_plugin_capabilities(
        &self,
        _: Request<GetPluginCapabilitiesRequest>,
    ) -> Result<Response<GetPluginCapabilitiesResponse>, Status> {
        let serves = |kind| Type::Service(Service { r#type: kind });
        let expands = |kind| Type::VolumeExpansion(VolumeExpansion { r#type: kind });
        // Of the whole driver, whichever socket is asked: the Controller
        // service has a socket of its own.
        let kinds = [
            expands(volume_expansion::Type::Online.into()),
            serves(service::Type::ControllerService.into()),
        ];
        let capabilities = kinds
            .into_iter()
            .map(|kind| PluginCapability { r#type: Some(kind) })
            .collect();
        Ok(Response::new(GetPluginCapabilitiesResponse {
            capabilities,
        }))
    }

    async fn probe(&self, _: Request<ProbeRequest>) -> Result<Response<ProbeResponse>, Status> {
        let value = self.readiness.check().is_ok();
        Ok(Response::new(ProbeResponse {
            ready: Some(Flag { value }),
        }))
    }
}
