//! Both sides dial (RFC 4271 §6.8, RFC 6286 §2.3).

use std::time::Duration;

use loods::bgp::peer::{DownReason, Input, Output, Peer, PeerSettings, Role, State};
use loods::bgp::wire::message::{Message, Notification, Open};

use crate::link::{Link, millis, secs, settings};

/// Whatever overtakes what, both end with one and the same connection.
#[test]
fn every_order_of_arrival_ends_with_one_session() {
    for (one, other) in [
        (settings(1, 64512, 64512), settings(2, 64512, 64512)),
        (settings(2, 64512, 64513), settings(1, 64513, 64512)),
        (settings(1, 64512, 64513), settings(1, 64513, 64512)),
    ] {
        for seed in 0..300 {
            let mut link = Link::new(one.clone(), other.clone(), seed);
            link.delay = (millis(1), millis(200));
            link.start_both();
            assert!(link.converge(secs(60)), "seed {seed}: {:?}", link.states());
            // And it stays: nothing of the collision is left over.
            let sessions = |link: &Link| link.count(0, |output| matches!(output, Output::Up(..)));
            let before = sessions(&link);
            link.run(secs(300));
            assert_eq!(link.states(), [State::Established; 2], "seed {seed}");
            assert_eq!(sessions(&link), before, "seed {seed}");
        }
    }
}

fn open_of(settings: &PeerSettings) -> Message {
    Message::Open(Open {
        asn: settings.local_asn,
        hold_time: 90,
        router_id: settings.router_id,
        capabilities: Vec::new(),
    })
}

/// A peer that has a connection by each role, both in OpenSent.
fn with_two_connections(ours: &PeerSettings) -> (Peer, std::time::Instant) {
    let now = std::time::Instant::now();
    let mut peer = Peer::new(ours.clone(), 3);
    let mut out = Vec::new();
    peer.handle(Input::Start, now, &mut out);
    peer.handle(Input::Connected(Role::Active), now, &mut out);
    peer.handle(Input::Connected(Role::Passive), now, &mut out);
    (peer, now)
}

/// The connection that the higher identifier opened lives, and among equal ones
/// that of the higher AS, in whichever order the OPENs come.
#[test]
fn the_higher_identifier_wins_in_both_orders() {
    for (ours, theirs, kept) in [
        (
            settings(1, 64512, 64512),
            settings(2, 64512, 64512),
            Role::Passive,
        ),
        (
            settings(2, 64512, 64512),
            settings(1, 64512, 64512),
            Role::Active,
        ),
        (
            settings(1, 64512, 64513),
            settings(1, 64513, 64512),
            Role::Passive,
        ),
        (
            settings(1, 64513, 64512),
            settings(1, 64512, 64513),
            Role::Active,
        ),
        // Compared as unsigned numbers: 10.0.0.200 is not negative.
        (
            settings(200, 64512, 64512),
            settings(100, 64512, 64512),
            Role::Active,
        ),
    ] {
        for first in [Role::Active, Role::Passive] {
            let (mut peer, now) = with_two_connections(&ours);
            let mut out = Vec::new();
            peer.handle(Input::Received(first, Ok(open_of(&theirs))), now, &mut out);
            assert_eq!(out, [Output::Send(first, Message::Keepalive)]);
            out.clear();
            let second = first.other();
            peer.handle(Input::Received(second, Ok(open_of(&theirs))), now, &mut out);
            let lost = kept.other();
            let cease = Notification {
                code: 6,
                subcode: 7,
                data: Vec::new(),
            };
            let mut expected = vec![
                Output::Send(lost, Message::Notification(cease)),
                Output::Close(lost),
            ];
            if second == kept {
                expected.push(Output::Send(kept, Message::Keepalive));
            }
            assert_eq!(out, expected, "{first:?} first");
            out.clear();
            peer.handle(Input::Received(kept, Ok(Message::Keepalive)), now, &mut out);
            assert!(matches!(out[..], [Output::Up(role, _)] if role == kept));
            assert_eq!(peer.summary().last_error, None, "a collision is no failure");
        }
    }
}

/// A session that stands wins over a newcomer, whoever is higher.
#[test]
fn a_newcomer_does_not_disturb_the_session() {
    for theirs in [settings(1, 64512, 64512), settings(9, 64512, 64512)] {
        let ours = settings(5, 64512, 64512);
        for kept in [Role::Active, Role::Passive] {
            let (mut peer, now) = with_two_connections(&ours);
            let mut out = Vec::new();
            peer.handle(Input::Received(kept, Ok(open_of(&theirs))), now, &mut out);
            peer.handle(Input::Received(kept, Ok(Message::Keepalive)), now, &mut out);
            out.clear();
            let newcomer = kept.other();
            peer.handle(
                Input::Received(newcomer, Ok(open_of(&theirs))),
                now,
                &mut out,
            );
            let [
                Output::Send(to, Message::Notification(fault)),
                Output::Close(closed),
            ] = &out[..]
            else {
                panic!("{out:?}");
            };
            assert_eq!((to, closed), (&newcomer, &newcomer));
            assert_eq!((fault.code, fault.subcode), (6, 7));
            assert_eq!(peer.state(), State::Established);
        }
    }
}

/// The loser's end is silent, as long as the winner lives.
#[test]
fn losing_one_of_two_connections_is_no_failure() {
    let (mut peer, now) = with_two_connections(&settings(1, 64512, 64512));
    let mut out = Vec::new();
    peer.handle(Input::Closed(Role::Active, "reset".into()), now, &mut out);
    assert_eq!(out, []);
    assert_eq!(peer.state(), State::OpenSent);
    peer.handle(Input::Closed(Role::Passive, "reset".into()), now, &mut out);
    assert!(matches!(
        out[..],
        [Output::Failed(DownReason::Closed { .. })]
    ));
    let wait = peer.summary().next_dial.expect("a dial is due") - now;
    assert!(wait <= Duration::from_secs(1));
}
