//! Copies of loop bricks at one moment.
//!
//! While the files are copied no write may be half in them, so that their file
//! systems are frozen. Whatever happens to the agent then, they must be thawed
//! again: so it is not the agent that does it, but a small shell that waits for
//! its standard input to end, at most [`FROZEN`], and thaws them all.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Child;

use super::api::{BrickKind, DeviceRecord, Failure};
use super::layout::Place;
use super::program::{SOON, command, find, run};
use super::{files, loops};

/// How long writes may be stopped.
const FROZEN: Duration = Duration::from_secs(10);

/// Arguments: fsfreeze, timeout, seconds, the directories. Signals are ignored,
/// since the agent may be stopped together with it.
const THAW: &str = r#"
    trap '' TERM INT HUP
    thaw=$1; limit=$2; seconds=$3; shift 3
    "$limit" "$seconds" cat > /dev/null
    for directory in "$@"; do "$thaw" --unfreeze "$directory"; done
    exit 0
"#;

/// Copies these bricks, all at one moment, under the name of the snapshot. All
/// copies are there afterwards, or none.
pub(super) async fn take(bricks: &[(DeviceRecord, String)], snapshot: &str) -> Result<(), Failure> {
    let mut places = Vec::new();
    for (device, id) in bricks {
        let place = Place::new(Path::new(&device.name), id);
        if device.kind == BrickKind::Directory {
            return Err(Failure::unsupported(format!(
                "device {} has directories for bricks: snapshots need loop bricks on XFS (reflink=1) or btrfs",
                device.name
            )));
        }
        if !files::is_file(&place.image()) {
            return Err(Failure::not_found(format!("brick {id} is not finished")));
        }
        places.push(place);
    }
    if places
        .iter()
        .all(|place| files::is_file(&place.snapshot(snapshot)))
    {
        return Ok(());
    }
    // Some of an earlier try would be of another moment.
    for place in &places {
        files::remove(&place.snapshot(snapshot))?;
    }
    let copied = copy(&places, snapshot).await;
    for place in &places {
        let beside = place.unfinished_snapshot(snapshot);
        if copied.is_ok() {
            files::publish(&beside, &place.snapshot(snapshot))?;
        } else {
            files::remove(&beside)?;
        }
    }
    copied
}

async fn copy(places: &[Place], snapshot: &str) -> Result<(), Failure> {
    let directories: Vec<PathBuf> = places.iter().map(Place::mount).collect();
    let mut thaw = Thaw::start(&directories)?;
    let copies = async {
        for directory in &directories {
            run("fsfreeze", &[Path::new("--freeze"), directory], SOON).await?;
        }
        for place in places {
            loops::reflink(&place.image(), &place.unfinished_snapshot(snapshot)).await?;
        }
        Ok(())
    };
    // Less than the shell waits: what was copied after a thaw is worth nothing.
    let copied = tokio::time::timeout(FROZEN / 2, copies).await;
    thaw.end().await?;
    copied.unwrap_or_else(|_| {
        Err(Failure::busy(format!(
            "copying took longer than {} s, and writes cannot wait longer: is the disk busy?",
            FROZEN.as_secs() / 2
        )))
    })
}

/// The shell that thaws.
struct Thaw(Child);

impl Thaw {
    fn start(directories: &[PathBuf]) -> Result<Self, Failure> {
        let (freeze, timeout) = (find("fsfreeze")?, find("timeout")?);
        let seconds = FROZEN.as_secs().to_string();
        let first = ["sh", "-c", THAW, "thaw"].map(PathBuf::from);
        let mut arguments = first.to_vec();
        arguments.extend([freeze, timeout, seconds.into()]);
        arguments.extend(directories.iter().cloned());
        // In a session of its own: a Ctrl-C is for the agent.
        command("setsid", &arguments)?
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(false)
            .spawn()
            .map(Self)
            .map_err(|error| Failure::internal(format!("cannot start the thawing shell: {error}")))
    }

    /// Has it thaw now, and waits until it has.
    async fn end(&mut self) -> Result<(), Failure> {
        drop(self.0.stdin.take());
        match tokio::time::timeout(FROZEN * 2, self.0.wait()).await {
            Ok(Ok(_)) => Ok(()),
            _ => Err(Failure::internal(
                "the thawing shell does not end: look at fsfreeze --unfreeze of the bricks by hand",
            )),
        }
    }
}

/// Removes the copies of a snapshot on a device; that there are none is as good.
pub(super) fn remove(device: &DeviceRecord, snapshot: &str) -> Result<(), Failure> {
    let path = Path::new(&device.name);
    for name in files::names(path)? {
        let ours = name
            .strip_prefix("snapshot_")
            .and_then(|rest| rest.strip_prefix(snapshot))
            .is_some_and(|rest| rest.starts_with('_'));
        if ours {
            files::remove(&path.join(name))?;
        }
    }
    fs::File::open(path)
        .and_then(|directory| directory.sync_all())
        .map_err(|error| Failure::io("write", path, &error))
}
