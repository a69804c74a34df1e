//! One configured peer: when to dial it, up to two connections with it (one by
//! each side), and which of them lives.
//!
//! ```text
//!            Start             connected              OPEN         KEEPALIVE
//!   Idle ----------> Connect ------------> OpenSent ------> OpenConfirm ------> Established
//!     ^               ^   | failed                |               |                  |
//!     | Stop          |   v                       v               v                  v
//!   (any)             +- Active <-----------------+---------------+------------------+
//!                  backoff is over
//! ```
//!
//! Where RFC 4271 §8.2.2 falls back to Idle, and a damped automatic start (events
//! 7 and 13) leads out of it again, this machine goes to Active at once: the
//! retry timer holds the backoff, and a peer that connects meanwhile is welcome.
//! So Idle means stopped. DelayOpen is not built, since it serves no stub.
//!
//! The driver's side of the contract:
//!
//! - At most one connection by each [`Role`]; the driver refuses a further one.
//! - A connection ends by [`Output::Close`] or by [`Input::Closed`], whichever is
//!   first, and after that nothing more is told of it. The same holds for a dial.
//! - What the socket holds is read before [`Peer::poll`] is called, so that a
//!   late driver does not take its own sleep for the peer's.

use std::time::Instant;

use super::fsm::{Connection, Effect, is_due};
use super::iana::cease;
use super::jitter::Jitter;
use super::types::RouterId;
use super::wire::message::{Message, Notification};

mod backoff;
mod pair;
mod settings;
mod summary;
mod words;

#[cfg(test)]
mod tests;

use backoff::Backoff;
use pair::Pair;
pub use settings::PeerSettings;
use summary::Opens;
pub use summary::Summary;
pub use words::{DownReason, Input, Output, Role, State};

/// How far the next dial is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dial {
    /// None is wanted: stopped, passive, or a connection stands.
    None,
    /// The ConnectRetryTimer: it dials at this time.
    Due(Instant),
    /// Under way, until it has taken too long.
    UnderWay { until: Instant },
}

/// A session that stands.
#[derive(Clone, Copy, Debug)]
struct Session {
    role: Role,
    since: Instant,
}

/// The session machine of one peer. See the module for what the driver owes it.
#[derive(Debug)]
pub struct Peer {
    settings: PeerSettings,
    started: bool,
    dial: Dial,
    backoff: Backoff,
    /// The next connection leaves out capabilities: the peer refused them.
    bare: bool,
    connections: Pair,
    session: Option<Session>,
    jitter: Jitter,
    /// Scratch, kept for its allocation.
    effects: Vec<Effect>,
    dials: u64,
    sessions: u64,
    last_error: Option<(Instant, DownReason)>,
    last_opens: Opens,
}

impl Peer {
    /// A stopped peer. `seed` decides its jitter: give each peer its own.
    pub fn new(settings: PeerSettings, seed: u64) -> Self {
        Self {
            settings,
            started: false,
            dial: Dial::None,
            backoff: Backoff::default(),
            bare: false,
            connections: Pair::default(),
            session: None,
            jitter: Jitter::new(seed),
            effects: Vec::new(),
            dials: 0,
            sessions: 0,
            last_error: None,
            last_opens: Opens::default(),
        }
    }

    /// What the peer was made with.
    pub fn settings(&self) -> &PeerSettings {
        &self.settings
    }

    /// Takes one input at the time `now`, and appends what is to be done, in order.
    pub fn handle(&mut self, input: Input, now: Instant, out: &mut Vec<Output>) {
        match input {
            Input::Start => self.start(now, out),
            Input::Stop(text) => self.stop(text, now, out),
            Input::Connected(role) => self.connected(role, now, out),
            Input::ConnectFailed(why) => {
                if matches!(self.dial, Dial::UnderWay { .. }) {
                    self.dial_failed(DownReason::ConnectFailed(why), now, out);
                }
            }
            Input::Received(role, message) => {
                let mut effects = std::mem::take(&mut self.effects);
                if let Some(connection) = self.connections.of(role) {
                    connection.receive(message, &self.settings, now, &mut effects);
                }
                self.carry_out(role, effects, now, out);
            }
            Input::Closed(role, why) => {
                if let Some(connection) = self.connections.of(role).take() {
                    let during = connection.state();
                    let reason = DownReason::Closed { during, why };
                    self.ended(role, &connection, reason, now, out);
                }
            }
            Input::Wrote(role) => {
                if let Some(connection) = self.connections.of(role) {
                    connection.wrote();
                }
            }
            Input::WriteBlocked(role) => {
                if let Some(connection) = self.connections.of(role) {
                    connection.write_blocked(now);
                }
            }
        }
    }

