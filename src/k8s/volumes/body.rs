//! The bodies of a provisioner's writes. Pure.

use serde_json::{Value, json};

use super::{ClaimChange, VolumeChange, VolumeWrite};
use crate::k8s::objects::{Claims, GID, HEALTH, Volumes};

pub(super) fn volume(write: &VolumeWrite, volumes: &Volumes) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {
            "name": write.name,
            "annotations": write.annotations,
            "finalizers": [volumes.finalizer],
        },
        "spec": {
            "capacity": {"storage": write.capacity},
            "accessModes": write.access_modes,
            "persistentVolumeReclaimPolicy": write.reclaim_policy,
            "storageClassName": write.class,
            "mountOptions": write.mount_options,
            "volumeMode": "Filesystem",
            "claimRef": {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "namespace": write.claim.key.namespace,
                "name": write.claim.key.name,
                "uid": write.claim.uid,
            },
            "csi": {
                "driver": volumes.driver,
                "volumeHandle": write.handle,
                "volumeAttributes": write.attributes,
            },
        },
    })
}

/// Metadata with one finalizer more or less; others' stay.
fn finalizer(uid: &str, name: &str, there: bool) -> Value {
    if there {
        json!({"uid": uid, "finalizers": [name]})
    } else {
        json!({"uid": uid, "$deleteFromPrimitiveList/finalizers": [name]})
    }
}

pub(super) fn volume_change(uid: &str, change: VolumeChange<'_>, volumes: &Volumes) -> Value {
    match change {
        VolumeChange::Hold => json!({"metadata": finalizer(uid, volumes.finalizer, true)}),
        VolumeChange::Release => json!({"metadata": finalizer(uid, volumes.finalizer, false)}),
        VolumeChange::Capacity(size) => json!({
            "metadata": {"uid": uid},
            "spec": {"capacity": {"storage": size}},
        }),
        VolumeChange::Health(word) => json!({
            "metadata": {"uid": uid, "annotations": {HEALTH: word}},
        }),
    }
}

/// Where the patch goes, and what it says.
pub(super) fn claim_change(
    uid: &str,
    change: ClaimChange<'_>,
    claims: &Claims,
    today: &str,
) -> (&'static str, Value) {
    let status = |status: Value| {
        (
            "/status",
            json!({"metadata": {"uid": uid}, "status": status}),
        )
    };
    match change {
        ClaimChange::Mark(gid) => {
            let mut metadata = finalizer(uid, claims.mark, true);
            metadata["annotations"] = json!({
                GID: gid.to_string(),
                "volume.kubernetes.io/storage-provisioner": claims.driver,
                "volume.beta.kubernetes.io/storage-provisioner": claims.driver,
            });
            ("", json!({"metadata": metadata}))
        }
        ClaimChange::Unmark => {
            let mut metadata = finalizer(uid, claims.mark, false);
            metadata["annotations"] = json!({GID: null});
            ("", json!({"metadata": metadata}))
        }
        ClaimChange::Resizing(size) => status(json!({
            "allocatedResources": {"storage": size},
            "allocatedResourceStatuses": {"storage": "ControllerResizeInProgress"},
            "conditions": [{"type": "Resizing", "status": "True", "lastTransitionTime": today}],
        })),
        ClaimChange::Infeasible => status(json!({
            "allocatedResourceStatuses": {"storage": "ControllerResizeInfeasible"},
        })),
        ClaimChange::Resized(size) => status(json!({
            "capacity": {"storage": size},
            "allocatedResources": {"storage": size},
            "allocatedResourceStatuses": {"storage": null},
            "conditions": [{"type": "Resizing", "$patch": "delete"}],
        })),
        ClaimChange::NodeNotNeeded => (
            "",
            json!({"metadata": {"uid": uid, "annotations": {
                "volume.kubernetes.io/node-expansion-not-required": "yes",
            }}}),
        ),
    }
}
