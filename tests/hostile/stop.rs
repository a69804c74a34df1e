//! A clean stop: the router learns of it in words, whatever it is doing, and
//! nobody can make it late.

use std::time::{Duration, Instant};

use loods::bgp::wire::message::Notification;

use crate::octets::keepalive;
use crate::router::Router;
use crate::speaker::Speaker;

#[test]
fn the_text_arrives_although_octets_are_unread() {
    let router = Router::new();
    let mut speaker = Speaker::start([&router]);
    let mut line = router.session();
    line.hear_table();
    // What comes while it stands still is unread when it is told to stop.
    speaker.signal("STOP");
    line.send(&keepalive().repeat(3000));
    speaker.signal("TERM");
    speaker.signal("CONT");
    let goodbye = line.hear_refusal();
    assert_eq!(
        goodbye,
        Notification::administrative_shutdown("announce ends")
    );
    drop(line);
    assert!(speaker.ended().success());
}

#[test]
fn the_text_arrives_behind_a_table_that_was_not_read_yet() {
    let router = Router::new();
    let mut speaker = Speaker::start([&router]);
    let mut line = router.session();
    line.hear_table();
    speaker.tell("fill 5000 10.0.0.0");
    speaker.wait_peer(0, "wanted", |count| count == 5000);
    speaker.signal("TERM");
    assert_eq!(
        line.hear_refusal().shutdown_text().as_deref(),
        Some("announce ends")
    );
    drop(line);
    assert!(speaker.ended().success());
}

#[test]
fn routers_that_read_nothing_cannot_make_it_late() {
    let routers = [(); 4].map(|()| Router::new());
    let mut speaker = Speaker::start(&routers);
    let reading_nothing = routers[0].session();
    let unconfirmed = routers[1].accept();
    let mut half = routers[2].accept();
    half.send(&keepalive()[..5]);
    speaker.tell("fill 20000 10.0.0.0");
    speaker.tell("add 192.0.2.1/32");
    speaker.wait_peer(0, "wanted", |count| count == 20_001);
    let told = Instant::now();
    speaker.signal("TERM");
    assert!(speaker.ended().success());
    // Within 2 s by design; more here, for a machine that does other things.
    assert!(
        told.elapsed() < Duration::from_secs(4),
        "{:?}",
        told.elapsed()
    );
    drop((reading_nothing, unconfirmed, half));
}
