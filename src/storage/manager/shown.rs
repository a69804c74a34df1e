//! What there is, as Heketi's API shows it; pure.

use std::collections::BTreeMap;

use super::state::{Device, State};
use crate::storage::heketi::wire::{
    ClusterInfo, DeviceInfo, GlusterfsMount, Hostnames, Mount, NodeAdd, NodeInfo, Tags, VolumeInfo,
};

impl State {
    /// GET /clusters/{id}.
    pub fn cluster_info(&self, id: &str) -> Option<ClusterInfo> {
        let cluster = self.clusters.get(id)?;
        let volumes = self.volumes.iter();
        Some(ClusterInfo {
            id: id.into(),
            nodes: self
                .nodes_of(id)
                .map(|node| node.record.id.clone())
                .collect(),
            volumes: volumes
                .filter(|(_, volume)| volume.record.cluster == id)
                .map(|(id, _)| id.clone())
                .collect(),
            block: cluster.block,
            file: cluster.file,
            blockvolumes: Vec::new(),
        })
    }

    /// GET /nodes/{id}.
    pub fn node_info(&self, id: &str) -> Option<NodeInfo> {
        let node = self.nodes.get(id)?;
        let devices = self.devices.values().filter(|device| device.node == id);
        let mut devices: Vec<DeviceInfo> = devices.map(|device| self.shown(device)).collect();
        devices.sort_by(|one, other| one.name.cmp(&other.name));
        Some(NodeInfo {
            add: NodeAdd {
                zone: node.record.zone,
                hostnames: Hostnames {
                    manage: node.record.manage.clone(),
                    storage: node.record.storage.clone(),
                },
                cluster: node.record.cluster.clone(),
                tags: some(&node.record.tags),
            },
            id: id.into(),
            state: node.record.state.clone(),
            devices,
        })
    }

    /// GET /devices/{id}.
    pub fn device_info(&self, id: &str) -> Option<DeviceInfo> {
        self.devices.get(id).map(|device| self.shown(device))
    }

    fn shown(&self, device: &Device) -> DeviceInfo {
        let bricks = self.volumes.values().flat_map(|volume| &volume.bricks);
        DeviceInfo {
            name: device.record.name.clone(),
            storage: device.space,
            tags: some(&device.record.tags),
            id: device.record.id.clone(),
            state: device.record.state.clone(),
            bricks: bricks
                .filter(|brick| brick.info.device == device.record.id)
                .map(|brick| brick.info.clone())
                .collect(),
        }
    }

    /// GET /volumes/{id}.
    pub fn volume_info(&self, id: &str) -> Option<VolumeInfo> {
        let volume = self.volumes.get(id)?;
        let record = &volume.record;
        let hosts = self.storage_hosts(&record.cluster);
        let (first, others) = match hosts.split_first() {
            Some((first, others)) => (first.clone(), others.join(",")),
            None => (String::new(), String::new()),
        };
        // As Heketi pads them.
        let options = std::iter::once(String::new())
            .chain(record.options.iter().cloned())
            .chain([String::new()]);
        Some(VolumeInfo {
            size: record.size,
            name: volume.name.clone(),
            durability: record.durability.clone(),
            gid: record.gid,
            glustervolumeoptions: options.collect(),
            snapshot: record.snapshot,
            id: id.into(),
            cluster: record.cluster.clone(),
            mount: Mount {
                glusterfs: GlusterfsMount {
                    device: format!("{first}:{}", volume.name),
                    hosts,
                    options: [("backup-volfile-servers".into(), others)].into(),
                },
            },
            blockinfo: BTreeMap::new(),
            bricks: volume
                .bricks
                .iter()
                .map(|brick| brick.info.clone())
                .collect(),
        })
    }
}

fn some(tags: &Tags) -> Option<Tags> {
    (!tags.is_empty()).then(|| tags.clone())
}
