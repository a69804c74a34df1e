//! A small receiving router: takes sessions, keeps what it is told, and prints
//! it as the article's FortiGate does. It announces nothing and forwards nothing.

mod session;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::bgp::peer::State;
use crate::bgp::types::{Asn, Prefix, RouterId};
use crate::bgp::wire::message::Update;
use crate::config::Password;
use crate::speaker::socket;
use session::Session;

/// After an accept that failed.
const AFTER_FAILURE: Duration = Duration::from_millis(100);

/// What the router was set up with.
pub struct Setup {
    /// Its AS, and that of its neighbours.
    pub asn: Asn,
    /// Its own identifier.
    pub router_id: RouterId,
    /// The addresses that it takes sessions from.
    pub neighbours: Vec<IpAddr>,
}

/// The router. Clones share its tables.
#[derive(Clone)]
pub struct Router(Arc<Shared>);

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
    /// A router that takes sessions at an address for as long as the runtime
    /// lives; port 0 takes a free one. The answer has the one taken.
    ///
    /// # Errors
    /// The address cannot be had, or the kernel does not take the password.
    pub fn open(
        setup: Setup,
        address: SocketAddr,
        password: Option<&Password>,
    ) -> io::Result<(Self, SocketAddr)> {
        let listener = socket::listen(address, &setup.neighbours, password)?;
        let address = listener.local_addr()?;
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
        let router = Self(Arc::new(Shared {
            setup,
            tables: Mutex::new(tables),
            changed: watch::Sender::new(0),
        }));
        tokio::spawn(router.clone().run(listener));
        Ok((router, address))
    }

    /// Takes sessions for ever.
    async fn run(self, listener: TcpListener) {
        let mut sessions = JoinSet::new();
        loop {
            let Ok((stream, from)) = listener.accept().await else {
                // Out of descriptors, mostly: not at once again.
                tokio::time::sleep(AFTER_FAILURE).await;
                continue;
            };
            let from = from.ip();
            if self.0.setup.neighbours.contains(&from) {
                let router = self.clone();
                sessions.spawn(async move { Session::new(&router, stream, from).drive().await });
            }
            while sessions.try_join_next().is_some() {}
        }
    }

    /// Tells of each change of a table.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.changed.subscribe()
    }

    /// Prefixes received from each neighbour whose session stands.
    pub fn established(&self) -> BTreeMap<IpAddr, usize> {
        let tables = self.tables();
        let up = tables.neighbours.iter();
        up.filter(|(_, n)| n.state == State::Established)
            .map(|(address, _)| (*address, tables.received_from(*address)))
            .collect()
    }

    /// Next hops by prefix, each with the time since which it has led there
    /// without a break.
    pub fn routes(&self) -> BTreeMap<Prefix, BTreeMap<IpAddr, Instant>> {
        let tables = self.tables();
        let routes = tables.routes.iter();
        let hops = |by: &BTreeMap<IpAddr, Route>| {
            by.values()
                .map(|route| (route.next_hop, route.since))
                .collect()
        };
        routes.map(|(prefix, by)| (*prefix, hops(by))).collect()
    }

    /// How many routes were withdrawn and sessions ended since the beginning.
    pub fn losses(&self) -> u64 {
        self.tables().losses
    }

    /// What a neighbour said in its NOTIFICATION when it went.
    pub fn last_words(&self, neighbour: IpAddr) -> Option<String> {
        self.tables().neighbours.get(&neighbour)?.last_words.clone()
    }

    /// `get router info bgp summary`.
    pub fn summary(&self) -> String {
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
    pub fn table(&self) -> String {
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
