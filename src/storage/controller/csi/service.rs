//! The calls, one by one: what is asked, and how the answer is packed.

use tonic::{Request, Response, Status};

use super::codes::status;
use super::pages::page;
use super::{Controller, volumes};
use crate::storage::csi::v1::controller_service_capability::{Rpc, Type, rpc};
use crate::storage::csi::v1::validate_volume_capabilities_response::Confirmed;
use crate::storage::csi::v1::*;

type Answer<T> = Result<Response<T>, Status>;

/// What any server can.
const ALWAYS: [rpc::Type; 5] = [
    rpc::Type::CreateDeleteVolume,
    rpc::Type::ListVolumes,
    rpc::Type::ExpandVolume,
    rpc::Type::GetVolume,
    rpc::Type::SingleNodeMultiWriter,
];
/// What our own manager can beyond that.
const BEYOND: [rpc::Type; 5] = [
    rpc::Type::GetCapacity,
    rpc::Type::CreateDeleteSnapshot,
    rpc::Type::ListSnapshots,
    rpc::Type::CloneVolume,
    rpc::Type::GetVolumeHealth,
];

#[tonic::async_trait]
impl controller_server::Controller for Controller {
    async fn create_volume(
        &self,
        request: Request<CreateVolumeRequest>,
    ) -> Answer<CreateVolumeResponse> {
        let volume = Some(self.create(request.get_ref()).await?);
        Ok(Response::new(CreateVolumeResponse { volume }))
    }

    async fn delete_volume(
        &self,
        request: Request<DeleteVolumeRequest>,
    ) -> Answer<DeleteVolumeResponse> {
        self.delete(&request.get_ref().volume_id).await?;
        Ok(Response::new(DeleteVolumeResponse {}))
    }

    async fn validate_volume_capabilities(
        &self,
        request: Request<ValidateVolumeCapabilitiesRequest>,
    ) -> Answer<ValidateVolumeCapabilitiesResponse> {
        let asked = request.into_inner();
        let lacks = self
            .lacks(&asked.volume_id, &asked.volume_capabilities)
            .await?;
        let confirmed = lacks.is_none().then_some(Confirmed {
            volume_context: asked.volume_context,
            volume_capabilities: asked.volume_capabilities,
            parameters: asked.parameters,
        });
        Ok(Response::new(ValidateVolumeCapabilitiesResponse {
            confirmed,
            message: lacks.unwrap_or_default(),
        }))
    }

    async fn list_volumes(
        &self,
        request: Request<ListVolumesRequest>,
    ) -> Answer<ListVolumesResponse> {
        let asked = request.into_inner();
        let (volumes, next_token) = page(
            self.volumes().await?,
            |volume| &volume.volume_id,
            asked.max_entries,
            &asked.starting_token,
        )?;
        let entries = volumes
            .into_iter()
            .map(|volume| list_volumes_response::Entry {
                volume: Some(volume),
            });
        Ok(Response::new(ListVolumesResponse {
            entries: entries.collect(),
            next_token,
        }))
    }

    async fn controller_get_volume(
        &self,
        request: Request<ControllerGetVolumeRequest>,
    ) -> Answer<ControllerGetVolumeResponse> {
        let volume = Some(self.find(&request.get_ref().volume_id).await?);
        Ok(Response::new(ControllerGetVolumeResponse {
            volume,
            status: Some(controller_get_volume_response::VolumeStatus::default()),
        }))
    }

    async fn controller_get_volume_health(
        &self,
        request: Request<ControllerGetVolumeHealthRequest>,
    ) -> Answer<ControllerGetVolumeHealthResponse> {
        let volume_health = Some(self.health(&request.get_ref().volume_id).await?);
        Ok(Response::new(ControllerGetVolumeHealthResponse {
            volume_health,
        }))
    }

    async fn get_capacity(
        &self,
        request: Request<GetCapacityRequest>,
    ) -> Answer<GetCapacityResponse> {
        let asked = request.into_inner();
        if !asked.volume_capabilities.is_empty() {
            volumes::accesses(&asked.volume_capabilities)?;
        }
        let (available_capacity, largest) = self.room(&asked.parameters).await?;
        Ok(Response::new(GetCapacityResponse {
            available_capacity,
            maximum_volume_size: Some(Number { value: largest }),
            minimum_volume_size: Some(Number { value: 1 << 30 }),
        }))
    }

    async fn controller_get_capabilities(
        &self,
        _: Request<ControllerGetCapabilitiesRequest>,
    ) -> Answer<ControllerGetCapabilitiesResponse> {
        let hello = self.heketi.hello().await;
        let hello = hello.map_err(|error| status(&error))?;
        let beyond = BEYOND.into_iter().filter(|_| hello.loods.is_some());
        let capabilities = ALWAYS.into_iter().chain(beyond);
        let capabilities = capabilities.map(|kind| ControllerServiceCapability {
            r#type: Some(Type::Rpc(Rpc {
                r#type: kind.into(),
            })),
        });
        Ok(Response::new(ControllerGetCapabilitiesResponse {
            capabilities: capabilities.collect(),
        }))
    }

    async fn controller_expand_volume(
        &self,
        request: Request<ControllerExpandVolumeRequest>,
    ) -> Answer<ControllerExpandVolumeResponse> {
        let asked = request.into_inner();
        let capacity_bytes = self
            .expand(&asked.volume_id, asked.capacity_range.as_ref())
            .await?;
        Ok(Response::new(ControllerExpandVolumeResponse {
            capacity_bytes,
            // The file system of every mount has grown already.
            node_expansion_required: false,
        }))
    }

    async fn create_snapshot(
        &self,
        request: Request<CreateSnapshotRequest>,
    ) -> Answer<CreateSnapshotResponse> {
        let asked = request.into_inner();
        if let Some(key) = asked.parameters.keys().min() {
            return Err(Status::invalid_argument(format!(
                "parameter '{}' of the snapshot class is not known: snapshots have none",
                key.escape_default()
            )));
        }
        let snapshot = Some(self.take(&asked.name, &asked.source_volume_id).await?);
        Ok(Response::new(CreateSnapshotResponse { snapshot }))
    }

    async fn delete_snapshot(
        &self,
        request: Request<DeleteSnapshotRequest>,
    ) -> Answer<DeleteSnapshotResponse> {
        self.drop_snapshot(&request.get_ref().snapshot_id).await?;
        Ok(Response::new(DeleteSnapshotResponse {}))
    }

    async fn list_snapshots(
        &self,
        request: Request<ListSnapshotsRequest>,
    ) -> Answer<ListSnapshotsResponse> {
        let asked = request.into_inner();
        let (snapshots, next_token) = page(
            self.snapshots(&asked).await?,
            |snapshot| &snapshot.snapshot_id,
            asked.max_entries,
            &asked.starting_token,
        )?;
        let entries = snapshots
            .into_iter()
            .map(|snapshot| list_snapshots_response::Entry {
                snapshot: Some(snapshot),
            });
        Ok(Response::new(ListSnapshotsResponse {
            entries: entries.collect(),
            next_token,
        }))
    }
}
