//! Making, growing and removing bricks of both kinds.
//!
//! A brick's record is written before anything of the brick, and goes after
//! all of it: so nothing on a device is without a record. A loop brick is made
//! under another name and gets its own when it is whole, with its root, its
//! group and its mode: whoever finds the image finds a finished brick, and
//! never does to a brick in use what is for new ones.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

use super::api::{BrickKind, BrickRecord, DeviceRecord, Failure};
use super::layout::Place;
use super::program::{LONG, SOON, attempt, run};
use super::space::Held;
use super::{files, loops, mounts};
use crate::storage::gluster::name;

/// What glusterd keeps on the root of a brick of its own: a copy must not
/// carry the identity of the volume it was copied from.
const IDENTITY: [&str; 2] = ["trusted.glusterfs.volume-id", "trusted.gfid"];

/// What quota keeps on the root of a brick that is a directory.
const QUOTA: &str = "trusted.glusterfs.quota.size";

fn place(device: &DeviceRecord, id: &str) -> Place {
    Place::new(Path::new(&device.name), id)
}

/// Refuses a record that could not be a brick's.
pub(super) fn check(record: &BrickRecord) -> Result<(), Failure> {
    for id in [&record.id, &record.device, &record.volume] {
        name::id(id)?;
    }
    name::volume(&record.volume_name)?;
    if let Some((snapshot, brick)) = &record.source {
        name::id(snapshot)?;
        name::id(brick)?;
    }
    if record.size == 0 {
        return Err(Failure::invalid(format!(
            "brick {}: size 0: give it in KiB",
            record.id
        )));
    }
    Ok(())
}

/// Makes the brick of `record`, or finishes it, or finds it. `free` KiB may
/// still be promised.
pub(super) async fn make(
    device: &DeviceRecord,
    record: &BrickRecord,
    free: u64,
) -> Result<(), Failure> {
    check(record)?;
    let place = place(device, &record.id);
    let found = files::load::<BrickRecord>(&place.record())?;
    if let Some(found) = &found {
        // It may have grown since.
        let same = BrickRecord {
            size: record.size,
            settled: record.settled,
            ..found.clone()
        };
        if same != *record || found.size < record.size {
            return Err(Failure::invalid(format!(
                "brick {} is there, for volume {} with {} KiB: this request is for volume {} with {} KiB",
                record.id, found.volume_name, found.size, record.volume_name, record.size
            )));
        }
    } else if record.size > free {
        return Err(Failure::no_space(format!(
            "device {} ({}) can promise {free} KiB more, and the brick needs {} KiB",
            device.id, device.name, record.size
        )));
    }
    if found.is_none() {
        files::save(&place.record(), record)?;
    }
    let made = finish(device, &place, found.as_ref().unwrap_or(record)).await;
    if made.is_err()
        && found.is_none()
        && let Err(failure) = remove(device, &record.id).await
    {
        tracing::error!(brick = record.id, %failure, "half a brick is left");
    }
    made
}

async fn finish(device: &DeviceRecord, place: &Place, record: &BrickRecord) -> Result<(), Failure> {
    match device.kind {
        BrickKind::Directory => {
            if record.source.is_some() {
                return Err(Failure::unsupported(format!(
                    "device {} has directories for bricks: copies of snapshots need loop bricks",
                    device.name
                )));
            }
            files::make_directory(&place.mount(), 0o700)?;
            open_root(place, record)
        }
        BrickKind::Loop if files::is_file(&place.image()) => {
            loops::mount(&place.image(), &place.mount()).await
        }
        BrickKind::Loop => new_loop(place, record).await,
    }
}

async fn new_loop(place: &Place, record: &BrickRecord) -> Result<(), Failure> {
    let (file, directory) = (place.unfinished(), place.mount());
    // What an agent left that was killed here.
    loops::unmount(&directory).await?;
    match &record.source {
        None => {
            loops::make(&file, record.size).await?;
            loops::reserve(&file, record.size).await?;
        }
        Some((snapshot, brick)) => {
            // A copy is on the same device: blocks are not shared across two.
            let device = file.parent().unwrap_or(Path::new("/"));
            let from = Place::new(device, brick).snapshot(snapshot);
            copy(&from, &file, record.size).await?;
        }
    }
    loops::mount(&file, &directory).await?;
    if record.source.is_some() {
        loops::grow(&file, &directory, record.size).await?;
        forget_identity(&place.brick()).await?;
    }
    open_root(place, record)?;
    run("sync", &[Path::new("--file-system"), &directory], LONG).await?;
    files::publish(&file, &place.image())
}

