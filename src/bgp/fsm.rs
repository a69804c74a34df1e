//! The session machine of one TCP connection (RFC 4271 §8.2.2), from the moment
//! it stands: OpenSent, OpenConfirm, Established.
//!
//! ```text
//!   opened -> OPEN out -> OpenSent -- OPEN in, KEEPALIVE out --> OpenConfirm
//!                                                                    |
//!                       Established <-------- KEEPALIVE in ----------+
//! ```
//!
//! Any fault ends the connection: first the NOTIFICATION, then
//! [`Effect::Ended`]. What comes before a connection (Idle, Connect, Active), and
//! what concerns two of them (collision), is [`super::peer`]'s business.
//! Routes pass by here: an UPDATE only proves that the peer is alive.

use std::time::{Duration, Instant};

use super::iana::fsm;
use super::jitter::Jitter;
use super::peer::{DownReason, PeerSettings, State};
use super::types::{Family, Negotiated, RouterId};
use super::wire::message::{Message, Notification, Open};

mod negotiate;

/// The hold time while the peer's OPEN is awaited: "large" (RFC 4271 §8.2.2).
const OPEN_WAIT: Duration = Duration::from_secs(240);
/// KEEPALIVEs go at most once a second (RFC 4271 §4.4).
const LEAST_KEEPALIVE: Duration = Duration::from_secs(1);

/// What a connection asks of its peer.
#[derive(Debug)]
pub(crate) enum Effect {
    /// Write this message.
    Send(Message),
    /// The peer's OPEN stands: time to look for a collision (RFC 4271 §6.8). The
    /// effects behind this one hold only if the connection outlives it.
    Identified,
    /// The session stands.
    Up(Negotiated),
    /// The peer asks for the table of a family again (RFC 2918).
    Refresh(Family),
    /// The connection is over; nothing follows.
    Ended(DownReason),
}

#[derive(Debug)]
enum Phase {
    OpenSent,
    OpenConfirm(Negotiated),
    Established(Negotiated),
}

/// One connection that TCP has set up.
#[derive(Debug)]
pub(crate) struct Connection {
    phase: Phase,
    sent: Open,
    received: Option<Open>,
    keepalive_every: Duration,
    /// When silence of the peer has lasted too long; `None` with a hold time of 0.
    hold: Option<Instant>,
    /// When the next KEEPALIVE goes.
    keepalive: Option<Instant>,
    /// When our own words have waited too long; `None` while none wait.
    send_hold: Option<Instant>,
    jitter: Jitter,
}

impl Connection {
    /// TCP stands: sends the OPEN. `bare` leaves out the capabilities.
    pub(crate) fn open(
        settings: &PeerSettings,
        bare: bool,
        jitter: Jitter,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) -> Self {
        let sent = negotiate::our_open(settings, bare);
        effects.push(Effect::Send(Message::Open(sent.clone())));
        Self {
            phase: Phase::OpenSent,
            sent,
            received: None,
            keepalive_every: Duration::ZERO,
            hold: Some(now + OPEN_WAIT),
            keepalive: None,
            send_hold: None,
            jitter,
        }
    }

    pub(crate) fn state(&self) -> State {
        match self.phase {
            Phase::OpenSent => State::OpenSent,
            Phase::OpenConfirm(_) => State::OpenConfirm,
            Phase::Established(_) => State::Established,
        }
    }

    /// Our OPEN.
    pub(crate) fn sent(&self) -> &Open {
        &self.sent
    }

    /// The peer's OPEN, refused ones too.
    pub(crate) fn received(&self) -> Option<&Open> {
        self.received.as_ref()
    }

    /// What both agreed on, from OpenConfirm on.
    pub(crate) fn negotiated(&self) -> Option<&Negotiated> {
        match &self.phase {
            Phase::OpenSent => None,
            Phase::OpenConfirm(negotiated) | Phase::Established(negotiated) => Some(negotiated),
        }
    }

    /// The peer's identifier, once its OPEN was accepted.
    pub(crate) fn peer_router_id(&self) -> Option<RouterId> {
        self.negotiated().map(|n| n.peer_router_id)
    }

    /// A message came, or what came was none (RFC 4271 §8.1.5).
    pub(crate) fn receive(
        &mut self,
        message: Result<Message, Notification>,
        settings: &PeerSettings,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) {
        let message = match message {
            Ok(message) => message,
            Err(fault) => return fail(fault, "the peer's message is refused", effects),
        };
        match (&self.phase, message) {
            // Events 24 and 25. In OpenSent the RFC answers event 25 with an FSM
            // error, but §6.4 says that no NOTIFICATION answers a NOTIFICATION.
            (_, Message::Notification(fault)) => {
                effects.push(Effect::Ended(DownReason::Received(fault)));
            }
            // Event 19.
            (Phase::OpenSent, Message::Open(open)) => self.accept(open, settings, now, effects),
            // Event 26.
            (Phase::OpenConfirm(_), Message::Keepalive) => self.establish(now, effects),
            // Events 26 and 27.
            (Phase::Established(_), Message::Keepalive | Message::Update(_)) => {
                self.restart_hold(now);
            }
            (Phase::Established(negotiated), Message::RouteRefresh(family)) => {
                // RFC 2918 §4: what was not negotiated is ignored.
                if let Some(family) = family
                    && negotiated.route_refresh
                    && negotiated.families.contains(&family)
                {
                    effects.push(Effect::Refresh(family));
                }
                // A peer that asks is alive, although §6.5 does not list it.
                self.restart_hold(now);
            }
            (_, message) => self.refuse(&message, effects),
        }
    }

