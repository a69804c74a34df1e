//! What there is: clusters, nodes, devices, bricks and volumes; pure.
//!
//! Filled by `rebuild` from what agents report, and by each operation as it
//! ends. Space that an operation under way has been promised is taken from its
//! device at once, so that two operations never count on the same.

use std::collections::{BTreeMap, BTreeSet};

use super::placement::{Room, Slot};
use super::validate::TagRule;
use crate::storage::agent::api::{DeviceRecord, NodeRecord};
use crate::storage::gluster::{self, Record, SnapshotRecord};
use crate::storage::heketi::loods::SnapshotInfo;
use crate::storage::heketi::wire::{BrickInfo, StorageSize};

/// A cluster: storage hosts whose glusterds are peers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cluster {
    /// Takes file volumes: without it none is made here.
    pub file: bool,
    /// What Heketi calls block volumes, which we do not make.
    pub block: bool,
}

/// A storage host.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Node {
    /// As it is kept on the host.
    pub record: NodeRecord,
    /// Where its agent was asked.
    pub agent: String,
    /// Whether its agent answered the last time.
    pub there: bool,
    /// Since when it does not.
    pub away: Option<tokio::time::Instant>,
    /// How many peers its glusterd had joined with then, itself among them.
    pub peers: usize,
}

/// A device of a storage host.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Device {
    /// As it is kept on the host.
    pub record: DeviceRecord,
    /// Id of its node.
    pub node: String,
    /// In KiB; `free` is less what was promised since.
    pub space: StorageSize,
    /// Whether it makes reflinks.
    pub reflink: bool,
}

/// A brick of a volume.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Brick {
    /// As it is shown.
    pub info: BrickInfo,
    /// Where glusterd has it.
    pub host: String,
}

impl Brick {
    /// Why nothing can be done with it but replace it; `None`: an agent has it.
    pub fn is_out_of_reach(&self) -> Option<String> {
        self.info.device.is_empty().then(|| {
            format!(
                "an old brick, which loods storage adopt --apply --replace-bricks puts one of ours in the place of, or one whose host is away: {}:{}",
                self.host, self.info.path
            )
        })
    }
}

/// A volume.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Volume {
    /// Its name in Gluster.
    pub name: String,
    /// What was asked for.
    pub record: Record,
    /// In Gluster's order.
    pub bricks: Vec<Brick>,
    /// Its snapshots, by id.
    pub snapshots: BTreeMap<String, SnapshotRecord>,
    /// What Gluster's quota keeps it to, in KiB; `None`: its bricks keep its size.
    pub limit: Option<u64>,
}

impl Volume {
    /// Whether glusterd's volume of its name is this one. Its bricks tell, and not
    /// its record: a glusterd that was away when the options were set may not have
    /// heard of them yet, and people may take them away.
    pub fn shares_a_brick(&self, there: &gluster::Volume) -> bool {
        there.bricks.iter().any(|brick| {
            let mut ours = self.bricks.iter();
            ours.any(|own| (&own.host, &own.info.path) == (&brick.host, &brick.path))
        })
    }
}

/// Everything.
#[derive(Clone, Debug, Default)]
pub struct State {
    /// By id.
    pub clusters: BTreeMap<String, Cluster>,
    /// By id.
    pub nodes: BTreeMap<String, Node>,
    /// By id.
    pub devices: BTreeMap<String, Device>,
    /// By id.
    pub volumes: BTreeMap<String, Volume>,
    /// Names of volumes that are being made, and their ids.
    pub making: BTreeMap<String, String>,
    /// Ids of volumes that an operation works on: one at a time.
    pub busy: BTreeSet<String>,
    /// Ids of volumes whose removal was ordered: until a look has found one of
    /// them still there, nobody may count on it.
    pub leaving: BTreeSet<String>,
    /// Ids of snapshots that no volume tells of yet, and their names; "" for copies
    /// that are made for a clone, of which none ever tells.
    pub taking: BTreeMap<String, String>,
    /// States of nodes and devices whose hosts are away and have not heard of them
    /// yet, by id.
    pub owed: BTreeMap<String, String>,
    /// Ids of bricks that hold a volume which glusterd does not have.
    pub stranded: BTreeSet<String>,
    /// Ids of volumes, nodes and devices that were changed, or that an operation
    /// works or worked on, since the last look began: what it saw of them is old.
    touched: BTreeSet<String>,
    /// Devices whose room changed since then.
    moved: BTreeSet<String>,
    /// Operations were under way when it began.
    moving: bool,
}

impl State {
    /// Nodes of a cluster, by id.
    pub fn nodes_of<'a>(&'a self, cluster: &'a str) -> impl Iterator<Item = &'a Node> {
        let all = self.nodes.values();
        all.filter(move |node| node.record.cluster == cluster)
    }

    /// A look at all hosts begins.
    pub fn begin_look(&mut self) {
        self.touched = self.making.values().chain(&self.busy).cloned().collect();
        self.moving = !self.touched.is_empty();
        self.moved.clear();
    }

    /// Whether what the last look saw of this volume, node or device is old.
    pub fn in_hand(&self, id: &str) -> bool {
        self.touched.contains(id)
    }

    /// Whether what it saw of a device's room is old.
    pub fn moves(&self, device: &str) -> bool {
        self.moving || self.moved.contains(device)
    }

    /// A node or a device is another one now.
    pub fn touch(&mut self, id: &str) {
        self.touched.insert(id.into());
    }

