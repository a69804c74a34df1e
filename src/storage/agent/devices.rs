//! Devices: directories that hold bricks.
//!
//! A device's record lies in it, so that a disk that is moved or not mounted
//! is noticed. In the agent's state directory a copy for each says where to
//! look.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::api::{Brick, BrickKind, BrickRecord, Device, DeviceRecord, Failure};
use super::layout::{DEVICE, Entry, Place, entry};
use super::program::{SOON, run};
use super::space::{self, Held};
use super::{bricks, files, loops};
use crate::storage::gluster::name;
use crate::storage::heketi::wire::StorageSize;

/// All devices of a host.
#[derive(Debug)]
pub(super) struct Devices {
    /// A copy of each record, `<id>.json`.
    index: PathBuf,
    /// Devices lie below one of these.
    allow: Vec<PathBuf>,
    /// Which can share blocks; tried once in an agent's life.
    reflinks: Mutex<BTreeMap<PathBuf, bool>>,
    /// Which have less room than was promised; said once.
    short: Mutex<BTreeSet<PathBuf>>,
}

impl Devices {
    pub(super) fn open(state: &Path, allow: Vec<PathBuf>) -> Result<Self, Failure> {
        let index = state.join("devices");
        files::make_directory(&index, 0o700)?;
        Ok(Self {
            index,
            allow,
            reflinks: Mutex::default(),
            short: Mutex::default(),
        })
    }

    fn copy(&self, id: &str) -> PathBuf {
        self.index.join(format!("{id}.json"))
    }

    /// The records' copies, by id.
    pub(super) fn known(&self) -> Result<Vec<DeviceRecord>, Failure> {
        let mut known = Vec::new();
        for file in files::names(&self.index)? {
            let id = file.strip_suffix(".json");
            if id.is_none_or(|id| name::id(id).is_err()) {
                continue;
            }
            known.extend(files::load::<DeviceRecord>(&self.index.join(&file))?);
        }
        Ok(known)
    }

    /// A device by its id, with the record that lies in it.
    pub(super) fn present(&self, id: &str) -> Result<DeviceRecord, Failure> {
        name::id(id)?;
        let Some(copy) = files::load::<DeviceRecord>(&self.copy(id))? else {
            return Err(Failure::not_found(format!(
                "device {id} is not on this host"
            )));
        };
        check_in_place(&copy)
    }

    /// Takes a device, or writes its record anew. What it is made of stays.
    pub(super) async fn put(&self, mut record: DeviceRecord) -> Result<(), Failure> {
        name::id(&record.id)?;
        let path = self.admit(&record.name)?;
        let file = path.join(DEVICE);
        match files::load::<DeviceRecord>(&file)? {
            Some(old) if old.id != record.id => {
                return Err(Failure::invalid(format!(
                    "{} is device {} already: remove that one first, or take another directory",
                    record.name, old.id
                )));
            }
            Some(old) => record.kind = old.kind,
            None => {
                check_empty(&path)?;
                self.check_not_nested(&record)?;
                if record.kind == BrickKind::Loop
                    && let Err(failure) = loops::work_in(&path).await
                {
                    tracing::warn!(
                        device = record.name, %failure,
                        "no loop bricks here: bricks will be directories, their sizes kept by Gluster's quota"
                    );
                    record.kind = BrickKind::Directory;
                }
                // Bricks hold everybody's files: whoever has an account on this
                // host is to go no way around Gluster.
                fs::set_permissions(&path, fs::Permissions::from_mode(0o700))
                    .map_err(|error| Failure::io("close", &path, &error))?;
            }
        }
        files::save(&file, &record)?;
        files::save(&self.copy(&record.id), &record)
    }

    /// Forgets a device without bricks and snapshots.
    pub(super) fn remove(&self, id: &str) -> Result<(), Failure> {
        name::id(id)?;
        let Some(copy) = files::load::<DeviceRecord>(&self.copy(id))? else {
            return Ok(());
        };
        let path = Path::new(&copy.name);
        let file = path.join(DEVICE);
        if files::load::<DeviceRecord>(&file)?.is_some_and(|record| record.id == id) {
            for name in files::names(path)? {
                let what = match entry(&name) {
                    Entry::Brick(brick) => format!("brick {brick}"),
                    Entry::Snapshot(snapshot, _) => format!("snapshot {snapshot}"),
                    Entry::Leftover | Entry::Other => continue,
                };
                return Err(Failure::busy(format!(
                    "device {} still has {what}: remove that first",
                    copy.name
                )));
            }
            files::remove(&file)?;
            files::sync_parent(&file)?;
        }
        let copy = self.copy(id);
        files::remove(&copy)?;
        files::sync_parent(&copy)
    }

