//! What belongs to nothing goes.

use std::collections::BTreeSet;

use super::super::Manager;
use super::super::flows::{clear_bricks, forget_copies, mark};
use super::{Found, place};
use crate::storage::agent::api::{self, Host};
use crate::storage::gluster::{Record, Volume};

/// What glusterd has, whoever made it.
#[derive(Debug, Default)]
pub(super) struct Volumes {
    /// Hosts and paths.
    bricks: BTreeSet<(String, String)>,
    /// Ids of volumes of ours.
    ours: BTreeSet<String>,
    /// Names of those without a record.
    nobodys: BTreeSet<String>,
}

impl Volumes {
    pub(super) fn add(&mut self, volume: &Volume, record: Option<&Record>) {
        self.bricks.extend(volume.bricks.iter().map(place));
        match record {
            Some(record) => self.ours.insert(record.id.clone()),
            None => self.nobodys.insert(volume.name.clone()),
        };
    }
}

/// Why a brick that is part of no volume is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    /// Its volume was never finished, or was to go.
    Left,
    /// Its volume goes on without it: another brick is in its place.
    Replaced,
    /// Nobody knows: glusterd has no such volume, and nobody ordered it to go.
    Stranded,
}

fn why(brick: &api::BrickRecord, known: &Volumes) -> Why {
    match (brick.settled, known.ours.contains(&brick.volume)) {
        (false, _) => Why::Left,
        (true, true) => Why::Replaced,
        (true, false) => Why::Stranded,
    }
}

/// Removes bricks that are part of no volume.
pub(super) async fn bricks(manager: &Manager, known: &Volumes, found: &Found<'_>) {
    let mut gone = Vec::new();
    let mut replaced = Vec::new();
    let mut stranded = BTreeSet::new();
    for (place, (node, brick)) in found {
        let record = &brick.record;
        if known.bricks.contains(place) || manager.state().in_hand(&record.volume) {
            continue;
        }
        let (id, at) = (record.id.clone(), (*node).to_owned());
        match why(record, known) {
            Why::Left => gone.push((id, at)),
            Why::Replaced => replaced.push((id, at)),
            Why::Stranded => {
                if !manager.state().stranded.contains(&id) {
                    tracing::error!(
                        brick = &*id,
                        host = &*place.0,
                        path = &*place.1,
                        volume = &*record.volume_name,
                        "a brick holds a volume that glusterd does not have, and that nobody removed: has /var/lib/glusterd been lost? It is left alone; if it may go, write \"settled\": false into its record, brick_<id>.json on its device"
                    );
                }
                stranded.insert(id);
            }
        }
    }
    manager.state().stranded = stranded;
    if let Err(trouble) = mark(manager, replaced.iter().cloned(), false).await {
        tracing::warn!(%trouble, "bricks that were replaced are not removed yet");
        replaced.clear();
    }
    gone.extend(replaced);
    if !gone.is_empty() {
        tracing::info!(bricks = gone.len(), "removing bricks of no volume");
        clear_bricks(manager, gone).await;
    }
}

/// Removes copies that no volume tells of: their taking was interrupted, or
/// their removal was. Not on a host with bricks of a volume that glusterd does
/// not have, or whose record is lost: they may be that volume's.
pub(super) async fn copies(
    manager: &Manager,
    cluster: &str,
    hosts: &[(String, Host)],
    known: &BTreeSet<String>,
    volumes: &Volumes,
) {
    for (agent, host) in hosts {
        if host
            .node
            .as_ref()
            .is_none_or(|node| node.cluster != cluster)
        {
            continue;
        }
        let mut bricks = host.devices.iter().flat_map(|device| &device.bricks);
        let stranded = manager.state().stranded.clone();
        let lost = |brick: &api::BrickRecord| {
            brick.settled && volumes.nobodys.contains(&brick.volume_name)
        };
        if bricks.any(|brick| stranded.contains(&brick.record.id) || lost(&brick.record)) {
            continue;
        }
        let copies = host.devices.iter().flat_map(|device| &device.snapshots);
        let left: BTreeSet<&String> = copies.filter(|id| !known.contains(*id)).collect();
        for id in left {
            tracing::info!(agent, snapshot = &**id, "removing copies of no snapshot");
            forget_copies(manager, [agent.clone()], id).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_hold_somebodys_only_copy_is_not_removed() {
        let known = Volumes {
            ours: ["v".to_owned()].into(),
            ..Volumes::default()
        };
        for (volume, settled, expected) in [
            ("v", false, Why::Left),
            ("gone", false, Why::Left),
            ("v", true, Why::Replaced),
            ("gone", true, Why::Stranded),
        ] {
            let brick = api::BrickRecord {
                volume: volume.into(),
                settled,
                ..api::BrickRecord::default()
            };
            assert_eq!(why(&brick, &known), expected, "{volume} {settled}");
        }
    }
}
