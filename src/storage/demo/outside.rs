//! The namespaces that the story is told in, seen from outside.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use tokio_util::sync::CancellationToken;

use super::hosts::LabError;
use super::scene::hosts_file;
use crate::storage::agent::package;

const STAGE: &str = include_str!("stage.sh");
/// Directories of demos, with the process id of the outer one.
const TAG: &str = "loods-demo-";

/// Programs that the demo runs.
const NEEDED: [&str; 9] = [
    "ip",
    "nsenter",
    "unshare",
    "losetup",
    "mkfs.xfs",
    "setfattr",
    "glusterd",
    "gluster",
    "mount.glusterfs",
];

/// Starts `loods storage demo` again, as the first process of fresh network,
/// mount and PID namespaces, and waits for its end. It ends when its standard
/// input does, and so together with this process.
///
/// # Errors
/// Not root, a missing program, or no namespaces.
pub async fn run(once: bool, stop: CancellationToken) -> Result<ExitStatus, LabError> {
    check_programs()?;
    remove_of_the_dead();
    let dir = std::env::temp_dir().join(format!("{TAG}{}", std::process::id()));
    std::fs::create_dir(&dir).map_err(LabError::system(dir.display().to_string()))?;
    let ended = run_in(&dir, once, stop).await;
    if let Err(error) = std::fs::remove_dir_all(&dir) {
        eprintln!("warning: {} stays behind: {error}", dir.display());
    }
    ended
}

async fn run_in(dir: &Path, once: bool, stop: CancellationToken) -> Result<ExitStatus, LabError> {
    let file = dir.join("hosts");
    std::fs::write(&file, hosts_file()).map_err(LabError::system(file.display().to_string()))?;
    let loods = std::env::current_exe().map_err(LabError::system("this program's own path"))?;
    let mut command = tokio::process::Command::new("unshare");
    command
        .args(["--net", "--mount", "--pid", "--fork", "--mount-proc"])
        .args(["--kill-child", "sh", "-c", STAGE, "stage"])
        .arg(dir)
        .arg(loods)
        .args(["storage", "demo", "--stage"])
        .arg(dir)
        .args(once.then_some("--once"))
        .stdin(Stdio::piped())
        // It hears of Ctrl-C from us.
        .process_group(0);
    let mut inside = command.spawn().map_err(LabError::system("unshare"))?;
    let input = inside.stdin.take();
    tokio::select! {
        biased;
        ended = inside.wait() => return ended.map_err(LabError::system("unshare")),
        () = stop.cancelled() => drop(input),
    }
    inside.wait().await.map_err(LabError::system("unshare"))
}

/// Demos that were killed leave their directory.
fn remove_of_the_dead() {
    let entries = std::fs::read_dir(std::env::temp_dir());
    for entry in entries.into_iter().flatten().flatten() {
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| name.strip_prefix(TAG));
        let owner = owner.and_then(|owner| owner.parse::<u32>().ok());
        let is_dead = owner.is_some_and(|pid| !Path::new(&format!("/proc/{pid}")).exists());
        if is_dead {
            // Somebody else may be doing the same.
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

fn check_programs() -> Result<(), LabError> {
    use std::os::unix::fs::MetadataExt;
    // /proc/self belongs to the effective user.
    if std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() != 0) {
        return Err(LabError::NotRoot);
    }
    if let Err(cause) = std::fs::metadata("/dev/fuse") {
        return Err(no_fuse(cause));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places: Vec<PathBuf> = std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .collect();
    let absent = |program: &&&str| !places.iter().any(|place| place.join(program).is_file());
    let missing: Vec<&str> = NEEDED.iter().filter(absent).copied().collect();
    if missing.is_empty() {
        return Ok(());
    }
    let packages: BTreeSet<&str> = missing.iter().map(|program| package(program)).collect();
    Err(LabError::Missing {
        programs: missing.join(", "),
        packages: packages.into_iter().collect::<Vec<_>>().join(" "),
    })
}

fn no_fuse(cause: io::Error) -> LabError {
    LabError::system("/dev/fuse, which volumes are mounted by (modprobe fuse)")(cause)
}
