//! The demo's hosts: network namespaces on one bridge, each with a mount and a
//! PID namespace of its own, so that three glusterds fit on one machine.
//!
//! Made and cleared up by three small shell scripts beside this file. The one
//! that clears up is a process of its own that waits for the end of its
//! standard input: it comes also when the demo panics or is killed.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

const MAKE: &str = include_str!("make.sh");
const HOST: &str = include_str!("host.sh");
const WEB: &str = include_str!("web.sh");
const CLEAR: &str = include_str!("clear.sh");

/// Programs that the demo runs, and the Debian package of each.
const NEEDED: [(&str, &str); 9] = [
    ("ip", "iproute2"),
    ("nsenter", "util-linux"),
    ("unshare", "util-linux"),
    ("losetup", "mount"),
    ("mkfs.xfs", "xfsprogs"),
    ("glusterd", "glusterfs-server"),
    ("gluster", "glusterfs-cli"),
    ("mount.glusterfs", "glusterfs-client"),
    ("setsid", "util-linux"),
];

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
        /// Where they are in.
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
    fn system(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |cause| LabError::System { what, cause }
    }
}

/// The hosts and wires. Dropping it ends everything on them.
pub struct Lab {
    tag: String,
    dir: PathBuf,
    clear: Child,
    /// Hosts that run, by name.
    hosts: Vec<(&'static str, Child)>,
}

impl Lab {
    /// Makes a namespace for each (name, last octet of its address), and a
    /// directory that all may use.
    ///
    /// # Errors
    /// Not root, a missing program, or no namespaces.
    pub fn make(hosts: &[(&'static str, u8)]) -> Result<Self, LabError> {
        check_programs()?;
        let tag = format!("loods-demo-{}", std::process::id());
        let dir = std::env::temp_dir().join(&tag);
        std::fs::create_dir(&dir).map_err(LabError::system(dir.display().to_string()))?;
        let clear = Command::new("setsid")
            .args(["sh", "-c", CLEAR, "clear", &tag])
            .arg(&dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(LabError::system("starting the process that clears up"))?;
        let lab = Self {
            tag,
            dir,
            clear,
            hosts: Vec::new(),
        };
        let names = hosts
            .iter()
            .map(|(name, number)| format!("198.18.77.{number} {name}\n"));
        let names: String = std::iter::once("127.0.0.1 localhost\n".into())
            .chain(names)
            .collect();
        let file = lab.names();
        std::fs::write(&file, names).map_err(LabError::system(file.display().to_string()))?;
        let pairs = hosts.iter().map(|(name, number)| format!("{name}={number}"));
        let mut make = Command::new("sh");
        run(make.args(["-c", MAKE, "make", &lab.tag]).args(pairs))?;
        Ok(lab)
    }

    /// A directory that vanishes with the lab.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The hosts file of all hosts.
    fn names(&self) -> PathBuf {
        self.dir.join("hosts")
    }

    /// Where a host's devices lie.
    pub fn device(&self, host: &str) -> PathBuf {
        self.dir.join(host).join("device")
    }

    /// A command in the network of a host, with the lab's names of hosts.
    pub fn command(&self, host: &str, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net=/run/netns/{}-{host}", self.tag))
            .args(["unshare", "--mount", "sh", "-c"])
            .arg("mount --make-rprivate /; mount --bind \"$0\" /etc/hosts; exec \"$@\"")
            .arg(self.names())
            .arg(program)
            .stdin(Stdio::null());
        command
    }

    /// Starts glusterd and the agent of a storage host.
    ///
    /// # Errors
    /// No process can be started.
    pub fn start_storage(
        &mut self,
        loods: &Path,
        tls: &Path,
        host: &'static str,
    ) -> Result<(), LabError> {
        let tls = tls.join(host);
        self.start(host, HOST, &[loods.as_ref(), host.as_ref()], &[tls.as_ref()])
    }

    /// Starts a host that mounts volumes.
    ///
    /// # Errors
    /// No process can be started.
    pub fn start_web(&mut self, host: &'static str) -> Result<(), LabError> {
        self.start(host, WEB, &[], &[])
    }

    /// Runs a script as the first process of a host, with the host's directory
    /// and the names of hosts among its arguments.
    fn start(
        &mut self,
        host: &'static str,
        script: &str,
        before: &[&OsStr],
        between: &[&OsStr],
    ) -> Result<(), LabError> {
        let dir = self.dir.join(host);
        std::fs::create_dir_all(dir.join("device"))
            .map_err(LabError::system(dir.display().to_string()))?;
        let child = Command::new("nsenter")
            .arg(format!("--net=/run/netns/{}-{host}", self.tag))
            .args(["unshare", "--mount", "--pid", "--fork", "--mount-proc"])
            .args(["--kill-child", "bash", "-c", script, host])
            .args(before)
            .arg(&dir)
            .args(between)
            .arg(self.names())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(LabError::system(format!("starting {host}")))?;
        self.hosts.push((host, child));
        Ok(())
    }

    /// A command among the processes and mounts of a host that runs.
    pub fn inside(&self, host: &str, program: &str) -> Option<Command> {
        let (_, child) = self.hosts.iter().find(|(name, _)| *name == host)?;
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

impl Drop for Lab {
    fn drop(&mut self) {
        for (_, child) in &mut self.hosts {
            // One that has ended already is as good.
            let _ = child.kill();
            let _ = child.wait();
        }
        drop(self.clear.stdin.take());
        let _ = self.clear.wait();
    }
}

/// Runs a command to its end and answers what it printed.
///
/// # Errors
/// It cannot be started, or it failed.
pub fn run(command: &mut Command) -> Result<String, LabError> {
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

fn check_programs() -> Result<(), LabError> {
    use std::os::unix::fs::MetadataExt;
    // /proc/self belongs to the effective user.
    if std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() != 0) {
        return Err(LabError::NotRoot);
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places: Vec<PathBuf> = std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .collect();
    let absent = |(program, _): &&(&str, &str)| {
        !places.iter().any(|place| place.join(program).is_file())
    };
    let missing: Vec<_> = NEEDED.iter().filter(absent).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let mut packages: Vec<&str> = missing.iter().map(|(_, package)| *package).collect();
    packages.sort_unstable();
    packages.dedup();
    let programs: Vec<&str> = missing.iter().map(|(program, _)| *program).collect();
    Err(LabError::Missing {
        programs: programs.join(", "),
        packages: packages.join(" "),
    })
}
