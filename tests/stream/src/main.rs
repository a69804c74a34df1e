//! A steady stream of connections to one address, and what of it is lost.
//!
//! Two kinds of client at once:
//!
//! - *New connections*, some hundreds a second ([`fresh`]): each opens, asks
//!   once, reads the answer and closes. They start by a schedule that waits
//!   for nobody, and the time of each counts from the moment it was due: a
//!   server that stalls meets all who would have come meanwhile. An answer
//!   later than the limit is lost.
//! - *Long connections* ([`long`]): each sends a line every 50 ms and expects
//!   its echo. One that breaks is counted and opened again.
//!
//! The time is cut into intervals. A line `mark NAME` on standard input ends
//! the interval, which is then called NAME, and begins another; the answer is
//! one line of JSON on standard output ([`tally`]), as soon as every connection
//! that was due in it has come to its end. When the input ends, the last
//! interval is printed as `end`.
//!
//! New connections ask as a browser does (`GET / HTTP/1.1`) and read who
//! answered from a line `Hostname: …` in the body, so any whoami server will
//! do; for the long ones it must be the tests' own (`tests/packets/whoami`).

mod answer;
mod fresh;
mod long;
mod schedule;
mod tally;

use clap::Parser;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tally::{Event, Tally};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// Opens connections to ADDRESS at a steady rate and counts what is lost.
#[derive(Debug, Parser)]
#[command(name = "loods-stream")]
struct Arguments {
    /// Where to connect to, such as 1.2.3.4:80 or [2001:db8::1]:80
    target: SocketAddr,
    /// New connections a second
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    rate: u32,
    /// Long connections beside them
    #[arg(long, default_value_t = 50)]
    long: usize,
    /// An answer later than so many milliseconds is lost
    #[arg(long, default_value_t = 300, value_name = "MS")]
    limit: u64,
    /// For so many milliseconds a late answer is waited for, to be told from none
    #[arg(long, default_value_t = 1500, value_name = "MS")]
    patience: u64,
    /// Source ports of the new connections, used in order
    #[arg(long, default_value = "1024-65535", value_name = "FIRST-LAST", value_parser = fresh::Ports::parse)]
    ports: fresh::Ports,
    /// Source addresses of the new connections, each with all its ports, one after the other
    #[arg(long, value_name = "ADDRESS")]
    source: Vec<IpAddr>,
    /// Ends after so many new connections; without it when the input ends
    #[arg(long)]
    count: Option<u64>,
}

/// Events on their way to be counted: the counter only adds, so few ever wait.
const ROOM: usize = 4096;

/// One interval while it is open, and its tally in the making.
struct Interval {
    began: Instant,
    events: mpsc::Sender<Event>,
    tally: JoinHandle<Tally>,
}

impl Interval {
    fn begin() -> Self {
        let (events, mut counted) = mpsc::channel(ROOM);
        let tally = tokio::spawn(async move {
            let mut tally = Tally::default();
            // Ends when the interval is closed and every connection that was
            // due in it has said what became of it.
            while let Some(event) = counted.recv().await {
                tally.count(event);
            }
            tally
        });
        Self {
            began: Instant::now(),
            events,
            tally,
        }
    }

    /// Closes the interval; its line is printed after that of the one before.
    fn end(
        self,
        name: String,
        state: tally::AtEnd,
        before: Option<JoinHandle<()>>,
    ) -> JoinHandle<()> {
        let lasted = self.began.elapsed();
        drop(self.events);
        tokio::spawn(async move {
            let tally = self.tally.await.expect("counting does not panic");
            if let Some(before) = before {
                before.await.expect("printing does not panic");
            }
            println!("{}", tally.line(&name, lasted, state));
        })
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    run(Arguments::parse()).await;
}

async fn run(arguments: Arguments) {
    let limits = fresh::Limits {
        answer: Duration::from_millis(arguments.limit),
        patience: Duration::from_millis(arguments.patience.max(arguments.limit)),
    };
    let mut sources = fresh::Sources::new(arguments.source, arguments.ports, arguments.target);
    let (changes, mut long) = mpsc::channel(ROOM);
    for number in 0..arguments.long {
        tokio::spawn(long::keep(arguments.target, number, changes.clone()));
    }
    let mut marks = marks();
    let mut interval = Interval::begin();
    let mut schedule = schedule::Schedule::start(interval.began, arguments.rate);
    let mut printed = None;
    let mut open = 0;
    let all = arguments.count.unwrap_or(u64::MAX);
    while schedule.given() < all {
        tokio::select! {
            () = tokio::time::sleep_until(schedule.next()) => {
                let now = Instant::now();
                while schedule.given() < all && let Some(due) = schedule.take(now) {
                    let since = due.saturating_duration_since(interval.began);
                    let connection = fresh::Connection { target: arguments.target, due, since };
                    tokio::spawn(connection.run(sources.next(), limits, interval.events.clone()));
                }
            }
            Some(change) = long.recv() => {
                match change {
                    long::Change::Opened => open += 1,
                    long::Change::Broken { .. } => open -= 1,
                    long::Change::NotOpened(_) | long::Change::Echoed { .. } => {}
                }
                // The tally listens as long as its interval is open.
                let _ = interval.events.send(Event::Long(change)).await;
            }
            mark = marks.recv() => {
                let Some(name) = mark else { break };
                let ended = std::mem::replace(&mut interval, Interval::begin());
                let state = tally::AtEnd { open, wanted: arguments.long };
                printed = Some(ended.end(name, state, printed));
            }
        }
    }
    let state = tally::AtEnd {
        open,
        wanted: arguments.long,
    };
    let last = interval.end("end".into(), state, printed);
    last.await.expect("printing does not panic");
}

/// The names of `mark NAME` lines. A thread of its own reads them: at the end
/// nobody waits for an input that stays open.
fn marks() -> mpsc::Receiver<String> {
    let (names, marks) = mpsc::channel(ROOM);
    std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            let Some(name) = line.strip_prefix("mark ") else {
                eprintln!("{line:?} is not understood; write: mark NAME");
                continue;
            };
            if names.blocking_send(name.trim().to_owned()).is_err() {
                return;
            }
        }
    });
    marks
}
