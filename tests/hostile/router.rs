//! A router made of a script: honest as long as the script does not say otherwise.

use std::collections::BTreeSet;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::Instant;

use loods::bgp::types::{Asn, Family, Prefix, RouterId};
use loods::bgp::wire::message::{Capability, Message, Notification, Open, Update};
use loods::bgp::wire::{self, DecodeContext};

use crate::speaker::ROUTER_ASN;
use crate::wait;

/// Where the speaker dials.
pub struct Router(TcpListener);

impl Router {
    /// Listens on loopback, on a port of its own.
    pub fn new() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        listener.set_nonblocking(true).expect("non-blocking");
        Self(listener)
    }

    pub fn port(&self) -> u16 {
        self.0.local_addr().expect("it is bound").port()
    }

    /// A dial that waits already.
    pub fn dialled(&self) -> Option<Line> {
        match self.0.accept() {
            Ok((stream, _)) => Some(Line::new(stream)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => None,
            Err(error) => panic!("accept: {error}"),
        }
    }

    /// The next dial.
    #[track_caller]
    pub fn accept(&self) -> Line {
        wait::until("the speaker dials", || {
            self.dialled().ok_or("no dial".into())
        })
    }

    /// The next dial, and an honest session on it.
    #[track_caller]
    pub fn session(&self) -> Line {
        let mut line = self.accept();
        line.establish(&honest_open());
        line
    }
}

/// What an honest router opens with.
pub fn honest_open() -> Open {
    Open {
        asn: Asn(ROUTER_ASN),
        hold_time: 90,
        router_id: RouterId::new(Ipv4Addr::new(10, 0, 0, 1)).expect("not zero"),
        capabilities: vec![
            Capability::Multiprotocol(Family::Ipv4),
            Capability::RouteRefresh,
            Capability::ExtendedMessage,
            Capability::FourOctetAs(Asn(ROUTER_ASN)),
        ],
    }
}

/// What comes next on a connection.
#[derive(Debug, PartialEq)]
pub enum Heard {
    Said(Message),
    /// The speaker closed as one should: everything it said has arrived.
    Closed,
    /// The connection was reset: what was on its way may be lost.
    Reset,
}

/// One connection, from the router's side.
pub struct Line {
    pub stream: TcpStream,
    input: Vec<u8>,
    /// How the speaker writes AS paths here.
    pub context: DecodeContext,
}

impl Line {
    fn new(stream: TcpStream) -> Self {
        stream.set_nonblocking(false).expect("blocking");
        let limit = Some(wait::DEADLINE);
        stream.set_read_timeout(limit).expect("a time limit");
        stream.set_write_timeout(limit).expect("a time limit");
        stream.set_nodelay(true).expect("no delay");
        Self {
            stream,
            input: Vec::new(),
            context: DecodeContext {
                four_octet_as: true,
                ibgp: false,
            },
        }
    }

    /// Octets as they are.
    #[track_caller]
    pub fn send(&mut self, octets: &[u8]) {
        self.stream.write_all(octets).expect("the speaker reads");
    }

    /// Octets that the speaker need not take: it may have ended the connection.
    pub fn try_send(&mut self, octets: &[u8]) -> bool {
        self.stream.write_all(octets).is_ok()
    }

    #[track_caller]
    pub fn say(&mut self, message: &Message) {
        let mut octets = Vec::new();
        message.encode(&mut octets);
        self.send(&octets);
    }

    /// Waits for what the speaker does next.
    #[track_caller]
    pub fn hear(&mut self) -> Heard {
        loop {
            let length = wire::frame(&self.input, wire::EXTENDED_MESSAGE_LIMIT)
                .unwrap_or_else(|fault| panic!("the speaker sent what is no message: {fault}"));
            if let Some(length) = length {
                let rest = self.input.split_off(length);
                let octets = std::mem::replace(&mut self.input, rest);
                let message = wire::decode(&octets, &self.context)
                    .unwrap_or_else(|fault| panic!("the speaker sent a fault: {fault}"));
                return Heard::Said(message);
            }
            let mut chunk = [0; 16 << 10];
            match self.stream.read(&mut chunk) {
                Ok(0) => return Heard::Closed,
                Ok(count) => self.input.extend_from_slice(&chunk[..count]),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return Heard::Reset,
                Err(error) => panic!("nothing heard: {error}"),
            }
        }
    }

    /// The speaker's OPEN, which is the first it says.
    #[track_caller]
    pub fn hear_open(&mut self) -> Open {
        match self.hear() {
            Heard::Said(Message::Open(open)) => open,
            other => panic!("an OPEN comes first, not {other:?}"),
        }
    }

    #[track_caller]
    pub fn hear_keepalive(&mut self) {
        assert_eq!(self.hear(), Heard::Said(Message::Keepalive));
    }

    /// Up to OpenConfirm on the speaker's side.
    #[track_caller]
    pub fn confirm(&mut self, open: &Open) -> Open {
        let theirs = self.hear_open();
        let four_octets = |open: &Open| {
            let mut capabilities = open.capabilities.iter();
            capabilities.any(|capability| matches!(capability, Capability::FourOctetAs(_)))
        };
        self.context.four_octet_as = four_octets(&theirs) && four_octets(open);
        self.say(&Message::Open(open.clone()));
        self.hear_keepalive();
        theirs
    }

    /// Up to Established.
    #[track_caller]
    pub fn establish(&mut self, open: &Open) -> Open {
        let theirs = self.confirm(open);
        self.say(&Message::Keepalive);
        theirs
    }

    /// The next UPDATE; KEEPALIVEs before it are passed over.
    #[track_caller]
    pub fn hear_update(&mut self) -> Update {
        loop {
            match self.hear() {
                Heard::Said(Message::Keepalive) => {}
                Heard::Said(Message::Update(update)) => return update,
                other => panic!("an UPDATE was awaited, not {other:?}"),
            }
        }
    }

    /// Everything up to the End-of-RIB.
    #[track_caller]
    pub fn hear_table(&mut self) -> BTreeSet<Prefix> {
        let mut table = BTreeSet::new();
        loop {
            let update = self.hear_update();
            if update.end_of_rib.is_some() {
                return table;
            }
            apply(&mut table, &update);
        }
    }

    /// Follows changes to `table` until `prefix` is in it.
    #[track_caller]
    pub fn hear_until(&mut self, table: &mut BTreeSet<Prefix>, prefix: &str) {
        let prefix: Prefix = prefix.parse().expect("a prefix");
        while !table.contains(&prefix) {
            apply(table, &self.hear_update());
        }
    }

    /// The NOTIFICATION that ends the connection. What was said before it is
    /// passed over; behind it comes the end and no reset.
    #[track_caller]
    pub fn hear_refusal(&mut self) -> Notification {
        let start = Instant::now();
        let notification = loop {
            assert!(start.elapsed() < wait::DEADLINE, "no NOTIFICATION came");
            match self.hear() {
                Heard::Said(Message::Keepalive | Message::Update(_)) => {}
                Heard::Said(Message::Notification(notification)) => break notification,
                other => panic!("a NOTIFICATION was awaited, not {other:?}"),
            }
        };
        assert_eq!(self.hear(), Heard::Closed, "after {notification}");
        notification
    }
}

fn apply(table: &mut BTreeSet<Prefix>, update: &Update) {
    for prefix in &update.unreach {
        table.remove(prefix);
    }
    table.extend(&update.reach);
}
