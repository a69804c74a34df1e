//! A server that answers as a whoami does, except to some of the client's ports.

use crate::support::lab::Host;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

/// Where it listens.
pub const PORT: u16 = 80;

/// The running server. Its threads end with the test program.
pub struct Server;

impl Server {
    /// Listens in the host's namespace, on IPv6 and IPv4.
    pub fn start(host: &Host) -> Server {
        let namespace = host.open_namespace();
        let listener = thread::spawn(move || {
            nix::sched::setns(namespace, nix::sched::CloneFlags::CLONE_NEWNET)
                .expect("root may enter a namespace");
            TcpListener::bind(("::", PORT)).expect("a port of a new namespace")
        });
        let listener = listener.join().expect("a listener");
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                thread::spawn(move || serve(stream));
            }
        });
        Server
    }
}

fn serve(mut stream: TcpStream) {
    let Ok(peer) = stream.peer_addr() else { return };
    let Ok(reading) = stream.try_clone() else {
        return;
    };
    let mut lines = BufReader::new(reading).lines();
    loop {
        // A request: lines up to an empty one.
        let request: Vec<String> = lines
            .by_ref()
            .map_while(Result::ok)
            .take_while(|line| !line.is_empty())
            .collect();
        if request.is_empty() {
            return;
        }
        match peer.port() {
            2100..=2129 => thread::sleep(Duration::from_millis(600)),
            2200..=2219 => thread::sleep(Duration::from_secs(5)),
            2300..=2309 => return,
            2900..=2903 => {
                let _ = stream.write_all(b"HTTP/1.1 503 Service Unavailable\r\n\r\n");
                return;
            }
            _ => {}
        }
        if request[0].starts_with("GET /hold ") {
            let head =
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\n\r\nHostname: server\n";
            let _ = stream.write_all(head);
            break;
        }
        let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 17\r\n\r\nHostname: server\n";
        // A client that has gone reads nothing.
        if stream.write_all(answer).is_err() {
            return;
        }
        if request.iter().any(|line| line == "Connection: close") {
            return;
        }
    }
    for line in lines.map_while(Result::ok) {
        if stream.write_all(format!("{line}\n").as_bytes()).is_err() {
            return;
        }
    }
}
