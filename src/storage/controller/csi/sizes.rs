//! Sizes: CSI has octets and a range, Heketi has GiB (pure).

use tonic::Status;

use crate::storage::class::quantity::{GIB, gib};
use crate::storage::csi::v1::CapacityRange;

/// What Heketi can be asked for: 32 bricks of 4 TiB.
const MOST: u64 = 32 * 4096;

/// What a range allows, in octets; 0: nothing is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Range {
    required: u64,
    limit: u64,
}

impl Range {
    /// Reads a range. None is one that allows everything.
    pub fn of(range: Option<&CapacityRange>) -> Result<Self, Status> {
        let Some(range) = range else {
            return Ok(Self::default());
        };
        let octets = |field: &str, value: i64| {
            u64::try_from(value).map_err(|_| {
                Status::out_of_range(format!(
                    "capacity_range.{field} is {value}: less than nothing"
                ))
            })
        };
        let read = Self {
            required: octets("required_bytes", range.required_bytes)?,
            limit: octets("limit_bytes", range.limit_bytes)?,
        };
        if read.limit != 0 && read.limit < read.required {
            return Err(Status::out_of_range(format!(
                "capacity_range.limit_bytes {} is less than required_bytes {}",
                read.limit, read.required
            )));
        }
        Ok(read)
    }

    /// GiB to ask for, `least` at least.
    pub fn wanted(self, least: u64) -> Result<u64, Status> {
        let wanted = gib(self.required).max(least).max(1);
        if wanted > MOST {
            return Err(Status::out_of_range(format!(
                "capacity_range.required_bytes {}: a volume has {MOST} GiB at most",
                self.required
            )));
        }
        if self.limit != 0 && octets(wanted) > self.limit {
            return Err(Status::out_of_range(format!(
                "capacity_range.limit_bytes {}: volumes have whole GiB, and {wanted} GiB is the least for this one",
                self.limit
            )));
        }
        Ok(wanted)
    }

    /// Whether a volume of so many GiB is what was asked for.
    pub fn allows(self, gib: u64) -> bool {
        octets(gib) >= self.required && (self.limit == 0 || octets(gib) <= self.limit)
    }
}

/// Octets of so many GiB.
pub fn octets(gib: u64) -> u64 {
    gib.saturating_mul(GIB)
}

/// As the messages have it.
pub fn signed(octets: u64) -> i64 {
    i64::try_from(octets).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic::Code;

    fn range(required_bytes: i64, limit_bytes: i64) -> Result<Range, Status> {
        Range::of(Some(&CapacityRange {
            required_bytes,
            limit_bytes,
        }))
    }

    const G: i64 = 1 << 30;

    #[test]
    fn sizes_are_rounded_up_and_kept_below_the_limit() {
        assert_eq!(Range::of(None).expect("none").wanted(0).expect("one"), 1);
        for (required, limit, wanted) in [(1, 0, 1), (G, G, 1), (G + 1, 2 * G, 2), (0, 5 * G, 1)] {
            let range = range(required, limit).expect("a range");
            assert_eq!(range.wanted(0).expect("a size"), wanted);
            assert!(range.allows(wanted));
        }
        assert_eq!(
            range(G, 0)
                .expect("a range")
                .wanted(3)
                .expect("the source's"),
            3
        );
    }

    #[test]
    fn what_cannot_be_is_out_of_range() {
        let bad = [
            range(-1, 0).expect_err("negative"),
            range(0, -1).expect_err("negative"),
            range(2 * G, G).expect_err("crossed"),
            range(G + 1, G + 2)
                .expect("a range")
                .wanted(0)
                .expect_err("no whole GiB"),
            range(i64::MAX, 0)
                .expect("a range")
                .wanted(0)
                .expect_err("too large"),
            range(0, G)
                .expect("a range")
                .wanted(2)
                .expect_err("the source is larger"),
        ];
        for status in bad {
            assert_eq!(status.code(), Code::OutOfRange, "{status}");
        }
    }

    #[test]
    fn a_volume_that_is_there_fits_or_not() {
        let asked = range(2 * G, 3 * G).expect("a range");
        assert_eq!(
            [1, 2, 3, 4].map(|gib| asked.allows(gib)),
            [false, true, true, false]
        );
    }
}
