//! A small receiving router: takes sessions, keeps what it is told, and prints
//! it as the article's FortiGate does. It announces nothing and forwards nothing.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::bgp::peer::{DownReason, Input, Output, Peer, PeerSettings, Role, State};
use crate::bgp::types::{Asn, Family, Prefix, RouterId};
use crate::bgp::wire::message::{Message, Update};
use crate::bgp::wire::{self, DecodeContext};
use crate::speaker::connection::Connection;

/// Of the one connection that a session's machine ever sees: the neighbour dials.
const ROLE: Role = Role::Passive;

/// After a connection that could not be taken.
const AFTER_ERROR: Duration = Duration::from_millis(100);

/// What the router was set up with.
pub(super) struct Setup {
    /// Its AS, and that of its neighbours.
    pub asn: Asn,
    /// Its own identifier.
    pub router_id: RouterId,
    /// The addresses that it takes sessions from.
    pub neighbours: Vec<IpAddr>,
}

/// The router. Clones share its tables.
#[derive(Clone)]
pub(super) struct Router(Arc<Shared>);

struct Shared {
    setup: Setup,
    tables: Mutex<Tables>,
    /// Counts changes of the tables.
    changed: watch::Sender<u64>,
}

#[derive(Default)]
struct Tables {
    neighbours: BTreeMap<IpAddr, Neighbour>,
    /// Where each prefix leads, and since when, by the neighbour that said so.
    routes: BTreeMap<Prefix, BTreeMap<IpAddr, Route>>,
    /// Routes withdrawn and sessions ended so far.
    losses: u64,
}

struct Neighbour {
    state: State,
    since: Instant,
    received: u64,
    sent: u64,
    /// What it said when it went.
    last_words: Option<String>,
}

#[derive(Clone, Copy)]
struct Route {
    next_hop: IpAddr,
    since: Instant,
}

impl Router {
    /// A router that nobody has spoken to yet.
    pub(super) fn new(setup: Setup) -> Self {
        let now = Instant::now();
        let fresh = || Neighbour {
            state: State::Active,
            since: now,
            received: 0,
            sent: 0,
            last_words: None,
        };
        let tables = Tables {
            neighbours: setup.neighbours.iter().map(|a| (*a, fresh())).collect(),
            routes: BTreeMap::new(),
            losses: 0,
        };
        Self(Arc::new(Shared {
            setup,
            tables: Mutex::new(tables),
            changed: watch::Sender::new(0),
        }))
    }

    /// Takes sessions for ever.
    pub(super) async fn run(self, listener: TcpListener) {
        let mut sessions = JoinSet::new();
        loop {
            let (stream, from) = match listener.accept().await {
                Ok((stream, SocketAddr::V4(from))) => (stream, from),
                Ok(_) => continue,
                // No descriptors, say: it may be better in a moment.
                Err(_) => {
                    tokio::time::sleep(AFTER_ERROR).await;
                    continue;
                }
            };
            let from = IpAddr::V4(*from.ip());
            if self.0.setup.neighbours.contains(&from) {
                let router = self.clone();
                sessions.spawn(async move { Session::new(&router, stream, from).drive().await });
            }
            while sessions.try_join_next().is_some() {}
        }
    }

