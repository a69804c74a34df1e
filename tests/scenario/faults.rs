//! An API server that is slow, stale, hostile or forgetful.

use std::time::Duration;

use loods::k8s::store::{Fault, Faults};

use crate::world::play;

const SLOW: Fault = Fault::Delay(Duration::from_millis(300));

#[test]
fn statuses_that_are_written_late_give_no_address_twice() {
    play(async |world| {
        world.store.set_faults(Faults {
            patch: SLOW,
            ..Faults::default()
        });
        world.service("a", &["n1"]);
        world.service("b", &["n2"]);
        world
            .expect("a 1.2.3.4 InPool by n1\nb 1.2.3.5 InPool by n2")
            .await;
        // The one that goes while the write for the next is under way.
        world.service("c", &["n3"]);
        world.remove("a");
        world.service("d", &["n1"]);
        world
            .expect("b 1.2.3.5 InPool by n2\nc 1.2.3.6 InPool by n3\nd 1.2.3.4 InPool by n1")
            .await;
    });
}

#[test]
fn a_watch_that_lags_behind_our_own_writes_frees_nothing() {
    play(async |world| {
        world.service("a", &["n1"]);
        world.expect("a 1.2.3.4 InPool by n1").await;
        let before = world.since();
        world.store.set_faults(Faults {
            watch: SLOW,
            ..Faults::default()
        });
        for name in ["b", "c", "d"] {
            world.service(name, &["n2"]);
        }
        world.pods("b", &["n3"]);
        world
            .expect(
                "a 1.2.3.4 InPool by n1
                 b 1.2.3.5 InPool by n3
                 c 1.2.3.6 InPool by n2
                 d 1.2.3.7 InPool by n2",
            )
            .await;
        assert_eq!(world.since()["1.2.3.4/32"], before["1.2.3.4/32"]);
    });
}

#[test]
fn conflicts_and_refusals_are_tried_again_until_the_server_takes_them() {
    for code in [409, 429, 500, 503] {
        play(async |world| {
            world.store.set_faults(Faults {
                patch: Fault::Refuse(code),
                ..Faults::default()
            });
            world.service("a", &["n1"]);
            world.service("b", &["n1"]);
            // Answers come to both before the server changes its mind.
            let mut changes = world.store.changes();
            tokio::time::timeout(Duration::from_millis(500), async {
                while changes.changed().await.is_ok() {}
            })
            .await
            .expect_err("a time to fail in");
            assert_eq!(world.told(), "a - - by\nb - - by\n");
            world.store.set_faults(Faults::default());
            // A conflict is decided again when the object is seen again.
            world.pods("a", &["n1", "n2"]);
            world.service("c", &["n3"]);
            world.touch(&["a", "b"]);
            world
                .expect("a 1.2.3.4 InPool by n1 n2\nb 1.2.3.5 InPool by n1\nc 1.2.3.6 InPool by n3")
                .await;
        });
    }
}

#[test]
fn an_answer_that_is_lost_gives_no_second_address() {
    play(async |mut world| {
        world.store.set_faults(Faults {
            patch: Fault::Lose,
            ..Faults::default()
        });
        world.service("a", &["n1"]);
        world.service("b", &["n1"]);
        // The writes have landed; that they have, only the watch tells.
        world
            .expect("a 1.2.3.4 InPool by n1\nb 1.2.3.5 InPool by n1")
            .await;
        world.kill("allocator");
        world.store.set_faults(Faults::default());
        world.start("allocator");
        world.service("c", &["n1"]);
        world
            .expect("a 1.2.3.4 InPool by n1\nb 1.2.3.5 InPool by n1\nc 1.2.3.6 InPool by n1")
            .await;
    });
}

#[test]
fn a_new_leader_starts_from_what_was_written_and_not_from_what_was_watched() {
    play(async |mut world| {
        world.service("a", &["n1"]);
        world.expect("a 1.2.3.4 InPool by n1").await;
        let before = world.since();
        world.stop("allocator").await;
        world.service("b", &["n1"]);
        world.service("z", &["n1"]);
        world.store.set_faults(Faults {
            watch: Fault::Lose,
            ..Faults::default()
        });
        world.start("allocator");
        // The allocator lists and decides, while the speakers hear of nothing.
        world
            .expect("a 1.2.3.4 InPool by n1\nb 1.2.3.5 InPool by\nz 1.2.3.6 InPool by")
            .await;
        world.store.set_faults(Faults::default());
        world
            .expect("a 1.2.3.4 InPool by n1\nb 1.2.3.5 InPool by n1\nz 1.2.3.6 InPool by n1")
            .await;
        assert_eq!(world.since()["1.2.3.4/32"], before["1.2.3.4/32"]);
    });
}

#[test]
fn a_history_that_is_forgotten_is_listed_again_and_no_route_flaps() {
    play(async |world| {
        world.service("a", &["n1", "n2"]);
        world.service("b", &["n3"]);
        world
            .expect("a 1.2.3.4 InPool by n1 n2\nb 1.2.3.5 InPool by n3")
            .await;
        let before = world.since();
        world.store.set_faults(Faults {
            watch: Fault::Lose,
            ..Faults::default()
        });
        // More changes than the store remembers, so that every watch gets a 410.
        for n in 0..5_000 {
            world.pods("x", if n % 2 == 0 { &["n1"] } else { &["n2"] });
        }
        world.pods("b", &["n1"]);
        world.store.set_faults(Faults::default());
        world
            .expect("a 1.2.3.4 InPool by n1 n2\nb 1.2.3.5 InPool by n1")
            .await;
        assert_eq!(world.since()["1.2.3.4/32"], before["1.2.3.4/32"]);
    });
}