    /// Does what is due at `now`, and appends what follows from it, in order.
    pub fn poll(&mut self, now: Instant, out: &mut Vec<Output>) {
        match self.dial {
            Dial::Due(at) if at <= now => {
                self.dials += 1;
                let until = now + self.settings.connect_timeout;
                self.dial = Dial::UnderWay { until };
                out.push(Output::Dial);
            }
            Dial::UnderWay { until } if until <= now => {
                out.push(Output::Close(Role::Active));
                let reason = DownReason::ConnectTimeout(self.settings.connect_timeout);
                self.dial_failed(reason, now, out);
            }
            _ => {}
        }
        for role in [Role::Active, Role::Passive] {
            let mut effects = std::mem::take(&mut self.effects);
            if let Some(connection) = self.connections.of(role)
                && is_due(connection.deadline(), now)
            {
                connection.poll(now, &mut effects);
            }
            self.carry_out(role, effects, now, out);
        }
    }

    /// When [`Self::poll`] has something to do next, if ever.
    pub fn deadline(&self) -> Option<Instant> {
        let dial = match self.dial {
            Dial::None => None,
            Dial::Due(at) | Dial::UnderWay { until: at } => Some(at),
        };
        let connections = self.connections.iter();
        connections
            .filter_map(|(_, connection)| connection.deadline())
            .chain(dial)
            .min()
    }

    /// The state of the connection that has come furthest, or of the dial.
    pub fn state(&self) -> State {
        let before = match self.dial {
            _ if !self.started => State::Idle,
            Dial::UnderWay { .. } => State::Connect,
            Dial::None | Dial::Due(_) => State::Active,
        };
        let connections = self.connections.iter();
        let furthest = connections.map(|(_, connection)| connection.state()).max();
        furthest.unwrap_or(before)
    }

    fn start(&mut self, now: Instant, out: &mut Vec<Output>) {
        // Events 1 and 3; in every state but Idle they are ignored.
        if self.started {
            return;
        }
        self.started = true;
        self.backoff.reset();
        self.bare = false;
        if self.settings.dial {
            self.dial = Dial::Due(now);
            self.poll(now, out);
        }
    }

    fn stop(&mut self, text: String, now: Instant, out: &mut Vec<Output>) {
        // Event 2. RFC 9003 §2: the other operator learns why.
        if !self.started {
            return;
        }
        self.started = false;
        if let Dial::UnderWay { .. } = std::mem::replace(&mut self.dial, Dial::None) {
            out.push(Output::Close(Role::Active));
        }
        for role in [Role::Active, Role::Passive] {
            if let Some(connection) = self.connections.of(role).take() {
                let shutdown = Notification::administrative_shutdown(&text);
                out.push(Output::Send(role, Message::Notification(shutdown)));
                out.push(Output::Close(role));
                let reason = DownReason::Stopped(text.clone());
                self.ended(role, &connection, reason, now, out);
            }
        }
    }

    /// Events 16 and 17: TCP stands.
    fn connected(&mut self, role: Role, now: Instant, out: &mut Vec<Output>) {
        if self.connections.of(role).is_some() {
            // Breaks the contract; to close it would close the first one too.
            return;
        }
        let expected = match role {
            Role::Active => matches!(self.dial, Dial::UnderWay { .. }),
            // Idle refuses every connection (RFC 4271 §8.2.2).
            Role::Passive => self.started,
        };
        if !expected {
            out.push(Output::Close(role));
            return;
        }
        if role == Role::Active || matches!(self.dial, Dial::Due(_)) {
            self.dial = Dial::None;
        }
        // Ours came second and the session stands: it could only lose.
        if role == Role::Active && self.session.is_some() {
            out.push(Output::Close(role));
            return;
        }
        let mut effects = std::mem::take(&mut self.effects);
        let jitter = self.jitter.split();
        let connection = Connection::open(&self.settings, self.bare, jitter, now, &mut effects);
        *self.connections.of(role) = Some(connection);
        self.carry_out(role, effects, now, out);
    }

