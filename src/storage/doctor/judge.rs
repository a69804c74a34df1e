//! What a claim, its class, its Secret and its Events say (pure).

use super::Finding;
use crate::k8s::client::ApiError;
use crate::k8s::objects::{ClaimFact, ClassFact};
use crate::k8s::volumes::{ClassStanding, SecretFact, Told};
use crate::storage::class::claim::{Asked, judge};
use crate::storage::class::{Class, SecretName, key_of};
use crate::storage::{DRIVER, IN_TREE};

/// What kube-controller-manager says of a class whose plugin it lost.
const NO_PLUGIN: &str = "no volume plugin matched";

/// Events that are shown, the latest.
const SHOWN: usize = 5;

/// What the claim itself says; `Err`: nothing further need be looked at.
pub(super) fn claim(claim: &ClaimFact) -> Result<Vec<Finding>, Vec<Finding>> {
    let mut findings = Vec::new();
    if claim.bound {
        return Err(vec![Finding::good(format!(
            "it is Bound, to PersistentVolume {}, with {}",
            claim.volume, claim.capacity
        ))]);
    }
    if claim.deleting {
        let why = if claim.marked {
            "it is being deleted, and stays until the volume that was begun for it is gone"
        } else {
            "it is being deleted"
        };
        findings.push(Finding::note(why));
    }
    if !claim.volume.is_empty() {
        return Err(vec![Finding::wrong(format!(
            "spec.volumeName is {:?}: it waits for that PersistentVolume and no other; make it, or delete the claim and make it again without",
            claim.volume
        ))]);
    }
    match claim.class.as_deref() {
        None => Err(vec![Finding::wrong(
            "it names no StorageClass, and there was no default class when it was made; write spec.storageClassName, in a claim made anew",
        )]),
        Some("") => Err(vec![Finding::wrong(
            "its StorageClass is \"\": it waits for a PersistentVolume that a person makes; name a class, in a claim made anew",
        )]),
        Some(_) => Ok(findings),
    }
}

/// What the class says: understood, if it is served and right.
pub(super) fn class(
    name: &str,
    standing: &ClassStanding,
    served: &[Box<str>],
    manager: Option<&str>,
) -> Result<(Vec<Finding>, Class), Vec<Finding>> {
    let fact: &ClassFact = match standing {
        ClassStanding::Absent => {
            return Err(vec![Finding::wrong(format!(
                "there is no StorageClass {name:?}; make it, and the claim goes on by itself"
            ))]);
        }
        ClassStanding::Foreign => {
            return Err(vec![Finding::wrong(format!(
                "StorageClass {name} is of another provisioner: {DRIVER} serves {}",
                served.join(" and ")
            ))]);
        }
        ClassStanding::Served(fact) => fact,
    };
    match Class::read(&fact.provisioner, &fact.parameters, manager) {
        Err(faults) => {
            let wrong = |fault| Finding::wrong(format!("StorageClass {name}: {fault}"));
            Err(faults.iter().map(wrong).collect())
        }
        Ok(class) => {
            let mut findings = vec![Finding::good(format!(
                "StorageClass {name}, provisioner {}: volumes from {}",
                fact.provisioner, class.url
            ))];
            if class.may_split() {
                findings.push(Finding::note(format!(
                    "StorageClass {name} keeps two copies and nobody to decide between them (split-brain); volumetype replicate:3 has no such doubt"
                )));
            }
            Ok((findings, class))
        }
    }
}

/// What the claim wants, in GiB.
pub(super) fn wanted(claim: &ClaimFact) -> Result<u64, Vec<Finding>> {
    let asked = Asked {
        access_modes: &claim.access_modes,
        request: &claim.request,
        block: claim.block,
        selector: claim.selector,
        source: claim.source.as_ref(),
    };
    judge(asked).map_err(|faults| {
        let wrong = |fault: &_| Finding::wrong(format!("{fault}"));
        faults.iter().map(wrong).collect()
    })
}

/// Whether it waits for a pod.
pub(super) fn consumer(claim: &ClaimFact, standing: &ClassStanding) -> Option<Finding> {
    let ClassStanding::Served(class) = standing else {
        return None;
    };
    (class.waits_for_consumer && !claim.node_chosen).then(|| {
        Finding::wrong(format!(
            "StorageClass {} has volumeBindingMode WaitForFirstConsumer: the claim waits until a pod that uses it is scheduled; make the pod, or look at why it is Pending",
            class.name
        ))
    })
}

/// The key, or why there is none.
pub(super) fn secret(
    name: &SecretName,
    read: &Result<SecretFact, ApiError>,
) -> (Vec<Finding>, Option<Vec<u8>>) {
    let secret = match read {
        Ok(secret) => secret,
        Err(error) => {
            let finding = match error.code() {
                Some(404) => Finding::wrong(format!(
                    "there is no Secret {name}; make it, of type {IN_TREE}, with the admin key of Heketi under `key`"
                )),
                // The doctor's rights are not the controller's.
                Some(403) => Finding::note(format!(
                    "Secret {name} may not be read by whoever runs this; Heketi is looked at without a token ({error})"
                )),
                _ => Finding::wrong(format!("Secret {name}: {error}")),
            };
            return (vec![finding], None);
        }
    };
    match key_of(name, &secret.kind, &secret.entries) {
        Err(trouble) => (vec![Finding::wrong(trouble)], None),
        Ok(key) => {
            let mut findings = vec![Finding::good(format!("Secret {name} has a key"))];
            if key.trim_ascii().len() != key.len() {
                findings.push(Finding::wrong(format!(
                    "the key in Secret {name} has blanks or a line end at its end, which count; `echo` writes one, `printf %s` does not"
                )));
            }
            (findings, Some(key.to_vec()))
        }
    }
}

/// Whether anybody of ours has seen the claim, and what was told of it.
pub(super) fn told(claim: &ClaimFact, told: &[Told]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let ours = |told: &Told| told.by.starts_with("loods") || &*told.by == DRIVER;
    if !claim.marked && !claim.told && !told.iter().any(ours) {
        findings.push(Finding::wrong(
            "no controller of Loods has touched this claim: look whether `loods storage controller` runs and leads (its log, its Lease), and whether it serves this provisioner",
        ));
    }
    let (ignored, rest): (Vec<_>, Vec<_>) = told
        .iter()
        .partition(|told| told.message.contains(NO_PLUGIN));
    for told in &rest[rest.len().saturating_sub(SHOWN)..] {
        findings.push(Finding::note(format!(
            "told {} ({}x, by {}): {} {}",
            told.last, told.count, told.by, told.reason, told.message
        )));
    }
    if !ignored.is_empty() {
        findings.push(Finding::note(format!(
            "the Warning \"{NO_PLUGIN} name: {IN_TREE}\" is kube-controller-manager's, which lost its plugin in 1.26; it can be ignored"
        )));
    }
    findings
}
