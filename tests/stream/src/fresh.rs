//! A new connection: opened, asked once, read to its answer's end, closed.
//!
//! Source ports are given in order, so that one is used again only after all
//! the others (over two minutes at 500 a second, and that for each source
//! address): a connection never meets what a router or a node still remembers of
//! an older one. A node keeps an unanswered SYN in mind for two minutes, and where
//! it sent it.

use crate::answer;
use crate::tally::{Event, Loss};
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::mpsc::Sender;
use tokio::time::{Instant, timeout_at};

/// After so long without an answer the kernel sends a SYN again.
const RETRY: Duration = Duration::from_secs(1);

/// How long a connection may take from the moment it was due.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Up to here an answer counts.
    pub answer: Duration,
    /// Up to here it is waited for, to tell a late one from none.
    pub patience: Duration,
}

/// A range of source ports.
#[derive(Clone, Copy, Debug)]
pub struct Ports {
    first: u16,
    last: u16,
}

/// Where connections come from: every port of an address, then of the next one,
/// and round again.
#[derive(Clone, Debug)]
pub struct Sources {
    addresses: Vec<IpAddr>,
    ports: Ports,
    next: (usize, u16),
}

impl Ports {
    /// Reads `FIRST-LAST`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let parts = text.split_once('-');
        let parse = |part: &str| part.parse::<u16>().ok().filter(|port| *port > 0);
        match parts.map(|(first, last)| (parse(first), parse(last))) {
            Some((Some(first), Some(last))) if first <= last => Ok(Self { first, last }),
            _ => Err(format!("{text:?} is no range of ports; write: 1024-65535")),
        }
    }
}

impl Sources {
    /// All ports of each address; without an address, of the one that the kernel
    /// chooses for `target`.
    pub fn new(mut addresses: Vec<IpAddr>, ports: Ports, target: SocketAddr) -> Self {
        if addresses.is_empty() {
            addresses.push(match target {
                SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
                SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
            });
        }
        Self {
            addresses,
            ports,
            next: (0, ports.first),
        }
    }

    /// The next one.
    pub fn next(&mut self) -> SocketAddr {
        let (address, port) = self.next;
        self.next = if port < self.ports.last {
            (address, port + 1)
        } else {
            ((address + 1) % self.addresses.len(), self.ports.first)
        };
        SocketAddr::new(self.addresses[address], port)
    }
}

/// One connection that is due.
#[derive(Clone, Copy, Debug)]
pub struct Connection {
    /// Where to.
    pub target: SocketAddr,
    /// Its time counts from here.
    pub due: Instant,
    /// `due`, from the beginning of its interval.
    pub since: Duration,
}

impl Connection {
    /// Runs it to its end and says what became of it.
    pub async fn run(self, source: SocketAddr, limits: Limits, events: Sender<Event>) {
        let behind = self.due.elapsed();
        let asked = timeout_at(self.due + limits.patience, self.ask(source)).await;
        let took = self.due.elapsed();
        let result = match asked {
            Ok(Ok(_)) if took > limits.answer.max(RETRY) => Err(Loss::Retried),
            Ok(Ok(_)) if took > limits.answer => Err(Loss::Late),
            Ok(result) => result,
            Err(_) => Err(Loss::Timeout),
        };
        // Whoever counts listens until the last of us is done.
        let end = Event::New {
            since: self.since,
            behind,
            took,
            result,
        };
        let _ = events.send(end).await;
    }

    async fn ask(&self, source: SocketAddr) -> Result<String, Loss> {
        let mut stream = self.connect(source).await.map_err(|error| loss(&error))?;
        let request = format!(
            "GET / HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n",
            self.target
        );
        let sent = stream.write_all(request.as_bytes()).await;
        sent.map_err(|error| loss(&error))?;
        let mut input = Vec::with_capacity(1024);
        loop {
            let read = stream.read_buf(&mut input).await;
            let ended = read.map_err(|error| loss(&error))? == 0;
            match answer::read(&input, ended) {
                Ok(Some(answer)) => return Ok(answer.hostname),
                Ok(None) if ended => return Err(Loss::Closed),
                Ok(None) => {}
                Err(()) => return Err(Loss::Wrong),
            }
        }
    }

    async fn connect(&self, source: SocketAddr) -> io::Result<TcpStream> {
        let socket = if self.target.is_ipv4() {
            TcpSocket::new_v4()?
        } else {
            TcpSocket::new_v6()?
        };
        // An older connection of this port may be in TIME_WAIT, to whoever.
        socket.set_reuseaddr(true)?;
        socket.bind(source)?;
        socket.connect(self.target).await
    }
}

/// What an error of the socket means.
pub fn loss(error: &io::Error) -> Loss {
    match error.kind() {
        ErrorKind::ConnectionRefused => Loss::Refused,
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => Loss::Reset,
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => Loss::Unreachable,
        ErrorKind::TimedOut => Loss::Timeout,
        ErrorKind::AddrInUse | ErrorKind::AddrNotAvailable => Loss::NoPort,
        _ => Loss::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_port_of_every_address_is_used_before_one_is_used_again() {
        let target = "192.0.2.1:80".parse().unwrap();
        let addresses = ["10.0.0.1", "10.0.0.2"].map(|ip| ip.parse().unwrap());
        let ports = Ports::parse("7-8").unwrap();
        let mut sources = Sources::new(addresses.into(), ports, target);
        let taken: Vec<String> = (0..5).map(|_| sources.next().to_string()).collect();
        let wanted = [
            "10.0.0.1:7",
            "10.0.0.1:8",
            "10.0.0.2:7",
            "10.0.0.2:8",
            "10.0.0.1:7",
        ];
        assert_eq!(taken, wanted);
        let mut sources = Sources::new(vec![], ports, target);
        assert_eq!(sources.next().to_string(), "0.0.0.0:7");
    }

    #[test]
    fn ports_that_are_no_range_are_refused() {
        for text in ["", "1", "0-5", "9-7", "1-65536", "a-b"] {
            assert!(Ports::parse(text).is_err(), "{text}");
        }
    }
}