    /// Tells of each change of a table.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.0.changed.subscribe()
    }

    /// Prefixes received from each neighbour whose session stands.
    pub(super) fn established(&self) -> BTreeMap<IpAddr, usize> {
        let tables = self.tables();
        let up = tables.neighbours.iter();
        up.filter(|(_, n)| n.state == State::Established)
            .map(|(address, _)| (*address, tables.received_from(*address)))
            .collect()
    }

    /// Next hops by prefix.
    pub(super) fn routes(&self) -> BTreeMap<Prefix, Vec<IpAddr>> {
        let tables = self.tables();
        let routes = tables.routes.iter();
        routes
            .map(|(prefix, by)| (*prefix, by.values().map(|route| route.next_hop).collect()))
            .collect()
    }

    /// How many routes were withdrawn and sessions ended since the beginning.
    pub(super) fn losses(&self) -> u64 {
        self.tables().losses
    }

    /// What a neighbour said in its NOTIFICATION when it went.
    pub(super) fn last_words(&self, neighbour: IpAddr) -> Option<String> {
        self.tables().neighbours.get(&neighbour)?.last_words.clone()
    }

    /// `get router info bgp summary`.
    pub(super) fn summary(&self) -> String {
        let tables = self.tables();
        let setup = &self.0.setup;
        let mut page = format!(
            "BGP router identifier {}, local AS number {}\n\nNeighbor        V         AS MsgRcvd MsgSent   TblVer  InQ OutQ Up/Down  State/PfxRcd\n",
            setup.router_id.addr(),
            setup.asn.0
        );
        for (address, neighbour) in &tables.neighbours {
            let state = match neighbour.state {
                State::Established => tables.received_from(*address).to_string(),
                state => state.to_string(),
            };
            let _ = writeln!(
                page,
                "{:<15} 4 {:>10} {:>7} {:>7} {:>8} {:>4} {:>4} {} {:>12}",
                address.to_string(),
                setup.asn.0,
                neighbour.received,
                neighbour.sent,
                0,
                0,
                0,
                clock(neighbour.since.elapsed()),
                state
            );
        }
        page
    }

    /// `get router info routing-table bgp`.
    pub(super) fn table(&self) -> String {
        let tables = self.tables();
        let mut page = String::new();
        for (prefix, by) in &tables.routes {
            let indent = format!("B       {prefix} ");
            for (nth, route) in by.values().enumerate() {
                let start = if nth == 0 {
                    indent.clone()
                } else {
                    " ".repeat(indent.len())
                };
                let age = clock(route.since.elapsed());
                // An iBGP route without a MED: distance 200, metric 0.
                let _ = writeln!(page, "{start}[200/0] via {}, lo, {age}", route.next_hop);
            }
        }
        if page.is_empty() {
            page.push_str("(no routes)\n");
        }
        page
    }

    fn tables(&self) -> MutexGuard<'_, Tables> {
        // Each change is complete in itself.
        self.0.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Tables)) {
        change(&mut self.tables());
        self.0.changed.send_modify(|count| *count += 1);
    }
}

impl Tables {
    fn received_from(&self, neighbour: IpAddr) -> usize {
        let from = |by: &&BTreeMap<IpAddr, Route>| by.contains_key(&neighbour);
        self.routes.values().filter(from).count()
    }

    fn learn(&mut self, from: IpAddr, update: &Update) {
        for prefix in &update.unreach {
            self.forget(prefix, from);
        }
        let Some(next_hop) = update.next_hop else {
            return;
        };
        for prefix in &update.reach {
            let since = Instant::now();
            let by = self.routes.entry(*prefix).or_default();
            by.entry(from).or_insert(Route { next_hop, since }).next_hop = next_hop;
        }
    }

    fn forget(&mut self, prefix: &Prefix, from: IpAddr) {
        if let Some(by) = self.routes.get_mut(prefix) {
            self.losses += u64::from(by.remove(&from).is_some());
            if by.is_empty() {
                self.routes.remove(prefix);
            }
        }
    }

    fn stand(&mut self, address: IpAddr, state: State, last_words: Option<String>) {
        if state != State::Established {
            self.losses += 1;
            let prefixes: Vec<Prefix> = self.routes.keys().copied().collect();
            prefixes
                .iter()
                .for_each(|prefix| self.forget(prefix, address));
        }
        if let Some(neighbour) = self.neighbours.get_mut(&address) {
            neighbour.state = state;
            neighbour.since = Instant::now();
            neighbour.last_words = last_words;
        }
    }
}

/// One session, from its connection to its end.
struct Session<'a> {
    router: &'a Router,
    from: IpAddr,
    machine: Peer,
    connection: Connection,
    outputs: Vec<Output>,
}

impl<'a> Session<'a> {
    fn new(router: &'a Router, stream: TcpStream, from: IpAddr) -> Self {
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

    async fn drive(mut self) {
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
    fn next(&mut self) -> Option<Result<Message, wire::message::Notification>> {
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

/// `00:52:00`.
fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    format!(
        "{:02}:{:02}:{:02}",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    )
}
