//! A long connection: a line every 50 ms, and its echo expected, as a web
//! socket or a database client keeps one open.
//!
//! It begins as a request for `/hold`, which the tests' whoami answers with
//! `101 Switching Protocols` and a line `Hostname: …`; from then on every line
//! comes back.

use crate::fresh::loss;
use crate::tally::Loss;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::mpsc::Sender;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

/// Between two lines.
const PACE: Duration = Duration::from_millis(50);

/// Without an echo for so long a connection is as good as broken.
const SILENCE: Duration = Duration::from_secs(2);

/// How long opening may take.
const OPENING: Duration = Duration::from_millis(300);

/// Between two tries to open.
const AGAIN: Duration = Duration::from_millis(100);

/// Something that happened to a long connection.
#[derive(Debug)]
pub enum Change {
    /// It is open (anew).
    Opened,
    /// It could not be opened; it tries again.
    NotOpened(Loss),
    /// A line came back.
    Echoed {
        /// From whom.
        hostname: String,
        /// How long it took.
        took: Duration,
    },
    /// It broke.
    Broken {
        /// Which one: 0, 1, …
        number: usize,
        /// How.
        loss: Loss,
    },
}

/// Keeps connection `number` open for as long as somebody counts.
pub async fn keep(target: SocketAddr, number: usize, changes: Sender<Change>) {
    // Not all at the same moment.
    sleep(PACE * u32::try_from(number % 50).unwrap_or(0) / 50).await;
    loop {
        let change = match timeout(OPENING, Held::open(target)).await {
            Ok(Ok(held)) => {
                if changes.send(Change::Opened).await.is_err() {
                    return;
                }
                let loss = held.talk(&changes).await;
                Change::Broken { number, loss }
            }
            Ok(Err(loss)) => Change::NotOpened(loss),
            Err(_) => Change::NotOpened(Loss::Timeout),
        };
        if changes.send(change).await.is_err() {
            return;
        }
        sleep(AGAIN).await;
    }
}

/// An open connection, and who is at its other end.
struct Held {
    stream: BufReader<TcpStream>,
    hostname: String,
}

impl Held {
    async fn open(target: SocketAddr) -> Result<Self, Loss> {
        let stream = TcpStream::connect(target).await;
        let mut held = Self {
            stream: BufReader::new(stream.map_err(|error| loss(&error))?),
            hostname: String::new(),
        };
        let request = format!(
            "GET /hold HTTP/1.1\r\nHost: {target}\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n"
        );
        held.write(&request).await?;
        if !held.line().await?.starts_with("HTTP/1.1 101 ") {
            return Err(Loss::Wrong);
        }
        while !held.line().await?.is_empty() {}
        let first = held.line().await?;
        let hostname = first.strip_prefix("Hostname: ").ok_or(Loss::Wrong)?;
        held.hostname = hostname.into();
        Ok(held)
    }

    /// Sends lines until it breaks: how it did.
    async fn talk(mut self, changes: &Sender<Change>) -> Loss {
        let mut pace = interval(PACE);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for number in 0_u64.. {
            pace.tick().await;
            let begin = Instant::now();
            match timeout(SILENCE, self.echo(number)).await {
                Ok(Ok(())) => {}
                Ok(Err(loss)) => return loss,
                Err(_) => return Loss::Timeout,
            }
            let echoed = Change::Echoed {
                hostname: self.hostname.clone(),
                took: begin.elapsed(),
            };
            if changes.send(echoed).await.is_err() {
                break;
            }
        }
        // Nobody counts any more.
        Loss::Other
    }

    async fn echo(&mut self, number: u64) -> Result<(), Loss> {
        let line = format!("line {number}");
        self.write(&format!("{line}\n")).await?;
        if self.line().await? == line {
            Ok(())
        } else {
            Err(Loss::Wrong)
        }
    }

    async fn write(&mut self, text: &str) -> Result<(), Loss> {
        let sent = self.stream.get_mut().write_all(text.as_bytes()).await;
        sent.map_err(|error| loss(&error))
    }

    /// The next line, without its end.
    async fn line(&mut self) -> Result<String, Loss> {
        let mut line = String::new();
        let read = self.stream.read_line(&mut line).await;
        match read {
            Ok(0) => Err(Loss::Closed),
            Ok(_) => Ok(line.trim_end().into()),
            Err(error) => Err(loss(&error)),
        }
    }
}
