//! XFS in a sparse file, mounted by a loop device.
//!
//! `mount -o loop` makes the device and has the kernel take it away with the
//! mount, so that no crash leaves one behind. Direct I/O is switched on, since
//! else every block would be in memory twice.

use std::fs::OpenOptions;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use super::api::Failure;
use super::files;
use super::layout::Place;
use super::mounts;
use super::program::{LONG, SOON, attempt, run};

/// Smallest file that `mkfs.xfs` takes, in KiB, with some to spare.
const SMALLEST: u64 = 320 << 10;

/// How often a mount that is in use is tried again: a brick's process takes a
/// moment to go after its volume was stopped.
const TRIES: u32 = 40;
const PAUSE: Duration = Duration::from_millis(250);

/// Makes a sparse file of `size` KiB with an empty XFS in it.
pub(super) async fn make(file: &Path, size: u64) -> Result<(), Failure> {
    if size < SMALLEST {
        return Err(Failure::invalid(format!(
            "a loop brick of {size} KiB: XFS needs at least {SMALLEST} KiB"
        )));
    }
    files::remove(file)?;
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)
        .and_then(|made| made.set_len(octets(size)))
        .map_err(|error| Failure::io("make", file, &error))?;
    // Sectors of 4 KiB: the file may be moved to a disk that has no smaller ones.
    let arguments = ["-q", "-K", "-m", "reflink=1", "-s", "size=4096"];
    let arguments = arguments.map(Path::new);
    run("mkfs.xfs", &[&arguments[..], &[file]].concat(), LONG)
        .await
        .map(drop)
}

fn octets(size: u64) -> u64 {
    size.saturating_mul(1024)
}

/// How much of a file is on the disk, in KiB.
pub(super) fn used(file: &Path) -> u64 {
    std::fs::symlink_metadata(file).map_or(0, |found| found.blocks() / 2)
}

/// Takes the room of a whole file on the disk now. Somebody else's files could take
/// it later, and then a brick loses what it has confirmed already: the kernel writes
/// it back when nobody is told any more, and Gluster takes the brick for whole.
pub(super) async fn reserve(file: &Path, size: u64) -> Result<(), Failure> {
    let kind = ["--file-system", "--format=%T", "--"].map(Path::new);
    let kind = run("stat", &[&kind[..], &[file]].concat(), SOON).await?;
    if kind.trim() == "tmpfs" {
        // Of memory, nobody wants more taken than is used.
        return Ok(());
    }
    let length = octets(size).to_string();
    let arguments = ["--length", &length, "--"].map(Path::new);
    let output = attempt("fallocate", &[&arguments[..], &[file]].concat(), LONG).await?;
    if output.worked {
        return Ok(());
    }
    let told = format!(
        "cannot reserve {size} KiB for {}: {}",
        file.display(),
        output.errors
    );
    if output.errors.contains("No space left") {
        return Err(Failure::no_space(told));
    }
    if output.errors.contains("not supported") {
        tracing::warn!(
            "{told}; whoever fills this file system makes bricks lose what they hold: let nothing else write there"
        );
        return Ok(());
    }
    Err(Failure::internal(told))
}

/// Copies a file by sharing its blocks.
pub(super) async fn reflink(from: &Path, to: &Path) -> Result<(), Failure> {
    files::remove(to)?;
    let arguments = [
        "--reflink=always",
        "--no-dereference",
        "--sparse=auto",
        "--",
    ];
    let arguments = arguments.map(Path::new);
    let output = attempt("cp", &[&arguments[..], &[from, to]].concat(), SOON).await?;
    if output.worked {
        return Ok(());
    }
    files::remove(to)?;
    let message = format!(
        "cannot share the blocks of {}: {}",
        from.display(),
        output.errors
    );
    Err(if output.errors.contains("No space left") {
        Failure::no_space(message)
    } else {
        Failure::unsupported(format!(
            "{message}; snapshots need a device on XFS (reflink=1) or btrfs"
        ))
    })
}

