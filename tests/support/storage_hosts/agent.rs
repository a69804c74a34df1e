//! What an agent does, without disks.

use super::{Brick, Device, Host, World};
use loods::storage::agent::api::Request;
use loods::storage::agent::api::{
    self, BrickKind, BrickRecord, DeviceRecord, Failure, FailureKind, Reply,
};
use loods::storage::heketi::wire::StorageSize;

fn failed(kind: FailureKind, message: impl Into<String>) -> Reply {
    let message = message.into();
    Reply::Failed(Failure { kind, message })
}

impl World {
    /// The reply of an agent; `None`: there is nobody.
    pub(super) fn answer(&mut self, name: &str, request: &Request) -> Option<Reply> {
        let host = self.hosts.get_mut(name)?;
        let host = Some(host).filter(|host| !host.away && !host.mute)?;
        Some(match request {
            Request::Ping => Reply::Done,
            Request::Look => Reply::Host(api::Host {
                node: host.node.clone(),
                devices: host.devices.values().map(shown).collect(),
                gluster: "10.3".into(),
            }),
            Request::PutNode(node) => {
                host.node.clone_from(node);
                Reply::Done
            }
            Request::PutDevice(record) => host.put_device(record),
            Request::RemoveDevice { id } => {
                let held = host.devices.get(id);
                if held.is_some_and(|held| !held.bricks.is_empty() || !held.copies.is_empty()) {
                    return Some(failed(FailureKind::Busy, "the device still has bricks"));
                }
                host.devices.remove(id);
                Reply::Done
            }
            Request::MakeBrick(record) => host.make_brick(record),
            Request::GrowBrick { id, size } => host.grow_brick(id, *size),
            Request::MarkBrick { id, settled } => host.mark_brick(id, *settled),
            Request::RemoveBrick { id } => self.remove_brick(name, id),
            Request::SnapshotBricks { bricks, snapshot } => host.copy_bricks(bricks, snapshot),
            Request::RemoveSnapshot { snapshot } => {
                for device in host.devices.values_mut() {
                    device.copies.retain(|(of, _), _| of != snapshot);
                }
                Reply::Done
            }
            Request::Gluster(command) => Reply::Gluster(self.gluster(name, command)),
        })
    }

    fn remove_brick(&mut self, name: &str, id: &str) -> Reply {
        let Some(host) = self.hosts.get(name) else {
            return Reply::Done;
        };
        let mut devices = host.devices.values();
        let Some(device) = devices.find(|device| device.bricks.contains_key(id)) else {
            return Reply::Done;
        };
        if device.bricks[id].record.settled {
            return failed(FailureKind::Busy, format!("brick {id} is settled"));
        }
        let path = format!("{}/brick_{id}/brick", device.record.name);
        let place = (host.storage.clone(), path);
        let mut volumes = self.pools.get(&host.pool).into_iter().flatten();
        if let Some((volume, _)) = volumes.find(|(_, volume)| volume.bricks.contains(&place)) {
            let text = format!("brick {id} is part of volume {volume}");
            return failed(FailureKind::Busy, text);
        }
        let device = device.record.id.clone();
        let host = self.hosts.get_mut(name);
        if let Some(device) = host.and_then(|host| host.devices.get_mut(&device)) {
            device.bricks.remove(id);
        }
        Reply::Done
    }
}

impl Host {
    fn put_device(&mut self, record: &DeviceRecord) -> Reply {
        let mut others = self.devices.values();
        let same_place = others.find(|device| device.record.name == record.name);
        if let Some(other) = same_place.filter(|other| other.record.id != record.id) {
            let text = format!("{} is device {} already", record.name, other.record.id);
            return failed(FailureKind::Invalid, text);
        }
        let (total, loops) = (self.total, record.kind == BrickKind::Loop);
        let reflink = self.reflink && loops;
        let device = self
            .devices
            .entry(record.id.clone())
            .or_insert_with(|| Device {
                total,
                reflink,
                ..Device::default()
            });
        device.record = record.clone();
        Reply::Done
    }

    fn make_brick(&mut self, record: &BrickRecord) -> Reply {
        let Some(device) = self.devices.get_mut(&record.device) else {
            return failed(FailureKind::NotFound, "no such device");
        };
        if !device.bricks.contains_key(&record.id) {
            if free(device) < record.size {
                return failed(FailureKind::NoSpace, "the device is full");
            }
            let content = match &record.source {
                None => String::new(),
                Some((snapshot, brick)) => {
                    let copy = device.copies.get(&(snapshot.clone(), brick.clone()));
                    let Some(copy) = copy else {
                        return failed(FailureKind::NotFound, "the snapshot has no copy here");
                    };
                    copy.content.clone()
                }
            };
            let made = Brick {
                record: record.clone(),
                content,
            };
            device.bricks.insert(record.id.clone(), made);
        }
        let path = format!("{}/brick_{}/brick", device.record.name, record.id);
        let record = device.bricks[&record.id].record.clone();
        Reply::Brick(api::Brick { record, path })
    }

    fn grow_brick(&mut self, id: &str, size: u64) -> Reply {
        let mut devices = self.devices.values_mut();
        let Some(device) = devices.find(|device| device.bricks.contains_key(id)) else {
            return failed(
                FailureKind::NotFound,
                format!("brick {id} is not on this host"),
            );
        };
        let free = free(device);
        if let Some(brick) = device.bricks.get_mut(id) {
            if size.saturating_sub(brick.record.size) > free {
                return failed(FailureKind::NoSpace, "the device is full");
            }
            brick.record.size = brick.record.size.max(size);
        }
        Reply::Done
    }

    fn mark_brick(&mut self, id: &str, settled: bool) -> Reply {
        let mut devices = self.devices.values_mut();
        let Some(brick) = devices.find_map(|device| device.bricks.get_mut(id)) else {
            return failed(
                FailureKind::NotFound,
                format!("brick {id} is not on this host"),
            );
        };
        brick.record.settled = settled;
        Reply::Done
    }

    fn copy_bricks(&mut self, bricks: &[String], snapshot: &str) -> Reply {
        for id in bricks {
            let mut devices = self.devices.values_mut();
            let Some(device) = devices.find(|device| device.bricks.contains_key(id)) else {
                return failed(
                    FailureKind::NotFound,
                    format!("brick {id} is not on this host"),
                );
            };
            if !device.reflink {
                return failed(FailureKind::Unsupported, "no reflink");
            }
            let copy = device.bricks[id].clone();
            device.copies.insert((snapshot.into(), id.clone()), copy);
        }
        Reply::Done
    }
}

/// What a device may still promise, in KiB.
pub fn free(device: &Device) -> u64 {
    let used: u64 = device.bricks.values().map(|brick| brick.record.size).sum();
    device.total.saturating_sub(used)
}

fn shown(device: &Device) -> api::Device {
    let snapshots: std::collections::BTreeSet<&String> =
        device.copies.keys().map(|(snapshot, _)| snapshot).collect();
    api::Device {
        record: device.record.clone(),
        space: StorageSize {
            total: device.total,
            free: free(device),
            used: device.total - free(device),
        },
        reflink: device.reflink,
        bricks: device
            .bricks
            .values()
            .map(|brick| api::Brick {
                record: brick.record.clone(),
                path: format!("{}/brick_{}/brick", device.record.name, brick.record.id),
            })
            .collect(),
        snapshots: snapshots.into_iter().cloned().collect(),
    }
}
