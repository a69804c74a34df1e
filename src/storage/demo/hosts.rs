//! The demo's hosts: network namespaces on one bridge, each with a mount and a
//! PID namespace of its own, so that three glusterds fit on one machine.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

const MAKE: &str = include_str!("make.sh");
const HOST: &str = include_str!("host.sh");

/// Why the demo cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// Namespaces and mounts are root's.
    #[error("the demo makes network namespaces and mounts: run it as root")]
    NotRoot,
    /// Programs are not there.
    #[error("missing on this machine: {programs}; on Debian: apt-get install {packages}")]
    Missing {
        /// Their names.
        programs: String,
        /// What they are in.
        packages: String,
    },
    /// A file or a process cannot be made.
    #[error("{what}: {cause}")]
    System {
        /// What was tried.
        what: String,
        /// The system's words.
        cause: io::Error,
    },
    /// A program said no.
    #[error("{program} failed: {said}")]
    Program {
        /// Its name and arguments.
        program: String,
        /// What it wrote to standard error.
        said: String,
    },
}

impl LabError {
    pub(super) fn system(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |cause| LabError::System { what, cause }
    }
}

/// The hosts and wires.
pub(super) struct Hosts {
    dir: PathBuf,
    /// Hosts that run, by name.
    running: Vec<(&'static str, Child)>,
}

impl Hosts {
    /// Makes a namespace for each (name, last octet of its address).
    pub(super) fn make(dir: &Path, hosts: &[(&'static str, u8)]) -> Result<Self, LabError> {
        let pairs = hosts
            .iter()
            .map(|(name, number)| format!("{name}={number}"));
        run(Command::new("sh").args(["-c", MAKE, "make"]).args(pairs))?;
        Ok(Self {
            dir: dir.into(),
            running: Vec::new(),
        })
    }

    /// Where a host's devices lie.
    pub(super) fn device(&self, host: &str) -> PathBuf {
        self.dir.join(host).join("device")
    }

    /// A command in the network of a host, with the files of this process.
    pub(super) fn command(host: &str, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net=/run/netns/{host}"))
            .arg(program)
            .stdin(Stdio::null());
        command
    }

    /// Starts a host; with a program and its certificates it is a storage host.
    pub(super) fn start(&mut self, host: &'static str, storage: &[&OsStr]) -> Result<(), LabError> {
        let dir = self.dir.join(host);
        let device = self.device(host);
        std::fs::create_dir_all(&device).map_err(LabError::system(device.display().to_string()))?;
        let child = Self::command(host, "unshare")
            .args(["--mount", "--pid", "--fork", "--mount-proc"])
            .args(["--kill-child", "sh", "-c", HOST, host])
            .arg(&dir)
            .args(storage)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(LabError::system(format!("starting {host}")))?;
        self.running.push((host, child));
        Ok(())
    }

    /// A command among the processes and mounts of a host that runs.
    pub(super) fn inside(&self, host: &str, program: &str) -> Option<Command> {
        let (_, child) = self.running.iter().find(|(name, _)| *name == host)?;
        let path = format!("/proc/{0}/task/{0}/children", child.id());
        let first = std::fs::read_to_string(path).ok()?;
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--target={}", first.split_whitespace().next()?))
            .args(["--mount", "--net", "--pid", "--"])
            .arg(program)
            .stdin(Stdio::null());
        Some(command)
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        for (_, child) in &mut self.running {
            // One that has ended already is as good.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Runs a command to its end and answers what it printed.
pub(super) fn run(command: &mut Command) -> Result<String, LabError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(LabError::system(program))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let words = command.get_args().map(|word| word.to_string_lossy());
    // Scripts are long; their last words say what was asked for.
    let words: Vec<_> = words.filter(|word| !word.contains('\n')).collect();
    Err(LabError::Program {
        program: words.join(" "),
        said: String::from_utf8_lossy(&output.stderr).trim().into(),
    })
}
