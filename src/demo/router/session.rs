//! One session of the router: drives the pure machine over a connection that a
//! speaker opened.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use tokio::net::TcpStream;

use super::{Neighbour, Router};
use crate::bgp::peer::{DownReason, Input, Output, Peer, PeerSettings, Role, State};
use crate::bgp::types::Family;
use crate::bgp::wire::message::{Message, Notification};
use crate::bgp::wire::{self, DecodeContext};
use crate::speaker::connection::Connection;

/// The speaker always dials.
const ROLE: Role = Role::Passive;

/// One session, from its connection to its end.
pub(super) struct Session<'a> {
    router: &'a Router,
    from: IpAddr,
    machine: Peer,
    connection: Connection,
    outputs: Vec<Output>,
}

impl<'a> Session<'a> {
    /// A connection that stands.
    pub(super) fn new(router: &'a Router, stream: TcpStream, from: IpAddr) -> Self {
        let setup = &router.0.setup;
        let settings = PeerSettings {
            local_asn: setup.asn,
            peer_asn: setup.asn,
            router_id: setup.router_id,
            hold_time: Duration::from_secs(90),
            keepalive_time: None,
            families: [Family::Ipv4].into(),
            dial: false,
            connect_timeout: PeerSettings::CONNECT_TIMEOUT,
        };
        Self {
            router,
            from,
            machine: Peer::new(settings, 0),
            connection: Connection::new(stream),
            outputs: Vec::new(),
        }
    }

    fn tell(&mut self, input: Input) {
        self.machine
            .handle(input, Instant::now(), &mut self.outputs);
    }

    /// Until it ends.
    pub(super) async fn drive(mut self) {
        self.tell(Input::Start);
        self.tell(Input::Connected(ROLE));
        while self.obey() {
            if let Err(error) = self.connection.write() {
                self.tell(Input::Closed(ROLE, error.to_string()));
                continue;
            }
            let due = self.machine.deadline();
            tokio::select! {
                () = sleep_until(due) => self.machine.poll(Instant::now(), &mut self.outputs),
                _ = self.connection.stream.readable() => self.read(),
            }
        }
        self.connection.farewell().await;
    }

    /// Carries out what the machine ordered. Whether the connection goes on.
    fn obey(&mut self) -> bool {
        let mut goes_on = true;
        for output in std::mem::take(&mut self.outputs) {
            match output {
                Output::Send(_, message) => {
                    message.encode(&mut self.connection.output);
                    self.count(|neighbour| neighbour.sent += 1);
                }
                Output::Up(_, negotiated) => {
                    self.connection.context = DecodeContext::of(&negotiated);
                    self.connection.limit = negotiated.message_limit();
                    self.router
                        .change(|t| t.stand(self.from, State::Established, None));
                }
                Output::Down(reason) | Output::Failed(reason) => {
                    let words = match &reason {
                        DownReason::Received(fault) => Some(fault.to_string()),
                        _ => None,
                    };
                    self.router
                        .change(|t| t.stand(self.from, State::Active, words));
                    goes_on = false;
                }
                Output::Close(_) => goes_on = false,
                Output::Dial | Output::Refresh(_) => {}
            }
        }
        goes_on
    }

    fn read(&mut self) {
        match self.connection.read() {
            Ok(Some(0)) => return self.tell(Input::Closed(ROLE, "closed".to_owned())),
            Ok(_) => {}
            Err(error) => return self.tell(Input::Closed(ROLE, error.to_string())),
        }
        while let Some(message) = self.next() {
            if let Ok(Message::Update(update)) = &message {
                self.router.change(|tables| tables.learn(self.from, update));
            }
            self.count(|neighbour| neighbour.received += 1);
            self.tell(Input::Received(ROLE, message));
            // A message may change how the next one is read.
            if self
                .outputs
                .iter()
                .any(|output| matches!(output, Output::Up(..)))
                && !self.obey()
            {
                return;
            }
        }
    }

    /// The next whole message of what was read.
    fn next(&mut self) -> Option<Result<Message, Notification>> {
        let connection = &mut self.connection;
        match wire::frame(&connection.input, connection.limit) {
            Ok(None) => None,
            Ok(Some(length)) => {
                let octets: Vec<u8> = connection.input.drain(..length).collect();
                Some(wire::decode(&octets, &connection.context))
            }
            Err(fault) => {
                connection.input.clear();
                Some(Err(fault))
            }
        }
    }

    fn count(&self, change: impl FnOnce(&mut Neighbour)) {
        if let Some(neighbour) = self.router.tables().neighbours.get_mut(&self.from) {
            change(neighbour);
        }
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}