    /// All devices with what is on them. One that is not there is `failed`.
    pub(super) async fn look(&self) -> Result<Vec<Device>, Failure> {
        let mut devices = Vec::new();
        for copy in self.known()? {
            let seen = match check_in_place(&copy) {
                Ok(record) => self.look_at(record).await,
                Err(failure) => Err(failure),
            };
            devices.push(seen.unwrap_or_else(|failure| {
                tracing::error!(device = copy.name, %failure, "a device cannot be used");
                let state = "failed".into();
                Device {
                    record: DeviceRecord { state, ..copy },
                    ..Device::default()
                }
            }));
        }
        Ok(devices)
    }

    async fn look_at(&self, record: DeviceRecord) -> Result<Device, Failure> {
        let path = PathBuf::from(&record.name);
        let mut device = Device {
            space: self.space(&record).await?,
            reflink: record.kind == BrickKind::Loop && self.reflinks(&path).await,
            ..Device::default()
        };
        for name in files::names(&path)? {
            match entry(&name) {
                Entry::Brick(id) => device.bricks.extend(brick(&record, &id)?),
                Entry::Snapshot(snapshot, _) => {
                    if !device.snapshots.contains(&snapshot) {
                        device.snapshots.push(snapshot);
                    }
                }
                Entry::Leftover | Entry::Other => {}
            }
        }
        device.record = record;
        Ok(device)
    }

    /// Whether files on this device can share blocks.
    async fn reflinks(&self, path: &Path) -> bool {
        let known = |map: &Mutex<BTreeMap<PathBuf, bool>>| {
            let map = map
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            map.get(path).copied()
        };
        if let Some(works) = known(&self.reflinks) {
            return works;
        }
        let works = loops::reflinks_in(path).await;
        self.reflinks
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .insert(path.into(), works);
        works
    }

    /// What a device has and what it may still promise.
    pub(super) async fn space(&self, record: &DeviceRecord) -> Result<StorageSize, Failure> {
        let path = Path::new(&record.name);
        let arguments = ["--file-system", "--format=%S %b %a", "--"].map(Path::new);
        let text = run("stat", &[&arguments[..], &[path]].concat(), SOON).await?;
        let numbers: Vec<u64> = text
            .split_whitespace()
            .filter_map(|word| word.parse().ok())
            .collect();
        let [block, total, available] = numbers[..] else {
            return Err(Failure::internal(format!(
                "stat of {}: {text:?}",
                path.display()
            )));
        };
        let kib = |blocks: u64| blocks.saturating_mul(block) / 1024;
        let mut held = Vec::new();
        for name in files::names(path)? {
            match entry(&name) {
                Entry::Brick(id) => {
                    if let Some(brick) = brick(record, &id)? {
                        held.push(bricks::held(record, &brick.record).await);
                    }
                }
                Entry::Snapshot(..) => held.push(Held::Snapshot {
                    used: loops::used(&path.join(&name)),
                }),
                Entry::Leftover | Entry::Other => {}
            }
        }
        self.tell_short(path, space::short(kib(available), &held));
        Ok(space::promise(kib(total), kib(available), &held))
    }

    /// Says it when a device lacks `short` KiB of what was promised, and when it does
    /// no more.
    fn tell_short(&self, path: &Path, short: u64) {
        let mut told = self
            .short
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let device = path.display();
        if short > 0 && told.insert(path.into()) {
            tracing::error!(
                %device, missing_kib = short,
                "somebody else takes the room of bricks that have snapshots, are copies or directories: they lose what they hold when the disk is full; remove what is not ours, or move it to another file system"
            );
        }
        if short == 0 && told.remove(path) {
            tracing::info!(%device, "bricks have their room again");
        }
    }

