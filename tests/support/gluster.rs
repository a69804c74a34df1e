//! Real storage hosts: glusterd and an agent in each, in network, mount and PID
//! namespaces of its own, and a manager on the first.
//!
//! Whoever ends a host's first process ends all on it, and the kernel takes its
//! mounts and their loop devices away.

use super::lab::{Host, Lab, attempt, run};
use super::process::{Process, read_lossy, tail};
use super::{tools, wait};
use serde_json::json;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the demo starts on each of its hosts.
const INIT: &str = include_str!("../../src/storage/demo/host.sh");
/// A disk of its own for the device: XFS, which makes reflinks.
const DISK: &str = r#"
    [ -e "$1/disk" ] || { truncate --size 96G "$1/disk" && mkfs.xfs -q -m reflink=1 "$1/disk"; }
    mount -o loop "$1/disk" "$1/device" && exec sh -c "$0" init "$@"
"#;
/// The article's key.
pub const KEY: &str = "ADMIN_PASSWORD";

/// One storage host, or one that only mounts.
pub struct Server {
    pub host: Host,
    process: Process,
    disk: bool,
    storage: Vec<PathBuf>,
}

impl Server {
    /// A host that mounts volumes, with nothing on it.
    pub fn client(lab: &Lab, name: &str, number: u8) -> Server {
        Server::start(&lab.host(name, number), false, Vec::new())
    }

    fn start(host: &Host, disk: bool, storage: Vec<PathBuf>) -> Server {
        std::fs::create_dir_all(host.dir.join("device")).expect("a device");
        Server {
            process: Server::boot(host, disk, &storage),
            host: host.clone(),
            disk,
            storage,
        }
    }

    /// Cuts its power, and gives it back.
    pub fn reboot(&mut self) {
        self.process.kill();
        self.process = Server::boot(&self.host, self.disk, &self.storage);
    }

    fn boot(host: &Host, disk: bool, storage: &[PathBuf]) -> Process {
        let mut command = host.command("unshare");
        command
            .args(["--mount", "--pid", "--fork", "--mount-proc"])
            .args(["--kill-child", "sh", "-c"]);
        match disk {
            true => command.args([DISK, INIT]),
            false => command.args([INIT, "init"]),
        };
        command.arg(&host.dir).args(storage);
        Process::start(host, "host", command)
    }

    /// A command among its processes and mounts.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--target={}", self.process.first_child()))
            .args(["--mount", "--net", "--pid", "--", program]);
        command
    }

    /// A shell command on it.
    pub fn shell(&self, script: &str) -> Result<String, String> {
        attempt(self.command("sh").args(["-c", script]))
    }

    /// Where its bricks are.
    pub fn device(&self) -> PathBuf {
        self.host.dir.join("device")
    }

    /// Mounts a volume at /mnt/NAME, and answers with that directory.
    #[track_caller]
    pub fn mount(&self, volume: &str, from: &[Server]) -> String {
        let point = format!("/mnt/{volume}");
        let hosts: Vec<String> = from.iter().map(|it| it.host.v4.to_string()).collect();
        let script = format!(
            "mkdir -p {point} && mount -t glusterfs -o backup-volfile-servers={} {}:{volume} {point}",
            hosts[1..].join(":"),
            hosts[0]
        );
        self.shell(&script).expect("it is mounted");
        point
    }

    /// What the agent has to say.
    fn tail(&self) -> String {
        tail(&read_lossy(&self.host.dir.join("agent.log")), 30)
    }
}

/// All of them, and their manager.
pub struct Gluster {
    pub servers: Vec<Server>,
    pub manager: Process,
    loods: PathBuf,
    tls: PathBuf,
    allow: Vec<String>,
}

impl Gluster {
    /// So many hosts in one cluster; volumes are for these addresses too. With
    /// `disks` the devices can make snapshots.
    pub fn start(lab: &Lab, count: u8, disks: bool, allow: Vec<String>) -> Gluster {
        let hosts: Vec<Host> = (1..=count)
            .map(|n| lab.host(&format!("gfs{n}"), 40 + n))
            .collect();
        let loods = tools::loods(lab);
        let tls = lab.dir().join("tls");
        run(Command::new(&loods)
            .args(["storage", "certificates", "--out"])
            .arg(&tls)
            .args(hosts.iter().map(|host| host.v4.to_string())));
        let servers: Vec<Server> = hosts
            .iter()
            .map(|host| {
                let own = tls.join(host.v4.to_string());
                Server::start(host, disks, vec![loods.clone(), own])
            })
            .collect();
        let first = &servers[0].host;
        std::fs::write(first.dir.join("key"), KEY).expect("a key");
        std::fs::write(first.dir.join("topology.json"), topology(&servers)).expect("a topology");
        let manager = start_manager(&servers, &loods, &tls, &allow);
        let gluster = Gluster {
            servers,
            manager,
            loods,
            tls,
            allow,
        };
        gluster.wait_ready();
        gluster
    }

