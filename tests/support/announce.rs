//! `loods announce`: the speaker without Kubernetes, told what to announce on
//! its standard input.

use super::lab::{Host, Lab};
use super::process::Process;
use super::tools;
use super::wait;
use serde_json::Value;
use std::fs;

/// A running speaker, as nobody and without a capability.
pub struct Announcer {
    host: Host,
    /// The process, for those who stop it.
    pub process: Process,
}

impl Announcer {
    /// Starts it on the text of a configuration, of which only the peers count.
    pub fn start(lab: &Lab, host: &Host, config: &str) -> Announcer {
        let file = host.dir.join("config.yaml");
        fs::write(&file, config).expect("a configuration file");
        let mut command = host.command_as_nobody(tools::loods(lab));
        command.arg("announce").arg("--config").arg(&file);
        command.args([
            "--node-name",
            &host.name,
            "--state",
            "127.0.0.1:7473",
            "--log-level",
            "debug",
        ]);
        Announcer {
            host: host.clone(),
            process: Process::start(host, "loods", command),
        }
    }

    /// One command: `add PREFIX …`, `del PREFIX`, `fill COUNT FIRST …`, `clear COUNT FIRST`.
    #[track_caller]
    pub fn tell(&mut self, command: &str) {
        self.process.tell(command);
    }

    /// `/state`: one object for each peer of the configuration, in its order.
    pub fn peers(&self) -> Result<Vec<Value>, String> {
        let text = self.host.http_body("http://127.0.0.1:7473/state")?;
        serde_json::from_str(&text).map_err(|error| format!("{error} in {text}"))
    }

    /// Waits until the last error of the first peer holds all these words, in
    /// any case, and answers the whole text.
    #[track_caller]
    pub fn wait_error(&self, words: &[&str]) -> String {
        wait::until(&format!("the speaker says {words:?}"), || {
            let peers = self.peers()?;
            let error = peers[0]["lastError"].as_str().unwrap_or_default();
            let lower = error.to_lowercase();
            wait::check(
                words
                    .iter()
                    .all(|word| lower.contains(&word.to_lowercase())),
                &peers[0],
            )?;
            Ok(error.to_string())
        })
    }

    /// Waits until the state of the first peer's session is `state`.
    #[track_caller]
    pub fn wait_state(&self, state: &str) {
        wait::until(&format!("the speaker's session is {state}"), || {
            let peers = self.peers()?;
            wait::check(peers[0]["state"] == state, &peers[0])
        });
    }
}
