//! On which devices the bricks of a new volume go; pure.
//!
//! A volume is one or more *sets*: copies of the same files, or the parts of
//! erasure coding. All bricks of a set lie on different nodes, and in different
//! zones as far as there are enough. One set where a device can hold it;
//! otherwise twice as many smaller ones, until they fit.
//!
//! The device with most room comes first, ids decide what is equal: the same
//! devices and the same volume give the same answer.

use std::collections::{BTreeMap, BTreeSet};

/// Smallest brick, in KiB: Heketi's, and enough for XFS.
pub const SMALLEST: u64 = 1 << 20;
/// Sets of one volume at most.
const MOST_SETS: u64 = 16;
/// An arbiter holds names and no content: so many times smaller.
const ARBITER_SHARE: u64 = 16;

/// A device that may take bricks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Room {
    /// Id of the device.
    pub device: String,
    /// Id of its node.
    pub node: String,
    /// Failure zone of its node.
    pub zone: i64,
    /// What may be given out, in KiB.
    pub free: u64,
    /// Whether it may hold content.
    pub content: bool,
    /// Whether it may hold an arbiter.
    pub arbiter: bool,
}

/// What is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Of the volume, in KiB.
    pub size: u64,
    /// How many bricks of a set hold a whole copy, or one part.
    pub width: u32,
    /// Parts that make up the size: 1, or the bricks of data of erasure coding.
    pub parts: u32,
    /// The last brick of each set is an arbiter.
    pub arbiter: bool,
    /// Refuse rather than put two bricks of a set into one zone.
    pub strict_zones: bool,
}

impl Wanted {
    /// The size of a brick of content, where the volume has so many bricks; KiB.
    pub fn of_each(&self, bricks: usize) -> u64 {
        let sets = (bricks as u64 / u64::from(self.width.max(1))).max(1);
        let set = self.size.div_ceil(sets);
        set.div_ceil(u64::from(self.parts.max(1)))
    }

    /// Whether the brick at this place, in Gluster's order, is an arbiter.
    pub fn is_arbiter(&self, place: usize) -> bool {
        let width = self.width.max(1) as usize;
        self.arbiter && place % width + 1 == width
    }
}

/// A brick to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Id of the device.
    pub device: String,
    /// Id of its node.
    pub node: String,
    /// In KiB.
    pub size: u64,
    /// Holds names alone.
    pub arbiter: bool,
}

/// Why there is no place, as a person is told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("No space: {0}")]
pub struct NoSpace(pub String);

/// Chooses; all bricks in Gluster's order, set after set.
///
/// # Errors
/// No choice fits: says how many nodes and how much room there would have to be.
pub fn place(rooms: &[Room], wanted: Wanted) -> Result<Vec<Slot>, NoSpace> {
    let mut sets = 1;
    while sets <= MOST_SETS {
        let size = brick_size(wanted, sets);
        if sets > 1 && size <= SMALLEST && brick_size(wanted, sets / 2) <= SMALLEST {
            break;
        }
        if let Some(slots) = fill(rooms, wanted, sets, size) {
            return Ok(slots);
        }
        sets *= 2;
    }
    Err(no_space(rooms, wanted))
}

fn brick_size(wanted: Wanted, sets: u64) -> u64 {
    let parts = u64::from(wanted.parts.max(1));
    wanted.size.div_ceil(sets).div_ceil(parts).max(SMALLEST)
}

fn fill(rooms: &[Room], wanted: Wanted, sets: u64, size: u64) -> Option<Vec<Slot>> {
    let mut free: BTreeMap<&str, u64> = rooms
        .iter()
        .map(|room| (&*room.device, room.free))
        .collect();
    let mut slots = Vec::new();
    for _ in 0..sets {
        let mut nodes = BTreeSet::new();
        let mut zones: BTreeMap<i64, u32> = BTreeMap::new();
        // The arbiter's place is chosen first where few devices may be one.
        let mut set = Vec::new();
        for place in (0..wanted.width).rev() {
            let arbiter = wanted.arbiter && place + 1 == wanted.width;
            let size = if arbiter {
                (size / ARBITER_SHARE).max(SMALLEST).min(size)
            } else {
                size
            };
            let room = rooms
                .iter()
                .filter(|room| if arbiter { room.arbiter } else { room.content })
                .filter(|room| !nodes.contains(&*room.node))
                .filter(|room| !wanted.strict_zones || !zones.contains_key(&room.zone))
                .filter(|room| free.get(&*room.device).is_some_and(|free| *free >= size))
                .min_by_key(|room| {
                    let used = zones.get(&room.zone).copied().unwrap_or(0);
                    let room_left = free.get(&*room.device).copied().unwrap_or(0);
                    // A device for arbiters alone is not wasted on content, and the other way round.
                    let mixed = room.content && arbiter;
                    (used, mixed, std::cmp::Reverse(room_left), &room.device)
                })?;
            nodes.insert(&*room.node);
            *zones.entry(room.zone).or_default() += 1;
            if let Some(free) = free.get_mut(&*room.device) {
                *free -= size;
            }
            set.push(Slot {
                device: room.device.clone(),
                node: room.node.clone(),
                size,
                arbiter,
            });
        }
        set.reverse();
        slots.extend(set);
    }
    Some(slots)
}

