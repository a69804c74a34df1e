//! Drives one peer: the only place where a BGP session meets a socket and a clock.
//!
//! One task, one loop. It carries out what the pure machine orders, fills the
//! outgoing buffer from the rib while the socket takes it, and sleeps until
//! there are octets to read, room to write, a deadline, or something new in
//! the rib. No policy here, and nothing of the protocol but the order of calls.

use std::future::pending;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use tokio::io::Interest;
use tokio::net::TcpStream;

use super::connection::Connection;
use super::identity::{router_id, seed, settings};
use super::socket::{self, DialError};
use super::view::{self, Standing};
use super::{Shared, Stop, lock, next_hop};
use crate::bgp::pack;
use crate::bgp::peer::{DownReason, Input, Output, Peer, Role};
use crate::bgp::types::{Negotiated, NextHop};
use crate::bgp::wire::message::Message;
use crate::bgp::wire::{self, DecodeContext};

/// The rib is asked for more while less than this waits to be written, in octets.
const LOW_WATER: usize = 64 << 10;
/// Routes taken from the rib at a time.
const BATCH: usize = 16_384;
/// The least time between two lines in the log about faulty UPDATEs.
const FAULTS_EVERY: Duration = Duration::from_secs(10);

/// Speaks to one peer until told to stop.
pub(super) async fn drive(shared: Arc<Shared>, stop: Stop) {
    let mut driver = Driver::new(shared);
    driver.tell(Input::Start);
    loop {
        driver.obey();
        driver.fill();
        driver.write();
        // A write that failed has told the machine, too.
        driver.obey();
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
            () = sleep_until(deadline) => {
                // What the socket holds first: a late driver is not a silent peer.
                driver.read();
                driver.machine.poll(Instant::now(), &mut driver.outputs);
                driver.changed = true;
            }
            dialled = answer(&mut driver.dialling) => driver.dialled(dialled),
            ready = ready(driver.connection.as_ref(), driver.more) => {
                match ready {
                    Ok(ready) => {
                        if ready.is_readable() || ready.is_read_closed() || ready.is_error() {
                            driver.read();
                        }
                        // Room to write is used at the top of the loop.
                    }
                    Err(error) => driver.closed(&error.to_string()),
                }
                // A socket that is always ready would never let go of this
                // thread, nor of the tasks that wait for it.
                tokio::task::yield_now().await;
            }
            () = driver.shared.wake.notified(), if driver.session.is_some() => {}
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
    /// The rib has more than `output` was to take: it goes on as soon as the
    /// socket has room, without a word from anybody.
    more: bool,
    /// When faults of UPDATEs were last written to the log.
    faults_told: Option<Instant>,
    /// Connections that still say goodbye.
    farewells: Vec<tokio::task::JoinHandle<()>>,
    stopped: bool,
    /// The machine has moved since it was last shown.
    changed: bool,
}

struct Established {
    negotiated: Negotiated,
    next_hop: NextHop,
    /// When the oldest change was received that is in `output`.
    oldest: Option<Instant>,
}

impl Driver {
    fn new(shared: Arc<Shared>) -> Self {
        Self {
            machine: Peer::new(settings(&shared), seed(&shared)),
            shared,
            outputs: Vec::new(),
            dialling: None,
            connection: None,
            session: None,
            more: false,
            faults_told: None,
            farewells: Vec::new(),
            stopped: false,
            changed: true,
        }
    }

    fn tell(&mut self, input: Input) {
        self.changed |= !matches!(input, Input::Wrote(_) | Input::WriteBlocked(_));
        self.machine
            .handle(input, Instant::now(), &mut self.outputs);
    }

    /// Carries out what the machine ordered, and what follows from that.
    fn obey(&mut self) {
        while !self.outputs.is_empty() {
            for output in std::mem::take(&mut self.outputs) {
                match output {
                    Output::Dial => {
                        self.machine.set_router_id(router_id(&self.shared));
                        let peer = Arc::clone(&self.shared.peer);
                        self.dialling = Some(Box::pin(async move { socket::dial(&peer).await }));
                    }
                    Output::Send(_, message) => {
                        if let Some(connection) = &mut self.connection {
                            message.encode(&mut connection.output);
                        }
                    }
                    Output::Close(_) => self.close(),
                    Output::Up(_, negotiated) => self.up(negotiated),
                    Output::Down(reason) => self.down(&reason),
                    Output::Failed(reason) => {
                        let why = view::why(&self.shared.peer, &reason);
                        tracing::info!(peer = %self.shared.name(), "no session: {why}");
                    }
                    Output::Refresh(family) => self.shared.rib().refresh(family),
                }
            }
        }
    }

    fn dialled(&mut self, result: Result<TcpStream, DialError>) {
        self.dialling = None;
        match result {
            Ok(stream) => {
                self.connection = Some(Connection::new(stream));
                self.tell(Input::Connected(Role::Active));
            }
            Err(error) => self.tell(Input::ConnectFailed(error.to_string())),
        }
    }

    fn up(&mut self, negotiated: Negotiated) {
        let Some(connection) = &mut self.connection else {
            return;
        };
        let address = match connection.stream.local_addr() {
            Ok(local) => local.ip(),
            Err(error) => return self.closed(&error.to_string()),
        };
        connection.context = DecodeContext::of(&negotiated);
        connection.limit = negotiated.message_limit();
        self.shared.rib().session_up(&negotiated.families);
        tracing::info!(peer = %self.shared.name(), hold = ?negotiated.hold_time, "session established");
        let next_hop = next_hop::of(address, self.shared.peer.address);
        self.session = Some(Established {
            negotiated,
            next_hop,
            oldest: None,
        });
    }

    fn down(&mut self, reason: &DownReason) {
        self.session = None;
        tracing::warn!(peer = %self.shared.name(), "session down: {reason}");
        self.shared.rib().session_down();
        // What was not written is part of the next session's first table.
        lock(&self.shared.oldest).take();
    }

    /// Ends the dial or the connection. What waits to be written, a
    /// NOTIFICATION mostly, still gets its chance.
    fn close(&mut self) {
        self.dialling = None;
        if let Some(connection) = self.connection.take() {
            self.farewells.retain(|farewell| !farewell.is_finished());
            self.farewells.push(tokio::spawn(connection.farewell()));
        }
    }

    /// The connection broke by itself.
    fn closed(&mut self, why: &str) {
        self.connection = None;
        self.tell(Input::Closed(Role::Active, why.to_owned()));
    }

    /// Takes routes from the rib while the socket keeps up.
    fn fill(&mut self) {
        self.more = false;
        let (Some(session), Some(connection)) = (&mut self.session, &mut self.connection) else {
            return;
        };
        while connection.waiting() < LOW_WATER {
            let mut rib = self.shared.rib();
            let batch = rib.take(BATCH);
            drop(rib);
            if batch.is_empty() {
                break;
            }
            if session.oldest.is_none() {
                session.oldest = lock(&self.shared.oldest).take();
            }
            let messages = pack::pack(
                &batch.routes,
                &session.negotiated,
                &session.next_hop,
                &mut connection.output,
            );
            self.shared.updates_sent.fetch_add(messages as u64, Relaxed);
            for family in batch.end_of_rib {
                pack::end_of_rib(family, &mut connection.output);
            }
            self.more = connection.waiting() >= LOW_WATER;
        }
    }

    /// Writes what the socket takes now.
    fn write(&mut self) {
        let Some(connection) = &mut self.connection else {
            return;
        };
        if connection.output.is_empty() {
            return;
        }
        match connection.write() {
            Ok(wrote) => {
                let whole = connection.output.is_empty();
                if wrote {
                    self.tell(Input::Wrote(Role::Active));
                }
                if !whole {
                    self.tell(Input::WriteBlocked(Role::Active));
                } else if let Some(received) = self
                    .session
                    .as_mut()
                    .and_then(|session| session.oldest.take())
                {
                    self.shared.latency.observe(received.elapsed());
                }
            }
            Err(error) => self.closed(&format!("cannot write: {error}")),
        }
    }

    /// Reads what the socket has, up to a chunk, and hands over each message in it.
    fn read(&mut self) {
        let Some(connection) = &mut self.connection else {
            return;
        };
        match connection.read() {
            Ok(Some(0)) => return self.closed("the peer closed the connection"),
            Ok(_) => {}
            Err(error) => return self.closed(&format!("cannot read: {error}")),
        }
        let mut used = 0;
        // A message may end the connection, and change how the next one is read.
        while let Some(connection) = &self.connection {
            let rest = connection.input.get(used..).unwrap_or_default();
            let message = match wire::frame(rest, connection.limit) {
                Ok(None) => break,
                Ok(Some(length)) => {
                    used += length;
                    wire::decode(&rest[..length], &connection.context)
                }
                Err(notification) => Err(notification),
            };
            if let Ok(Message::Update(update)) = &message {
                self.shared
                    .prefixes_received
                    .fetch_add(update.reach.len() as u64, Relaxed);
                if !update.faults.is_empty() {
                    tell_faults(&self.shared, &mut self.faults_told, &update.faults);
                }
            }
            self.tell(Input::Received(Role::Active, message));
            self.obey();
        }
        if let Some(connection) = &mut self.connection {
            connection.input.drain(..used);
        }
    }

    /// Shows how the session stands, if that has changed.
    fn publish(&mut self) {
        if std::mem::take(&mut self.changed) {
            let local_address = self
                .session
                .as_ref()
                .map(|session| session.next_hop.address);
            *lock(&self.shared.standing) = Standing {
                summary: Some(self.machine.summary()),
                local_address,
            };
        }
    }
}

/// Counts an UPDATE with faults. The log gets one of them now and then: a peer
/// must not be able to fill a disk.
fn tell_faults(shared: &Shared, told: &mut Option<Instant>, faults: &[String]) {
    let count = shared.update_faults.fetch_add(1, Relaxed) + 1;
    if told.is_none_or(|when| when.elapsed() >= FAULTS_EVERY) {
        *told = Some(Instant::now());
        let faults = faults.join("; ");
        tracing::warn!(peer = %shared.name(), count, "UPDATE received with faults: {faults}");
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

/// Waits for octets to read, and for room to write if `more` or `output` has some.
async fn ready(connection: Option<&Connection>, more: bool) -> io::Result<tokio::io::Ready> {
    match connection {
        Some(connection) => {
            let wanted = if more || !connection.output.is_empty() {
                Interest::READABLE | Interest::WRITABLE
            } else {
                Interest::READABLE
            };
            connection.stream.ready(wanted).await
        }
        None => pending().await,
    }
}
