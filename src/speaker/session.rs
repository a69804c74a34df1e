//! Drives one peer: the only place where a BGP session meets a socket and a clock.
//!
//! One task, one loop. It carries out what the pure machine orders, fills the
//! outgoing buffer from the rib while the socket takes it, and sleeps until
//! there are octets to read, room to write, a deadline, or something new in
//! the rib. No policy here, and nothing of the protocol but the order of calls.

use std::future::pending;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use tokio::io::Interest;
use tokio::net::TcpStream;

use super::socket::{self, DialError};
use super::{Shared, Stop, lock};
use crate::bgp::pack;
use crate::bgp::peer::{Input, Output, Peer, PeerSettings, Role};
use crate::bgp::types::{Negotiated, NextHop};
use crate::bgp::wire::message::Message;
use crate::bgp::wire::{self, DecodeContext};

/// The rib is asked for more while less than this waits to be written, in octets.
const LOW_WATER: usize = 64 << 10;
/// Routes taken from the rib at a time.
const BATCH: usize = 4096;
/// Octets read at a time.
const CHUNK: usize = 16 << 10;
/// How long a connection that is being closed may take for its last message.
const FAREWELL: Duration = Duration::from_secs(1);

/// Speaks to one peer until told to stop.
pub(super) async fn drive(shared: Arc<Shared>, stop: Stop) {
    let mut driver = Driver::new(shared);
    driver.machine.handle(Input::Start, Instant::now(), &mut driver.outputs);
    loop {
        driver.obey();
        driver.fill();
        driver.write();
        driver.publish();
        if driver.stopped && driver.connection.is_none() {
            break;
        }
        let deadline = driver.machine.deadline();
        tokio::select! {
            biased;
            () = stop.token.cancelled(), if !driver.stopped => {
                driver.stopped = true;
                driver.tell(Input::Stop(stop.text()));
            }
            () = sleep_until(deadline) => driver.machine.poll(Instant::now(), &mut driver.outputs),
            dialled = answer(&mut driver.dialling) => driver.dialled(dialled),
            ready = ready(driver.connection.as_ref()) => {
                match ready {
                    Ok(ready) => {
                        if ready.is_readable() || ready.is_read_closed() || ready.is_error() {
                            driver.read();
                        }
                        // Room to write is used at the top of the loop.
                    }
                    Err(error) => driver.closed(&error.to_string()),
                }
            }
            () = shared_wake(&driver.shared), if driver.session.is_some() => {}
        }
    }
    for farewell in driver.farewells {
        let _ = farewell.await;
    }
}

struct Driver {
    shared: Arc<Shared>,
    machine: Peer,
    outputs: Vec<Output>,
    dialling: Option<BoxFuture<'static, Result<TcpStream, DialError>>>,
    connection: Option<Connection>,
    session: Option<Established>,
    /// Connections that still say goodbye.
    farewells: Vec<tokio::task::JoinHandle<()>>,
    stopped: bool,
}

struct Connection {
    stream: TcpStream,
    input: Vec<u8>,
    output: Vec<u8>,
    /// How much of `output` is written.
    written: usize,
    context: DecodeContext,
    limit: usize,
}

struct Established {
    negotiated: Negotiated,
    next_hop: NextHop,
    since: Instant,
    /// When the oldest change was received that is in `output`.
    oldest: Option<Instant>,
}

impl Driver {
    fn new(shared: Arc<Shared>) -> Self {
        let settings = settings(&shared);
        Self {
            machine: Peer::new(settings, seed(&shared), Instant::now()),
            shared,
            outputs: Vec::new(),
            dialling: None,
            connection: None,
            session: None,
            farewells: Vec::new(),
            stopped: false,
        }
    }

    fn tell(&mut self, input: Input) {
        self.machine.handle(input, Instant::now(), &mut self.outputs);
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => pending().await,
    }
}

async fn answer(
    dialling: &mut Option<BoxFuture<'static, Result<TcpStream, DialError>>>,
) -> Result<TcpStream, DialError> {
    match dialling {
        Some(future) => {
            let result = future.await;
            *dialling = None;
            result
        }
        None => pending().await,
    }
}

async fn ready(connection: Option<&Connection>) -> io::Result<tokio::io::Ready> {
    match connection {
        Some(connection) => {
            let wanted = if connection.output.is_empty() { Interest::READABLE } else { Interest::READABLE | Interest::WRITABLE };
            connection.stream.ready(wanted).await
        }
        None => pending().await,
    }
}

async fn shared_wake(shared: &Shared) {
    shared.wake.notified().await;
}