    /// The device and the record of a brick, wherever it is on this host.
    pub(super) fn find(&self, brick: &str) -> Result<Option<(DeviceRecord, BrickRecord)>, Failure> {
        name::id(brick)?;
        for copy in self.known()? {
            let place = Place::new(Path::new(&copy.name), brick);
            if let Some(record) = files::load(&place.record())? {
                return Ok(Some((check_in_place(&copy)?, record)));
            }
        }
        Ok(None)
    }

    /// Whether a device may be at this path.
    fn admit(&self, given: &str) -> Result<PathBuf, Failure> {
        name::path(given)?;
        let path = PathBuf::from(given);
        if !self.allow.iter().any(|allowed| path.starts_with(allowed)) {
            let allowed: Vec<_> = self
                .allow
                .iter()
                .map(|path| path.display().to_string())
                .collect();
            return Err(Failure::invalid(format!(
                "{given} lies outside of {}: start the agent with --allow {given}, if it may be used",
                allowed.join(", ")
            )));
        }
        let kind = match fs::symlink_metadata(&path) {
            Ok(found) => found.file_type(),
            Err(error) => {
                return Err(Failure::invalid(format!(
                    "{given}: {error}: mount the file system that is to hold bricks, and make the directory"
                )));
            }
        };
        if kind.is_block_device() {
            return Err(Failure::invalid(format!(
                "{given} is a block device: make a file system on it (mkfs.xfs {given}), mount it, and name the directory"
            )));
        }
        // The same path without links, or there was one on the way.
        if !kind.is_dir() || fs::canonicalize(&path).ok().as_ref() != Some(&path) {
            return Err(Failure::invalid(format!(
                "{given} is no directory, or there is a symbolic link on the way: name the directory itself"
            )));
        }
        Ok(path)
    }

    /// A device in a device would count its space twice.
    fn check_not_nested(&self, record: &DeviceRecord) -> Result<(), Failure> {
        let path = Path::new(&record.name);
        for other in self.known()? {
            let known = Path::new(&other.name);
            if other.id != record.id && (path.starts_with(known) || known.starts_with(path)) {
                return Err(Failure::invalid(format!(
                    "{} and device {} ({}) lie in one another: take another directory",
                    record.name, other.id, other.name
                )));
            }
        }
        Ok(())
    }
}

/// The record that lies in a device, if it is the one that is known.
fn check_in_place(copy: &DeviceRecord) -> Result<DeviceRecord, Failure> {
    match files::load::<DeviceRecord>(&Path::new(&copy.name).join(DEVICE))? {
        Some(record) if record.id == copy.id && record.name == copy.name => Ok(record),
        Some(record) => Err(Failure::internal(format!(
            "{} holds device {} ({}), not {}: is another disk mounted there?",
            copy.name, record.id, record.name, copy.id
        ))),
        None => Err(Failure::internal(format!(
            "device {}: {} holds no {DEVICE}: is its disk mounted?",
            copy.id, copy.name
        ))),
    }
}

fn check_empty(path: &Path) -> Result<(), Failure> {
    let found = files::names(path)?;
    match found.iter().find(|name| *name != "lost+found") {
        None => Ok(()),
        Some(name) => Err(Failure::invalid(format!(
            "{} is not empty (it has {name:?}) and is no device of ours: empty it, or take another directory",
            path.display()
        ))),
    }
}

