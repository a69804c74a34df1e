//! Runs the mount program, once or twice, and tells what it said.
//!
//! The FUSE process that it leaves behind is this process' descendant, in its
//! container, and lives as long as that. No shell, no environment but PATH.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::storage::node::source::Source;
use crate::storage::node::system;

/// How long a mount may take. A host that is down costs ten seconds, and the
/// kubelet gives up after two minutes.
const PATIENCE: Duration = Duration::from_secs(90);
/// Octets of what the program printed, and of the log's end, that are read.
const READ: u64 = 8 << 10;
/// Where programs are, also in another namespace.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The program that mounts, and where it runs.
#[derive(Clone, Debug)]
pub struct Program {
    /// Its path, or its name in [`PATH`].
    pub path: PathBuf,
    /// The mount namespace to run it in, such as `/proc/1/ns/mnt`; `None`: this one.
    pub namespace: Option<PathBuf>,
    /// Where the log of each volume's process is.
    pub logs: PathBuf,
}

/// Why nothing is mounted.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The program did not even start.
    #[error(
        "cannot run {}{}: {source}; is a GlusterFS client installed there (Debian: glusterfs-client, RHEL: glusterfs-fuse)?",
        program.display(), of_namespace(namespace.as_deref())
    )]
    Start {
        /// The program.
        program: PathBuf,
        /// Where it should run.
        namespace: Option<PathBuf>,
        /// The system's answer.
        source: io::Error,
    },
    /// It took too long.
    #[error("mounting {device} took longer than {} s: do the storage hosts answer on port 24007?{said}", PATIENCE.as_secs())]
    TimedOut {
        /// What was to be mounted.
        device: String,
        /// What it printed, and its log.
        said: String,
    },
    /// It ended with a failure.
    #[error("mounting {device} failed ({status}):{said}")]
    Failed {
        /// What was to be mounted.
        device: String,
        /// How it ended.
        status: ExitStatus,
        /// What it printed, and its log.
        said: String,
    },
}

fn of_namespace(namespace: Option<&Path>) -> String {
    match namespace {
        Some(namespace) => format!(" in the mount namespace {}", namespace.display()),
        None => String::new(),
    }
}

impl Program {
    /// Mounts `source` at `target`. `auto_unmount` is left out at the second
    /// try, for programs that are too old to know it.
    pub async fn mount(&self, source: &Source, target: &Path, turn: usize) -> Result<(), Failure> {
        match self.attempt(source, target, turn, true).await {
            Err(Failure::Failed { said, .. }) if knows_no_auto_unmount(&said) => {
                self.attempt(source, target, turn, false).await
            }
            done => done,
        }
    }

    async fn attempt(
        &self,
        source: &Source,
        target: &Path,
        turn: usize,
        auto_unmount: bool,
    ) -> Result<(), Failure> {
        let start = |error| Failure::Start {
            program: self.path.clone(),
            namespace: self.namespace.clone(),
            source: error,
        };
        let device = source.device(turn);
        let log = self.logs.join(format!("{}.log", source.volume_name()));
        let mut output = self.output().map_err(start)?;
        let mut command = Command::new(&self.path);
        command
            .arg(&device)
            .arg(target)
            .arg("-o")
            .arg(source.arguments(&log, auto_unmount))
            .env_clear()
            .env("PATH", PATH)
            .env("LC_ALL", "C")
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(output.try_clone().map_err(start)?)
            .stderr(output.try_clone().map_err(start)?)
            .process_group(0);
        if let Some(namespace) = &self.namespace {
            system::run_in(&mut command, File::open(namespace).map_err(start)?);
        }
        let mut child = tokio::process::Command::from(command)
            .spawn()
            .map_err(start)?;
        let leader = child.id();
        let waited = tokio::time::timeout(PATIENCE, child.wait()).await;
        let mut said = || said(&mut output, &log);
        match waited {
            Ok(Ok(status)) if status.success() => Ok(()),
            Ok(Ok(status)) => Err(Failure::Failed {
                device,
                status,
                said: said(),
            }),
            Ok(Err(error)) => Err(start(error)),
            Err(_) => {
                leader.into_iter().for_each(system::end_group);
                // It was killed: this takes no time, and leaves no zombie.
                let _ = child.wait().await;
                Err(Failure::TimedOut {
                    device,
                    said: said(),
                })
            }
        }
    }

