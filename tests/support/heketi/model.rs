//! What the stand-in keeps: clusters, nodes, devices, volumes, and operations
//! that take their time.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use loods::storage::heketi::loods::{Health, SnapshotInfo};
use loods::storage::heketi::wire::{
    BrickInfo, ClusterInfo, DeviceInfo, Hostnames, NodeAdd, NodeInfo, StorageSize, VolumeInfo,
};

/// KiB in a GiB.
pub(super) const GIB: u64 = 1 << 20;

/// A volume, and whether others see it: not while it is being made.
pub(super) struct Volume {
    pub(super) info: VolumeInfo,
    pub(super) visible: bool,
}

/// What an operation does when it ends well, and undoes when not.
pub(super) enum Change {
    Make(String),
    Grow(String, i64, Vec<BrickInfo>),
    Remove(String),
    Snapshot(SnapshotInfo),
    RemoveSnapshot(String),
    Nothing,
}

/// What its end says: at which path it stands, or that there is nothing.
pub(super) type End = Option<String>;

pub(super) struct Operation {
    /// As `/operations/pending` names it.
    pub(super) kind: &'static str,
    ends: Instant,
    change: Option<Change>,
    pub(super) fails: Option<&'static str>,
    pub(super) end: End,
}

impl Operation {
    pub(super) fn is_over(&self) -> bool {
        self.change.is_none()
    }
}

pub(super) struct Model {
    pub(super) clusters: BTreeMap<String, ClusterInfo>,
    pub(super) nodes: BTreeMap<String, NodeInfo>,
    pub(super) volumes: BTreeMap<String, Volume>,
    pub(super) snapshots: BTreeMap<String, SnapshotInfo>,
    /// By the volume's id; others fare well.
    pub(super) health: BTreeMap<String, Health>,
    pub(super) queue: BTreeMap<String, Operation>,
    pub(super) skew: i64,
    pub(super) slow: Duration,
    pub(super) in_flight: usize,
    pub(super) loods: bool,
    /// The next operation fails with this text.
    pub(super) fails: Option<&'static str>,
    ids: u64,
}

impl Model {
    pub(super) fn new() -> Self {
        let mut model = Self {
            clusters: BTreeMap::new(),
            nodes: BTreeMap::new(),
            volumes: BTreeMap::new(),
            snapshots: BTreeMap::new(),
            health: BTreeMap::new(),
            queue: BTreeMap::new(),
            skew: 0,
            slow: Duration::ZERO,
            in_flight: 8,
            loods: false,
            fails: None,
            ids: 0,
        };
        model.add_cluster(Some(500));
        model
    }

    /// 32 hexadecimal digits, the same in every run.
    pub(super) fn id(&mut self) -> String {
        self.ids += 1;
        // SplitMix64, twice: neighbours should not look alike.
        let mix = |seed: u64| {
            let mut z = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        };
        format!("{:016x}{:016x}", mix(self.ids), mix(self.ids + (1 << 32)))
    }

    pub(super) fn add_cluster(&mut self, gib: Option<u64>) -> String {
        let cluster = self.id();
        let info = ClusterInfo {
            id: cluster.clone(),
            block: true,
            file: true,
            ..ClusterInfo::default()
        };
        self.clusters.insert(cluster.clone(), info);
        for number in 1..=3 {
            let Some(gib) = gib else { break };
            let octet = 10 * self.clusters.len() + number;
            let node = self.add_node(NodeAdd {
                zone: number as i64,
                hostnames: Hostnames {
                    manage: vec![format!("node{octet}")],
                    storage: vec![format!("192.168.10.{octet}")],
                },
                cluster: cluster.clone(),
                tags: None,
            });
            self.add_device(&node, "/dev/sdb", gib);
        }
        cluster
    }

    pub(super) fn add_node(&mut self, add: NodeAdd) -> String {
        let id = self.id();
        if let Some(cluster) = self.clusters.get_mut(&add.cluster) {
            cluster.nodes.push(id.clone());
            cluster.nodes.sort();
        }
        let node = NodeInfo {
            add,
            id: id.clone(),
            state: "online".into(),
            devices: Vec::new(),
        };
        self.nodes.insert(id.clone(), node);
        id
    }

    pub(super) fn add_device(&mut self, node: &str, name: &str, gib: u64) {
        let id = self.id();
        let device = DeviceInfo {
            name: name.into(),
            storage: StorageSize {
                total: gib * GIB,
                free: gib * GIB,
                used: 0,
            },
            id,
            state: "online".into(),
            ..DeviceInfo::default()
        };
        if let Some(node) = self.nodes.get_mut(node) {
            node.devices.push(device);
        }
    }

    /// Operations that have not ended.
    pub(super) fn running(&self) -> impl Iterator<Item = (&String, &Operation)> {
        self.queue
            .iter()
            .filter(|(_, operation)| !operation.is_over())
    }

    /// Begins an operation; the path where its end is told.
    pub(super) fn begin(&mut self, kind: &'static str, change: Change, end: End) -> String {
        let id = self.id();
        let operation = Operation {
            kind,
            ends: Instant::now() + self.slow,
            change: Some(change),
            fails: self.fails.take(),
            end,
        };
        self.queue.insert(id.clone(), operation);
        format!("/queue/{id}")
    }

    /// Ends what is due.
    pub(super) fn advance(&mut self) {
        self.end_until(Instant::now());
    }

    /// Ends everything.
    pub(super) fn finish(&mut self) {
        self.end_until(Instant::now() + Duration::from_secs(86_400));
    }

    fn end_until(&mut self, now: Instant) {
        let mut due = Vec::new();
        for operation in self.queue.values_mut().filter(|o| o.ends <= now) {
            due.extend(
                operation
                    .change
                    .take()
                    .map(|change| (change, operation.fails)),
            );
        }
        for (change, fails) in due {
            match (change, fails) {
                (Change::Make(id), None) => {
                    if let Some(volume) = self.volumes.get_mut(&id) {
                        volume.visible = true;
                    }
                }
                (Change::Make(id), Some(_)) | (Change::Remove(id), None) => self.forget(&id),
                (Change::Grow(id, by, bricks), None) => {
                    if let Some(volume) = self.volumes.get_mut(&id) {
                        volume.info.size += by;
                        volume.info.bricks.extend(bricks);
                    }
                }
                (Change::Grow(_, _, bricks), Some(_)) => self.release(&bricks),
                (Change::Snapshot(snapshot), None) => {
                    self.snapshots.insert(snapshot.id.clone(), snapshot);
                }
                (Change::RemoveSnapshot(id), None) => {
                    self.snapshots.remove(&id);
                }
                _ => {}
            }
        }
    }

    fn forget(&mut self, id: &str) {
        if let Some(volume) = self.volumes.remove(id) {
            self.release(&volume.info.bricks);
            if let Some(cluster) = self.clusters.get_mut(&volume.info.cluster) {
                cluster.volumes.retain(|known| known != id);
            }
        }
    }

    fn release(&mut self, bricks: &[BrickInfo]) {
        for brick in bricks {
            let devices = self.nodes.values_mut().flat_map(|node| &mut node.devices);
            for device in devices.filter(|device| device.id == brick.device) {
                device.storage.used -= brick.size;
                device.storage.free += brick.size;
                device.bricks.retain(|known| known.id != brick.id);
            }
        }
    }
}
