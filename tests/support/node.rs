//! One real node: containerd, kubelet and kube-proxy in the network namespace
//! of a host of the laboratory, with mount, UTS and PID namespaces and cgroups
//! of its own.
//!
//! What it cannot show: all nodes share one kernel, with its clock and its
//! table of connections. What the kernel keeps for a network namespace
//! (addresses, kube-proxy's rules, open connections) outlives a node's
//! processes, so a machine that loses power is one that loses its cable too.

pub mod files;

use super::control_plane::ControlPlane;
use super::lab::{Host, attempt};
use super::process::{Process, read_lossy, tail};
use super::wait;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const INIT: &str = include_str!("node/init.sh");

/// A node, which may be stopped and started.
pub struct Node {
    /// Its name and addresses.
    pub host: Host,
    programs: PathBuf,
    images: Vec<PathBuf>,
    process: Option<Process>,
}

impl Node {
    /// Writes what the node needs to start: number `number` in its pods'
    /// addresses, images from the registry at `registry`, and `images`
    /// (archives) imported beforehand.
    pub fn new(
        host: &Host,
        number: u8,
        plane: &ControlPlane,
        registry: &str,
        images: &[&Path],
    ) -> Node {
        files::write(host, number, registry);
        plane.kubelet_kubeconfig(&host.dir.join("kubelet.conf"), &host.name);
        fs::copy(plane.proxy_kubeconfig(), host.dir.join("kube-proxy.conf"))
            .expect("a kubeconfig for kube-proxy");
        fs::write(host.dir.join("init.sh"), INIT).expect("the node's first program");
        host.forward();
        host.sysctl(&["net.ipv6.conf.default.accept_dad=0"]);
        Node {
            host: host.clone(),
            programs: plane.programs().into(),
            images: images.iter().map(PathBuf::from).collect(),
            process: None,
        }
    }

    /// Starts it, as a machine that was off. It registers by itself.
    pub fn start(&mut self) {
        // Containers of an earlier start are gone, but their cgroups are not,
        // and the kubelet would ask about each of them for seconds.
        remove_cgroups(self.host.namespace());
        make_cgroups(self.host.namespace());
        let mut command = self.host.command("unshare");
        command
            .args([
                "--mount",
                "--uts",
                "--pid",
                "--fork",
                "--mount-proc",
                "--kill-child",
            ])
            .arg("bash")
            .arg(self.host.dir.join("init.sh"))
            .env("NODE", &self.host.name)
            .env("DIR", &self.host.dir)
            .env("PROGRAMS", &self.programs)
            .env("ADDRESSES", format!("{},{}", self.host.v4, self.host.v6))
            .env(
                "IMAGES",
                self.images
                    .iter()
                    .map(|image| image.display().to_string())
                    .collect::<Vec<_>>()
                    .join(" "),
            );
        self.process = Some(Process::start(&self.host, "node", command));
    }

    /// Ends everything on it at once. The kernel closes its connections, and
    /// says so to the other ends, unless the cable was pulled before
    /// ([`super::lab::Lab::unplug`]).
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Whether it has been started and not been killed.
    pub fn runs(&self) -> bool {
        self.process.is_some()
    }

    /// A command in all of the node's namespaces, such as `ctr` or `nft`.
    #[track_caller]
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let process = self.process.as_ref().expect("the node runs");
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--target={}", process.first_child()))
            .args(["--mount", "--uts", "--net", "--pid", "--"])
            .arg(program);
        command
    }

    /// Runs a program on the node to its end and answers what it printed.
    pub fn try_run(&self, program: &str, arguments: &[&str]) -> Result<String, String> {
        attempt(self.command(program).args(arguments))
    }

    /// The ends of the logs of all its parts.
    pub fn tails(&self) -> String {
        let parts = ["node", "containerd", "kubelet", "kube-proxy"];
        let ends = parts.map(|part| {
            let log = read_lossy(&self.host.dir.join(format!("{part}.log")));
            let lines: Vec<&str> = log.lines().filter(|line| !line.starts_with('I')).collect();
            format!(
                "--- {}/{part}\n{}\n",
                self.host.name,
                tail(&lines.join("\n"), 12)
            )
        });
        ends.concat()
    }
}

/// The roots of the cgroup hierarchies: one with version 2, one for each
/// controller with version 1.
fn hierarchies() -> Vec<PathBuf> {
    let root = Path::new("/sys/fs/cgroup");
    if root.join("cgroup.controllers").exists() {
        return vec![root.into()];
    }
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("mounts can be read");
    let mounts = mounts.lines().filter(|line| line.contains(" - cgroup "));
    let places = mounts.filter_map(|line| line.split(' ').nth(4));
    let places = places.map(PathBuf::from);
    places.filter(|place| place.starts_with(root)).collect()
}

fn make_cgroups(name: &str) {
    for hierarchy in hierarchies() {
        let cgroup = hierarchy.join(name);
        fs::create_dir_all(&cgroup).expect("a cgroup for the node");
        // A node has its processors for itself. Here it shares them with whatever
        // else runs on this machine, so it comes first.
        for (file, most) in [("cpu.shares", "262144"), ("cpu.weight", "10000")] {
            let file = cgroup.join(file);
            if file.exists() {
                fs::write(file, most).expect("a weight for the node's programs");
            }
        }
        // In version 1 a new cpuset has no processors and no memory.
        for file in ["cpuset.mems", "cpuset.cpus"] {
            if let Ok(all) = fs::read(hierarchy.join(file))
                && hierarchy.ends_with("cpuset")
            {
                fs::write(cgroup.join(file), all).expect("the processors of a cgroup");
            }
        }
    }
}

#[track_caller]
fn remove_cgroups(name: &str) {
    wait::until("the cgroups of the node's earlier life are gone", || {
        hierarchies()
            .iter()
            .try_for_each(|hierarchy| remove_tree(&hierarchy.join(name)))
    });
}

/// Children first: a cgroup is a directory whose files cannot be removed.
fn remove_tree(cgroup: &Path) -> Result<(), String> {
    let Ok(entries) = fs::read_dir(cgroup) else {
        return Ok(());
    };
    for entry in entries.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_tree(&entry.path())?;
        }
    }
    fs::remove_dir(cgroup).map_err(|error| format!("{}: {error}", cgroup.display()))
}
