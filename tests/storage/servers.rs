//! Storage hosts: a glusterd and an agent in each, the manager on the first.

use crate::support::cluster::Cluster;
use crate::support::lab::{Host, attempt, run};
use crate::support::node::files::pod_ranges;
use crate::support::process::Process;
use crate::support::{tools, wait};
use serde_json::json;
use std::path::PathBuf;
use std::process::Command;

/// What the demo starts on each of its hosts.
const INIT: &str = include_str!("../../src/storage/demo/host.sh");
/// The article's key.
const KEY: &str = "ADMIN_PASSWORD";

/// One storage host.
pub struct Server {
    pub host: Host,
    process: Process,
}

impl Server {
    /// A command among its processes and mounts.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--target={}", self.process.first_child()))
            .args(["--mount", "--net", "--pid", "--", program]);
        command
    }

    pub fn shell(&self, script: &str) -> Result<String, String> {
        attempt(self.command("sh").args(["-c", script]))
    }

    pub fn device(&self) -> PathBuf {
        self.host.dir.join("device")
    }

    /// What the agent has to say.
    fn tail(&self) -> String {
        let log = crate::support::process::read_lossy(&self.host.dir.join("agent.log"));
        crate::support::process::tail(&log, 30)
    }
}

/// All of them, and their manager.
pub struct Servers {
    pub all: Vec<Server>,
    pub manager: Process,
}

impl Servers {
    /// Three, one cluster of Gluster's; volumes are for the nodes' addresses.
    pub fn start(cluster: &Cluster) -> Servers {
        let hosts: Vec<Host> = (1..=3)
            .map(|n| cluster.lab.host(&format!("gfs{n}"), 40 + n))
            .collect();
        for host in &hosts {
            // The controller asks from the pod network.
            for (number, node) in (1..).zip(&cluster.nodes) {
                for range in pod_ranges(number) {
                    host.route(&range, &node.host);
                }
            }
        }
        let loods = tools::loods(&cluster.lab);
        let tls = cluster.lab.dir().join("tls");
        let addresses: Vec<String> = hosts.iter().map(|host| host.v4.to_string()).collect();
        run(Command::new(&loods)
            .args(["storage", "certificates", "--out"])
            .arg(&tls)
            .args(&addresses));
        let start = |host: &Host| {
            std::fs::create_dir_all(host.dir.join("device")).expect("a device");
            let mut command = host.command("unshare");
            command
                .args(["--mount", "--pid", "--fork", "--mount-proc"])
                .args(["--kill-child", "sh", "-c", INIT, &host.name])
                .arg(&host.dir)
                .arg(&loods)
                .arg(tls.join(host.v4.to_string()));
            Server {
                host: host.clone(),
                process: Process::start(host, "host", command),
            }
        };
        let all: Vec<Server> = hosts.iter().map(start).collect();
        let first = &all[0].host;
        let key = first.dir.join("key");
        std::fs::write(&key, KEY).expect("a key");
        let topology = first.dir.join("topology.json");
        std::fs::write(&topology, topology_of(&all)).expect("a topology");
        let nodes = cluster.nodes.iter().map(|node| node.host.v4.to_string());
        let mut command = first.command(&loods);
        command
            .args(["storage", "manager", "--listen", ":8080"])
            .args(["--agents", &addresses.join(",")])
            .arg("--tls")
            .arg(tls.join("manager"))
            .arg("--key-file")
            .arg(key)
            .arg("--topology")
            .arg(topology)
            .args(["--allow", &nodes.collect::<Vec<_>>().join(",")]);
        let manager = Process::start(first, "manager", command);
        let servers = Servers { all, manager };
        servers.wait_ready();
        servers
    }

    fn wait_ready(&self) {
        wait::until("gluster has all peers", || {
            let peers = self.all[0].shell("gluster peer status")?;
            let connected = peers.matches("(Connected)").count();
            wait::check(connected == self.all.len() - 1, peers)
        });
    }

    /// Host and directory of each brick of a volume, as glusterd has them.
    pub fn bricks(&self, volume: &str) -> Vec<(&Server, String)> {
        let info = self.all[0].shell(&format!("gluster volume info {volume}"));
        let info = info.expect("glusterd knows the volume");
        let found = info.lines().filter_map(|line| {
            let (key, place) = line.split_once(": ")?;
            let (address, path) = place.split_once(':')?;
            key.strip_prefix("Brick")?;
            let server = self
                .all
                .iter()
                .find(|server| server.host.v4.to_string() == address)?;
            Some((server, path.to_owned()))
        });
        found.collect()
    }

    /// Everything of volumes that is on the hosts: volumes, bricks, loop devices.
    pub fn left(&self) -> Result<Vec<String>, String> {
        let volumes = self.all[0].shell("gluster volume list 2>/dev/null || true")?;
        let mut left: Vec<String> = volumes.lines().map(Into::into).collect();
        for server in &self.all {
            let device = server.device();
            let bricks = std::fs::read_dir(&device).map_err(|error| error.to_string())?;
            let names = bricks.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
            let names = names.filter(|name| name.starts_with("brick_"));
            left.extend(names.map(|name| format!("{}: {name}", server.host.name)));
            let loops = run(Command::new("losetup").args([
                "--list",
                "--noheadings",
                "--output",
                "BACK-FILE",
            ]));
            let own = device.display().to_string();
            left.extend(
                loops
                    .lines()
                    .filter(|file| file.starts_with(&own))
                    .map(Into::into),
            );
        }
        Ok(left)
    }

    pub fn story(&self) -> String {
        let ends = self
            .all
            .iter()
            .map(|server| format!("--- {}/agent\n{}\n", server.host.name, server.tail()));
        let volumes = self.all[0].shell("gluster volume info; gluster volume status");
        format!(
            "{}--- manager\n{}\n--- volumes\n{}\n",
            ends.collect::<String>(),
            self.manager.tail(40),
            volumes.unwrap_or_else(|why| why)
        )
    }
}

fn topology_of(servers: &[Server]) -> String {
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