    /// A file for what the program prints. A pipe would stay open in the
    /// process that the program leaves behind.
    fn output(&self) -> io::Result<File> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        fs::create_dir_all(&self.logs)?;
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = self
            .logs
            .join(format!(".mount-{}-{number}", std::process::id()));
        let file = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)?;
        fs::remove_file(&path)?;
        Ok(file)
    }
}

/// As the old plugin decided it: by these words of mount.glusterfs and of the kernel.
fn knows_no_auto_unmount(said: &str) -> bool {
    said.contains("Invalid option auto_unmount")
        || said.contains("Invalid argument, auto_unmount")
        || said.contains("Invalid option: auto_unmount")
}

/// What was printed, and the last two lines of the log.
fn said(output: &mut File, log: &Path) -> String {
    let mut text = String::new();
    let printed = output.seek(SeekFrom::Start(0)).and_then(|_| read(output));
    let printed = printed.unwrap_or_default();
    for line in printed
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
    {
        text.push(' ');
        text.push_str(line);
    }
    let Ok(logged) = end_of(log) else { return text };
    let lines: Vec<&str> = logged.lines().collect();
    if let Some(last) = lines.last_chunk::<2>() {
        text.push_str(&format!("; end of {}: {}", log.display(), last.join(" | ")));
    }
    text
}

fn end_of(log: &Path) -> io::Result<String> {
    let mut file = File::open(log)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(READ)))?;
    read(&mut file)
}

fn read(file: &mut File) -> io::Result<String> {
    let mut octets = Vec::new();
    file.take(READ).read_to_end(&mut octets)?;
    Ok(String::from_utf8_lossy(&octets).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    /// A program of a few shell lines, in a directory of its own.
    struct Script(PathBuf);

    impl Script {
        fn new(name: &str, lines: &str) -> Self {
            let dir = std::env::temp_dir().join(format!("loods-{name}-{}", std::process::id()));
            fs::create_dir_all(&dir).expect("a directory");
            let program = dir.join("program");
            fs::write(&program, format!("#!/bin/sh\n{lines}")).expect("written");
            fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("set");
            Self(dir)
        }

        async fn run(&self) -> Result<(), Failure> {
            let program = Program {
                path: self.0.join("program"),
                namespace: None,
                logs: self.0.join("logs"),
            };
            let source = Source {
                hosts: vec!["h1".into(), "h2".into()],
                volume: "vol".into(),
                options: Vec::new(),
                read_only: true,
            };
            program.mount(&source, &self.0, 1).await
        }
    }

    impl Drop for Script {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[tokio::test]
    async fn the_program_gets_volume_place_and_options_and_nothing_else() {
        let script = Script::new("arguments", "echo \"$0: $# $*\"; env | sort; exit 3");
        let error = script.run().await.expect_err("it ends with 3").to_string();
        let (dir, shown) = (script.0.display(), &error);
        assert!(
            error.starts_with("mounting h2:/vol failed (exit status: 3):"),
            "{shown}"
        );
        let options = format!(
            "4 h2:/vol {dir} -o ro,log-level=ERROR,log-file={dir}/logs/vol.log,backup-volfile-servers=h1:h2,auto_unmount"
        );
        assert!(error.contains(&options), "{shown}");
        assert!(!error.contains("CARGO"), "{shown}");
    }

    #[tokio::test]
    async fn an_old_program_is_asked_again_without_auto_unmount() {
        let lines =
            "case $4 in *auto_unmount) echo 'Invalid option auto_unmount'; exit 1;; esac; exit 0";
        let script = Script::new("old", lines);
        script.run().await.expect("the second try is taken");
    }

    #[tokio::test]
    async fn the_end_of_the_log_is_told() {
        let script = Script::new("log", "exit 1");
        let logs = script.0.join("logs");
        fs::create_dir_all(&logs).expect("a directory");
        fs::write(logs.join("vol.log"), "one\ntwo\nthree\n").expect("written");
        let error = script.run().await.expect_err("it fails").to_string();
        assert!(error.ends_with("vol.log: two | three"), "{error}");
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_is_named_with_the_mend() {
        let script = Script::new("missing", "");
        fs::remove_file(script.0.join("program")).expect("removed");
        let error = script.run().await.expect_err("not there").to_string();
        assert!(error.contains("glusterfs-client"), "{error}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_program_that_hangs_is_given_up_and_ended() {
        let script = Script::new("hang", "sleep 1000 & wait");
        let error = script.run().await.expect_err("given up").to_string();
        assert!(error.contains("took longer than 90 s"), "{error}");
    }
}
