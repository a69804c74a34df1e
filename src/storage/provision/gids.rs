//! Groups: each volume has one of its own among those of its class.
//!
//! The kubelet adds the group in a PV's annotation to the pods that use it, and
//! the brick belongs to it: so pods need not run as root to write. The table is
//! not kept anywhere; it is what the PVs say.

use std::collections::BTreeSet;

/// The lowest group from `range.0` to `range.1` that is not taken.
pub(super) fn lowest_free(range: (u32, u32), taken: &BTreeSet<u32>) -> Option<u32> {
    let mut free = range.0;
    for gid in taken.range(range.0..=range.1) {
        if *gid > free {
            break;
        }
        free = gid.checked_add(1)?;
    }
    (free <= range.1).then_some(free)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_free_one() {
        let of = |range, taken: &[u32]| lowest_free(range, &taken.iter().copied().collect());
        assert_eq!(of((2000, 2002), &[]), Some(2000));
        assert_eq!(of((2000, 2002), &[2001]), Some(2000));
        assert_eq!(of((2000, 2002), &[2000, 2002]), Some(2001));
        assert_eq!(of((2000, 2002), &[5, 2000, 2001, 9999]), Some(2002));
        assert_eq!(of((2000, 2002), &[2000, 2001, 2002]), None);
        assert_eq!(of((u32::MAX, u32::MAX), &[u32::MAX]), None);
    }
}
