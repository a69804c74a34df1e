//! Whether a Heketi has room for a volume, and on which host not (pure).
//!
//! Heketi puts the bricks of one set on distinct nodes, each on one device, and
//! divides a volume into several sets where one is too large. So there is room
//! for sure where enough nodes have a device with the whole brick, and none
//! where too few have a device with the smallest brick, 1 GiB.

use super::Finding;
use crate::storage::class::Class;
use crate::storage::heketi::wire::NodeInfo;

/// KiB in a GiB.
const GIB: u64 = 1 << 20;

/// Nodes that one set needs, and the size of a brick in KiB.
fn set(class: &Class, gib: u64) -> (usize, u64) {
    let durability = &class.durability;
    let of = |number: i64| usize::try_from(number).unwrap_or(1).max(1);
    let (nodes, parts) = match &*durability.kind {
        "replicate" => (of(durability.replicate.replica), 1),
        "disperse" => {
            let data = of(durability.disperse.data);
            (data + of(durability.disperse.redundancy), data)
        }
        _ => (1, 1),
    };
    let size = (gib * GIB).div_ceil(parts as u64) as f64 * f64::from(class.snapshot_factor);
    (nodes, size as u64)
}

/// The device with most room that may be used, in KiB.
fn room(node: &NodeInfo) -> u64 {
    if node.state != "online" {
        return 0;
    }
    let devices = node
        .devices
        .iter()
        .filter(|device| device.state == "online");
    devices.map(|device| device.storage.free).max().unwrap_or(0)
}

/// What there is to say about room for `gib` GiB.
pub(super) fn judge(class: &Class, gib: u64, nodes: &[NodeInfo]) -> Vec<Finding> {
    let (needed, brick) = set(class, gib);
    if nodes.is_empty() {
        return vec![Finding::wrong(
            "Heketi has no nodes in the clusters of this class; load a topology (heketi-cli topology load)",
        )];
    }
    let with = |least: u64| nodes.iter().filter(|node| room(node) >= least).count();
    let kind = &class.durability.kind;
    let each = shown(brick);
    let (whole, some) = (with(brick), with(GIB.min(brick)));
    let mut findings = Vec::new();
    if whole >= needed {
        findings.push(Finding::good(format!(
            "room: {kind} needs {each} on {needed} nodes, and {whole} have as much on one device"
        )));
        return findings;
    }
    findings.push(if some < needed {
        Finding::wrong(format!(
            "no room: {kind} needs bricks on {needed} nodes, and {some} have any room; add devices or nodes, or delete volumes"
        ))
    } else {
        Finding::note(format!(
            "little room: {kind} needs {each} on {needed} nodes, and {whole} have as much on one device; Heketi will try smaller bricks"
        ))
    });
    findings.extend(nodes.iter().map(|node| {
        let names = node.add.hostnames.manage.first().or(node.add.hostnames.storage.first());
        let offline = node.devices.iter().filter(|device| device.state != "online").count();
        Finding::note(format!(
            "node {} ({}, {}): {} free on the device with most, of {}, of which {offline} are not online",
            names.map_or("?", |name| name),
            node.id,
            node.state,
            shown(room(node)),
            node.devices.len()
        ))
    }));
    findings
}

fn shown(kib: u64) -> String {
    format!("{:.1} GiB", kib as f64 / GIB as f64)
}
