//! CSI Node: reads requests, has the work done, answers. The work goes on when
//! the caller has gone: a mount that is half made helps nobody.

use std::path::PathBuf;
use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::mounts::{Look, Mounts};
use super::source::Source;
use super::system::Room;
use super::work::{Publication, Works};
use crate::storage::csi::capability::Access;
use crate::storage::csi::v1::node_service_capability::{Rpc, Type, rpc};
use crate::storage::csi::v1::volume_health::VolumeHealthEntry;
use crate::storage::csi::v1::volume_usage::Unit;
use crate::storage::csi::v1::{
    NodeGetCapabilitiesRequest, NodeGetCapabilitiesResponse, NodeGetInfoRequest,
    NodeGetInfoResponse, NodeGetVolumeHealthRequest, NodeGetVolumeHealthResponse,
    NodeGetVolumeStatsRequest, NodeGetVolumeStatsResponse, NodePublishVolumeRequest,
    NodePublishVolumeResponse, NodeServiceCapability, NodeStageVolumeRequest,
    NodeStageVolumeResponse, NodeUnpublishVolumeRequest, NodeUnpublishVolumeResponse,
    NodeUnstageVolumeRequest, NodeUnstageVolumeResponse, VolumeHealth, VolumeHealthErrorType,
    VolumeUsage, node_server,
};
use crate::storage::csi::{missing, required};

/// Answers for one node.
#[derive(Debug)]
pub struct Node<M> {
    /// What does the work.
    pub works: Arc<Works<M>>,
}

impl<M: Mounts> Node<M> {
    fn path(&self, field: &str, text: &str) -> Result<PathBuf, Status> {
        if text.is_empty() {
            return Err(missing(field));
        }
        let path = self.works.places.path(text);
        path.map_err(|error| Status::invalid_argument(format!("{field} {error}")))
    }

    /// Finds what is asked about by its path; NOT_FOUND where nothing is mounted.
    async fn look(&self, id: &str, field: &str, text: &str) -> Result<(PathBuf, Look), Status> {
        required("volume_id", id)?;
        if text.is_empty() {
            return Err(missing(field));
        }
        let gone = |why: String| Status::not_found(format!("volume {id}: {field} {why}"));
        let path = self.works.places.path(text);
        let path = path.map_err(|error| gone(error.to_string()))?;
        if self.works.there(&path)?.is_none() {
            return Err(gone(format!("{} is no mount", path.display())));
        }
        let look = self.works.mounts.look(&path).await;
        Ok((path, look))
    }

    /// [`Self::look`], where paths may be left out: then where it is staged.
    async fn look_anywhere(
        &self,
        asked: &NodeGetVolumeHealthRequest,
    ) -> Result<(PathBuf, Look), Status> {
        let id = required("volume_id", &asked.volume_id)?;
        let paths = [
            ("volume_publish_path", &asked.volume_publish_path),
            ("staging_target_path", &asked.staging_target_path),
        ];
        let given = paths.into_iter().find(|(_, text)| !text.is_empty());
        if let Some((field, text)) = given {
            return self.look(id, field, text).await;
        }
        let staged = self.works.records.all();
        let staged = staged.into_iter().find(|record| record.volume_id == id);
        let Some(record) = staged else {
            return Err(Status::not_found(format!(
                "volume {id} is not staged on this node"
            )));
        };
        match self.works.there(&record.staging)? {
            Some(_) => {
                let look = self.works.mounts.look(&record.staging).await;
                Ok((record.staging, look))
            }
            // It died, and auto_unmount took it away.
            None => Ok((record.staging, Look::Dead)),
        }
    }
}

/// Runs to the end, whether or not the caller waits for it.
async fn to_the_end(
    work: impl Future<Output = Result<(), Status>> + Send + 'static,
) -> Result<(), Status> {
    match tokio::spawn(work).await {
        Ok(done) => done.inspect_err(|status| {
            tracing::warn!(code = ?status.code(), "{}", status.message());
        }),
        Err(_) => Err(Status::internal(
            "the work broke off; the log of this node's plugin has the reason",
        )),
    }
}

#[tonic::async_trait]
impl<M: Mounts> node_server::Node for Node<M> {
    async fn node_stage_volume(
        &self,
        request: Request<NodeStageVolumeRequest>,
    ) -> Result<Response<NodeStageVolumeResponse>, Status> {
        let asked = request.into_inner();
        required("volume_id", &asked.volume_id)?;
        let staging = self.path("staging_target_path", &asked.staging_target_path)?;
        let access = Access::of(asked.volume_capability.as_ref())?;
        let source = Source::of(
            &asked.volume_context,
            &access.mount_flags,
            access.reads_only(),
        )
        .map_err(|refusal| Status::invalid_argument(refusal.to_string()))?;
        let works = Arc::clone(&self.works);
        to_the_end(async move { works.stage(&asked.volume_id, &source, &staging).await }).await?;
        Ok(Response::new(NodeStageVolumeResponse {}))
    }

    async fn node_unstage_volume(
        &self,
        request: Request<NodeUnstageVolumeRequest>,
    ) -> Result<Response<NodeUnstageVolumeResponse>, Status> {
        let asked = request.into_inner();
        required("volume_id", &asked.volume_id)?;
        let staging = self.path("staging_target_path", &asked.staging_target_path)?;
        let works = Arc::clone(&self.works);
        to_the_end(async move { works.unstage(&staging).await }).await?;
        Ok(Response::new(NodeUnstageVolumeResponse {}))
    }

