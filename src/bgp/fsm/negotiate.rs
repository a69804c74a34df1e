//! OPEN against OPEN: what we offer, whether theirs is acceptable, what follows
//! from both.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::bgp::peer::PeerSettings;
use crate::bgp::types::{Family, Negotiated};
use crate::bgp::wire::message::{Capability, Notification, Open};

/// Our OPEN. `bare` is the one for a peer that refuses capabilities (RFC 5492 §3).
pub(super) fn our_open(settings: &PeerSettings, bare: bool) -> Open {
    let mut capabilities = Vec::new();
    if !bare {
        let families = settings.families.iter().copied();
        capabilities.extend(families.map(Capability::Multiprotocol));
        capabilities.push(Capability::RouteRefresh);
        capabilities.push(Capability::ExtendedMessage);
        capabilities.push(Capability::FourOctetAs(settings.local_asn));
    }
    Open {
        asn: settings.local_asn,
        hold_time: offered_hold_time(settings.hold_time),
        router_id: settings.router_id,
        capabilities,
    }
}

/// RFC 4271 §4.2: zero, or at least three seconds.
fn offered_hold_time(span: Duration) -> u16 {
    if span.is_zero() {
        return 0;
    }
    u16::try_from(span.as_secs()).unwrap_or(u16::MAX).max(3)
}

/// Judges the peer's OPEN (RFC 4271 §6.2) as far as it takes knowing whom we expect.
pub(super) fn check(open: &Open, settings: &PeerSettings) -> Result<(), (Notification, String)> {
    if open.asn != settings.peer_asn {
        let why = format!(
            "the peer's AS is {}, but {} is configured as peer-asn",
            open.asn, settings.peer_asn
        );
        return Err((Notification::bad_peer_as(), why));
    }
    if matches!(open.hold_time, 1 | 2) {
        let why = format!(
            "the peer offers a hold time of {} s; it takes 0, or 3 and more",
            open.hold_time
        );
        return Err((Notification::unacceptable_hold_time(), why));
    }
    // RFC 6286 §2.2: identifiers need to differ within one AS only.
    if open.asn == settings.local_asn && open.router_id == settings.router_id {
        let why = format!(
            "the peer's router ID {} is our own; give one of both another",
            open.router_id
        );
        return Err((Notification::bad_router_id(), why));
    }
    Ok(())
}

/// What both OPENs agree on. Ours counts as sent: without capabilities we have none.
pub(super) fn negotiate(settings: &PeerSettings, ours: &Open, theirs: &Open) -> Negotiated {
    let both = |wanted: fn(&Capability) -> bool| {
        ours.capabilities.iter().any(wanted) && theirs.capabilities.iter().any(wanted)
    };
    // Without capabilities we speak IPv4 to the peer, which the user may not want.
    let families = &families(ours) & &families(theirs);
    let hold_time = ours.hold_time.min(theirs.hold_time);
    Negotiated {
        local_asn: settings.local_asn,
        peer_asn: theirs.asn,
        peer_router_id: theirs.router_id,
        four_octet_as: both(|c| matches!(c, Capability::FourOctetAs(_))),
        extended_messages: both(|c| matches!(c, Capability::ExtendedMessage)),
        // RFC 2918 §4: the peer may ask if *we* said that we answer.
        route_refresh: ours.capabilities.contains(&Capability::RouteRefresh),
        families: &families & &settings.families,
        hold_time: Duration::from_secs(u64::from(hold_time)),
    }
}

/// The families an OPEN stands for. Without a word on families it is IPv4
/// (RFC 4760 §8); with other families only, it is none of ours.
fn families(open: &Open) -> BTreeSet<Family> {
    let mut families = BTreeSet::new();
    let mut multiprotocol = false;
    for capability in &open.capabilities {
        match capability {
            Capability::Multiprotocol(family) => {
                families.insert(*family);
            }
            Capability::Other(1, _) => {}
            _ => continue,
        }
        multiprotocol = true;
    }
    if !multiprotocol {
        families.insert(Family::Ipv4);
    }
    families
}