async fn copy(from: &Path, to: &Path, size: u64) -> Result<(), Failure> {
    let Ok(found) = fs::symlink_metadata(from) else {
        return Err(Failure::not_found(format!(
            "{} is not there: the snapshot is gone, or has no copy on this device",
            from.display()
        )));
    };
    if found.len() > size.saturating_mul(1024) {
        return Err(Failure::invalid(format!(
            "{size} KiB are less than the snapshot's {} KiB: ask for at least as much",
            found.len() / 1024
        )));
    }
    loops::reflink(from, to).await
}

async fn forget_identity(brick: &Path) -> Result<(), Failure> {
    if !files::is_directory(brick) {
        return Err(Failure::internal(format!(
            "{} is not in the snapshot: it was taken of an unfinished brick",
            brick.display()
        )));
    }
    for attribute in IDENTITY {
        let arguments = [
            Path::new("-h"),
            Path::new("-x"),
            Path::new(attribute),
            brick,
        ];
        let output = attempt("setfattr", &arguments, SOON).await?;
        if !output.worked && !output.errors.contains("No such attribute") {
            return Err(Failure::internal(format!(
                "setfattr -x {attribute}: {}",
                output.errors
            )));
        }
    }
    Ok(())
}

/// Makes what glusterd is given, with its group: under another name first,
/// since its mode is the users' once it has its own.
fn open_root(place: &Place, record: &BrickRecord) -> Result<(), Failure> {
    let brick = place.brick();
    let failed = |error: std::io::Error| Failure::io("open", &brick, &error);
    let copied = record.source.is_some();
    if files::is_directory(&brick) && !copied {
        return Ok(());
    }
    let beside = if copied {
        brick.clone()
    } else {
        place.mount().join("brick.new")
    };
    files::make_directory(&beside, 0o755)?;
    if record.gid > 0 {
        chown(&beside, None, Some(record.gid))
            .and_then(|()| fs::set_permissions(&beside, fs::Permissions::from_mode(0o2775)))
            .map_err(failed)?;
    }
    if !copied {
        fs::rename(&beside, &brick).map_err(failed)?;
    }
    files::sync_parent(&brick)
}

/// Grows a brick to `size` KiB; `free` KiB may still be promised. One that is
/// as large already is as good.
pub(super) async fn grow(
    device: &DeviceRecord,
    record: BrickRecord,
    size: u64,
    free: u64,
) -> Result<(), Failure> {
    let place = place(device, &record.id);
    let more = size.saturating_sub(record.size);
    if more > free {
        return Err(Failure::no_space(format!(
            "device {} ({}) can promise {free} KiB more, and brick {} would need {more} KiB",
            device.id, device.name, record.id
        )));
    }
    let size = size.max(record.size);
    if device.kind == BrickKind::Loop {
        reserve(&place, &record, size).await?;
    }
    if more > 0 {
        files::save(&place.record(), &BrickRecord { size, ..record })?;
    }
    match device.kind {
        // Gluster's quota has the size.
        BrickKind::Directory => Ok(()),
        BrickKind::Loop => loops::grow(&place.image(), &place.mount(), size).await,
    }
}

/// Takes a brick's room on the disk. A copy shares blocks, and what it shares is
/// promised and not taken.
async fn reserve(place: &Place, record: &BrickRecord, size: u64) -> Result<(), Failure> {
    match record.source {
        Some(_) => Ok(()),
        None => loops::reserve(&place.image(), size).await,
    }
}

/// Writes whether a brick may hold what somebody needs.
pub(super) fn mark(
    device: &DeviceRecord,
    record: BrickRecord,
    settled: bool,
) -> Result<(), Failure> {
    if record.settled == settled {
        return Ok(());
    }
    let file = place(device, &record.id).record();
    files::save(&file, &BrickRecord { settled, ..record })
}

