//! What a claim may ask of a class.

use super::fault::{Faults, quoted};
use super::quantity;
use crate::k8s::objects::DataSource;

/// The parts of a claim's spec that may be wrong for us.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// `spec.accessModes`.
    pub access_modes: &'a [Box<str>],
    /// `spec.resources.requests.storage`, as written.
    pub request: &'a str,
    /// `spec.volumeMode` is Block.
    pub block: bool,
    /// `spec.selector` is set.
    pub selector: bool,
    /// `spec.dataSourceRef` or `spec.dataSource`.
    pub source: Option<&'a DataSource>,
}

/// The API group of VolumeSnapshots.
const SNAPSHOTS: &str = "snapshot.storage.k8s.io";

/// Modes that a shared file system can give.
const MODES: [&str; 4] = [
    "ReadWriteOnce",
    "ReadOnlyMany",
    "ReadWriteMany",
    "ReadWriteOncePod",
];

/// What Heketi can be asked for, in GiB: 32 bricks of 4 TiB.
const MOST_GIB: u64 = 32 * 4096;

/// The size in GiB, if everything else can be had too.
pub fn judge(asked: Asked<'_>) -> Result<u64, Faults> {
    let mut faults = Faults::default();
    modes(asked.access_modes, &mut faults);
    if asked.selector {
        faults.add("spec.selector", "claim Selector is not supported: a volume is made for this claim alone, and there is none to select; leave spec.selector out");
    }
    if asked.block {
        faults.add("spec.volumeMode", "GlusterFS does not support block volume provisioning: spec.volumeMode is Block; write Filesystem, or leave it out");
    }
    if let Some(source) = asked.source {
        data_source(source, &mut faults);
    }
    let gib = size(asked.request, &mut faults);
    faults.or(gib)
}

/// The kinds that a volume can begin with; an empty one in place of another
/// would look like lost files.
fn data_source(source: &DataSource, faults: &mut Faults) {
    if is_claim(source) || is_snapshot(source) {
        if let Some(namespace) = &source.namespace {
            faults.add("spec.dataSourceRef", format!(
                "spec.dataSourceRef names {} in namespace {}: a volume begins with what its own namespace has; leave namespace out",
                source.kind, quoted(namespace)
            ));
        }
        return;
    }
    faults.add("spec.dataSource", format!(
        "spec.dataSource is a {} of group {}: a volume begins with a PersistentVolumeClaim, or a VolumeSnapshot of group {SNAPSHOTS}; name one, or leave it out",
        quoted(&source.kind), quoted(&source.group)
    ));
}

/// A clone of a claim's volume is wished for.
pub fn is_claim(source: &DataSource) -> bool {
    &*source.kind == "PersistentVolumeClaim" && source.group.is_empty()
}

/// A snapshot's content is wished for.
pub fn is_snapshot(source: &DataSource) -> bool {
    &*source.kind == "VolumeSnapshot" && &*source.group == SNAPSHOTS
}

fn modes(modes: &[Box<str>], faults: &mut Faults) {
    const FIELD: &str = "spec.accessModes";
    if modes.is_empty() {
        faults.add(
            FIELD,
            "spec.accessModes is empty; write for example ReadWriteMany",
        );
    }
    for mode in modes {
        if !MODES.contains(&&**mode) {
            faults.add(
                FIELD,
                format!(
                    "invalid AccessModes {}: only AccessModes {} are supported",
                    quoted(mode),
                    MODES.join(", ")
                ),
            );
        }
    }
    // The API server says so too; a file of objects has no API server.
    if modes.len() > 1 && modes.iter().any(|mode| &**mode == "ReadWriteOncePod") {
        faults.add(
            FIELD,
            "spec.accessModes has ReadWriteOncePod and others; it can only stand alone",
        );
    }
}

fn size(request: &str, faults: &mut Faults) -> u64 {
    const FIELD: &str = "spec.resources.requests.storage";
    let gib = quantity::bytes(request).map(quantity::gib);
    match gib {
        Some(gib @ 1..=MOST_GIB) => gib,
        Some(0) => {
            faults.add(
                FIELD,
                format!(
                    "{FIELD} is {}: a volume has at least 1Gi; write for example 2Gi",
                    quoted(request)
                ),
            );
            0
        }
        Some(gib) => {
            faults.add(FIELD, format!(
                "{FIELD} is {}: {gib} GiB are more than the {MOST_GIB} GiB that one volume can have (32 bricks of 4 TiB); ask for less",
                quoted(request)
            ));
            0
        }
        None => {
            faults.add(
                FIELD,
                format!(
                    "{FIELD} is {}: not a size; write for example 2Gi",
                    quoted(request)
                ),
            );
            0
        }
    }
}
