//! The PV of a volume.

use std::collections::BTreeMap;

use super::step::Made;
use super::work::Plan;
use super::world::pv_name;
use crate::k8s::objects::ClaimRef;
use crate::k8s::volumes::VolumeWrite;
use crate::storage::DRIVER;
use crate::storage::class::{Auth, USER};

/// As the removed plugin would have written it, but for the source: that is
/// CSI's, since nothing else can be mounted today.
pub(super) fn volume(
    plan: &Plan,
    made: &Made,
    access_modes: &[Box<str>],
    claim: ClaimRef,
) -> VolumeWrite {
    let mut annotations: BTreeMap<Box<str>, Box<str>> = [
        ("pv.kubernetes.io/provisioned-by", DRIVER),
        ("kubernetes.io/createdby", "heketi-dynamic-provisioner"),
        ("gluster.org/type", "file"),
        (
            "Description",
            "Gluster-Internal: Dynamically provisioned PV",
        ),
        ("gluster.kubernetes.io/heketi-volume-id", &made.id),
    ]
    .map(|(key, value)| (key.into(), value.into()))
    .into();
    if made.gid != 0 {
        annotations.insert(
            "pv.beta.kubernetes.io/gid".into(),
            made.gid.to_string().into(),
        );
    }
    VolumeWrite {
        name: pv_name(&claim.uid),
        annotations,
        capacity: format!("{}Gi", made.gib).into(),
        access_modes: access_modes.to_vec(),
        reclaim_policy: plan.reclaim_policy.clone(),
        class: plan.class_name.clone(),
        mount_options: plan.mount_options.clone(),
        claim,
        handle: made.id.clone(),
        attributes: attributes(plan, made),
    }
}

/// What a node needs to mount it, and what we need to delete it when its class
/// is gone. Never a key.
fn attributes(plan: &Plan, made: &Made) -> BTreeMap<Box<str>, Box<str>> {
    let mut attributes: BTreeMap<Box<str>, Box<str>> = BTreeMap::new();
    let mut add = |key: &str, value: &str| {
        attributes.insert(key.into(), value.into());
    };
    add("volume", &made.name);
    add("hosts", &made.hosts.join(","));
    add("resturl", &plan.class.url);
    match &plan.class.auth {
        Auth::None => {}
        Auth::Key(_) => add("restuser", USER),
        Auth::Secret(secret) => {
            add("restuser", USER);
            add("secretName", &secret.name);
            add("secretNamespace", &secret.namespace);
        }
    }
    attributes
}
