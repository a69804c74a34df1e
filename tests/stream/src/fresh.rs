//! A new connection: opened, asked once, read to its answer's end, closed.
//!
//! Source ports are given in order, so that one is used again only after all
//! the others (over two minutes at 500 a second): a connection never meets
//! what a router or a node still remembers of an older one.

use crate::answer;
use crate::tally::{Event, Loss};
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::mpsc::Sender;
use tokio::time::{Instant, timeout_at};

/// How long a connection may take from the moment it was due.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Up to here an answer counts.
    pub answer: Duration,
    /// Up to here it is waited for, to tell a late one from none.
    pub patience: Duration,
}

/// Source ports, in order and round again.
#[derive(Clone, Debug)]
pub struct Ports {
    first: u16,
    last: u16,
    next: u16,
}

impl Ports {
    /// Reads `FIRST-LAST`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let parts = text.split_once('-');
        let parse = |part: &str| part.parse::<u16>().ok().filter(|port| *port > 0);
        match parts.map(|(first, last)| (parse(first), parse(last))) {
            Some((Some(first), Some(last))) if first <= last => Ok(Self {
                first,
                last,
                next: first,
            }),
            _ => Err(format!("{text:?} is no range of ports; write: 1024-65535")),
        }
    }

    /// The next one.
    pub fn next(&mut self) -> u16 {
        let port = self.next;
        self.next = if port == self.last {
            self.first
        } else {
            port + 1
        };
        port
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
    pub async fn run(self, port: u16, limits: Limits, events: Sender<Event>) {
        let behind = self.due.elapsed();
        let asked = timeout_at(self.due + limits.patience, self.ask(port)).await;
        let took = self.due.elapsed();
        let result = match asked {
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

    async fn ask(&self, port: u16) -> Result<String, Loss> {
        let mut stream = self.connect(port).await.map_err(|error| loss(&error))?;
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

    async fn connect(&self, port: u16) -> io::Result<TcpStream> {
        let (socket, any) = if self.target.is_ipv4() {
            (TcpSocket::new_v4()?, IpAddr::V4(Ipv4Addr::UNSPECIFIED))
        } else {
            (TcpSocket::new_v6()?, IpAddr::V6(Ipv6Addr::UNSPECIFIED))
        };
        // An older connection of this port may be in TIME_WAIT, to whoever.
        socket.set_reuseaddr(true)?;
        socket.bind(SocketAddr::new(any, port))?;
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
    fn ports_go_round() {
        let mut ports = Ports::parse("7-9").unwrap();
        let taken: Vec<u16> = (0..5).map(|_| ports.next()).collect();
        assert_eq!(taken, [7, 8, 9, 7, 8]);
    }

    #[test]
    fn ports_that_are_no_range_are_refused() {
        for text in ["", "1", "0-5", "9-7", "1-65536", "a-b"] {
            assert!(Ports::parse(text).is_err(), "{text}");
        }
    }
}
