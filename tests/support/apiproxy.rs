//! The fault proxy between one Loods process and the API server
//! (`tests/cluster/apiproxy`, a small Go program), and the faults it makes.

use super::control_plane::ControlPlane;
use super::lab::{Host, run};
use super::process::Process;
use super::tools;
use super::wait;
use serde_json::{Value, json};

/// A running proxy, in the namespace of the client that it serves.
pub struct ApiProxy {
    host: Host,
    process: Process,
}

impl ApiProxy {
    /// Starts a proxy on the host's loopback.
    pub fn start(host: &Host, plane: &ControlPlane) -> ApiProxy {
        let mut command = host.command(tools::apiproxy());
        command
            .args(["--upstream", &plane.server(), "--authority"])
            .arg(plane.authority());
        let mut process = Process::start(host, "apiproxy", command);
        process.wait("the proxy answers", || {
            host.http_body("http://127.0.0.1:9001/")
        });
        ApiProxy {
            host: host.clone(),
            process,
        }
    }

    /// The server that a kubeconfig names to go through here.
    pub fn server(&self) -> String {
        "http://127.0.0.1:8001".into()
    }

    /// Everything works again; held writes are sent now.
    pub fn heal(&self) {
        self.set(&json!({}));
    }

    /// No API server: connections end without a word.
    pub fn cut(&self) {
        self.set(&json!({"cut": true}));
    }

    /// Watches stay open and say nothing.
    pub fn freeze_watches(&self) {
        self.set(&json!({"freezeWatches": true}));
    }

    /// Writes to paths that contain `path` are kept until [`Self::heal`], which sends them.
    pub fn hold_writes(&self, path: &str) {
        self.set(&json!({"holdWrites": path}));
    }

    /// Holds writes and freezes watches at once: a client that hears and says nothing.
    pub fn hold_writes_and_freeze_watches(&self, path: &str) {
        self.set(&json!({"holdWrites": path, "freezeWatches": true}));
    }

    /// Every request is answered with `status`.
    pub fn answer_all_with(&self, status: u16) {
        self.set(&json!({"status": status}));
    }

    /// Every watch ends at once with an ERROR event of code 410.
    pub fn expire_watches(&self) {
        self.set(&json!({"expireWatches": true}));
    }

    /// Every watch ends in the middle of an event.
    pub fn truncate_watches(&self) {
        self.set(&json!({"truncateWatches": true}));
    }

    /// Waits until at least `count` writes are held.
    #[track_caller]
    pub fn wait_held(&self, count: u64) {
        wait::until(
            &format!("{count} writes are held in the proxy of {}", self.host.name),
            || {
                let seen = self.seen();
                wait::check(seen["held"].as_u64() >= Some(count), seen)
            },
        );
    }

    /// What has come by: requests, lists, watches, held, writes.
    #[track_caller]
    pub fn seen(&self) -> Value {
        let text = self
            .host
            .http_body("http://127.0.0.1:9001/")
            .expect("the proxy answers");
        serde_json::from_str(&text).expect("the proxy answers in JSON")
    }

    #[track_caller]
    fn set(&self, faults: &Value) {
        let mut command = self.host.command("curl");
        command.args([
            "-sS",
            "--fail-with-body",
            "-X",
            "PUT",
            "--data-binary",
            &faults.to_string(),
        ]);
        run(command.arg("http://127.0.0.1:9001/"));
    }
}
