//! A running `loods-stream` (`tests/stream`): a steady stream of connections
//! from a host's namespace, with words for what it counted.

use super::lab::Host;
use super::process::Process;
use super::wait;
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

/// The stream. Dropping it ends it.
pub struct Stream {
    process: Process,
}

/// What became of the connections of one interval: the line of JSON that
/// `tests/stream/src/tally.rs` describes.
#[derive(Clone, Debug)]
pub struct Interval(pub Value);

impl Stream {
    /// Starts `program` at `host` towards `target`, with more `arguments`.
    #[track_caller]
    pub fn start(program: &Path, host: &Host, target: SocketAddr, arguments: &[&str]) -> Stream {
        // It gets the processor when it is due: what is measured is the
        // cluster's doing, not who else runs here.
        let mut command = host.command("nice");
        command.args(["-n", "-15"]).arg(program);
        command.arg(target.to_string()).args(arguments);
        let name = format!("stream-{}", target.port());
        Stream {
            process: Process::start(host, &name, command),
        }
    }

    /// Ends the interval, which is called `name` (each only once), begins
    /// another, and answers with what the ended one counted.
    #[track_caller]
    pub fn mark(&mut self, name: &str) -> Interval {
        self.process.tell(&format!("mark {name}"));
        self.wait_line(name)
    }

    /// Begins an interval, lets it last, and ends it: what is measured has a duration.
    #[track_caller]
    pub fn run_for(&mut self, name: &str, duration: Duration) -> Interval {
        self.mark(&format!("until {name}"));
        std::thread::sleep(duration);
        self.mark(name)
    }

    /// Waits until it ends by itself (`--count`): what it counted.
    #[track_caller]
    pub fn end(&mut self) -> Interval {
        let line = self.wait_line("end");
        wait::until("the stream ends", || {
            let status = self.process.exited().ok_or("it runs")?;
            wait::check(status.success(), status)
        });
        line
    }

    #[track_caller]
    fn wait_line(&mut self, name: &str) -> Interval {
        wait::until(&format!("the stream tells interval {name:?}"), || {
            let log = self.process.log();
            let mut lines = log.lines().map(serde_json::from_str::<Value>);
            let line = lines.find_map(|line| line.ok().filter(|line| line["name"] == name));
            line.map(Interval)
                .ok_or_else(|| format!("{:?}, {log}", self.process.exited()))
        })
    }
}

impl Interval {
    /// New connections that were due.
    pub fn due(&self) -> u64 {
        self.count("/new/due")
    }

    /// New connections that were lost.
    pub fn lost(&self) -> u64 {
        self.count("/new/lost")
    }

    /// The same by kind.
    pub fn lost_by(&self) -> BTreeMap<String, u64> {
        self.counts("/new/lost_by")
    }

    /// Who answered new connections, and how many.
    pub fn backends(&self) -> BTreeMap<String, u64> {
        self.counts("/new/backends")
    }

    /// Long connections that broke.
    pub fn broken(&self) -> u64 {
        self.count("/long/broken")
    }

    /// A number of the line, by its JSON pointer.
    #[track_caller]
    pub fn count(&self, pointer: &str) -> u64 {
        let value = self.0.pointer(pointer).and_then(Value::as_u64);
        value.unwrap_or_else(|| panic!("no number {pointer} in {}", self.0))
    }

    #[track_caller]
    fn counts(&self, pointer: &str) -> BTreeMap<String, u64> {
        let value = self.0.pointer(pointer).cloned().unwrap_or_default();
        serde_json::from_value(value)
            .unwrap_or_else(|error| panic!("{pointer} in {}: {error}", self.0))
    }
}
