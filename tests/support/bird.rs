//! BIRD 2 as a router in a host's namespace, asked through `birdc`.

use super::lab::{Host, attempt};
use super::process::Process;
use super::wait;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// A running BIRD.
pub struct Bird {
    host: Host,
    socket: PathBuf,
    /// The daemon, for those who freeze or kill it.
    pub daemon: Process,
}

impl Bird {
    /// Starts BIRD on `config` and waits until it answers.
    #[track_caller]
    pub fn start(host: &Host, config: &str) -> Bird {
        let file = host.dir.join("bird.conf");
        let socket = host.dir.join("bird.ctl");
        fs::write(&file, config).expect("BIRD's configuration");
        let mut command = host.command("bird");
        command.args(["-f", "-c"]).arg(&file).arg("-s").arg(&socket);
        command.arg("-P").arg(host.dir.join("bird.pid"));
        let daemon = Process::start(host, "bird", command);
        let bird = Bird {
            host: host.clone(),
            socket,
            daemon,
        };
        wait::until("BIRD answers birdc", || bird.birdc("show status").map(drop));
        bird
    }

    /// One command as at BIRD's console.
    pub fn birdc(&self, command: &str) -> Result<String, String> {
        birdc(&self.host, &self.socket, command)
    }

    /// Protocols by name with what `show protocols` says last, such as
    /// `Established`.
    #[track_caller]
    pub fn sessions(&self) -> BTreeMap<String, String> {
        let text = self.birdc("show protocols").expect("BIRD answers");
        let rows = text
            .lines()
            .filter(|line| line.split_whitespace().nth(1) == Some("BGP"));
        rows.filter_map(|row| {
            let mut words = row.split_whitespace();
            let name = words.next()?.to_string();
            Some((name, words.skip(4).collect::<Vec<_>>().join(" ")))
        })
        .collect()
    }

    /// Waits until this many sessions are Established.
    #[track_caller]
    pub fn wait_established(&self, count: usize) {
        wait::until(&format!("BIRD has {count} sessions Established"), || {
            let sessions = self.sessions();
            let up = sessions
                .values()
                .filter(|state| state.as_str() == "Established")
                .count();
            wait::check(up == count, sessions)
        });
    }

    /// Prefixes with their next hops (of all paths).
    #[track_caller]
    pub fn table(&self) -> BTreeMap<String, BTreeSet<String>> {
        let text = self.birdc("show route all").expect("BIRD answers");
        let mut table: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let mut prefix = String::new();
        for line in text.lines() {
            if line.starts_with(|c: char| c.is_ascii_hexdigit()) && line.contains('/') {
                prefix = line.split_whitespace().next().unwrap_or_default().into();
            } else if let Some(hop) = line.trim().strip_prefix("BGP.next_hop: ") {
                // An IPv6 next hop may be two: the global one first (RFC 2545 §3).
                let hop = hop.split_whitespace().next().unwrap_or_default();
                table.entry(prefix.clone()).or_default().insert(hop.into());
            }
        }
        table
    }

    /// `show route PREFIX all`: the text with every attribute.
    #[track_caller]
    pub fn attributes(&self, prefix: &str) -> String {
        self.birdc(&format!("show route {prefix} all"))
            .expect("BIRD answers")
    }

    /// Waits until `prefix` is there by exactly these next hops (none: gone).
    #[track_caller]
    pub fn wait_route(&self, prefix: &str, hops: &[String]) {
        let wanted: BTreeSet<String> = hops.iter().cloned().collect();
        wait::until(&format!("BIRD has {prefix} by {hops:?}"), || {
            let seen = self.table().remove(prefix).unwrap_or_default();
            wait::check(seen == wanted, seen)
        });
    }
}

fn birdc(host: &Host, socket: &Path, command: &str) -> Result<String, String> {
    attempt(
        host.command("birdc")
            .arg("-s")
            .arg(socket)
            .args(command.split(' ')),
    )
}