/// Removes a brick and all that is in it, whatever there is of it.
pub(super) async fn remove(device: &DeviceRecord, id: &str) -> Result<(), Failure> {
    let place = place(device, id);
    match device.kind {
        BrickKind::Loop => {
            loops::unmount(&place.mount()).await?;
            files::remove_directory(&place.mount())?;
            files::remove(&place.unfinished())?;
            files::remove(&place.image())?;
        }
        BrickKind::Directory => {
            let (from, to) = (place.mount(), place.gone());
            if files::is_directory(&from) {
                fs::rename(&from, &to).map_err(|error| Failure::io("remove", &from, &error))?;
            }
            remove_tree(&to).await?;
        }
    }
    let record = place.record();
    files::remove(&record)?;
    files::sync_parent(&record)
}

/// Removes a directory with all that is in it, on this file system alone.
pub(super) async fn remove_tree(path: &Path) -> Result<(), Failure> {
    let options = ["-r", "-f", "--one-file-system", "--"].map(Path::new);
    run("rm", &[&options[..], &[path]].concat(), LONG)
        .await
        .map(drop)
}

/// After a start of the host: mounts a finished brick, and finishes a growth.
/// Whether anything had to be mounted.
pub(super) async fn attach(device: &DeviceRecord, record: &BrickRecord) -> Result<bool, Failure> {
    let place = place(device, &record.id);
    if device.kind == BrickKind::Directory {
        return Ok(false);
    }
    if !files::is_file(&place.image()) {
        tracing::warn!(
            brick = record.id,
            volume = record.volume_name,
            "a brick was not finished: whoever asked for it asks again, or removes it"
        );
        return Ok(false);
    }
    // Of an agent that did not do so yet.
    if let Err(failure) = reserve(&place, record, record.size).await {
        tracing::error!(
            brick = record.id, volume = record.volume_name, %failure,
            "this brick may lose what it holds: make room on its device"
        );
    }
    let was = mounts::source(&place.mount())?;
    loops::mount(&place.image(), &place.mount()).await?;
    // An agent that was killed in the middle of a snapshot.
    loops::thaw(&place.mount()).await;
    // Of one that was killed while a brick grew: its file may have its length, and
    // what is in it not. One that has both is as good.
    if let Err(failure) = loops::grow(&place.image(), &place.mount(), record.size).await {
        tracing::error!(
            brick = record.id, volume = record.volume_name, %failure,
            "this brick serves, and is smaller than its record says: expand its volume once more"
        );
    }
    Ok(was.is_none())
}

/// What a brick still holds back of its device.
pub(super) async fn held(device: &DeviceRecord, record: &BrickRecord) -> Held {
    let place = place(device, &record.id);
    let size = record.size;
    if record.source.is_some() {
        return Held::Clone { size };
    }
    let used = match device.kind {
        BrickKind::Loop => loops::used(&place.image()),
        BrickKind::Directory => quota_used(&place.brick()).await,
    };
    Held::Brick { size, used }
}

/// What quota counts in a directory, in KiB; 0 without quota, so that the
/// whole size is held back.
async fn quota_used(brick: &Path) -> u64 {
    let pattern = format!("^{}", QUOTA.replace('.', "\\."));
    let options = [
        "--absolute-names",
        "-h",
        "-d",
        "-e",
        "hex",
        "-m",
        &pattern,
        "--",
    ];
    let options = options.map(Path::new);
    match attempt("getfattr", &[&options[..], &[brick]].concat(), SOON).await {
        Ok(output) => quota_in(&output.text).unwrap_or(0) / 1024,
        Err(_) => 0,
    }
}

