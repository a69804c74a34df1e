//! What to do at a place, from what is wanted and what is seen there (pure).
//!
//! A FUSE mount outlives its process as a dead thing: every look at it ends
//! with "Transport endpoint is not connected" (ENOTCONN). It is in the way, of
//! no use to anybody, and is therefore taken away, not refused.

use super::mountinfo::Mount;

/// Whether a mounted file system answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// It does.
    Alive,
    /// Its process is gone.
    Dead,
    /// No answer in time: a process that waits for its storage hosts.
    Silent,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It is as it should be.
    Nothing,
    /// Mount.
    Mount,
    /// Take away what is dead there, then mount.
    Replace,
    /// Take the right to write from what is mounted.
    Restrict,
    /// What is right is there, and does not answer: not now.
    Wait,
    /// Something else is there that lives.
    Refuse(Conflict),
}

/// Why a living mount at the place is not the one that is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Conflict {
    /// Another volume.
    #[error("another volume is mounted there")]
    OtherVolume,
    /// The same, read-only, where writing was asked for.
    #[error("it is mounted there read-only already")]
    ReadOnly,
    /// The same, with other options.
    #[error("it is mounted there with other options already")]
    OtherOptions,
}

/// At a staging path. `conflict` is what the record of the earlier staging says
/// against the one that is wanted.
pub fn stage(seen: Option<Life>, conflict: Option<Conflict>) -> Step {
    match (seen, conflict) {
        (None, _) => Step::Mount,
        (Some(Life::Dead), _) => Step::Replace,
        (Some(_), Some(conflict)) => Step::Refuse(conflict),
        // Its process tries the hosts by itself, and a second one would meet the
        // same hosts. A container on it would hang before it starts.
        (Some(Life::Silent), None) => Step::Wait,
        (Some(Life::Alive), None) => Step::Nothing,
    }
}

/// At a target path: `staged` is the mount at the staging path.
pub fn publish(seen: Option<(&Mount, Life)>, staged: &Mount, read_only: bool) -> Step {
    let Some((seen, life)) = seen else {
        return Step::Mount;
    };
    if life == Life::Dead {
        return Step::Replace;
    }
    if seen.device != staged.device {
        return Step::Refuse(Conflict::OtherVolume);
    }
    match (seen.read_only, read_only || staged.read_only) {
        // Left behind by a process that ended between its two steps; whoever
        // asked for less must not be given more.
        (false, true) => Step::Restrict,
        (true, false) => Step::Refuse(Conflict::ReadOnly),
        _ => Step::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn mount(device: &str, read_only: bool) -> Mount {
        Mount {
            device: device.into(),
            root: PathBuf::from("/"),
            point: PathBuf::from("/p"),
            read_only,
            options: Vec::new(),
            kind: "fuse.glusterfs".into(),
            source: "h:/v".into(),
        }
    }

    #[test]
    fn staging() {
        let other = Some(Conflict::OtherVolume);
        let table = [
            (None, None, Step::Mount),
            (None, other, Step::Mount),
            (Some(Life::Alive), None, Step::Nothing),
            (Some(Life::Silent), None, Step::Wait),
            (Some(Life::Dead), None, Step::Replace),
            (Some(Life::Dead), other, Step::Replace),
            (
                Some(Life::Alive),
                other,
                Step::Refuse(Conflict::OtherVolume),
            ),
            (
                Some(Life::Silent),
                other,
                Step::Refuse(Conflict::OtherVolume),
            ),
        ];
        for (seen, conflict, step) in table {
            assert_eq!(stage(seen, conflict), step, "{seen:?} {conflict:?}");
        }
    }

    #[test]
    fn publishing() {
        use Life::{Alive, Dead, Silent};
        let staged = mount("0:7", false);
        let table = [
            (None, false, Step::Mount),
            (Some(("0:7", false, Alive)), false, Step::Nothing),
            (Some(("0:7", true, Alive)), true, Step::Nothing),
            (Some(("0:7", false, Alive)), true, Step::Restrict),
            (
                Some(("0:7", true, Silent)),
                false,
                Step::Refuse(Conflict::ReadOnly),
            ),
            (
                Some(("0:8", false, Alive)),
                false,
                Step::Refuse(Conflict::OtherVolume),
            ),
            (Some(("0:8", false, Dead)), false, Step::Replace),
        ];
        for (seen, read_only, step) in table {
            let there = seen.map(|(device, read_only, life)| (mount(device, read_only), life));
            let there = there.as_ref().map(|(mount, life)| (mount, *life));
            assert_eq!(publish(there, &staged, read_only), step, "{seen:?}");
        }
    }

    #[test]
    fn of_a_volume_that_is_staged_read_only_nobody_asks_to_write() {
        let (staged, seen) = (mount("0:7", true), mount("0:7", true));
        assert_eq!(
            publish(Some((&seen, Life::Alive)), &staged, false),
            Step::Nothing
        );
    }
}
