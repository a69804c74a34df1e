//! Peers that do not want us: what an hour with them costs.

use std::time::Duration;

use loods::bgp::peer::{Input, Output, Peer, PeerSettings, Role};
use loods::bgp::wire::message::{Message, Notification};

use crate::link::{Link, secs, settings};

/// 1 + 2 + … + 64 s are seven waits; then one each two minutes, less a quarter
/// of jitter: 3600 / 90 more.
const MOST_DIALS_IN_AN_HOUR: usize = 1 + 7 + 40;

fn is_dial(output: &Output) -> bool {
    matches!(output, Output::Dial)
}

#[test]
fn a_peer_that_refuses_is_dialled_ever_less() {
    for seed in 0..20 {
        let mut link = Link::new(settings(1, 64512, 64512), settings(2, 64512, 64512), seed);
        link.refuse = 100;
        link.give(0, Input::Start);
        link.run(secs(3600));
        let dials = link.count(0, is_dial);
        assert!((30..=MOST_DIALS_IN_AN_HOUR).contains(&dials), "{dials}");
        // And it comes up within the longest wait once the peer is willing.
        link.refuse = 0;
        link.give(1, Input::Start);
        assert!(link.converge(secs(121)));
    }
}

#[test]
fn a_dial_without_an_answer_is_given_up_after_ten_seconds() {
    let mut link = Link::new(settings(1, 64512, 64512), settings(2, 64512, 64512), 1);
    link.deaf = true;
    link.give(0, Input::Start);
    link.run(secs(60));
    let log = &link.ends[0].log;
    assert_eq!(log[0], (Duration::ZERO, Output::Dial));
    assert_eq!(log[1], (secs(10), Output::Close(Role::Active)));
    assert!(matches!(log[2], (at, Output::Failed(_)) if at == secs(10)));
    let (second_dial, _) = log[3];
    assert!(second_dial > secs(10) && second_dial <= secs(11));
}

/// Plays a peer that answers each of our messages with `answer`, and counts what
/// an hour of that costs: dials, and all outputs together.
fn an_hour_with(answer: impl Fn(&Message) -> Option<Message>, seed: u64) -> (usize, usize) {
    let start = std::time::Instant::now();
    let mut now = start;
    let mut peer = Peer::new(
        PeerSettings {
            hold_time: secs(9),
            ..settings(1, 64512, 64512)
        },
        seed,
    );
    let (mut dials, mut work) = (0, 0);
    let mut out = Vec::new();
    peer.handle(Input::Start, now, &mut out);
    while now < start + secs(3600) {
        // Outputs in their order; a closed connection hears no more answers.
        let mut open = true;
        for output in std::mem::take(&mut out) {
            work += 1;
            match output {
                Output::Dial => {
                    dials += 1;
                    open = true;
                    peer.handle(Input::Connected(Role::Active), now, &mut out);
                }
                Output::Send(role, message) if open => {
                    if let Some(answer) = answer(&message) {
                        peer.handle(Input::Received(role, Ok(answer)), now, &mut out);
                    }
                }
                Output::Close(_) => open = false,
                _ => {}
            }
        }
        if out.is_empty() {
            now = peer.deadline().expect("it goes on");
            peer.poll(now, &mut out);
        }
    }
    (dials, work)
}

#[test]
fn a_peer_that_answers_every_open_with_a_notification_costs_little() {
    for (code, subcode) in [
        (2, 0),
        (2, 2),
        (2, 4),
        (2, 7),
        (6, 1),
        (6, 2),
        (6, 5),
        (6, 8),
        (5, 1),
    ] {
        let fault = Message::Notification(Notification {
            code,
            subcode,
            data: Vec::new(),
        });
        let answer = |message: &Message| matches!(message, Message::Open(_)).then(|| fault.clone());
        for seed in 0..10 {
            let (dials, work) = an_hour_with(answer, seed);
            assert!(dials <= MOST_DIALS_IN_AN_HOUR, "{code}/{subcode}: {dials}");
            assert!(work <= 5 * dials, "{code}/{subcode}: {work} for {dials}");
        }
    }
}

#[test]
fn a_peer_that_throws_us_out_after_each_start_is_not_hammered() {
    // The router accepts the session, then counts our prefixes.
    let answer = |message: &Message| match message {
        Message::Open(open) => Some(Message::Open(loods::bgp::wire::message::Open {
            router_id: settings(2, 1, 1).router_id,
            ..open.clone()
        })),
        Message::Keepalive => Some(Message::Notification(Notification {
            code: 6,
            subcode: 1,
            data: Vec::new(),
        })),
        _ => None,
    };
    for seed in 0..10 {
        let (dials, _) = an_hour_with(answer, seed);
        assert!(
            dials <= 41,
            "{dials}: one in each two minutes from the start on"
        );
    }
}

#[test]
fn diallers_spread() {
    // A thousand nodes lose one router at once; their next dials differ.
    let mut waits: Vec<Duration> = (0..1000)
        .map(|seed| {
            let now = std::time::Instant::now();
            let mut peer = Peer::new(settings(1, 64512, 64512), seed);
            let mut out = Vec::new();
            peer.handle(Input::Start, now, &mut out);
            peer.handle(Input::ConnectFailed("refused".into()), now, &mut out);
            peer.deadline().expect("a dial is due") - now
        })
        .collect();
    waits.sort();
    waits.dedup();
    assert!(waits.len() > 900, "{}", waits.len());
}
