//! FRR (zebra and bgpd) as a router in a host's namespace, without systemd:
//! its own configuration, sockets and logs. What it has learnt is asked in
//! its own words, `show … json`; what it was sent is read from its debug log.

use super::lab::{Host, attempt, run};
use super::process::{Process, read_lossy};
use super::wait;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

const LIBRARY: &str = "/usr/lib/frr";

/// A running FRR.
pub struct Frr {
    host: Host,
    dir: PathBuf,
    /// The BGP daemon, for those who freeze or kill it.
    pub bgpd: Process,
    zebra: Process,
}

/// A row of `show bgp summary`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Neighbour {
    /// `Established`, `Active`, `Idle (PfxCt)`, …
    pub state: String,
    /// Prefixes received, of the family asked for.
    pub prefixes: u64,
    /// The neighbour's AS number.
    pub remote_as: u64,
}

/// One path of `show bgp FAMILY unicast PREFIX json`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    /// The peer it came from.
    pub peer: String,
    /// Next hops, the global one first.
    pub next_hops: Vec<String>,
    /// LOCAL_PREF, when the session is internal.
    pub local_pref: Option<u64>,
    /// `IGP`, `EGP` or `incomplete`.
    pub origin: String,
    /// AS_PATH as FRR prints it: `Local` when empty.
    pub as_path: String,
    /// Communities as FRR prints them, in order.
    pub communities: BTreeSet<String>,
}

/// What bgpd heard from a peer, or lost.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Heard {
    /// A prefix was announced, first or anew.
    Announced {
        /// The peer that sent it.
        peer: String,
        /// The prefix.
        prefix: String,
    },
    /// A prefix was withdrawn.
    Withdrawn {
        /// The peer that sent it.
        peer: String,
        /// The prefix.
        prefix: String,
    },
    /// A session ended.
    Down {
        /// The peer.
        peer: String,
    },
}

impl Frr {
    /// Starts both daemons on `config` and waits until bgpd answers.
    #[track_caller]
    pub fn start(host: &Host, config: &str) -> Frr {
        let dir = host.dir.join("frr");
        fs::create_dir_all(&dir).expect("a directory for FRR");
        fs::write(dir.join("zebra.conf"), "hostname zebra\n").expect("zebra's configuration");
        fs::write(dir.join("bgpd.conf"), config).expect("bgpd's configuration");
        fs::write(dir.join("vtysh.conf"), "").expect("vtysh's configuration");
        run(Command::new("chown").args(["-R", "frr:frr"]).arg(&dir));

        let mut zebra = Process::start(host, "zebra", daemon(host, &dir, "zebra"));
        zebra.wait("zebra opens its socket", || {
            wait::check(dir.join("zserv.api").exists(), "no socket")
        });
        let bgpd = Process::start(host, "bgpd", daemon(host, &dir, "bgpd"));
        let mut frr = Frr {
            host: host.clone(),
            dir,
            bgpd,
            zebra,
        };
        frr.wait_until_it_answers();
        frr
    }

    /// Ends bgpd as a crash does and starts it anew on the same configuration.
    pub fn restart_bgpd(&mut self) {
        self.bgpd.kill();
        // Its vty socket lies there still; the new one must be the one that answers.
        let _ = fs::remove_file(self.dir.join("bgpd.vty"));
        self.bgpd = Process::start(&self.host, "bgpd", daemon(&self.host, &self.dir, "bgpd"));
        self.wait_until_it_answers();
    }

    fn wait_until_it_answers(&mut self) {
        let (host, dir) = (&self.host, &self.dir);
        self.bgpd.wait("bgpd answers vtysh", || {
            let seen = attempt(vtysh(host, dir).args(["-d", "bgpd", "-c", "show bgp summary"]))?;
            // Before its configuration is read it says that BGP does not run.
            wait::check(!seen.contains("not found"), seen)
        });
    }

    /// Runs commands as at the router's console, in order.
    #[track_caller]
    pub fn vtysh(&self, commands: &[&str]) -> String {
        let mut vtysh = vtysh(&self.host, &self.dir);
        for command in commands {
            vtysh.args(["-c", command]);
        }
        run(&mut vtysh)
    }

    /// Changes the running configuration.
    #[track_caller]
    pub fn configure(&self, lines: &[&str]) {
        let mut commands = vec!["configure terminal"];
        commands.extend(lines);
        self.vtysh(&commands);
    }