/// Mounts it, unless something is mounted there.
pub(super) async fn mount(file: &Path, directory: &Path) -> Result<(), Failure> {
    if !files::is_file(file) {
        return Err(Failure::not_found(format!(
            "{} is not there, or is no file",
            file.display()
        )));
    }
    files::make_directory(directory, 0o700)?;
    if mounts::source(directory)?.is_some() {
        return Ok(());
    }
    // nouuid: a copy has the UUID of what it was copied from.
    let options = [
        "-t",
        "xfs",
        "-o",
        "loop,nouuid,noatime,nodev,nosuid,noexec",
        "--",
    ];
    let options = options.map(Path::new);
    run("mount", &[&options[..], &[file, directory]].concat(), SOON).await?;
    let Some(device) = mounts::source(directory)? else {
        return Err(Failure::internal(format!(
            "mount succeeded, but nothing is mounted at {}: does the agent run in a mount namespace of its own?",
            directory.display()
        )));
    };
    let direct = attempt("losetup", &["--direct-io=on", &device], SOON).await?;
    if !direct.worked {
        tracing::warn!(
            file = %file.display(), error = direct.errors,
            "no direct I/O on this file system: what this brick holds is cached twice"
        );
    }
    Ok(())
}

/// Unmounts it; that nothing is mounted there is as good.
pub(super) async fn unmount(directory: &Path) -> Result<(), Failure> {
    let mut told = String::new();
    for _ in 0..TRIES {
        if mounts::source(directory)?.is_none() {
            return Ok(());
        }
        let output = attempt("umount", &[Path::new("--"), directory], SOON).await?;
        if !output.worked {
            told = output.errors;
            tokio::time::sleep(PAUSE).await;
        }
    }
    Err(Failure::busy(format!(
        "cannot unmount {}: {told}; is its volume still started?",
        directory.display()
    )))
}

/// Grows a mounted one to `size` KiB, and finishes what was begun before.
pub(super) async fn grow(file: &Path, directory: &Path, size: u64) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::io("grow", file, &error);
    let opened = OpenOptions::new()
        .write(true)
        .custom_flags(libc::O_NOFOLLOW)
        .open(file)
        .map_err(failed)?;
    if opened.metadata().map_err(failed)?.len() < octets(size) {
        opened
            .set_len(octets(size))
            .and_then(|()| opened.sync_all())
            .map_err(failed)?;
    }
    let Some(device) = mounts::source(directory)? else {
        return Err(Failure::busy(format!(
            "{} is not mounted: start the agent anew, and look into its log",
            directory.display()
        )));
    };
    run("losetup", &["--set-capacity", &device], SOON).await?;
    run("xfs_growfs", &[Path::new("-d"), directory], SOON)
        .await
        .map(drop)
}

/// Lets writes go on, also where they do.
pub(super) async fn thaw(directory: &Path) {
    // Fails when it is not frozen, which is the rule.
    let _ = attempt("fsfreeze", &[Path::new("--unfreeze"), directory], SOON).await;
}

/// Whether a file in this directory can be made a file system and be mounted:
/// it is tried.
pub(super) async fn work_in(device: &Path) -> Result<(), Failure> {
    let place = Place::new(device, "trial");
    let (file, directory) = (place.unfinished(), place.mount());
    let tried = async {
        make(&file, SMALLEST).await?;
        mount(&file, &directory).await
    };
    let tried = tried.await;
    unmount(&directory).await?;
    files::remove_directory(&directory)?;
    files::remove(&file)?;
    tried
}

/// Whether files in this directory can share blocks: it is tried.
pub(super) async fn reflinks_in(device: &Path) -> bool {
    let place = Place::new(device, "trial");
    let (from, to) = (place.image(), place.unfinished());
    let tried = async {
        std::fs::write(&from, [1; 4096]).map_err(|error| Failure::io("write", &from, &error))?;
        reflink(&from, &to).await
    };
    let works = tried.await.is_ok();
    for file in [&from, &to] {
        if let Err(failure) = files::remove(file) {
            tracing::warn!(%failure, "a trial file is left");
        }
    }
    works
}
