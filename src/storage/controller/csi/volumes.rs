//! Volumes: made, grown, removed, looked at.

use std::collections::{BTreeMap, HashMap};

use tonic::Status;

use super::codes::status;
use super::sizes::{Range, octets, signed};
use super::{Controller, names};
use crate::storage::DRIVER;
use crate::storage::class::Class;
use crate::storage::csi::capability::Access;
use crate::storage::csi::v1::volume_content_source::Type;
use crate::storage::csi::v1::volume_health::VolumeHealthEntry;
use crate::storage::csi::v1::{
    CapacityRange, CreateVolumeRequest, Volume, VolumeCapability, VolumeContentSource,
    VolumeHealth, VolumeHealthErrorType,
};
use crate::storage::csi::{missing, required};
use crate::storage::heketi::loods::{HealthState, Source};
use crate::storage::heketi::wire::VolumeInfo;

/// Parameters that say who asks: here the socket's own key is asked with.
const AUTH: [&str; 5] = [
    "restuser",
    "restuserkey",
    "secretname",
    "secretnamespace",
    "restauthenabled",
];

impl Controller {
    /// Makes a volume, or finds the one of that name.
    pub(super) async fn create(&self, asked: &CreateVolumeRequest) -> Result<Volume, Status> {
        let name = names::plain("name", &asked.name)?;
        accesses(&asked.volume_capabilities)?;
        let class = self.class(&asked.parameters)?;
        let range = Range::of(asked.capacity_range.as_ref())?;
        let source = asked.volume_content_source.as_ref();
        let _held = self.busy.hold(&format!("volume {}", asked.name))?;
        let (source_of, least) = match source {
            Some(source) => {
                let (source, gib) = self.source(source).await?;
                (Some(source), gib)
            }
            None => (None, 0),
        };
        if let Some(there) = self.by_name(&name).await? {
            return known(there, range, asked);
        }
        // No group: a volume's group is told to pods by an annotation, which
        // whoever calls here does not write.
        let wanted = class.volume(&name, range.wanted(least)?, 0);
        let made = match source_of {
            Some(source) => self.heketi.clone_volume(&wanted, source).await,
            None => self.heketi.ensure_volume(&wanted).await,
        };
        known(made.map_err(|error| status(&error))?, range, asked)
    }

    /// Removes a volume; one that is not there is done.
    pub(super) async fn delete(&self, id: &str) -> Result<(), Status> {
        let id = required("volume_id", id)?;
        let _held = self.busy.hold(&format!("volume {id}"))?;
        let deleted = self.heketi.delete_volume(id).await;
        deleted.map_err(|error| status(&error))
    }

    /// Grows a volume: its size in octets then.
    pub(super) async fn expand(
        &self,
        id: &str,
        range: Option<&CapacityRange>,
    ) -> Result<i64, Status> {
        let id = required("volume_id", id)?;
        let range = Range::of(Some(range.ok_or_else(|| missing("capacity_range"))?))?;
        let _held = self.busy.hold(&format!("volume {id}"))?;
        let there = self.volume(id).await?;
        let wanted = range.wanted(size_of(&there))?;
        let grown = self.heketi.expand_to(id, signed(wanted)).await;
        let grown = grown.map_err(|error| status(&error))?;
        Ok(signed(octets(size_of(&grown))))
    }

    /// Why a volume does not have these capabilities; `None`: it has.
    pub(super) async fn lacks(
        &self,
        id: &str,
        capabilities: &[VolumeCapability],
    ) -> Result<Option<String>, Status> {
        let id = required("volume_id", id)?;
        if capabilities.is_empty() {
            return Err(missing("volume_capabilities"));
        }
        self.volume(id).await?;
        let refused = accesses(capabilities).err();
        Ok(refused.map(|status| status.message().to_owned()))
    }

    /// All volumes, by id.
    pub(super) async fn volumes(&self) -> Result<Vec<Volume>, Status> {
        let listed = self.heketi.volumes().await;
        let listed = listed.map_err(|error| status(&error))?;
        let mut volumes: Vec<Volume> = listed.into_iter().map(|info| told(info, None)).collect();
        volumes.sort_by(|a, b| a.volume_id.cmp(&b.volume_id));
        Ok(volumes)
    }

    /// One volume.
    pub(super) async fn find(&self, id: &str) -> Result<Volume, Status> {
        let id = required("volume_id", id)?;
        Ok(told(self.volume(id).await?, None))
    }