    #[track_caller]
    fn json(&self, command: &str) -> Value {
        let text = self.vtysh(&[command]);
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{command}: {error} in {text}"))
    }

    /// `show bgp FAMILY unicast summary`: neighbours by address; `family` is `ipv4` or `ipv6`.
    #[track_caller]
    pub fn summary(&self, family: &str) -> BTreeMap<String, Neighbour> {
        let answer = self.json(&format!("show bgp {family} unicast summary json"));
        let peers = answer["peers"].as_object().cloned().unwrap_or_default();
        peers
            .into_iter()
            .map(|(address, row)| {
                let neighbour = Neighbour {
                    state: text(&row["state"]),
                    prefixes: row["pfxRcd"].as_u64().unwrap_or(0),
                    remote_as: row["remoteAs"].as_u64().unwrap_or(0),
                };
                (address, neighbour)
            })
            .collect()
    }

    /// Waits until exactly these neighbours are Established.
    #[track_caller]
    pub fn wait_established(&self, family: &str, addresses: &[String]) {
        let wanted: BTreeSet<&String> = addresses.iter().collect();
        wait::until("FRR has these neighbours Established", || {
            let summary = self.summary(family);
            let up: BTreeSet<&String> = summary
                .iter()
                .filter(|(_, row)| row.state == "Established")
                .map(|(address, _)| address)
                .collect();
            wait::check(up == wanted, &summary)
        });
    }

    /// `show bgp neighbor ADDRESS json`: everything FRR knows of a neighbour.
    #[track_caller]
    pub fn neighbour(&self, address: &str) -> Value {
        self.json(&format!("show bgp neighbors {address} json"))[address].clone()
    }

    /// The BGP table of a family: prefix to the peers that announce it.
    #[track_caller]
    pub fn table(&self, family: &str) -> BTreeMap<String, BTreeSet<String>> {
        let answer = self.json(&format!("show bgp {family} unicast json"));
        let routes = answer["routes"].as_object().cloned().unwrap_or_default();
        routes
            .into_iter()
            .map(|(prefix, paths)| {
                let peers = paths
                    .as_array()
                    .into_iter()
                    .flatten()
                    .map(|path| text(&path["peerId"]))
                    .collect();
                (prefix, peers)
            })
            .collect()
    }

    /// The version of a family's table: each change of a best path raises it.
    #[track_caller]
    pub fn table_version(&self, family: &str) -> u64 {
        let answer = self.json(&format!("show bgp {family} unicast json"));
        answer["tableVersion"].as_u64().expect("FRR counts")
    }

    /// Waits until `prefix` is announced by exactly these peers (none: gone).
    #[track_caller]
    pub fn wait_route(&self, prefix: &str, peers: &[String]) {
        let family = if prefix.contains(':') { "ipv6" } else { "ipv4" };
        let wanted: BTreeSet<String> = peers.iter().cloned().collect();
        wait::until(&format!("FRR has {prefix} from {peers:?}"), || {
            let seen = self.table(family).remove(prefix).unwrap_or_default();
            wait::check(seen == wanted, seen)
        });
    }

    /// The paths of one prefix with their attributes, by peer.
    #[track_caller]
    pub fn paths(&self, prefix: &str) -> Vec<Path> {
        let family = if prefix.contains(':') { "ipv6" } else { "ipv4" };
        let answer = self.json(&format!("show bgp {family} unicast {prefix} json"));
        let mut paths: Vec<Path> = answer["paths"]
            .as_array()
            .into_iter()
            .flatten()
            .map(path)
            .collect();
        paths.sort_by(|a, b| a.peer.cmp(&b.peer));
        paths
    }

    /// `show ip route bgp json` of one prefix: (distance, metric, next hops in the forwarding table).
    #[track_caller]
    pub fn forwarding(&self, prefix: &str) -> Option<(u64, u64, BTreeSet<String>)> {
        let show = if prefix.contains(':') {
            "show ipv6 route bgp json"
        } else {
            "show ip route bgp json"
        };
        let answer = self.json(show);
        let route = answer.get(prefix)?.get(0)?.clone();
        let hops = route["nexthops"].as_array().into_iter().flatten();
        let hops = hops
            .filter(|hop| hop["fib"] == true)
            .map(|hop| text(&hop["ip"]))
            .collect();
        Some((route["distance"].as_u64()?, route["metric"].as_u64()?, hops))
    }

