//! Running the host's programs: found in fixed places, with a limit of time
//! and of output, without a shell and without our environment.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;

use super::api::Failure;
use crate::storage::gluster::xml;

/// Where programs are looked for. `PATH` is not asked: who starts an agent by
/// hand should not decide what root runs.
const PLACES: [&str; 6] = [
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
    "/usr/local/sbin",
    "/usr/local/bin",
];

/// Most of standard error that is kept, in octets.
const ERRORS: usize = 16 << 10;

/// For programs that look or change one thing.
pub(super) const SOON: Duration = Duration::from_secs(30);

/// For programs whose work grows with what is on a disk.
pub(super) const LONG: Duration = Duration::from_secs(300);

/// How a program ended.
#[derive(Debug)]
pub(super) struct Output {
    /// Whether its exit status was 0.
    pub(super) worked: bool,
    /// What it printed.
    pub(super) text: String,
    /// What it said of errors, trimmed.
    pub(super) errors: String,
}

/// The absolute path of a program.
pub(super) fn find(program: &str) -> Result<PathBuf, Failure> {
    let places = PLACES
        .iter()
        .map(|place| PathBuf::from(place).join(program));
    places
        .into_iter()
        .find(|path| path.is_file())
        .ok_or_else(|| {
            Failure::unsupported(format!(
                "program {program} is not on this host ({}): install its package ({})",
                PLACES.join(", "),
                package(program)
            ))
        })
}

/// Debian's package of a program.
pub(crate) fn package(program: &str) -> &str {
    match program {
        "gluster" | "glusterd" => "glusterfs-server",
        "mount.glusterfs" => "glusterfs-client",
        "mkfs.xfs" | "xfs_growfs" => "xfsprogs",
        "setfattr" | "getfattr" => "attr",
        "mount" | "umount" | "losetup" => "mount",
        "fsfreeze" | "setsid" | "nsenter" | "unshare" => "util-linux",
        "ip" => "iproute2",
        "kill" => "procps",
        "cp" | "rm" | "stat" | "sync" => "coreutils",
        other => other,
    }
}

/// A program with its arguments, not started: no input, a clean environment,
/// killed when it is no longer waited for.
pub(super) fn command<S: AsRef<OsStr>>(program: &str, arguments: &[S]) -> Result<Command, Failure> {
    let mut command = Command::new(find(program)?);
    command
        .args(arguments)
        .env_clear()
        .env("PATH", PLACES.join(":"))
        .env("LC_ALL", "C")
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    Ok(command)
}

/// Runs a program to its end, whatever that is.
pub(super) async fn attempt<S: AsRef<OsStr>>(
    program: &str,
    arguments: &[S],
    limit: Duration,
) -> Result<Output, Failure> {
    let mut child = command(program, arguments)?
        .spawn()
        .map_err(|error| Failure::internal(format!("cannot start {program}: {error}")))?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let run = async {
        let (text, errors) = tokio::join!(read(stdout, xml::LARGEST), read(stderr, ERRORS));
        let status = child.wait().await;
        (text, errors, status)
    };
    let Ok((text, errors, status)) = tokio::time::timeout(limit, run).await else {
        return Err(Failure::busy(format!(
            "{program} took longer than {} s and was ended: look whether its disk or glusterd hangs",
            limit.as_secs()
        )));
    };
    let status =
        status.map_err(|error| Failure::internal(format!("cannot wait for {program}: {error}")))?;
    Ok(Output {
        worked: status.success(),
        text,
        errors: errors.trim().to_owned(),
    })
}

/// Runs a program that has to work; its own words are the failure's.
pub(super) async fn run<S: AsRef<OsStr>>(
    program: &str,
    arguments: &[S],
    limit: Duration,
) -> Result<String, Failure> {
    let output = attempt(program, arguments, limit).await?;
    if output.worked {
        return Ok(output.text);
    }
    let shown: Vec<_> = arguments
        .iter()
        .map(|argument| argument.as_ref().to_string_lossy())
        .collect();
    let message = format!("{program} {}: {}", shown.join(" "), output.errors);
    Err(if output.errors.contains("No space left") {
        Failure::no_space(message)
    } else {
        Failure::internal(message)
    })
}

/// Reads all of it, and keeps the first `most` octets: a program that is not
/// read to its end would wait for ever.
async fn read(from: Option<impl AsyncRead + Unpin>, most: usize) -> String {
    let Some(mut from) = from else {
        return String::new();
    };
    let mut kept = Vec::new();
    let mut limited = (&mut from).take(most as u64);
    // What was read before an error is all that can be had.
    let _ = limited.read_to_end(&mut kept).await;
    let _ = tokio::io::copy(&mut from, &mut tokio::io::sink()).await;
    String::from_utf8_lossy(&kept).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::agent::api::FailureKind;

    #[tokio::test]
    async fn output_status_and_errors_are_told_apart() {
        let output = attempt("sh", &["-c", "echo out; echo bad >&2; exit 3"], SOON)
            .await
            .expect("every host has sh");
        assert!(!output.worked);
        assert_eq!((&*output.text, &*output.errors), ("out\n", "bad"));
        let failure = run(
            "sh",
            &["-c", "echo No space left on device >&2; exit 1"],
            SOON,
        )
        .await
        .expect_err("exit 1");
        assert_eq!(failure.kind, FailureKind::NoSpace);
    }

    #[tokio::test]
    async fn a_program_gets_neither_our_environment_nor_our_input() {
        let text = run("sh", &["-c", "cat; env | grep -c CARGO || true"], SOON)
            .await
            .expect("every host has sh");
        assert_eq!(text.trim(), "0");
    }

    #[tokio::test]
    async fn a_program_that_takes_too_long_is_ended() {
        let failure = attempt("sleep", &["1000"], Duration::from_millis(20))
            .await
            .expect_err("too long");
        assert_eq!(failure.kind, FailureKind::Busy);
    }

    #[tokio::test]
    async fn a_program_that_is_missing_names_its_package() {
        let failure = find("no-such-program").expect_err("missing");
        assert_eq!(failure.kind, FailureKind::Unsupported);
        assert!(package("mkfs.xfs") == "xfsprogs");
    }
}
