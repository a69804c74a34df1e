//! Events, in words. What `kubectl describe` shows below a claim or PV.

use super::work::Plan;
use crate::k8s::events::{EventKind, Notice, Regarding};
use crate::k8s::objects::{ClaimRef, VolumeFact};
use crate::k8s::volumes::VolumeWrite;
use crate::storage::heketi::loods::HealthState;
use crate::storage::{DRIVER, IN_TREE};

fn claim(of: &ClaimRef, kind: EventKind, reason: &'static str, note: String) -> Notice {
    Notice {
        regarding: Regarding {
            kind: "PersistentVolumeClaim",
            namespace: of.key.namespace.clone(),
            name: of.key.name.clone(),
            uid: of.uid.clone(),
        },
        kind,
        reason,
        note,
    }
}

/// Work on a claim begins.
pub(super) fn beginning(of: &ClaimRef, plan: &Plan) -> Vec<Notice> {
    let mut notices = vec![claim(
        of,
        EventKind::Normal,
        "Provisioning",
        format!(
            "{DRIVER} asks {} for volume {} of {} GiB, for StorageClass {}{}",
            plan.class.url,
            plan.name,
            plan.gib,
            plan.class_name,
            plan.source
                .as_ref()
                .map_or_else(String::new, |source| format!(
                    ", with the content of {source}"
                ))
        ),
    )];
    if &*plan.provisioner == IN_TREE {
        notices.push(claim(
            of,
            EventKind::Normal,
            "ExternalProvisioning",
            format!(
                "{DRIVER} serves this claim in place of the plugin that Kubernetes removed. The Warning \"no volume plugin matched name: {IN_TREE}\" comes from kube-controller-manager, which does not know that, and can be ignored"
            ),
        ));
    }
    if plan.class.may_split() {
        notices.push(claim(
            of,
            EventKind::Warning,
            "SplitBrainPossible",
            format!(
                "StorageClass {} keeps two copies (volumetype replicate:2) and nobody to decide between them: after a fault of the network they may differ, and Gluster can tell neither to be right (split-brain). volumetype replicate:3, or volumeoptions \"user.heketi.arbiter true\" with a third host, has no such doubt",
                plan.class_name
            ),
        ));
    }
    notices
}

/// A claim has its PV.
pub(super) fn succeeded(write: &VolumeWrite) -> Notice {
    let attribute = |key: &str| write.attributes.get(key).map_or("", |it| it);
    claim(
        &write.claim,
        EventKind::Normal,
        "ProvisioningSucceeded",
        format!(
            "Successfully provisioned volume {}: {} of {}, id {} in Heketi, mounted from {}",
            write.name,
            attribute("volume"),
            write.capacity,
            write.handle,
            attribute("hosts")
        ),
    )
}

/// A claim has no PV, and why.
pub(super) fn failed(of: &ClaimRef, text: &str) -> Notice {
    claim(
        of,
        EventKind::Warning,
        "ProvisioningFailed",
        format!("failed to provision volume: {text}"),
    )
}

/// What was begun for a claim that is being deleted cannot be ended yet.
pub(super) fn undo_failed(of: &ClaimRef, text: &str) -> Notice {
    claim(
        of,
        EventKind::Warning,
        "ProvisioningFailed",
        format!(
            "the claim is deleted while its volume was being made, and stays until the volume is gone: {text}. It is tried again; without its finalizer {} the claim goes at once, and the volume may stay",
            super::MARK
        ),
    )
}

/// The same, where nobody knows whom to ask.
pub(super) fn cannot_undo(of: &ClaimRef) -> Notice {
    undo_failed(
        of,
        "its StorageClass, which names Heketi, is gone or wrong; make it again as it was",
    )
}

/// A volume is about to grow.
pub(super) fn resizing(of: &ClaimRef, gib: u64) -> Notice {
    claim(
        of,
        EventKind::Normal,
        "Resizing",
        format!("{DRIVER} grows the volume to {gib} GiB"),
    )
}

/// A volume has grown.
pub(super) fn resized(of: &ClaimRef, size: &str) -> Notice {
    claim(
        of,
        EventKind::Normal,
        "VolumeResizeSuccessful",
        format!("Resize volume succeeded: it has {size}, and mounts show it at once"),
    )
}

/// A volume has not grown.
pub(super) fn resize_failed(of: &ClaimRef, text: &str) -> Notice {
    claim(
        of,
        EventKind::Warning,
        "VolumeResizeFailed",
        format!("resize volume failed: {text}"),
    )
}

/// A volume fares otherwise than it did.
pub(super) fn health(
    of: &ClaimRef,
    volume: &VolumeFact,
    state: HealthState,
    reason: &str,
) -> Notice {
    let (kind, word, tale) = match state {
        HealthState::Healthy => (
            EventKind::Normal,
            "VolumeHealthy",
            "all bricks serve again, and nothing waits to be healed",
        ),
        HealthState::Degraded => (
            EventKind::Warning,
            "VolumeDegraded",
            "it serves, with fewer copies than it should have",
        ),
        HealthState::Inaccessible => (
            EventKind::Warning,
            "VolumeInaccessible",
            "it does not serve",
        ),
        HealthState::DataLoss => (
            EventKind::Warning,
            "VolumeDataLoss",
            "files of it are lost or differ",
        ),
    };
    let attributes = volume.csi.as_ref().map(|csi| &csi.attributes);
    let name = attributes.and_then(|it| it.get("volume"));
    let name = name.unwrap_or(&volume.name);
    let because = if reason.is_empty() { "" } else { ": " };
    claim(
        of,
        kind,
        word,
        format!("volume {name}: {tale}{because}{reason}"),
    )
}

/// The volume of a PV cannot be deleted.
pub(super) fn delete_failed(volume: &VolumeFact, text: &str) -> Notice {
    Notice {
        regarding: Regarding {
            kind: "PersistentVolume",
            namespace: "".into(),
            name: volume.name.clone(),
            uid: volume.uid.clone(),
        },
        kind: EventKind::Warning,
        reason: "VolumeFailedDelete",
        note: format!("the volume is not deleted yet: {text}"),
    }
}
