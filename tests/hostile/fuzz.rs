//! Octets by chance after a right handshake. Nothing of it may end the process,
//! spin, or keep the next session from working.

use loods::bgp::wire::message::Notification;

use crate::octets::{self, message};
use crate::router::{Heard, Line, Router, honest_open};
use crate::speaker::Speaker;
use loods::bgp::wire::message::Message;

/// Numbers that follow from a seed (SplitMix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 16) as usize % below
    }

    fn octets(&mut self, most: usize) -> Vec<u8> {
        let length = self.roll(most + 1);
        (0..length).map(|_| self.roll(256) as u8).collect()
    }

    /// Noise that gets past the marker more often than not.
    fn utterance(&mut self) -> Vec<u8> {
        match self.roll(6) {
            0 => self.octets(200),
            1 => {
                let kind = self.roll(7) as u8;
                let body = self.octets(300);
                message(kind, &body)
            }
            // Right on the outside.
            2 | 3 => {
                let attributes = self.octets(80);
                let nlri = self.octets(12);
                octets::update(&[], &attributes, &nlri)
            }
            4 => {
                let body = [&[0, 1, 0, 1][..], &self.octets(9)].concat();
                message(octets::ROUTE_REFRESH, &body)
            }
            _ => {
                let mut octets = octets::encoded(&Message::Open(honest_open()));
                let place = self.roll(octets.len());
                octets[place] ^= 1 << self.roll(8);
                octets
            }
        }
    }
}

/// Reads to the end: the speaker answers with at most one NOTIFICATION, last.
fn drain(line: &mut Line) -> Option<Notification> {
    let mut refusal = None;
    loop {
        match line.hear() {
            Heard::Said(Message::Notification(notification)) => {
                assert_eq!(refusal.replace(notification), None, "two NOTIFICATIONs");
            }
            Heard::Said(other) => assert!(refusal.is_none(), "{other:?} behind the end"),
            Heard::Closed | Heard::Reset => return refusal,
        }
    }
}

#[test]
fn noise_after_the_handshake() {
    const SEEDS: u64 = 150;
    let routers: Vec<Router> = (0..SEEDS).map(|_| Router::new()).collect();
    let mut speaker = Speaker::start(&routers);
    speaker.tell("fill 10 10.0.0.0");
    let mut refused = 0;
    for (router, seed) in routers.iter().zip(0..) {
        let mut dice = Dice(seed);
        let mut line = router.accept();
        if seed % 3 == 0 {
            line.hear_open();
        } else {
            line.establish(&honest_open());
        }
        for _ in 0..40 {
            let utterance = dice.utterance();
            if !line.try_send(&utterance) {
                break;
            }
        }
        // What may still wait for more octets ends here.
        let _ = line.stream.shutdown(std::net::Shutdown::Write);
        refused += u32::from(drain(&mut line).is_some());
    }
    assert!(refused > 50, "only {refused} sessions were refused");
    let before = speaker.ticks();
    for router in &routers {
        let mut line = router.session();
        line.hear_until(&mut Default::default(), "10.0.0.9/32");
    }
    let used = speaker.ticks() - before;
    assert!(used < 300, "{used} ticks for {SEEDS} sessions");
}