/// Chooses a place for a brick that takes another's, `like` it: on none of the
/// nodes of the `others` of its set, in a zone of none of them if there is one,
/// and not on the device where the old one is.
///
/// # Errors
/// No device fits: says how much room there would have to be, and where.
pub fn substitute(
    rooms: &[Room],
    like: &Slot,
    others: &[&str],
    strict_zones: bool,
) -> Result<Slot, NoSpace> {
    let zones: BTreeSet<i64> = rooms
        .iter()
        .filter(|room| others.contains(&&*room.node))
        .map(|room| room.zone)
        .collect();
    let free = rooms
        .iter()
        .filter(|room| room.device != like.device && !others.contains(&&*room.node));
    let fits = free
        .clone()
        .filter(|room| {
            if like.arbiter {
                room.arbiter
            } else {
                room.content
            }
        })
        .filter(|room| room.free >= like.size)
        .filter(|room| !strict_zones || !zones.contains(&room.zone));
    let best = fits.min_by_key(|room| {
        let mixed = room.content && like.arbiter;
        let shared = zones.contains(&room.zone);
        (shared, mixed, std::cmp::Reverse(room.free), &room.device)
    });
    let room = best.ok_or_else(|| {
        let there: Vec<String> = free
            .map(|room| format!("{} {} GiB", room.device, room.free >> 20))
            .collect();
        NoSpace(format!(
            "a device with {} GiB is wanted on a node that has no other brick of the set; online devices there: {}",
            like.size.div_ceil(1 << 20),
            if there.is_empty() { "none".into() } else { there.join(", ") }
        ))
    })?;
    Ok(Slot {
        device: room.device.clone(),
        node: room.node.clone(),
        ..like.clone()
    })
}

