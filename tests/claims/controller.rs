//! One `loods storage controller`, behind a fault proxy.

use crate::support::apiproxy::ApiProxy;
use crate::support::lab::Host;
use crate::support::process::Process;
use crate::support::{tools, wait};
use crate::world::{NAMESPACE, World};

/// A controller, which may be stopped and started.
pub struct Controller {
    host: Host,
    program: std::path::PathBuf,
    pub proxy: ApiProxy,
    process: Option<Process>,
    /// Added to its command line from the next start on.
    pub flags: Vec<String>,
}

impl Controller {
    /// Prepares it: a token of the account that the manifest gives it.
    pub fn new(world: &World, host: &Host) -> Controller {
        let proxy = ApiProxy::start(host, &world.plane);
        world.plane.kubeconfig(
            &host.dir.join("kubeconfig"),
            NAMESPACE,
            "loods-storage-controller",
            &proxy.server(),
        );
        // The log of an earlier test would only be in the way.
        let _ = std::fs::remove_file(host.dir.join("loods.log"));
        Controller {
            host: host.clone(),
            program: tools::loods(&world.lab),
            proxy,
            process: None,
            flags: Vec::new(),
        }
    }

    pub fn start(&mut self) {
        let mut command = self.host.command_as_nobody(&self.program);
        command
            .args(["storage", "controller", "--log-level", "info,loods=debug"])
            .args(["--pod-name", &self.host.name, "--kubeconfig"])
            .arg(self.host.dir.join("kubeconfig"))
            .args(&self.flags);
        self.process = Some(Process::start(&self.host, "loods", command));
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
        assert!(status.success(), "{status}; it said\n{}", process.tail(30));
    }

    pub fn metrics(&self) -> Result<String, String> {
        self.host.http_body("http://127.0.0.1:7474/metrics")
    }

    pub fn leads(&self) -> bool {
        self.process.is_some()
            && self
                .metrics()
                .is_ok_and(|page| page.contains("loods_storage_leader_bool 1\n"))
    }

    /// Bytes of memory that are its own, in KiB.
    pub fn resident(&self) -> u64 {
        let id = self.process.as_ref().expect("it runs").id();
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).expect("it runs");
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let number = line.and_then(|line| line.split_whitespace().nth(1));
        number
            .and_then(|number| number.parse().ok())
            .expect("VmRSS")
    }

    #[track_caller]
    pub fn wait_ready(&self) {
        wait::until(&format!("{} is ready", self.host.name), || {
            self.host
                .http_body("http://127.0.0.1:7474/readyz")
                .map(drop)
        });
    }

    pub fn log(&self) -> String {
        self.process.as_ref().map_or(String::new(), Process::log)
    }
}
