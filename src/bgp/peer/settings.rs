//! What the user said of a peer.

use std::collections::BTreeSet;
use std::time::Duration;

use super::Peer;
use crate::bgp::types::{Asn, Family, RouterId};

/// What the user said of a peer, as far as the session goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerSettings {
    /// Our AS.
    pub local_asn: Asn,
    /// The AS that the peer must have.
    pub peer_asn: Asn,
    /// Our BGP Identifier.
    pub router_id: RouterId,
    /// Offered in whole seconds; zero for no timers. Below 3 s, 3 s are offered.
    pub hold_time: Duration,
    /// Time between KEEPALIVEs; never more than a third of the negotiated hold
    /// time, which is also what `None` stands for.
    pub keepalive_time: Option<Duration>,
    /// Families to offer.
    pub families: BTreeSet<Family>,
    /// Connect to the peer. Without this the peer has to connect to us.
    pub dial: bool,
    /// How long TCP may take to connect.
    pub connect_timeout: Duration,
}

impl PeerSettings {
    /// How long TCP may take to connect, unless somebody knows better.
    pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

    /// How long a peer may take nothing from us: eight minutes, or twice the hold
    /// time where that is more (RFC 9687 §3.4).
    pub fn send_hold_time(hold_time: Duration) -> Duration {
        const LEAST: Duration = Duration::from_secs(8 * 60);
        LEAST.max(hold_time * 2)
    }
}

impl Peer {
    /// The BGP Identifier of connections from now on. One that is open keeps
    /// the identifier in the OPEN that it sent.
    pub fn set_router_id(&mut self, router_id: RouterId) {
        self.settings.router_id = router_id;
    }
}