/// A brick of a device as it is found.
pub(super) fn brick(device: &DeviceRecord, id: &str) -> Result<Option<Brick>, Failure> {
    let place = Place::new(Path::new(&device.name), id);
    let record = files::load::<BrickRecord>(&place.record())?;
    Ok(record.map(|record| Brick {
        path: place.brick().display().to_string(),
        record,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::agent::api::FailureKind;
    use crate::storage::agent::files::tests::Scratch;

    fn devices(scratch: &Scratch) -> Devices {
        let state = scratch.0.join("state");
        fs::create_dir_all(&state).expect("a directory");
        Devices::open(&state, vec![scratch.0.join("srv")]).expect("a state directory")
    }

    fn record(scratch: &Scratch, name: &str, id: char) -> DeviceRecord {
        DeviceRecord {
            id: id.to_string().repeat(32),
            name: scratch.0.join("srv").join(name).display().to_string(),
            state: "online".into(),
            kind: BrickKind::Directory,
            ..DeviceRecord::default()
        }
    }

    fn directory(record: &DeviceRecord) {
        fs::create_dir_all(&record.name).expect("a directory");
    }

    #[tokio::test]
    async fn a_device_is_taken_looked_at_and_forgotten() {
        let scratch = Scratch::new();
        let devices = devices(&scratch);
        let mut record = record(&scratch, "a", 'a');
        directory(&record);
        for state in ["online", "offline", "offline"] {
            record.state = state.into();
            devices
                .put(record.clone())
                .await
                .expect("an empty directory");
        }
        let seen = devices.look().await.expect("a device");
        assert_eq!(seen[0].record, record);
        assert!(seen[0].space.total > 0);
        let mode = fs::metadata(&record.name)
            .expect("there")
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o700);
        for _ in 0..2 {
            devices.remove(&record.id).expect("it has no bricks");
        }
        assert_eq!(devices.look().await, Ok(Vec::new()));
        assert_eq!(files::names(Path::new(&record.name)), Ok(Vec::new()));
    }

    #[tokio::test]
    async fn what_is_no_place_for_bricks_is_refused_with_the_mend() {
        let scratch = Scratch::new();
        let devices = devices(&scratch);
        let good = record(&scratch, "good", 'a');
        directory(&good);
        devices.put(good.clone()).await.expect("an empty directory");

        let full = record(&scratch, "full", 'b');
        directory(&full);
        fs::write(Path::new(&full.name).join("x"), "").expect("a file");
        let link = record(&scratch, "link", 'b');
        std::os::unix::fs::symlink(&good.name, &link.name).expect("a link");
        let through = DeviceRecord {
            name: format!("{}/sub", link.name),
            ..link.clone()
        };
        fs::create_dir(Path::new(&good.name).join("sub")).expect("a directory");
        let inside = DeviceRecord {
            name: format!("{}/sub", good.name),
            ..link.clone()
        };
        let other_id = DeviceRecord {
            id: "b".repeat(32),
            ..good.clone()
        };
        let outside = DeviceRecord {
            name: scratch.0.display().to_string(),
            ..link.clone()
        };
        let dots = DeviceRecord {
            name: format!("{}/../good", good.name),
            ..link.clone()
        };
        let bad_id = DeviceRecord {
            id: "../x".into(),
            ..good.clone()
        };
        for (record, words) in [
            (full, "not empty"),
            (link, "symbolic link"),
            (through, "symbolic link"),
            (inside, "in one another"),
            (other_id, "already"),
            (outside, "--allow"),
            (dots, "'..'"),
            (bad_id, "hexadecimal"),
            (self::record(&scratch, "absent", 'b'), "make the directory"),
        ] {
            let failure = devices.put(record).await.expect_err(words);
            assert_eq!(failure.kind, FailureKind::Invalid, "{failure}");
            assert!(failure.message.contains(words), "{failure}");
        }
    }

    #[tokio::test]
    async fn a_disk_that_is_not_mounted_is_a_failed_device() {
        let scratch = Scratch::new();
        let devices = devices(&scratch);
        let record = record(&scratch, "a", 'a');
        directory(&record);
        devices
            .put(record.clone())
            .await
            .expect("an empty directory");
        fs::remove_file(Path::new(&record.name).join(DEVICE)).expect("it was written");
        let seen = devices.look().await.expect("what is known");
        assert_eq!(seen[0].record.state, "failed");
        assert_eq!(seen[0].space.free, 0);
        let failure = devices.present(&record.id).expect_err("not mounted");
        assert!(
            failure.message.contains("is its disk mounted?"),
            "{failure}"
        );
    }

    #[tokio::test]
    async fn a_device_with_bricks_is_not_forgotten() {
        let scratch = Scratch::new();
        let devices = devices(&scratch);
        let record = record(&scratch, "a", 'a');
        directory(&record);
        devices
            .put(record.clone())
            .await
            .expect("an empty directory");
        let brick = BrickRecord {
            id: "c".repeat(32),
            ..BrickRecord::default()
        };
        let place = Place::new(Path::new(&record.name), &brick.id);
        files::save(&place.record(), &brick).expect("a place to write");
        let failure = devices.remove(&record.id).expect_err("a brick");
        assert_eq!(failure.kind, FailureKind::Busy);
        let found = devices.find(&brick.id).expect("a device");
        assert_eq!(found, Some((record, brick)));
    }
}