    fn accept(
        &mut self,
        open: Open,
        settings: &PeerSettings,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) {
        let verdict = negotiate::check(&open, settings);
        let open = self.received.insert(open);
        if let Err((fault, why)) = verdict {
            return fail(fault, &why, effects);
        }
        let negotiated = negotiate::negotiate(settings, &self.sent, open);
        self.keepalive_every = keepalive_every(settings, negotiated.hold_time);
        self.phase = Phase::OpenConfirm(negotiated);
        effects.push(Effect::Identified);
        effects.push(Effect::Send(Message::Keepalive));
        self.restart_hold(now);
        self.restart_keepalive(now);
    }

    fn establish(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        let Phase::OpenConfirm(negotiated) = &self.phase else {
            return;
        };
        effects.push(Effect::Up(negotiated.clone()));
        self.phase = Phase::Established(negotiated.clone());
        self.restart_hold(now);
    }

    /// The message belongs to another state (RFC 6608 §4).
    fn refuse(&self, message: &Message, effects: &mut Vec<Effect>) {
        let subcode = match self.phase {
            Phase::OpenSent => fsm::UNEXPECTED_IN_OPEN_SENT,
            Phase::OpenConfirm(_) => fsm::UNEXPECTED_IN_OPEN_CONFIRM,
            Phase::Established(_) => fsm::UNEXPECTED_IN_ESTABLISHED,
        };
        let fault = Notification::unexpected_message(subcode, message.code());
        fail(fault, "the message does not belong there", effects);
    }

    /// Timers that are due: events 10 and 11 of RFC 4271 §8.1.3, and RFC 9687 §3.3.
    pub(crate) fn poll(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        if is_due(self.hold, now) {
            let waited = self.negotiated().map_or(OPEN_WAIT, |n| n.hold_time);
            let why = format!("nothing received for {} s", waited.as_secs());
            return fail(Notification::hold_timer_expired(), &why, effects);
        }
        if is_due(self.send_hold, now) {
            let why = "the peer keeps the session alive but reads nothing";
            return fail(Notification::send_hold_timer_expired(), why, effects);
        }
        if is_due(self.keepalive, now) {
            effects.push(Effect::Send(Message::Keepalive));
            self.restart_keepalive(now);
        }
    }

    /// When [`Self::poll`] has something to do next.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        [self.hold, self.send_hold, self.keepalive]
            .into_iter()
            .flatten()
            .min()
    }

    /// The socket took octets.
    pub(crate) fn wrote(&mut self) {
        self.send_hold = None;
    }

    /// Octets wait that the socket does not take. Only an Established session has
    /// a send hold timer (RFC 9687 §3.3); the hold timer guards the states before.
    pub(crate) fn write_blocked(&mut self, now: Instant) {
        if let Phase::Established(negotiated) = &self.phase
            && !negotiated.hold_time.is_zero()
        {
            let span = PeerSettings::send_hold_time(negotiated.hold_time);
            self.send_hold.get_or_insert(now + span);
        }
    }

    fn restart_hold(&mut self, now: Instant) {
        let span = self.negotiated().map_or(OPEN_WAIT, |n| n.hold_time);
        // RFC 4271 §4.2: a hold time of zero means neither hold nor KEEPALIVEs.
        self.hold = (!span.is_zero()).then(|| now + span);
    }

    fn restart_keepalive(&mut self, now: Instant) {
        // UPDATEs could put this off (§8.2.2), at the price of being told of each.
        let every = self.keepalive_every;
        self.keepalive = (!every.is_zero()).then(|| {
            let wait = self.jitter.spread(every);
            now + wait.max(LEAST_KEEPALIVE)
        });
    }
}

/// Ends a connection by our own judgement.
fn fail(fault: Notification, why: &str, effects: &mut Vec<Effect>) {
    effects.push(Effect::Send(Message::Notification(fault.clone())));
    effects.push(Effect::Ended(DownReason::Sent {
        notification: fault,
        why: why.to_owned(),
    }));
}

/// A third of the negotiated hold time, or less where the user wrote less
/// (RFC 4271 §4.4); zero for none.
fn keepalive_every(settings: &PeerSettings, hold_time: Duration) -> Duration {
    if hold_time.is_zero() {
        return Duration::ZERO;
    }
    let most = hold_time / 3;
    let wanted = settings.keepalive_time.unwrap_or(most);
    wanted.min(most).max(LEAST_KEEPALIVE)
}

pub(crate) fn is_due(timer: Option<Instant>, now: Instant) -> bool {
    timer.is_some_and(|at| at <= now)
}