    /// Turns what a connection asks for into outputs.
    fn carry_out(
        &mut self,
        role: Role,
        mut effects: Vec<Effect>,
        now: Instant,
        out: &mut Vec<Output>,
    ) {
        for effect in effects.drain(..) {
            match effect {
                Effect::Send(message) => out.push(Output::Send(role, message)),
                Effect::Identified => {
                    if !self.survives(role, out) {
                        break;
                    }
                }
                Effect::Up(negotiated) => {
                    self.sessions += 1;
                    self.session = Some(Session { role, since: now });
                    out.push(Output::Up(role, negotiated));
                }
                Effect::Refresh(family) => out.push(Output::Refresh(family)),
                Effect::Ended(reason) => {
                    out.push(Output::Close(role));
                    if let Some(connection) = self.connections.of(role).take() {
                        self.ended(role, &connection, reason, now, out);
                    }
                }
            }
        }
        self.effects = effects;
    }

    /// Settles a collision (RFC 4271 §6.8) now that the OPEN on the connection by
    /// `role` stands. Says whether that connection lives.
    fn survives(&mut self, role: Role, out: &mut Vec<Output>) -> bool {
        let Some(peer_router_id) = self
            .connections
            .of(role)
            .as_ref()
            .and_then(Connection::peer_router_id)
        else {
            return false;
        };
        let other = role.other();
        let other_state = self.connections.of(other).as_ref().map(Connection::state);
        let loser = match other_state {
            // Alone, or the other one has not said who it is: its own OPEN settles it.
            None | Some(State::Idle | State::Connect | State::Active | State::OpenSent) => {
                return true;
            }
            Some(State::Established) => role,
            Some(State::OpenConfirm) => self.initiator_to_keep(peer_router_id).other(),
        };
        *self.connections.of(loser) = None;
        let collision = Notification::cease(cease::COLLISION_RESOLUTION);
        out.push(Output::Send(loser, Message::Notification(collision)));
        out.push(Output::Close(loser));
        loser != role
    }

    /// The connection that the side with the higher identifier opened is kept, or
    /// with equal ones the side with the higher AS (RFC 6286 §2.3).
    fn initiator_to_keep(&self, peer_router_id: RouterId) -> Role {
        let ours = (self.settings.router_id, self.settings.local_asn);
        if ours > (peer_router_id, self.settings.peer_asn) {
            Role::Active
        } else {
            Role::Passive
        }
    }

    /// A connection is gone, and taken out already.
    fn ended(
        &mut self,
        role: Role,
        connection: &Connection,
        reason: DownReason,
        now: Instant,
        out: &mut Vec<Output>,
    ) {
        self.last_opens = Opens::of(connection);
        let session = self.session.take_if(|session| session.role == role);
        match session {
            Some(session) => {
                let hold_time = connection.negotiated().map(|n| n.hold_time);
                let lasted = now.saturating_duration_since(session.since);
                self.backoff
                    .session_lasted(lasted, hold_time.unwrap_or_default());
                self.bare = false;
                out.push(Output::Down(reason.clone()));
            }
            // The other connection goes on, so nothing is lost.
            None if !self.connections.is_empty() => return,
            None => {
                // RFC 5492 §3: once without capabilities, then with them again.
                let refused =
                    !connection.sent().capabilities.is_empty() && reason.refuses_options();
                self.bare = refused;
                if !matches!(reason, DownReason::Stopped(_)) {
                    out.push(Output::Failed(reason.clone()));
                }
            }
        }
        self.retry_after(&reason, now);
        self.last_error = Some((now, reason));
    }

    /// Events 14, 15 and 18 before a connection stands.
    fn dial_failed(&mut self, reason: DownReason, now: Instant, out: &mut Vec<Output>) {
        self.dial = Dial::None;
        // The peer's own connection goes on, so nothing is lost.
        if !self.connections.is_empty() {
            return;
        }
        out.push(Output::Failed(reason.clone()));
        self.retry_after(&reason, now);
        self.last_error = Some((now, reason));
    }

    /// Sets the ConnectRetryTimer, unless something is under way.
    fn retry_after(&mut self, reason: &DownReason, now: Instant) {
        let idle = self.connections.is_empty() && self.dial == Dial::None;
        if self.started && self.settings.dial && idle {
            let wait = self.backoff.next(reason);
            self.dial = Dial::Due(now + self.jitter.spread(wait));
        }
    }
}
