//! What the story plays on: the hosts, the manager, and one step after another.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::hosts::{Hosts, LabError, run};
use crate::page::Page;

/// Storage hosts, and the last octets of their addresses.
pub(super) const STORAGE: [(&str, u8); 3] = [("gfs1", 11), ("gfs2", 12), ("gfs3", 13)];
/// Hosts that mount volumes.
pub(super) const WEB: [(&str, u8); 2] = [("web1", 31), ("web2", 32)];
/// The article's `resturl`.
pub(super) const URL: &str = "http://gfs1:8080";
/// The article's key.
pub(super) const KEY: &str = "ADMIN_PASSWORD";
/// How long one thing may take to become true.
const PATIENCE: Duration = Duration::from_secs(20);
/// Between two looks at it.
const LOOK: Duration = Duration::from_millis(50);

/// Hosts, page, and the count of what went wrong.
pub(super) struct Scene {
    pub(super) page: Page,
    pub(super) wrong: usize,
    pub(super) dir: PathBuf,
    hosts: Hosts,
    loods: PathBuf,
    pace: Duration,
    steps: usize,
    manager: Option<Child>,
}

impl Scene {
    /// Hosts without a single process yet.
    pub(super) fn set(
        dir: &Path,
        pace: Duration,
        unread: CancellationToken,
    ) -> Result<Self, LabError> {
        let loods = std::env::current_exe();
        Ok(Self {
            page: Page::new(unread),
            wrong: 0,
            dir: dir.into(),
            hosts: Hosts::make(dir, &[&STORAGE[..], &WEB[..]].concat())?,
            loods: loods.map_err(LabError::system("this program's own path"))?,
            pace,
            steps: 0,
            manager: None,
        })
    }

    /// The head of the next step.
    pub(super) async fn step(&mut self, title: &str) {
        if self.steps > 0 {
            sleep(self.pace).await;
        }
        self.steps += 1;
        self.page.title(self.steps, title);
    }

    /// Says what came of a step, and counts what went wrong. Answers whether it went well.
    pub(super) fn result<T>(
        &mut self,
        outcome: Result<T, String>,
        good: &str,
        start: Instant,
    ) -> Option<T> {
        match outcome {
            Ok(value) => {
                let took = start.elapsed().as_secs_f64();
                self.page.good(&format!("{good} ({took:.1} s)"));
                Some(value)
            }
            Err(why) => {
                self.page.bad(&why);
                self.wrong += 1;
                None
            }
        }
    }

    /// Makes the certificates, starts all hosts and the manager.
    pub(super) fn start(&mut self) -> Result<(), String> {
        let told = |error: LabError| error.to_string();
        let tls = self.dir.join("tls");
        let mut certificates = Command::new(&self.loods);
        certificates
            .args(["storage", "certificates", "--out"])
            .arg(&tls)
            .args(STORAGE.map(|(name, _)| name));
        run(&mut certificates).map_err(told)?;
        for (name, _) in STORAGE {
            let own = tls.join(name);
            let storage = [self.loods.as_os_str(), own.as_os_str()];
            self.hosts.start(name, &storage).map_err(told)?;
        }
        for (name, _) in WEB {
            self.hosts.start(name, &[]).map_err(told)?;
        }
        self.start_manager(&tls)
    }

    fn start_manager(&mut self, tls: &Path) -> Result<(), String> {
        let written = |name: &str, text: &str| -> Result<PathBuf, String> {
            let path = self.dir.join(name);
            std::fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
            Ok(path)
        };
        let key = written("key", KEY)?;
        let topology = written("topology.json", &self.topology())?;
        let log = self.dir.join("manager.log");
        let log = std::fs::File::create(log).map_err(|error| error.to_string())?;
        let mut command = Hosts::command("gfs1", &self.loods);
        command
            .args(["storage", "manager", "--listen", ":8080"])
            .args(["--agents", &STORAGE.map(|(name, _)| name).join(",")])
            .arg("--tls")
            .arg(tls.join("manager"))
            .arg("--key-file")
            .arg(key)
            .arg("--topology")
            .arg(topology)
            .args(["--allow", &WEB.map(|(_, number)| address(number)).join(",")])
            .stdout(Stdio::null())
            .stderr(log);
        self.manager = Some(command.spawn().map_err(|error| error.to_string())?);
        Ok(())
    }

    /// A Heketi topology file, with a directory as each host's device; a line
    /// for each host.
    pub(super) fn topology(&self) -> String {
        let node = |(zone, (name, number)): (usize, (&str, u8))| {
            let node = serde_json::json!({
                "node": {
                    "hostnames": {"manage": [name], "storage": [address(number)]},
                    "zone": zone + 1,
                },
                "devices": [self.device(name)],
            });
            format!("  {node}")
        };
        let nodes: Vec<_> = STORAGE.into_iter().enumerate().map(node).collect();
        format!(
            "{{\"clusters\": [{{\"nodes\": [\n{}\n]}}]}}\n",
            nodes.join(",\n")
        )
    }

    /// Where a host's device lies.
    pub(super) fn device(&self, host: &str) -> PathBuf {
        self.hosts.device(host)
    }

    /// Runs a program on a host to its end, out of the way of the runtime.
    async fn run(&self, mut command: Command) -> Result<String, String> {
        let work = tokio::task::spawn_blocking(move || run(&mut command));
        let done = work.await.map_err(|error| error.to_string())?;
        done.map_err(|error| error.to_string())
    }

    /// A shell command on a host, shown as a person types it.
    pub(super) async fn on(&self, host: &str, script: &str) -> Result<String, String> {
        self.page.command(&format!("{host}#"), script);
        self.inside(host, script).await
    }

    /// The same, not shown.
    pub(super) async fn inside(&self, host: &str, script: &str) -> Result<String, String> {
        let mut command = self
            .hosts
            .inside(host, "sh")
            .ok_or_else(|| format!("{host} does not run"))?;
        command.args(["-c", script]);
        self.run(command).await
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        if let Some(manager) = &mut self.manager {
            // One that has ended already is as good.
            let _ = manager.kill();
            let _ = manager.wait();
        }
    }
}

/// Asks again and again, for so long as a thing may take to become true.
pub(super) async fn until<T, F>(mut look: impl FnMut() -> F) -> Result<T, String>
where
    F: Future<Output = Result<T, String>>,
{
    let end = Instant::now() + PATIENCE;
    loop {
        match look().await {
            Ok(value) => return Ok(value),
            Err(why) if Instant::now() > end => return Err(why),
            Err(_) => sleep(LOOK).await,
        }
    }
}

pub(super) fn address(number: u8) -> String {
    format!("198.18.77.{number}")
}

/// The names of all hosts, as `/etc/hosts` has them.
pub(super) fn hosts_file() -> String {
    let all = STORAGE.iter().chain(&WEB);
    let names = all.map(|(name, number)| format!("{} {name}\n", address(*number)));
    std::iter::once("127.0.0.1 localhost\n".into())
        .chain(names)
        .collect()
}