fn no_space(rooms: &[Room], wanted: Wanted) -> NoSpace {
    let mut largest: BTreeMap<&str, u64> = BTreeMap::new();
    for room in rooms {
        let best = largest.entry(&room.node).or_default();
        *best = room.free.max(*best);
    }
    let each: Vec<String> = largest
        .iter()
        .map(|(node, free)| format!("{node} {} GiB", free >> 20))
        .collect();
    NoSpace(format!(
        "{} GiB on {} different nodes are wanted; the largest device of each online node has: {}",
        brick_size(wanted, 1).div_ceil(1 << 20),
        wanted.width,
        if each.is_empty() {
            "there is none".into()
        } else {
            each.join(", ")
        }
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GIB: u64 = 1 << 20;

    fn room(device: &str, node: &str, zone: i64, gib: u64) -> Room {
        Room {
            device: device.into(),
            node: node.into(),
            zone,
            free: gib * GIB,
            content: true,
            arbiter: true,
        }
    }

    fn replicate(gib: u64, width: u32) -> Wanted {
        Wanted {
            size: gib * GIB,
            width,
            parts: 1,
            arbiter: false,
            strict_zones: false,
        }
    }

    fn devices(slots: &[Slot]) -> Vec<&str> {
        slots.iter().map(|slot| &*slot.device).collect()
    }

    #[test]
    fn copies_lie_on_different_nodes_and_zones_first() {
        let rooms = [
            room("a", "n1", 1, 90),
            room("b", "n2", 1, 80),
            room("c", "n3", 2, 10),
        ];
        let slots = place(&rooms, replicate(5, 2)).expect("there is room");
        assert_eq!(devices(&slots), ["c", "a"]);
        let slots = place(&rooms, replicate(5, 3)).expect("there is room");
        assert_eq!(slots.len(), 3);
    }

    #[test]
    fn a_volume_that_no_device_holds_is_made_of_several_sets() {
        let rooms = [
            room("a", "n1", 1, 4),
            room("b", "n1", 1, 4),
            room("c", "n2", 2, 8),
        ];
        let slots = place(&rooms, replicate(8, 2)).expect("in two sets");
        assert_eq!(slots.len(), 4);
        assert!(slots.iter().all(|slot| slot.size == 4 * GIB));
    }

    #[test]
    fn an_arbiter_is_small_last_and_where_it_may_be() {
        let mut rooms = [
            room("a", "n1", 1, 40),
            room("b", "n2", 2, 40),
            room("c", "n3", 3, 2),
        ];
        rooms[2].content = false;
        let wanted = Wanted {
            arbiter: true,
            ..replicate(32, 3)
        };
        let slots = place(&rooms, wanted).expect("there is room");
        assert_eq!(devices(&slots)[2], "c");
        assert_eq!((slots[2].size, slots[2].arbiter), (2 * GIB, true));
    }

    #[test]
    fn erasure_coding_divides_the_size() {
        let rooms: Vec<Room> = (1..=3)
            .map(|n| room(&n.to_string(), &n.to_string(), n, 5))
            .collect();
        let wanted = Wanted {
            parts: 2,
            ..replicate(8, 3)
        };
        let slots = place(&rooms, wanted).expect("there is room");
        assert!(slots.iter().all(|slot| slot.size == 4 * GIB));
    }

    #[test]
    fn a_refusal_says_what_there_is() {
        let rooms = [room("a", "n1", 1, 4), room("b", "n1", 1, 7)];
        let text = place(&rooms, replicate(5, 2)).unwrap_err().to_string();
        assert!(text.starts_with("No space"), "{text}");
        assert!(
            text.contains("2 different nodes") && text.contains("n1 7 GiB"),
            "{text}"
        );
        let strict = Wanted {
            strict_zones: true,
            ..replicate(1, 2)
        };
        let rooms = [room("a", "n1", 1, 4), room("b", "n2", 1, 4)];
        assert!(place(&rooms, strict).is_err());
    }

    #[test]
    fn a_substitute_lies_apart_from_the_others() {
        let rooms = [
            room("a", "n1", 1, 90),
            room("a2", "n1", 1, 20),
            room("b", "n2", 2, 80),
            room("c", "n3", 2, 70),
            room("d", "n4", 3, 3),
        ];
        let like = |device: &str, gib| Slot {
            device: device.into(),
            node: "n1".into(),
            size: gib * GIB,
            arbiter: false,
        };
        for (gib, strict, expected) in [
            (2, false, Some("a2")),
            // In the zone of the other, where no other zone has room.
            (30, false, Some("c")),
            (30, true, None),
            (75, false, None),
        ] {
            let found = substitute(&rooms, &like("a", gib), &["n2"], strict);
            let found = found.map(|slot| slot.device);
            match expected {
                Some(device) => assert_eq!(found, Ok(device.to_owned()), "{gib}"),
                None => assert!(found.unwrap_err().0.contains("c 70 GiB"), "{gib}"),
            }
        }
    }

    fn rooms() -> impl Strategy<Value = Vec<Room>> {
        proptest::collection::vec((0..5u8, 0..20u64), 0..10).prop_map(|all| {
            let with_index = all.into_iter().enumerate();
            with_index
                .map(|(n, (node, gib))| {
                    // A node has one zone.
                    let zone = 1 + (i64::from(node)) % 3;
                    room(&format!("d{n}"), &format!("n{node}"), zone, gib)
                })
                .collect()
        })
    }

    proptest! {
        #[test]
        fn no_set_has_two_bricks_on_a_node_and_no_device_holds_too_much(
            rooms in rooms(), gib in 1..30u64, width in 1..4u32,
        ) {
            let wanted = replicate(gib, width);
            let Ok(slots) = place(&rooms, wanted) else {
                // One brick on each of enough nodes would have been found.
                let able: BTreeSet<&str> = rooms
                    .iter()
                    .filter(|room| room.free >= wanted.size.max(SMALLEST))
                    .map(|room| &*room.node)
                    .collect();
                prop_assert!(able.len() < width as usize);
                return Ok(());
            };
            for set in slots.chunks(width as usize) {
                let nodes: BTreeSet<&str> = set.iter().map(|slot| &*slot.node).collect();
                prop_assert_eq!(nodes.len(), width as usize);
            }
            for room in &rooms {
                let used: u64 = slots
                    .iter()
                    .filter(|slot| slot.device == room.device)
                    .map(|slot| slot.size)
                    .sum();
                prop_assert!(used <= room.free);
            }
            let held: u64 = slots.iter().map(|slot| slot.size).sum();
            prop_assert!(held / u64::from(width) >= wanted.size);
        }
    }
}
