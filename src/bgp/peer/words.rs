//! What goes into a [`Peer`](super::Peer), and what comes out of it.

use std::fmt;
use std::time::Duration;

use crate::bgp::iana::{error, open};
use crate::bgp::types::{Family, Negotiated};
use crate::bgp::wire::message::{Message, Notification};

/// Who opened a TCP connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// We did.
    Active,
    /// The peer did.
    Passive,
}

impl Role {
    /// The other one.
    pub fn other(self) -> Self {
        match self {
            Role::Active => Role::Passive,
            Role::Passive => Role::Active,
        }
    }
}

/// The states of RFC 4271 §8.2.2, in the order of progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Stopped.
    Idle,
    /// Waiting for the next dial, or for the peer to connect.
    Active,
    /// Dialling.
    Connect,
    /// TCP stands; the peer's OPEN is awaited.
    OpenSent,
    /// OPENs are exchanged; the peer's KEEPALIVE is awaited.
    OpenConfirm,
    /// Routes may go.
    Established,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            State::Idle => "Idle",
            State::Active => "Active",
            State::Connect => "Connect",
            State::OpenSent => "OpenSent",
            State::OpenConfirm => "OpenConfirm",
            State::Established => "Established",
        })
    }
}

/// What happens to a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Begin (events 1 and 3 of RFC 4271 §8.1.2; 4 and 5 when it does not dial).
    Start,
    /// End, with a text for the other operator (event 2; RFC 9003).
    Stop(String),
    /// A TCP connection stands (events 16 and 17).
    Connected(Role),
    /// The dial failed; why, in words (event 18).
    ConnectFailed(String),
    /// A message came, or octets that are none.
    Received(Role, Result<Message, Notification>),
    /// The connection ended without our doing; why, in words (event 18).
    Closed(Role, String),
    /// The socket took octets. Where some are left, [`Input::WriteBlocked`] follows.
    Wrote(Role),
    /// Octets wait, and the socket takes none (RFC 9687).
    WriteBlocked(Role),
}

/// What the driver is to do or to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Open a TCP connection; [`Input::Connected`] or [`Input::ConnectFailed`] answers.
    Dial,
    /// Write this message.
    Send(Role, Message),
    /// End this connection, or for [`Role::Active`] also the dial. What was to be
    /// sent before is still written if the socket takes it at once: nobody waits
    /// for a peer that reads nothing.
    Close(Role),
    /// The session stands: the rib may go out on this connection.
    Up(Role, Negotiated),
    /// The session that stood is over. A stop comes here too.
    Down(DownReason),
    /// An attempt ended before the session stood.
    Failed(DownReason),
    /// The peer wants the table of this family again.
    Refresh(Family),
}

/// Why a session or an attempt ended. Shown in words that name the mend where
/// there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DownReason {
    /// TCP did not connect; the socket's words.
    ConnectFailed(String),
    /// TCP got no answer for so long.
    ConnectTimeout(Duration),
    /// TCP ended; the socket's words.
    Closed {
        /// How far the connection had come.
        during: State,
        /// The socket's words.
        why: String,
    },
    /// The peer ended it.
    Received(Notification),
    /// We ended it.
    Sent {
        /// What we told the peer.
        notification: Notification,
        /// What the peer did.
        why: String,
    },
    /// The operator stopped it, with this text.
    Stopped(String),
}

impl DownReason {
    /// The peer dislikes what our OPEN carries beyond RFC 4271's fields.
    pub(super) fn refuses_options(&self) -> bool {
        let subcodes = [
            open::UNSUPPORTED_CAPABILITY,
            open::UNSUPPORTED_OPTIONAL_PARAMETER,
        ];
        matches!(self, DownReason::Received(fault)
            if fault.code == error::OPEN_MESSAGE && subcodes.contains(&fault.subcode))
    }
}

impl fmt::Display for DownReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DownReason::ConnectFailed(why) => write!(f, "cannot connect: {why}"),
            DownReason::ConnectTimeout(span) => {
                write!(f, "cannot connect: no answer within {} s", span.as_secs())
            }
            DownReason::Closed { during, why } => {
                write!(f, "connection ended in state {during}: {why}")?;
                if *during == State::OpenSent {
                    // Routers drop strangers without a word.
                    f.write_str("; is this node's address a neighbor on the router?")?;
                }
                Ok(())
            }
            DownReason::Received(fault) => write!(f, "the peer sent {fault}"),
            DownReason::Sent { notification, why } => write!(f, "{why}; sent {notification}"),
            DownReason::Stopped(text) => write!(f, "stopped: {text}"),
        }
    }
}
