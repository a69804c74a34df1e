//! Everything at once: lost connections, refused dials, frozen sides, stops and
//! starts. When it calms down, one session stands, and what the drivers were told
//! made sense all along.

use loods::bgp::peer::{Input, Output, PeerSettings, Role, State};

use crate::link::{Link, Side, millis, secs, settings};

/// Up and Down alternate, and agree with the state.
fn check_log(link: &Link, side: Side, seed: u64) {
    let mut up = false;
    for (at, output) in &link.ends[side].log {
        match output {
            Output::Up(..) => {
                assert!(!up, "seed {seed}, {at:?}: up twice");
                up = true;
            }
            Output::Down(_) => {
                assert!(up, "seed {seed}, {at:?}: down without up");
                up = false;
            }
            _ => {}
        }
    }
    assert_eq!(up, link.states()[side] == State::Established);
}

#[test]
fn after_any_storm_one_session_stands() {
    for seed in 0..200 {
        let with = |settings| PeerSettings {
            hold_time: secs(9),
            ..settings
        };
        let one = with(settings(1, 64512, 64513));
        let other = PeerSettings {
            dial: seed % 2 == 0,
            ..with(settings(2, 64513, 64512))
        };
        let mut link = Link::new(one, other, seed);
        link.delay = (millis(0), millis(500));
        link.start_both();
        link.refuse = 30;
        for _ in 0..100 {
            let side = link.dice.roll(2) as usize;
            match link.dice.roll(8) {
                0 => link.cut(side, Role::Active),
                1 => link.cut(side, Role::Passive),
                2 => link.freeze(side, true),
                3 => link.give(side, Input::Stop("storm".into())),
                4 => link.give(side, Input::Start),
                _ => link.freeze(side, false),
            }
            let wait = millis(link.dice.roll(5_000));
            link.run(wait);
            check_log(&link, 0, seed);
            check_log(&link, 1, seed);
        }
        link.refuse = 0;
        for side in [0, 1] {
            link.freeze(side, false);
            link.give(side, Input::Start);
        }
        // The longest wait, a collision or two, a hold time.
        assert!(link.converge(secs(300)), "seed {seed}: {:?}", link.states());
        link.run(secs(600));
        assert_eq!(link.states(), [State::Established; 2], "seed {seed}");
        check_log(&link, 0, seed);
        check_log(&link, 1, seed);
    }
}
