//! Peers that fall silent, or stop to read.

use loods::bgp::peer::{DownReason, Input, Output, PeerSettings, Role, State};
use loods::bgp::wire::message::{Message, Notification};

use crate::link::{Link, secs, settings};

fn established(hold_time: u64, seed: u64) -> Link {
    let with = |settings| PeerSettings {
        hold_time: secs(hold_time),
        ..settings
    };
    let dialler = with(settings(1, 64512, 64512));
    let listener = PeerSettings {
        dial: false,
        ..with(settings(2, 64512, 64512))
    };
    let mut link = Link::new(dialler, listener, seed);
    link.start_both();
    assert!(link.converge(secs(10)));
    link
}

fn downs(link: &Link, side: usize) -> Vec<DownReason> {
    let log = link.ends[side].log.iter();
    log.filter_map(|(_, output)| match output {
        Output::Down(reason) => Some(reason.clone()),
        _ => None,
    })
    .collect()
}

#[test]
fn an_idle_session_lives_for_a_day_on_its_keepalives() {
    for hold_time in [3, 9, 90, 180] {
        let mut link = established(hold_time, hold_time);
        link.run(secs(24 * 3600));
        assert_eq!(link.states(), [State::Established; 2]);
        let keepalive = |output: &Output| matches!(output, Output::Send(_, Message::Keepalive));
        let sent = link.count(0, keepalive) as u64;
        let least = 24 * 3600 / hold_time * 3;
        assert!(
            sent >= least && sent <= least * 4 / 3 + 2,
            "{sent} for {hold_time} s"
        );
    }
}

#[test]
fn a_frozen_peer_costs_one_hold_time() {
    for seed in 0..20 {
        let mut link = established(9, seed);
        link.run(secs(100));
        link.freeze(1, true);
        // Its last KEEPALIVE left up to three seconds ago.
        link.run(secs(5));
        assert_eq!(link.states()[0], State::Established);
        link.run(secs(5));
        assert_ne!(link.states()[0], State::Established, "seed {seed}");
        let [DownReason::Sent { notification, .. }] = &downs(&link, 0)[..] else {
            panic!("{:?}", downs(&link, 0));
        };
        assert_eq!(*notification, Notification::hold_timer_expired());
        // It thaws, finds its own timers run out, and the session comes back.
        link.freeze(1, false);
        assert!(link.converge(secs(30)), "seed {seed}: {:?}", link.states());
    }
}

/// The peer speaks, and its socket takes nothing from us (RFC 9687 §1).
#[test]
fn a_peer_that_reads_nothing_is_dropped_by_the_send_hold_timer() {
    // Eight minutes, or twice the hold time (RFC 9687 §3.4).
    for (hold_time, expected) in [(600, 1200), (90, 480)] {
        let mut link = established(hold_time, 1);
        link.deaf = true;
        link.freeze(1, true);
        let role = Role::Active;
        link.give(0, Input::WriteBlocked(role));
        let began = link.now;
        while downs(&link, 0).is_empty() {
            assert!(link.now < began + secs(2 * expected));
            link.give(0, Input::Received(role, Ok(Message::Keepalive)));
            link.run(secs(1));
        }
        let [DownReason::Sent { notification, .. }] = &downs(&link, 0)[..] else {
            panic!("{:?}", downs(&link, 0));
        };
        assert_eq!(*notification, Notification::send_hold_timer_expired());
        assert_eq!(link.now - began, secs(expected));
    }
}

#[test]
fn a_clean_stop_says_why() {
    let mut link = established(90, 1);
    link.give(0, Input::Stop("node n1 is drained".into()));
    link.run(secs(1));
    assert_eq!(link.states(), [State::Idle, State::Active]);
    let [DownReason::Received(fault)] = &downs(&link, 1)[..] else {
        panic!("{:?}", downs(&link, 1));
    };
    assert_eq!((fault.code, fault.subcode), (6, 2));
    assert_eq!(fault.shutdown_text().as_deref(), Some("node n1 is drained"));
    link.give(0, Input::Start);
    assert!(link.converge(secs(1)));
}