    async fn node_publish_volume(
        &self,
        request: Request<NodePublishVolumeRequest>,
    ) -> Result<Response<NodePublishVolumeResponse>, Status> {
        let asked = request.into_inner();
        required("volume_id", &asked.volume_id)?;
        let target = self.path("target_path", &asked.target_path)?;
        let access = Access::of(asked.volume_capability.as_ref())?;
        if asked.staging_target_path.is_empty() {
            return Err(Status::failed_precondition(
                "staging_target_path is missing: this driver stages its volumes",
            ));
        }
        let staging = self.path("staging_target_path", &asked.staging_target_path)?;
        let source = Source::of(
            &asked.volume_context,
            &access.mount_flags,
            access.reads_only(),
        )
        .map_err(|refusal| Status::invalid_argument(refusal.to_string()))?;
        let publication = Publication {
            volume_id: asked.volume_id,
            staging,
            target,
            read_only: asked.readonly || source.read_only,
            alone: access.alone(),
        };
        let works = Arc::clone(&self.works);
        to_the_end(async move { works.publish(&publication, &source).await }).await?;
        Ok(Response::new(NodePublishVolumeResponse {}))
    }

    async fn node_unpublish_volume(
        &self,
        request: Request<NodeUnpublishVolumeRequest>,
    ) -> Result<Response<NodeUnpublishVolumeResponse>, Status> {
        let asked = request.into_inner();
        required("volume_id", &asked.volume_id)?;
        let target = self.path("target_path", &asked.target_path)?;
        let works = Arc::clone(&self.works);
        to_the_end(async move { works.unpublish(&target).await }).await?;
        Ok(Response::new(NodeUnpublishVolumeResponse {}))
    }

    async fn node_get_volume_stats(
        &self,
        request: Request<NodeGetVolumeStatsRequest>,
    ) -> Result<Response<NodeGetVolumeStatsResponse>, Status> {
        let asked = request.into_inner();
        let (path, look) = self
            .look(&asked.volume_id, "volume_path", &asked.volume_path)
            .await?;
        let shown = path.display();
        match look {
            Look::Room(room) => Ok(Response::new(NodeGetVolumeStatsResponse {
                usage: usage(&room),
            })),
            Look::Dead => Err(Status::unavailable(format!(
                "{shown}: the mount's process is gone (transport endpoint is not connected)"
            ))),
            Look::Silent => Err(Status::unavailable(format!(
                "{shown} does not answer: are the volume's storage hosts up?"
            ))),
            Look::Failed(error) => Err(Status::internal(format!("{shown}: {error}"))),
        }
    }

    async fn node_get_volume_health(
        &self,
        request: Request<NodeGetVolumeHealthRequest>,
    ) -> Result<Response<NodeGetVolumeHealthResponse>, Status> {
        let asked = request.into_inner();
        let (path, look) = self.look_anywhere(&asked).await?;
        let inaccessible = |reason: &str, message: String| VolumeHealthEntry {
            status: VolumeHealthErrorType::Inaccessible.into(),
            reason: reason.into(),
            message: format!("{}: {message}", path.display()),
        };
        let entry = match look {
            Look::Room(_) => None,
            Look::Dead => Some(inaccessible(
                "MountDied",
                "the mount's process is gone; it is mounted again with --heal, or by deleting the pod".into(),
            )),
            Look::Silent => Some(inaccessible(
                "StorageHostsSilent",
                "no answer; are the volume's storage hosts up?".into(),
            )),
            Look::Failed(error) => Some(inaccessible("MountFails", error.to_string())),
        };
        Ok(Response::new(NodeGetVolumeHealthResponse {
            volume_health: Some(VolumeHealth {
                volume_id: asked.volume_id,
                health_statuses: entry.into_iter().collect(),
            }),
        }))
    }

    async fn node_get_capabilities(
        &self,
        _: Request<NodeGetCapabilitiesRequest>,
    ) -> Result<Response<NodeGetCapabilitiesResponse>, Status> {
        // A volume that was expanded is larger on every node at once: nothing
        // is left for the node, so EXPAND_VOLUME is not announced.
        let capabilities = [
            rpc::Type::StageUnstageVolume,
            rpc::Type::GetVolumeStats,
            rpc::Type::SingleNodeMultiWriter,
            rpc::Type::GetVolumeHealth,
        ]
        .map(|kind| NodeServiceCapability {
            r#type: Some(Type::Rpc(Rpc {
                r#type: kind.into(),
            })),
        });
        Ok(Response::new(NodeGetCapabilitiesResponse {
            capabilities: capabilities.into(),
        }))
    }

    async fn node_get_info(
        &self,
        _: Request<NodeGetInfoRequest>,
    ) -> Result<Response<NodeGetInfoResponse>, Status> {
        // Every node reaches every volume, and the kubelet may have as many as it likes.
        Ok(Response::new(NodeGetInfoResponse {
            node_id: self.works.node.clone(),
            max_volumes_per_node: 0,
            accessible_topology: None,
        }))
    }
}

fn usage(room: &Room) -> Vec<VolumeUsage> {
    let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    let of = |unit: Unit, (total, used, available): (u64, u64, u64)| VolumeUsage {
        available: number(available),
        total: number(total),
        used: number(used),
        unit: unit.into(),
    };
    vec![of(Unit::Bytes, room.octets), of(Unit::Inodes, room.inodes)]
}
