//! One `loods run`: started as nobody with its own token, perhaps behind a
//! fault proxy, and asked through its own `/state`.

use crate::support::apiproxy::ApiProxy;
use crate::support::lab::{Host, attempt};
use crate::support::process::Process;
use crate::support::{tools, wait};
use crate::world::{NAMESPACE, World};
use serde_json::Value;
use std::fs;
use std::process::{Command, ExitStatus};

/// Which half it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Allocator,
    Speaker,
}

/// How it reaches the API server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Through {
    /// By TLS, as in a cluster.
    Tls,
    /// Through a fault proxy.
    Proxy,
}

/// A `loods run`, which may be stopped and started.
pub struct Daemon {
    host: Host,
    role: Role,
    program: std::path::PathBuf,
    proxy: Option<ApiProxy>,
    process: Option<Process>,
    /// Added to its command line from the next start on.
    pub flags: Vec<String>,
}

impl Daemon {
    /// Prepares it: a token of the account that the manifests give its role.
    pub fn new(world: &World, host: &Host, role: Role, through: Through) -> Daemon {
        let proxy = (through == Through::Proxy).then(|| ApiProxy::start(host, &world.plane));
        let server = proxy
            .as_ref()
            .map_or_else(|| world.plane.server(), ApiProxy::server);
        let account = match role {
            Role::Allocator => "loods-allocator",
            Role::Speaker => "loods-speaker",
        };
        world
            .plane
            .kubeconfig(&host.dir.join("kubeconfig"), NAMESPACE, account, &server);
        // The log of an earlier test would only be in the way.
        let _ = fs::remove_file(host.dir.join("loods.log"));
        Daemon {
            host: host.clone(),
            role,
            program: tools::loods(&world.lab),
            proxy,
            process: None,
            flags: Vec::new(),
        }
    }

    /// Starts it; a second start appends to the same log.
    pub fn start(&mut self) {
        let role = match self.role {
            Role::Allocator => "allocator",
            Role::Speaker => "speaker",
        };
        let mut command: Command = self.host.command_as_nobody(&self.program);
        command.args([
            "run",
            "--role",
            role,
            "--node-name",
            &self.host.name,
            "--log-level",
            "info,loods=debug",
        ]);
        command
            .arg("--kubeconfig")
            .arg(self.host.dir.join("kubeconfig"))
            .args(&self.flags);
        self.process = Some(Process::start(&self.host, "loods", command));
    }

    /// Its host's name: n1, a2.
    pub fn name(&self) -> &str {
        &self.host.name
    }

    /// Ends it as the loss of power would.
    pub fn kill(&mut self) {
        if let Some(process) = &mut self.process {
            process.kill();
        }
        self.process = None;
    }

    /// Ends it as the kubelet would; it must end without an error.
    #[track_caller]
    pub fn terminate(&mut self) {
        let mut process = self.process.take().expect("it runs");
        let status = process.terminate();
        assert!(
            status.success(),
            "{}: {status}; it said\n{}",
            self.name(),
            process.tail(30)
        );
    }

    /// Asks it to end twice in one breath: it reads both signals when it thaws.
    #[track_caller]
    pub fn terminate_twice(&mut self) -> ExitStatus {
        let mut process = self.process.take().expect("it runs");
        process.freeze();
        process.signal("TERM");
        process.signal("INT");
        process.thaw();
        wait::until("it ends after two signals", || {
            process.exited().ok_or("it runs".into())
        })
    }

    /// The fault proxy in front of it.
    #[track_caller]
    pub fn proxy(&self) -> &ApiProxy {
        self.proxy
            .as_ref()
            .expect("this test runs Loods behind fault proxies")
    }

    /// `/state`.
    pub fn state(&self) -> Result<Value, String> {
        let text = self.host.http_body("http://127.0.0.1:7473/state")?;
        serde_json::from_str(&text).map_err(|error| format!("{error} in {text}"))
    }

    /// Asks its own server from its own host: `curl` with these arguments.
    pub fn ask(&self, arguments: &[&str]) -> Result<String, String> {
        let mut curl = self.host.command("curl");
        attempt(curl.args(["-sS", "--max-time", "5"]).args(arguments))
    }

    /// The page of metrics.
    pub fn metrics(&self) -> Result<String, String> {
        self.host.http_body("http://127.0.0.1:7472/metrics")
    }

    /// Waits until the page of metrics has all of these lines.
    #[track_caller]
    pub fn wait_metrics(&self, wanted: &[&str]) {
        wait::until(&format!("{} counts {wanted:?}", self.name()), || {
            let page = self.metrics()?;
            let missing: Vec<_> = wanted
                .iter()
                .filter(|wanted| !page.lines().any(|line| line == **wanted))
                .collect();
            wait::check(missing.is_empty(), missing)
                .map_err(|missing| format!("no {missing} in\n{page}"))
        });
    }

    /// The value of a metric without labels.
    pub fn metric(&self, name: &str) -> Result<String, String> {
        let text = self.metrics()?;
        let line = text
            .lines()
            .find(|line| line.split([' ', '{']).next() == Some(name));
        let line = line.ok_or_else(|| format!("no metric {name}"))?;
        Ok(line.rsplit(' ').next().unwrap_or_default().to_string())
    }

    /// Whether it is the allocator that gives out addresses now.
    pub fn leads(&self) -> bool {
        self.process.is_some()
            && self
                .state()
                .is_ok_and(|state| state["allocator"]["leads"] == true)
    }

    /// Waits until `/readyz` says so.
    #[track_caller]
    pub fn wait_ready(&self) {
        wait::until(&format!("{} is ready", self.name()), || {
            self.host
                .http_body("http://127.0.0.1:7472/readyz")
                .map(drop)
        });
    }
}