    /// A host more, of no cluster yet, that the manager finds by its name, and
    /// that serves its bricks under `storage` too.
    pub fn add_server(&mut self, lab: &Lab, name: &str, number: u8, storage: &str) -> Server {
        let host = lab.host(name, number);
        let address = format!("{storage}/32");
        host.run("ip", &["address", "add", &address, "dev", "lo"]);
        run(Command::new(&self.loods)
            .args(["storage", "certificates", "--out"])
            .arg(&self.tls)
            .arg(name));
        let names = self.servers[0].host.dir.join("hosts");
        std::fs::write(&names, format!("{} {name}\n", host.v4)).expect("names");
        let bind = format!("mount --bind {} /etc/hosts", names.display());
        self.servers[0].shell(&bind).expect("the manager's names");
        Server::start(&host, false, vec![self.loods.clone(), self.tls.join(name)])
    }

    /// Where the manager serves.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::new(self.servers[0].host.v4.into(), 8080)
    }

    /// The same for clients.
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// Ends the manager as a loss of power does.
    pub fn kill_manager(&mut self) {
        self.manager.kill();
    }

    /// A new one, that knows nothing; volumes are for these addresses from now on.
    pub fn start_manager_for(&mut self, allow: Vec<String>) {
        self.allow = allow;
        self.start_manager();
    }

    /// A new one, that knows nothing.
    pub fn start_manager(&mut self) {
        self.manager = start_manager(&self.servers, &self.loods, &self.tls, &self.allow);
    }

    fn wait_ready(&self) {
        wait::until_within(
            std::time::Duration::from_secs(60),
            "gluster has all peers",
            || {
                let peers = self.servers[0].shell("gluster peer status")?;
                let connected = peers.matches("(Connected)").count();
                wait::check(connected == self.servers.len() - 1, peers)
            },
        );
    }

    /// Host and directory of each brick of a volume, as glusterd has them.
    pub fn bricks(&self, volume: &str) -> Vec<(&Server, String)> {
        let info = self.servers[0].shell(&format!("gluster volume info {volume}"));
        let info = info.expect("glusterd knows the volume");
        let found = info.lines().filter_map(|line| {
            let (key, place) = line.split_once(": ")?;
            let (address, path) = place.trim_end_matches(" (arbiter)").split_once(':')?;
            key.strip_prefix("Brick")?;
            let mut servers = self.servers.iter();
            let server = servers.find(|server| server.host.v4.to_string() == address)?;
            Some((server, path.to_owned()))
        });
        found.collect()
    }

    /// Everything of volumes that is on the hosts: volumes, bricks, copies of
    /// snapshots, loop devices.
    pub fn left(&self) -> Result<Vec<String>, String> {
        let mut left: Vec<String> = Vec::new();
        for server in &self.servers {
            let volumes = server.shell("gluster volume list 2>/dev/null || true")?;
            left.extend(
                volumes
                    .lines()
                    .map(|name| format!("{}: {name}", server.host.name)),
            );
            let device = server.device().display().to_string();
            let names = server.shell(&format!("ls {device}"))?;
            let names = names
                .lines()
                .filter(|name| name.starts_with("brick_") || name.starts_with("snapshot_"));
            left.extend(names.map(|name| format!("{}: {name}", server.host.name)));
            let loops = server.shell("losetup --list --noheadings --output BACK-FILE")?;
            let own = loops.lines().filter(|file| file.starts_with(&device));
            left.extend(own.map(Into::into));
        }
        Ok(left)
    }

    /// Everything that the reader of a failed test may want.
    pub fn story(&self) -> String {
        let ends = self
            .servers
            .iter()
            .map(|server| format!("--- {}/agent\n{}\n", server.host.name, server.tail()));
        let volumes = self.servers[0].shell("gluster volume info; gluster volume status");
        let pools = self.servers.iter().map(|server| {
            let told = server.shell("gluster peer status; gluster volume list");
            let told = told.unwrap_or_else(|why| why);
            format!("--- {}/glusterd\n{told}\n", server.host.name)
        });
        format!(
            "{}{}--- manager\n{}\n--- volumes\n{}\n",
            ends.collect::<String>(),
            pools.collect::<String>(),
            self.manager.tail(40),
            volumes.unwrap_or_else(|why| why)
        )
    }
}

fn start_manager(servers: &[Server], loods: &Path, tls: &Path, allow: &[String]) -> Process {
    let first = &servers[0].host;
    let agents: Vec<String> = servers.iter().map(|it| it.host.v4.to_string()).collect();
    // With the files of its host, and no process between it and us.
    let mut command = Command::new("nsenter");
    command
        .arg(format!("--target={}", servers[0].process.first_child()))
        .args(["--mount", "--net", "--"])
        .arg(loods)
        .args(["storage", "manager", "--listen", ":8080"])
        .args(["--metrics", ":7475"])
        .args(["--agents", &agents.join(",")])
        .arg("--tls")
        .arg(tls.join("manager"))
        .arg("--key-file")
        .arg(first.dir.join("key"))
        .arg("--topology")
        .arg(first.dir.join("topology.json"))
        .args(["--allow", &allow.join(",")]);
    Process::start(first, "manager", command)
}

/// Heketi's topology file.
fn topology(servers: &[Server]) -> String {
    let nodes = servers.iter().zip(1..).map(|(server, zone)| {
        json!({
            "node": {
                "hostnames": {"manage": [server.host.v4], "storage": [server.host.v4]},
                "zone": zone,
            },
            "devices": [server.device()],
        })
    });
    json!({"clusters": [{"nodes": nodes.collect::<Vec<_>>()}]}).to_string()
}
