//! What a peer shows of itself.

use std::time::Instant;

use super::{Dial, DownReason, Peer, Role, State};
use crate::bgp::fsm::Connection;
use crate::bgp::types::Negotiated;
use crate::bgp::wire::message::Open;

/// What to show of a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The state of the connection that has come furthest.
    pub state: State,
    /// Who opened that connection.
    pub role: Option<Role>,
    /// What it agreed on, from OpenConfirm on.
    pub negotiated: Option<Negotiated>,
    /// Our OPEN on it, or else on the last one.
    pub open_sent: Option<Open>,
    /// The peer's OPEN on it, or else on the last one; refused ones too.
    pub open_received: Option<Open>,
    /// When the session came up.
    pub up_since: Option<Instant>,
    /// When the next dial is due.
    pub next_dial: Option<Instant>,
    /// Dials so far.
    pub dials: u64,
    /// Sessions so far.
    pub sessions: u64,
    /// Why the last session or attempt ended, and when.
    pub last_error: Option<(Instant, DownReason)>,
}

/// Both OPENs of one connection.
#[derive(Clone, Debug, Default)]
pub(super) struct Opens {
    pub(super) sent: Option<Open>,
    pub(super) received: Option<Open>,
}

impl Opens {
    pub(super) fn of(connection: &Connection) -> Self {
        Self {
            sent: Some(connection.sent().clone()),
            received: connection.received().cloned(),
        }
    }
}

impl Peer {
    /// What to show of this peer.
    pub fn summary(&self) -> Summary {
        let connections = self.connections.iter();
        let foremost = connections.max_by_key(|(_, connection)| connection.state());
        let opens = match foremost {
            Some((_, connection)) => Opens::of(connection),
            None => self.last_opens.clone(),
        };
        Summary {
            state: self.state(),
            role: foremost.map(|(role, _)| role),
            negotiated: foremost.and_then(|(_, c)| c.negotiated().cloned()),
            open_sent: opens.sent,
            open_received: opens.received,
            up_since: self.session.map(|session| session.since),
            next_dial: match self.dial {
                Dial::Due(at) => Some(at),
                _ => None,
            },
            dials: self.dials,
            sessions: self.sessions,
            last_error: self.last_error.clone(),
        }
    }
}