    /// A node or a device has another state, which its host does not know.
    pub fn owe(&mut self, id: &str, wanted: &str) {
        self.owed.insert(id.into(), wanted.into());
        if let Some(device) = self.devices.get_mut(id) {
            device.record.state = wanted.into();
        }
        if let Some(node) = self.nodes.get_mut(id) {
            node.record.state = wanted.into();
        }
    }

    /// A volume of this name is being made.
    pub fn begin_making(&mut self, name: &str, id: &str) {
        self.making.insert(name.into(), id.into());
        self.touched.insert(id.into());
    }

    /// Keeps a volume for one operation; false: another has it.
    pub fn hold(&mut self, volume: &str) -> bool {
        self.touched.insert(volume.into());
        self.busy.insert(volume.into())
    }

    /// Notes that an agent does not answer; whether that is new.
    pub fn set_away(&mut self, agent: &str, now: tokio::time::Instant) -> bool {
        let nodes = self.nodes.values_mut();
        let gone = nodes.filter(|node| node.agent == agent && node.there);
        gone.fold(false, |_, node| {
            node.there = false;
            node.away = Some(now);
            true
        })
    }

    /// Storage addresses of a cluster's hosts that are away since `since` or later.
    pub fn lost(&self, cluster: &str, since: tokio::time::Instant) -> Vec<String> {
        let nodes = self.nodes_of(cluster);
        let lost = nodes.filter(|node| !node.there && node.away.is_some_and(|at| at >= since));
        lost.filter_map(|node| node.record.storage.first().cloned())
            .collect()
    }

    /// The agent that a cluster's glusterd is asked by.
    pub fn agent_for(&self, cluster: &str) -> Option<String> {
        self.agents_of(cluster).into_iter().next()
    }

    /// The agents of a cluster that are there, the best to ask first. A glusterd that
    /// has lost its state has no peers and knows no volume, and one that was killed may
    /// stay half a peer until it is started again: the one that has joined most is
    /// believed.
    pub fn agents_of(&self, cluster: &str) -> Vec<String> {
        let mut nodes: Vec<&Node> = self.nodes_of(cluster).filter(|node| node.there).collect();
        nodes.sort_by_key(|node| {
            let online = node.record.state == "online";
            (!online, std::cmp::Reverse(node.peers), &node.record.id)
        });
        nodes.into_iter().map(|node| node.agent.clone()).collect()
    }

    /// With how many peers the glusterd of this agent says it has joined.
    pub fn set_peers(&mut self, agent: &str, peers: usize) {
        let mut nodes = self.nodes.values_mut();
        if let Some(node) = nodes.find(|node| node.agent == agent) {
            node.peers = peers;
        }
    }

    /// Every address or name under which bricks of a cluster are served.
    pub fn storage_hosts(&self, cluster: &str) -> Vec<String> {
        let nodes = self.nodes_of(cluster);
        nodes
            .filter_map(|node| node.record.storage.first().cloned())
            .collect()
    }

    /// Devices of a cluster that may take bricks now.
    pub fn rooms(&self, cluster: &str, rules: &[TagRule]) -> Vec<Room> {
        let devices = self.devices.values().filter_map(|device| {
            let node = self.nodes.get(&device.node)?;
            let usable = node.there
                && node.record.cluster == cluster
                && node.record.state == "online"
                && device.record.state == "online";
            let tag = |key: &str| {
                let own = device.record.tags.get(key);
                own.or_else(|| node.record.tags.get(key))
                    .map(String::as_str)
            };
            let matches = rules.iter().all(|rule| rule.admits(tag));
            (usable && matches).then(|| Room {
                device: device.record.id.clone(),
                node: device.node.clone(),
                zone: node.record.zone,
                free: device.space.free,
                content: tag("arbiter") != Some("required"),
                arbiter: tag("arbiter") != Some("disabled"),
            })
        });
        devices.collect()
    }

    /// Takes the room of new bricks.
    pub fn promise(&mut self, slots: &[Slot]) {
        for slot in slots {
            self.shift(&slot.device, slot.size, 0);
        }
    }

    /// Gives room back.
    pub fn give_back<'a>(&mut self, bricks: impl IntoIterator<Item = (&'a str, u64)>) {
        for (device, size) in bricks {
            self.shift(device, 0, size);
        }
    }

    fn shift(&mut self, device: &str, take: u64, give: u64) {
        self.moved.insert(device.into());
        if let Some(device) = self.devices.get_mut(device) {
            let space = &mut device.space;
            space.free = (space.free + give).saturating_sub(take).min(space.total);
            space.used = space.total - space.free;
        }
    }

    /// A volume by its name.
    pub fn volume_named(&self, name: &str) -> Option<&Volume> {
        self.volumes.values().find(|volume| volume.name == name)
    }

    /// A snapshot by its id, and its volume.
    pub fn snapshot(&self, id: &str) -> Option<(&Volume, &SnapshotRecord)> {
        let mut volumes = self.volumes.values();
        volumes.find_map(|volume| Some((volume, volume.snapshots.get(id)?)))
    }

    /// All snapshots, in order of their ids.
    pub fn snapshot_infos(&self) -> Vec<SnapshotInfo> {
        let volumes = self.volumes.values();
        let all = volumes.flat_map(|volume| {
            let shown = |(id, taken): (&String, &SnapshotRecord)| SnapshotInfo {
                id: id.clone(),
                name: taken.name.clone(),
                volume: volume.record.id.clone(),
                size: taken.size,
                gid: volume.record.gid,
                created: taken.created.clone(),
            };
            volume.snapshots.iter().map(shown)
        });
        let mut all: Vec<SnapshotInfo> = all.collect();
        all.sort_by(|one, other| one.id.cmp(&other.id));
        all
    }
}
