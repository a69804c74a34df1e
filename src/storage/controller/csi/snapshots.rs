//! Snapshots: our own manager alone takes them.

use tonic::Status;

use super::codes::status;
use super::sizes::{octets, signed};
use super::{Controller, names};
use crate::storage::csi::required;
use crate::storage::csi::v1::{ListSnapshotsRequest, Snapshot, Time};
use crate::storage::heketi::loods::SnapshotInfo;

impl Controller {
    /// Takes a snapshot, or finds the one of that name.
    pub(super) async fn take(&self, name: &str, volume: &str) -> Result<Snapshot, Status> {
        let plain = names::plain("name", name)?;
        let volume = required("source_volume_id", volume)?;
        let _held = self.busy.hold(&format!("snapshot {name}"))?;
        let of_another = |info: &SnapshotInfo| {
            Status::already_exists(format!(
                "snapshot {plain} is there, of volume {} and not of {volume}",
                info.volume
            ))
        };
        let all = self.snapshot_infos().await?;
        if let Some(there) = all.into_iter().find(|info| info.name == plain) {
            return if there.volume == volume {
                Ok(told(&there))
            } else {
                Err(of_another(&there))
            };
        }
        self.volume(volume).await?;
        let taken = self.heketi.snapshot(&plain, volume).await;
        let taken = taken.map_err(|error| status(&error))?;
        if taken.volume != volume {
            return Err(of_another(&taken));
        }
        Ok(told(&taken))
    }

    /// Removes a snapshot; one that is not there is done.
    pub(super) async fn drop_snapshot(&self, id: &str) -> Result<(), Status> {
        let id = required("snapshot_id", id)?;
        let _held = self.busy.hold(&format!("snapshot {id}"))?;
        let deleted = self.heketi.delete_snapshot(id).await;
        deleted.map_err(|error| status(&error))
    }

    /// The snapshots that a request asks for, by id.
    pub(super) async fn snapshots(
        &self,
        asked: &ListSnapshotsRequest,
    ) -> Result<Vec<Snapshot>, Status> {
        let wanted = |filter: &str, value: &str| filter.is_empty() || filter == value;
        let mut all = self.snapshot_infos().await?;
        all.retain(|info| {
            wanted(&asked.snapshot_id, &info.id) && wanted(&asked.source_volume_id, &info.volume)
        });
        all.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(all.iter().map(told).collect())
    }

    pub(super) async fn snapshot_info(&self, id: &str) -> Result<SnapshotInfo, Status> {
        let all = self.snapshot_infos().await?;
        all.into_iter()
            .find(|info| info.id == id)
            .ok_or_else(|| Status::not_found(format!("there is no snapshot {id}")))
    }

    async fn snapshot_infos(&self) -> Result<Vec<SnapshotInfo>, Status> {
        self.heketi
            .snapshots()
            .await
            .map_err(|error| status(&error))
    }
}

fn told(info: &SnapshotInfo) -> Snapshot {
    let gib = u64::try_from(info.size).unwrap_or_default();
    let created: Option<jiff::Timestamp> = info.created.parse().ok();
    Snapshot {
        size_bytes: signed(octets(gib)),
        snapshot_id: info.id.clone(),
        source_volume_id: info.volume.clone(),
        creation_time: created.map(|time| Time {
            seconds: time.as_second(),
            nanos: time.subsec_nanosecond(),
        }),
        // It is told of once it is whole.
        ready_to_use: true,
    }
}