    /// How a volume fares.
    pub(super) async fn health(&self, id: &str) -> Result<VolumeHealth, Status> {
        let id = required("volume_id", id)?;
        let health = self.heketi.health(id).await;
        let health = health.map_err(|error| status(&error))?;
        let health = health.ok_or_else(|| not_there(id))?;
        let (kind, reason) = match health.state {
            HealthState::Healthy => (None, ""),
            HealthState::Degraded => (Some(VolumeHealthErrorType::Degraded), "Degraded"),
            HealthState::Inaccessible => {
                (Some(VolumeHealthErrorType::Inaccessible), "Inaccessible")
            }
            HealthState::DataLoss => (Some(VolumeHealthErrorType::DataLoss), "SplitBrain"),
        };
        let entry = kind.map(|kind| VolumeHealthEntry {
            status: kind.into(),
            reason: reason.into(),
            message: health.reason,
        });
        Ok(VolumeHealth {
            volume_id: id.to_owned(),
            health_statuses: entry.into_iter().collect(),
        })
    }

    /// What may still be given out with these parameters, and the largest
    /// volume, in octets.
    pub(super) async fn room(
        &self,
        parameters: &HashMap<String, String>,
    ) -> Result<(i64, i64), Status> {
        let class = self.class(parameters)?;
        let room = self.heketi.capacity().await;
        let room = room.map_err(|error| status(&error))?;
        let copies = class.durability.replicate.replica.max(1).unsigned_abs();
        let free = room.free.saturating_mul(1024) / copies;
        Ok((signed(free), signed(room.largest.saturating_mul(1024))))
    }

    pub(super) async fn volume(&self, id: &str) -> Result<VolumeInfo, Status> {
        let found = self.heketi.volume(id).await;
        found
            .map_err(|error| status(&error))?
            .ok_or_else(|| not_there(id))
    }

    async fn by_name(&self, name: &str) -> Result<Option<VolumeInfo>, Status> {
        let found = self.heketi.find_by_name(name).await;
        found.map_err(|error| status(&error))
    }

    /// What a new volume begins with, and its size in GiB.
    async fn source(&self, source: &VolumeContentSource) -> Result<(Source, u64), Status> {
        match &source.r#type {
            Some(Type::Volume(volume)) => {
                let id = required("volume_content_source.volume.volume_id", &volume.volume_id)?;
                let there = self.volume(id).await?;
                Ok((Source::Volume(id.to_owned()), size_of(&there)))
            }
            Some(Type::Snapshot(snapshot)) => {
                let field = "volume_content_source.snapshot.snapshot_id";
                let id = required(field, &snapshot.snapshot_id)?;
                let there = self.snapshot_info(id).await?;
                let gib = u64::try_from(there.size).unwrap_or_default();
                Ok((Source::Snapshot(id.to_owned()), gib))
            }
            None => Err(missing("volume_content_source.type")),
        }
    }

    fn class(&self, parameters: &HashMap<String, String>) -> Result<Class, Status> {
        let url = self.heketi.url();
        let mut kept: BTreeMap<&str, &str> = parameters
            .iter()
            .map(|(key, value)| (&**key, &**value))
            .filter(|(key, _)| !AUTH.contains(&&*key.to_ascii_lowercase()))
            .collect();
        kept.insert("restauthenabled", "false");
        let class = Class::read(DRIVER, &kept, Some(url));
        let class = class.map_err(|faults| Status::invalid_argument(faults.to_string()))?;
        if *class.url != *url {
            return Err(Status::invalid_argument(format!(
                "resturl '{}': this socket serves {url} alone; leave resturl out, or run another controller for it",
                class.url
            )));
        }
        Ok(class)
    }
}

pub(super) fn accesses(capabilities: &[VolumeCapability]) -> Result<(), Status> {
    if capabilities.is_empty() {
        return Err(missing("volume_capabilities"));
    }
    capabilities
        .iter()
        .try_for_each(|capability| Access::of(Some(capability)).map(|_| ()))
}

/// A volume of the wanted name: the answer if it is what was wanted.
fn known(info: VolumeInfo, range: Range, asked: &CreateVolumeRequest) -> Result<Volume, Status> {
    let gib = size_of(&info);
    if !range.allows(gib) {
        return Err(Status::already_exists(format!(
            "volume {} is there with {gib} GiB, which is not what capacity_range asks for",
            info.name
        )));
    }
    Ok(told(info, asked.volume_content_source.clone()))
}

/// A volume, as CSI tells of it.
fn told(info: VolumeInfo, content_source: Option<VolumeContentSource>) -> Volume {
    let octets = signed(octets(size_of(&info)));
    let context = [
        ("volume", info.name),
        ("hosts", info.mount.glusterfs.hosts.join(",")),
    ];
    Volume {
        capacity_bytes: octets,
        volume_id: info.id,
        volume_context: context.map(|(key, value)| (key.to_owned(), value)).into(),
        content_source,
    }
}

fn size_of(info: &VolumeInfo) -> u64 {
    u64::try_from(info.size).unwrap_or_default()
}

fn not_there(id: &str) -> Status {
    Status::not_found(format!("there is no volume {id}"))
}
