//! The names of what lies in a device's directory. Pure.

use std::path::{Path, PathBuf};

use crate::storage::gluster::name;

/// The record of a device.
pub(super) const DEVICE: &str = "loods-device.json";

/// The places of one brick in a device's directory.
#[derive(Clone, Debug)]
pub(super) struct Place {
    device: PathBuf,
    id: String,
}

impl Place {
    /// `id` must have been checked.
    pub(super) fn new(device: &Path, id: &str) -> Self {
        Self {
            device: device.into(),
            id: id.into(),
        }
    }

    fn with(&self, end: &str) -> PathBuf {
        self.device.join(format!("brick_{}{end}", self.id))
    }

    /// What the manager says of it.
    pub(super) fn record(&self) -> PathBuf {
        self.with(".json")
    }

    /// The file system of a loop brick that is being made.
    pub(super) fn unfinished(&self) -> PathBuf {
        self.with(".new")
    }

    /// The file system of a finished loop brick.
    pub(super) fn image(&self) -> PathBuf {
        self.with(".img")
    }

    /// Where that is mounted; of a directory brick, what holds it.
    pub(super) fn mount(&self) -> PathBuf {
        self.with("")
    }

    /// What glusterd is given.
    pub(super) fn brick(&self) -> PathBuf {
        self.mount().join("brick")
    }

    /// A directory brick on its way out.
    pub(super) fn gone(&self) -> PathBuf {
        self.device.join(format!("gone_{}", self.id))
    }

    /// The brick as a snapshot has it.
    pub(super) fn snapshot(&self, snapshot: &str) -> PathBuf {
        self.device
            .join(format!("snapshot_{snapshot}_{}.img", self.id))
    }

    /// The same while it is being made.
    pub(super) fn unfinished_snapshot(&self, snapshot: &str) -> PathBuf {
        self.device
            .join(format!("snapshot_{snapshot}_{}.new", self.id))
    }
}

/// What a name in a device's directory says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// The record of a brick, by its id.
    Brick(String),
    /// A finished copy: snapshot, brick.
    Snapshot(String, String),
    /// What is left of something that was being made or removed.
    Leftover,
    /// Anything else, mounts and images too: its brick's record tells.
    Other,
}

/// Reads a name.
pub(super) fn entry(file: &str) -> Entry {
    let id = |text: &str| name::id(text).ok().map(|()| text.to_owned());
    let brick = || id(file.strip_prefix("brick_")?.strip_suffix(".json")?);
    let copy = |end: &str| {
        let both = file.strip_prefix("snapshot_")?.strip_suffix(end)?;
        let (snapshot, brick) = both.split_once('_')?;
        Some((id(snapshot)?, id(brick)?))
    };
    if let Some(id) = brick() {
        return Entry::Brick(id);
    }
    if let Some((snapshot, brick)) = copy(".img") {
        return Entry::Snapshot(snapshot, brick);
    }
    if copy(".new").is_some() || file.strip_prefix("gone_").and_then(id).is_some() {
        return Entry::Leftover;
    }
    Entry::Other
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(path: &Path) -> &str {
        path.file_name()
            .and_then(|name| name.to_str())
            .expect("a name")
    }

    #[test]
    fn what_is_named_is_read_again() {
        let (id, snapshot) = ("a".repeat(32), "b".repeat(32));
        let place = Place::new(Path::new("/d"), &id);
        assert_eq!(entry(name(&place.record())), Entry::Brick(id.clone()));
        assert_eq!(
            entry(name(&place.snapshot(&snapshot))),
            Entry::Snapshot(snapshot.clone(), id)
        );
        assert_eq!(
            entry(name(&place.unfinished_snapshot(&snapshot))),
            Entry::Leftover
        );
        assert_eq!(entry(name(&place.gone())), Entry::Leftover);
        for other in [place.image(), place.mount(), place.unfinished()] {
            assert_eq!(entry(name(&other)), Entry::Other);
        }
    }

    #[test]
    fn foreign_names_say_nothing() {
        for file in [
            DEVICE,
            "lost+found",
            "brick_1.json",
            "brick_.json",
            "gone_x",
            "snapshot_a_b.img",
            "",
        ] {
            assert_eq!(entry(file), Entry::Other, "{file}");
        }
    }
}
