//! What our manager can do beyond Heketi: snapshots, health, capacity.

use super::calls::{AdoptVolume, MakeSnapshot, ReplaceBrick};
use super::{Heketi, HeketiError, Make, is_id, is_name, json};
use crate::storage::heketi::loods::{
    Adopt, Capacity, Health, SnapshotCreate, SnapshotInfo, SnapshotList, Stranger, StrangerList,
};
use crate::storage::heketi::wire::VolumeInfo;

const STRANGERS: &str = "/loods/v1/strangers";
pub(super) const ADOPT: &str = "/loods/v1/adopt";
const SNAPSHOTS: &str = "/loods/v1/snapshots";

impl Heketi {
    /// That our manager answers.
    pub(super) async fn beyond(
        &self,
        method: &str,
        path: &str,
        what: &'static str,
    ) -> Result<(), HeketiError> {
        if self.is_loods(self.deadline()).await? {
            return Ok(());
        }
        Err(HeketiError::Unsupported {
            asked: self.0.exchange.asked(method, path),
            what,
        })
    }

    /// The snapshot of this name, taken of a volume if there is none. One that
    /// was there may be of another volume: the caller compares.
    ///
    /// # Errors
    /// [`HeketiError::Unsupported`] with an old Heketi; whatever the server says.
    pub async fn snapshot(&self, name: &str, volume: &str) -> Result<SnapshotInfo, HeketiError> {
        self.beyond("POST", SNAPSHOTS, "a snapshot").await?;
        if !is_name(name) || !is_id(volume) {
            return Err(HeketiError::Invalid(
                format!("snapshot {name:?} of volume {volume:?}: a name has letters, digits, - and _, an id is hexadecimal")
                    .into(),
            ));
        }
        let machine = Make::new(1, self.0.limits.pauses);
        let body = json(&SnapshotCreate {
            name: name.into(),
            volume: volume.into(),
        });
        let calls = MakeSnapshot {
            heketi: self,
            path: SNAPSHOTS,
            name,
            body: &body,
        };
        self.run("POST", SNAPSHOTS, self.deadline(), machine, calls)
            .await
    }

    /// All snapshots.
    ///
    /// # Errors
    /// [`HeketiError::Unsupported`] with an old Heketi.
    pub async fn snapshots(&self) -> Result<Vec<SnapshotInfo>, HeketiError> {
        self.beyond("GET", SNAPSHOTS, "the list of snapshots")
            .await?;
        let reading = self.read::<SnapshotList>(SNAPSHOTS);
        Ok(self.within("GET", SNAPSHOTS, reading).await?.snapshots)
    }

    /// Removes a snapshot; one that is not there is done.
    ///
    /// # Errors
    /// [`HeketiError::Unsupported`] with an old Heketi; whatever the server says.
    pub async fn delete_snapshot(&self, id: &str) -> Result<(), HeketiError> {
        // No snapshot can have such an id.
        if !is_id(id) {
            return Ok(());
        }
        let path = format!("{SNAPSHOTS}/{id}");
        self.beyond("DELETE", &path, "removing a snapshot").await?;
        self.remove(&path).await
    }

    /// How a volume fares; `None`: there is no such volume.
    ///
    /// # Errors
    /// [`HeketiError::Unsupported`] with an old Heketi.
    pub async fn health(&self, id: &str) -> Result<Option<Health>, HeketiError> {
        if !is_id(id) {
            return Ok(None);
        }
        let path = format!("/loods/v1/volumes/{id}/health");
        self.beyond("GET", &path, "the health of a volume").await?;
        self.within("GET", &path, self.read_if_there(&path)).await
    }

    /// All volumes that somebody else made, each as it would be if it were adopted.
    ///
    /// # Errors
    /// [`HeketiError::Unsupported`] with an old Heketi.
    pub async fn strangers(&self) -> Result<Vec<Stranger>, HeketiError> {
        self.beyond("GET", STRANGERS, "volumes of others").await?;
        let reading = self.read::<StrangerList>(STRANGERS);
        Ok(self.within("GET", STRANGERS, reading).await?.strangers)
    }

    /// The one of this name with what is known of it; `None`: there is none.
    ///
    /// # Errors
    /// As [`strangers`](Self::strangers).
    pub async fn stranger(&self, wish: &Adopt) -> Result<Option<Stranger>, HeketiError> {
        self.beyond("POST", STRANGERS, "volumes of others").await?;
        let reading = self.post::<StrangerList>(STRANGERS, json(wish));
        let list = self.within("POST", STRANGERS, reading).await?;
        Ok(list.strangers.into_iter().next())
    }

    /// Takes a volume under management; one that is already is the answer.
    ///
    /// # Errors
    /// [`HeketiError::Unsupported`] with an old Heketi; whatever the server says.
    pub async fn adopt(&self, wish: &Adopt) -> Result<VolumeInfo, HeketiError> {
        self.beyond("POST", ADOPT, "adopting a volume").await?;
        let machine = Make::new(1, self.0.limits.pauses);
        let calls = AdoptVolume { heketi: self, wish };
        self.run("POST", ADOPT, self.deadline(), machine, calls)
            .await
    }

    /// Has a volume's brick replaced by a new one; answers with the volume as it is
    /// then. One that the volume has not is done.
    ///
    /// # Errors
    /// [`HeketiError::Unsupported`] with an old Heketi; whatever the server says,
    /// as that the others of its set do not have everything.
    pub async fn replace_brick(
        &self,
        volume: &str,
        brick: &str,
    ) -> Result<VolumeInfo, HeketiError> {
        let path = format!("/loods/v1/bricks/{brick}/replace");
        if !is_id(volume) || !is_id(brick) {
            return Err(HeketiError::Invalid(
                format!("brick {brick:?} of volume {volume:?}: an id is hexadecimal").into(),
            ));
        }
        self.beyond("POST", &path, "replacing a brick").await?;
        let machine = Make::new(1, self.0.limits.pauses);
        let calls = ReplaceBrick {
            heketi: self,
            volume: &format!("/volumes/{volume}"),
            brick,
            path: &path,
        };
        self.run("POST", &path, self.deadline(), machine, calls)
            .await
    }

    /// What may still be given out.
    ///
    /// # Errors
    /// [`HeketiError::Unsupported`] with an old Heketi.
    pub async fn capacity(&self) -> Result<Capacity, HeketiError> {
        let path = "/loods/v1/capacity";
        self.beyond("GET", path, "the capacity").await?;
        self.within("GET", path, self.read(path)).await
    }
}