    /// Everything heard so far, in order. Needs [`recording_to`] in the configuration.
    pub fn recording(&self) -> Vec<Heard> {
        read_lossy(&self.dir.join("updates.log"))
            .lines()
            .filter_map(heard)
            .collect()
    }

    /// bgpd's own log, for what it says of a refused session.
    pub fn log(&self) -> String {
        self.bgpd.log() + &read_lossy(&self.dir.join("updates.log"))
    }
}

/// The lines of bgpd's configuration that make [`Frr::recording`] work, with
/// `bgp log-neighbor-changes` under `router bgp` for the ends of sessions.
pub fn recording_to(host: &Host) -> String {
    format!(
        "log file {}/frr/updates.log debugging\nlog timestamp precision 6\ndebug bgp updates in\n",
        host.dir.display()
    )
}

/// bgpd's configuration for the article's router at 198.19.0.2: AS 65559 and a
/// session with password "foo" to each node, all paths used. A session over
/// IPv6, without a password, waits for those who want one.
pub fn article(router: &Host, nodes: &[Host]) -> String {
    let mut config = format!(
        "hostname router\n{}router bgp 65559\n bgp router-id 198.19.0.2\n bgp log-neighbor-changes\n",
        recording_to(router)
    );
    for node in nodes {
        config += &format!(
            " neighbor {0} remote-as 65559\n neighbor {0} password foo\n neighbor {1} remote-as 65559\n",
            node.v4, node.v6
        );
    }
    config += " address-family ipv4 unicast\n  maximum-paths ibgp 8\n";
    for node in nodes {
        config += &format!("  no neighbor {} activate\n", node.v6);
    }
    config += " exit-address-family\n address-family ipv6 unicast\n";
    for node in nodes {
        config += &format!("  neighbor {} activate\n", node.v6);
    }
    config + " exit-address-family\n"
}

fn daemon(host: &Host, dir: &std::path::Path, name: &str) -> Command {
    let mut command = host.command(format!("{LIBRARY}/{name}"));
    command.arg("-f").arg(dir.join(format!("{name}.conf")));
    command.arg("-i").arg(dir.join(format!("{name}.pid")));
    command.arg("-z").arg(dir.join("zserv.api"));
    command.arg("--vty_socket").arg(dir);
    command.args(["-u", "frr", "-g", "frr", "-P", "0", "--log", "stdout"]);
    command
}

fn vtysh(host: &Host, dir: &std::path::Path) -> Command {
    let mut command = host.command("vtysh");
    command
        .arg("--vty_socket")
        .arg(dir)
        .arg("--config_dir")
        .arg(dir);
    command
}

fn path(row: &Value) -> Path {
    let hops = row["nexthops"].as_array().into_iter().flatten();
    let communities = row["community"]["list"].as_array().into_iter().flatten();
    Path {
        peer: text(&row["peer"]["peerId"]),
        next_hops: hops.map(|hop| text(&hop["ip"])).collect(),
        local_pref: row["locPrf"].as_u64(),
        origin: text(&row["origin"]),
        as_path: text(&row["aspath"]["string"]),
        communities: communities.map(text).collect(),
    }
}

/// Reads bgpd's lines
/// `… 198.19.0.11(Unknown) rcvd 1.2.3.4/32 IPv4 unicast`,
/// `… 198.19.0.11(Unknown) rcvd UPDATE about 1.2.3.4/32 IPv4 unicast -- withdrawn` and
/// `… %ADJCHANGE: neighbor 198.19.0.11(Unknown) in vrf default Down …`.
fn heard(line: &str) -> Option<Heard> {
    let address = |word: &str| word.split('(').next().unwrap_or(word).to_string();
    if let Some((_, change)) = line.split_once("%ADJCHANGE: neighbor ") {
        let peer = address(change.split(' ').next()?);
        return change.contains(" Down ").then_some(Heard::Down { peer });
    }
    let (before, after) = line.split_once(" rcvd ")?;
    let peer = address(before.rsplit(' ').next()?);
    let after = after.strip_prefix("UPDATE about ").unwrap_or(after);
    let prefix = after
        .split(' ')
        .next()
        .filter(|word| word.contains('/'))?
        .to_string();
    if line.trim_end().ends_with("withdrawn") {
        Some(Heard::Withdrawn { peer, prefix })
    } else {
        Some(Heard::Announced { peer, prefix })
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_string()
}
