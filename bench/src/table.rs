//! A full table: 100,000 prefixes in the rib, and a router that comes last.
//!
//! The router's port is open from the start but nobody accepts, so the speaker
//! stands there with its OPEN sent and its rib filled. Then the router answers,
//! and the clock runs from Established to the last UPDATE.

use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::figures::{Figure, Report, mb, ms};
use crate::proc;
use crate::router::Router;
use crate::world::ASN;

const PREFIXES: usize = 100_000;
const LIMIT: Duration = Duration::from_secs(60);

/// Ends its process when dropped.
struct Announcer(Child);

impl Drop for Announcer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs it several times.
pub fn measure(report: &mut Report, loods: &Path, folder: &Path, runs: usize) {
    let (mut sent, mut after_go, mut anonymous, mut resident, mut peak) =
        (vec![], vec![], vec![], vec![], vec![]);
    for run in 1..=runs {
        report.progress(&format!("a table of 100,000 prefixes, run {run} of {runs}"));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let mut announcer = start(loods, folder, &listener);
        tell(&mut announcer, &format!("fill {PREFIXES} 10.0.0.0\ngo\n"));
        idle(announcer.0.id());
        let router = Router::serve(listener, ASN);
        let (up, last) = wait_for_table(&router);
        sent.push(ms(up, last) / 1e3);
        let memory = proc::memory(announcer.0.id());
        anonymous.push(mb(memory.anonymous));
        resident.push(mb(memory.resident));
        peak.push(mb(memory.peak));
        drop(announcer);

        // The same with the session up first: filling the rib counts as well.
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let mut announcer = start(loods, folder, &listener);
        let router = Router::serve(listener, ASN);
        let up = router.wait(LIMIT, |told| {
            told.values().any(|told| told.up.is_some()).then_some(())
        });
        assert!(up.is_some(), "a session; {}", router.summary());
        let begun = Instant::now();
        tell(&mut announcer, &format!("fill {PREFIXES} 10.0.0.0\ngo\n"));
        let (_, last) = wait_for_table(&router);
        after_go.push(ms(begun, last) / 1e3);
    }
    report.add(
        Figure::new(
            "100,000 prefixes in the rib: session up → last UPDATE",
            "s",
            sent,
        )
        .reach(0.5),
    );
    report.add(Figure::new(
        "session up: `fill` and `go` written → last UPDATE",
        "s",
        after_go,
    ));
    report.add(Figure::new("with 100,000 prefixes, anonymous memory", "MB", anonymous).reach(30.0));
    report.add(Figure::new("with 100,000 prefixes, resident memory", "MB", resident).reach(30.0));
    report.add(Figure::new(
        "with 100,000 prefixes, highest resident memory",
        "MB",
        peak,
    ));
}

fn start(loods: &Path, folder: &Path, listener: &TcpListener) -> Announcer {
    let port = listener.local_addr().expect("a bound socket").port();
    let config = folder.join("announce.yaml");
    let peer = format!(
        "peers:\n- peer-address: 127.0.0.1\n  peer-port: {port}\n  peer-asn: {ASN}\n  my-asn: {ASN}\n"
    );
    std::fs::write(&config, peer).expect("a configuration file");
    let mut command = Command::new(loods);
    command
        .args(["announce", "--wait", "--config"])
        .arg(&config);
    let log = std::fs::File::create(folder.join("announce.log")).expect("a log file");
    Announcer(
        command
            .stdin(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("the program starts"),
    )
}

fn tell(announcer: &mut Announcer, lines: &str) {
    let input = announcer.0.stdin.as_mut().expect("standard input is open");
    input
        .write_all(lines.as_bytes())
        .expect("the program reads");
}

/// Waits until a process has used no processor time for a while.
fn idle(pid: u32) {
    let mut before = proc::cpu(pid);
    loop {
        std::thread::sleep(Duration::from_millis(500));
        let now = proc::cpu(pid);
        if now == before {
            return;
        }
        before = now;
    }
}

/// When the session came up, and when the last UPDATE of the table came.
fn wait_for_table(router: &Router) -> (Instant, Instant) {
    let whole = router.wait(LIMIT, |told| {
        let told = told.values().next()?;
        (told.routes.len() == PREFIXES && told.end_of_rib.is_some())
            .then_some((told.up?, told.last_update?))
    });
    whole.unwrap_or_else(|| {
        panic!(
            "no whole table in {} s; {}",
            LIMIT.as_secs(),
            router.summary()
        )
    })
}
