//! How a session stands, as `/state` shows it.

use std::net::IpAddr;
use std::time::Instant;

use crate::bgp::peer::{DownReason, Summary};
use crate::bgp::types::Negotiated;
use crate::bgp::wire::message::{Capability, Open};
use crate::config::Peer;
use crate::observe::views::{NegotiatedView, PeerView};

/// What a session's task tells of itself.
#[derive(Clone, Debug, Default)]
pub(super) struct Standing {
    /// The machine's own words; `None` before it ran.
    pub summary: Option<Summary>,
    /// Our end of the connection.
    pub local_address: Option<IpAddr>,
}

/// The session's part of a view; what the rib knows is the caller's.
pub(super) fn of(peer: &Peer, standing: &Standing, now: Instant) -> PeerView {
    let mut view = PeerView {
        peer: peer.endpoint(),
        my_asn: peer.my_asn.0,
        peer_asn: peer.peer_asn.0,
        state: "Idle".to_owned(),
        local_address: standing.local_address.map(|address| address.to_string()),
        ..PeerView::default()
    };
    let Some(summary) = &standing.summary else {
        return view;
    };
    view.state = summary.state.to_string();
    view.established_seconds = summary
        .up_since
        .map(|since| now.saturating_duration_since(since).as_secs());
    view.next_dial_seconds = summary
        .next_dial
        .map(|at| at.saturating_duration_since(now).as_secs());
    view.last_error = summary.last_error.as_ref().map(|(when, reason)| {
        format!(
            "{} s ago: {reason}",
            now.saturating_duration_since(*when).as_secs()
        )
    });
    view.offered = capabilities(summary.open_sent.as_ref());
    view.received = capabilities(summary.open_received.as_ref());
    view.negotiated = summary.negotiated.as_ref().map(negotiated);
    view
}

/// Why there is no session, with what the configuration has to do with it.
pub(super) fn why(peer: &Peer, reason: &DownReason) -> String {
    match reason {
        // A kernel drops a segment without the right signature in silence,
        // refusals among them.
        DownReason::ConnectTimeout(_) if peer.password.is_some() => {
            format!(
                "{reason}; with a password set this may also be a port where nobody listens, or another password there"
            )
        }
        _ => reason.to_string(),
    }
}

fn negotiated(session: &Negotiated) -> NegotiatedView {
    NegotiatedView {
        hold_seconds: session.hold_time.as_secs(),
        families: session.families.iter().map(ToString::to_string).collect(),
        four_octet_as: session.four_octet_as,
        extended_messages: session.extended_messages,
        route_refresh: session.route_refresh,
        peer_router_id: session.peer_router_id.to_string(),
    }
}

fn capabilities(open: Option<&Open>) -> Vec<String> {
    open.map(|open| {
        open.capabilities
            .iter()
            .map(Capability::to_string)
            .collect()
    })
    .unwrap_or_default()
}
