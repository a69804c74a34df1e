//! The speaker under test: the real binary, its routes on standard input.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use serde_json::Value;

use crate::router::Router;
use crate::wait;

/// The speaker's AS.
pub const OUR_ASN: u32 = 64512;
/// The AS that every router is configured to have.
pub const ROUTER_ASN: u32 = 64513;

/// A running `loods announce`.
pub struct Speaker {
    child: Child,
    input: Option<ChildStdin>,
    state: SocketAddr,
    dir: PathBuf,
}

impl Speaker {
    /// Peers with these routers, with a hold time of 90 s.
    pub fn start<'a>(routers: impl IntoIterator<Item = &'a Router>) -> Self {
        Self::start_with("hold-time: 90s", routers)
    }

    /// The same, with one more line in each peer's configuration.
    pub fn start_with<'a>(line: &str, routers: impl IntoIterator<Item = &'a Router>) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let number = NEXT.fetch_add(1, Relaxed);
        let process = std::process::id();
        let dir = std::env::temp_dir().join(format!("loods-hostile-{process}-{number}"));
        fs::create_dir_all(&dir).expect("a directory of our own");
        let mut config = String::from("peers:\n");
        for router in routers {
            config += &format!(
                "- my-asn: {OUR_ASN}\n  peer-asn: {ROUTER_ASN}\n  peer-address: 127.0.0.1\n  \
                 peer-port: {}\n  {line}\n",
                router.port()
            );
        }
        fs::write(dir.join("config.yaml"), config).expect("a configuration file");
        // An address of its own for every speaker: no port is ever taken twice.
        let [_, _, high, low] = process.to_be_bytes();
        let own = [127, 1 + (high & 0x7F), low, number as u8];
        let state = SocketAddr::from((own, 7473));
        let log = File::create(dir.join("log")).expect("a log file");
        let mut child = Command::new(env!("CARGO_BIN_EXE_loods"))
            .arg("announce")
            .arg("--config")
            .arg(dir.join("config.yaml"))
            .args(["--state", &state.to_string()])
            .stdin(Stdio::piped())
            .stdout(log.try_clone().expect("a second handle of the log"))
            .stderr(log)
            .spawn()
            .expect("the speaker starts");
        let input = child.stdin.take();
        Self {
            child,
            input,
            state,
            dir,
        }
    }

    /// One line on its standard input.
    #[track_caller]
    pub fn tell(&mut self, line: &str) {
        let input = self.input.as_mut().expect("open until the end");
        writeln!(input, "{line}").expect("the speaker reads its input");
    }

    /// `/state`: one object for each peer, in the order of the routers.
    pub fn peers(&self) -> Result<Vec<Value>, String> {
        let text = self.http().map_err(|error| error.to_string())?;
        let (_, body) = text.split_once("\r\n\r\n").ok_or("no body")?;
        serde_json::from_str(body).map_err(|error| format!("{error} in {body}"))
    }

    fn http(&self) -> std::io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&self.state, Duration::from_secs(5))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        stream.write_all(b"GET /state HTTP/1.1\r\nHost: speaker\r\nConnection: close\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        Ok(text)
    }

    /// Waits until `field` of the peer at `place` fulfils `holds`.
    #[track_caller]
    pub fn wait_peer(&self, place: usize, field: &str, holds: impl Fn(&Value) -> bool) {
        wait::until(&format!("{field} of peer {place}"), || {
            let peers = self.peers()?;
            wait::check(holds(&peers[place][field]), &peers[place])
        });
    }

    /// User and system time used so far, in hundredths of a second.
    pub fn ticks(&self) -> u64 {
        let stat = self.proc("stat");
        // The name in parentheses may hold anything; state is field 3.
        let (_, fields) = stat.rsplit_once(')').expect("a name in parentheses");
        let fields: Vec<&str> = fields.split_whitespace().collect();
        let field = |number: usize| -> u64 { fields[number - 3].parse().expect("a number") };
        field(14) + field(15)
    }

    /// Anonymous resident memory, in KiB.
    pub fn anonymous(&self) -> u64 {
        let status = self.proc("status");
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("RssAnon:"));
        let figure = line.and_then(|line| line.split_whitespace().next());
        figure.expect("RssAnon").parse().expect("a number")
    }

    fn proc(&self, file: &str) -> String {
        fs::read_to_string(format!("/proc/{}/{file}", self.child.id())).expect("it runs")
    }

    /// Sends a signal by name, such as `STOP`.
    pub fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let status = Command::new("kill").args(["-s", name, &id]).status();
        assert!(status.expect("kill is there").success(), "kill -s {name}");
    }

    /// Waits for its end.
    #[track_caller]
    pub fn ended(&mut self) -> ExitStatus {
        wait::until("the speaker ends", || {
            let status = self.child.try_wait().map_err(|error| error.to_string())?;
            status.ok_or_else(|| "it runs".to_owned())
        })
    }

    /// Everything it has written so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.join("log")).unwrap_or_default()
    }
}

impl Drop for Speaker {
    fn drop(&mut self) {
        // An error means that it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let log = self.log();
        if std::thread::panicking() {
            let lines: Vec<&str> = log.lines().collect();
            let end = &lines[lines.len().saturating_sub(40)..];
            eprintln!("--- the end of the speaker's log:\n{}", end.join("\n"));
        }
        let _ = fs::remove_dir_all(&self.dir);
        if !std::thread::panicking() {
            assert!(!log.contains("panicked"), "the speaker panicked:\n{log}");
        }
    }
}