/// `trusted.glusterfs.quota.size.1=0x<size><files><directories>`, 16 digits
/// each; the number at the end of the name grows whenever quota is enabled.
fn quota_in(text: &str) -> Option<u64> {
    let newest = text
        .lines()
        .filter_map(|line| {
            let (version, value) = line.strip_prefix(QUOTA)?.split_once("=0x")?;
            Some((version.trim_start_matches('.').parse().unwrap_or(0), value))
        })
        .max_by_key(|&(version, _): &(u32, _)| version)?;
    u64::from_str_radix(newest.1.get(..16)?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::agent::api::FailureKind;
    use crate::storage::agent::files::tests::Scratch;

    fn device(scratch: &Scratch) -> DeviceRecord {
        DeviceRecord {
            id: "d".repeat(32),
            name: scratch.0.display().to_string(),
            kind: BrickKind::Directory,
            ..DeviceRecord::default()
        }
    }

    fn record() -> BrickRecord {
        BrickRecord {
            id: "b".repeat(32),
            device: "d".repeat(32),
            volume: "e".repeat(32),
            volume_name: "v".into(),
            size: 1024,
            ..BrickRecord::default()
        }
    }

    #[tokio::test]
    async fn a_directory_is_made_once_found_again_and_removed() {
        let scratch = Scratch::new();
        let device = device(&scratch);
        for _ in 0..2 {
            make(&device, &record(), 1024).await.expect("room");
        }
        let root = place(&device, &record().id).brick();
        fs::write(root.join("file"), "x").expect("a brick");
        // It may be asked for again when it has grown, and is not made anew.
        grow(&device, record(), 4096, 4096).await.expect("room");
        let failure = grow(&device, record(), 4096, 100)
            .await
            .expect_err("no room");
        assert_eq!(failure.kind, FailureKind::NoSpace);
        make(&device, &record(), 0).await.expect("it is there");
        assert!(root.join("file").exists());
        for _ in 0..2 {
            remove(&device, &record().id).await.expect("nobody uses it");
        }
        assert_eq!(files::names(&scratch.0), Ok(Vec::new()));
    }

    #[tokio::test]
    async fn a_brick_of_another_volume_under_the_same_id_is_refused() {
        let scratch = Scratch::new();
        let device = device(&scratch);
        make(&device, &record(), 1024).await.expect("room");
        let other = BrickRecord {
            volume_name: "w".into(),
            ..record()
        };
        let larger = BrickRecord {
            size: 2048,
            ..record()
        };
        for wrong in [other, larger] {
            let failure = make(&device, &wrong, 9999).await.expect_err("not the same");
            assert_eq!(failure.kind, FailureKind::Invalid, "{failure}");
        }
    }

    #[tokio::test]
    async fn what_does_not_fit_or_cannot_be_leaves_nothing() {
        let scratch = Scratch::new();
        let device = device(&scratch);
        let failure = make(&device, &record(), 1023).await.expect_err("no room");
        assert_eq!(failure.kind, FailureKind::NoSpace);
        let copied = BrickRecord {
            source: Some(("a".repeat(32), "c".repeat(32))),
            ..record()
        };
        let failure = make(&device, &copied, 1024).await.expect_err("no copies");
        assert_eq!(failure.kind, FailureKind::Unsupported);
        let device = DeviceRecord {
            kind: BrickKind::Loop,
            ..device
        };
        let failure = make(&device, &record(), 1024).await.expect_err("too small");
        assert_eq!(failure.kind, FailureKind::Invalid);
        assert_eq!(files::names(&scratch.0), Ok(Vec::new()));
    }

    #[tokio::test]
    async fn names_are_checked_before_anything_is_touched() {
        let scratch = Scratch::new();
        let device = device(&scratch);
        let bad = || "../../etc".to_owned();
        for wrong in [
            BrickRecord {
                id: bad(),
                ..record()
            },
            BrickRecord {
                volume: bad(),
                ..record()
            },
            BrickRecord {
                volume_name: bad(),
                ..record()
            },
            BrickRecord {
                source: Some((bad(), "c".repeat(32))),
                ..record()
            },
            BrickRecord {
                source: Some(("c".repeat(32), bad())),
                ..record()
            },
            BrickRecord {
                size: 0,
                ..record()
            },
        ] {
            let failure = make(&device, &wrong, 9999).await.expect_err("a bad name");
            assert_eq!(failure.kind, FailureKind::Invalid, "{failure}");
        }
        assert_eq!(files::names(&scratch.0), Ok(Vec::new()));
    }

    #[test]
    fn the_newest_count_of_quota_is_taken() {
        let text = "# file: /b\n\
            trusted.glusterfs.quota.size.1=0x000000000000100000000000000000010000000000000001\n\
            trusted.glusterfs.quota.size.2=0x000000000000200000000000000000010000000000000001\n";
        assert_eq!(quota_in(text), Some(0x2000));
        assert_eq!(quota_in(""), None);
        assert_eq!(quota_in("trusted.glusterfs.quota.size.1=0xé"), None);
    }
}
