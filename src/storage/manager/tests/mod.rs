//! The manager against storage hosts in memory: see [`hosts`].

mod acts;
mod adopt;
mod away;
mod crashes;
mod faults;
#[path = "../../../../tests/support/storage_hosts/mod.rs"]
mod hosts;
mod life;
mod model;
mod peers;
mod recorded;

use std::cell::Cell;

thread_local! {
    static DRAWN: Cell<u64> = const { Cell::new(0) };
}

/// Begins the same row of numbers again, in this test.
fn begin_row() {
    DRAWN.set(0);
}

/// The next of a row that is the same in each test: SplitMix64.
pub(super) fn random() -> [u8; 16] {
    let mut octets = [0; 16];
    for half in octets.chunks_mut(8) {
        DRAWN.set(DRAWN.get().wrapping_add(0x9e37_79b9_7f4a_7c15));
        let mut mixed = DRAWN.get();
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        half.copy_from_slice(&(mixed ^ (mixed >> 31)).to_be_bytes());
    }
    octets
}
