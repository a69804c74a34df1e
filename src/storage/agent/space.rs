//! How much of a device may still be promised. Pure.
//!
//! A brick takes its room when it is made; where it cannot (a directory, a copy, a
//! file system that reserves nothing) it holds less today than it may hold tomorrow,
//! and a device must be able to pay all of that. So of what the file system has
//! free, everything is held back that bricks may still grow into:
//!
//! | what | held back |
//! |---|---|
//! | a brick | its size, less what it has on the disk |
//! | a brick that began as a copy | its size: what it shares is paid for when it is written to |
//! | a snapshot | what it has: it keeps that when the brick's blocks are written anew |

use crate::storage::heketi::wire::StorageSize;

/// A file of ours on the device. Sizes in KiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Held {
    /// A brick of `size`, of which `used` is on the disk.
    Brick { size: u64, used: u64 },
    /// A brick that began as a copy.
    Clone { size: u64 },
    /// A snapshot that has `used`.
    Snapshot { used: u64 },
}

/// What files of ours may still take, in KiB.
fn owed(held: &[Held]) -> u64 {
    let owed = held.iter().map(|held| match *held {
        Held::Brick { size, used } => size.saturating_sub(used),
        Held::Clone { size } => size,
        Held::Snapshot { used } => used,
    });
    owed.fold(0u64, u64::saturating_add)
}

/// What a device of `total` KiB may promise when `available` is free now.
pub(super) fn promise(total: u64, available: u64, held: &[Held]) -> StorageSize {
    let free = available.min(total).saturating_sub(owed(held));
    StorageSize {
        total,
        free,
        used: total - free,
    }
}

/// What is missing when `available` KiB are free: somebody else has it.
pub(super) fn short(available: u64, held: &[Held]) -> u64 {
    owed(held).saturating_sub(available)
}

#[cfg(test)]
mod tests {
    use super::*;

    use proptest::prelude::*;

    #[test]
    fn what_bricks_may_grow_into_is_not_promised_again() {
        let brick = Held::Brick { size: 40, used: 10 };
        assert_eq!(promise(100, 90, &[brick]).free, 60);
        assert_eq!(promise(100, 90, &[brick, brick]).free, 30);
        assert_eq!(promise(100, 90, &[Held::Clone { size: 40 }]).free, 50);
        assert_eq!(promise(100, 90, &[Held::Snapshot { used: 10 }]).free, 80);
        assert_eq!(promise(100, 5, &[brick]).free, 0);
        assert_eq!(short(30, &[brick]), 0);
        assert_eq!(short(5, &[brick]), 25);
    }

    proptest! {
        #[test]
        fn bricks_that_were_promised_can_be_filled(
            total in 1u64..1_000_000,
            foreign in 0u64..1_000_000,
            asked in prop::collection::vec((1u64..200_000, 0u64..=100), 0..20),
        ) {
            let foreign = foreign.min(total);
            let mut held: Vec<Held> = Vec::new();
            let on_disk = |held: &[Held]| -> u64 {
                held.iter().map(|held| match held {
                    Held::Brick { used, .. } => *used,
                    _ => 0,
                }).sum()
            };
            for (size, percent) in asked {
                let available = total - foreign - on_disk(&held);
                if promise(total, available, &held).free >= size {
                    held.push(Held::Brick { size, used: size * percent / 100 });
                }
            }
            let all: u64 = held.iter().map(|held| match held {
                Held::Brick { size, .. } => *size,
                _ => 0,
            }).sum();
            prop_assert!(all + foreign <= total);
        }

        #[test]
        fn used_and_free_are_all(total: u64, available: u64, size: u64, used: u64) {
            let space = promise(total, available, &[Held::Brick { size, used }]);
            prop_assert_eq!(space.free + space.used, total);
        }
    }
}
