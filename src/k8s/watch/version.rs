//! Whether the server's history went backwards.
//!
//! A resourceVersion is the revision of etcd, and only grows; servers promise
//! since 1.35, and all kept it before, that versions of one kind compare as
//! numbers. After etcd was restored from a backup the server counts on from
//! an older revision. A watch that resumes at the version it had would then
//! wait in silence until the server has counted up to it, and miss all until
//! then. So each version seen is compared with the highest before. A version
//! that is no number compares with nothing and raises no alarm.
//!
//! Not seen: a server that was restored and has already counted past our
//! version when we reach it. `etcdutl snapshot restore --bump-revision
//! --mark-compacted` exists for that, and brings 410 Gone.

/// The highest version seen of one kind of object.
#[derive(Debug, Default)]
pub(super) struct Highest(Option<u64>);

impl Highest {
    /// Takes note of a version. False: it is lower than one seen before.
    #[must_use]
    pub(super) fn see(&mut self, version: &str) -> bool {
        let reached = self.is_reached_by(version);
        self.0 = self.0.max(version.parse().ok());
        reached
    }

    /// Whether a server at this version can know all that we have seen. It may
    /// be ahead of our watch by any amount: nothing is noted.
    pub(super) fn is_reached_by(&self, version: &str) -> bool {
        match (self.0, version.parse::<u64>()) {
            (Some(highest), Ok(version)) => version >= highest,
            _ => true,
        }
    }

    /// Begins a new history.
    pub(super) fn forget(&mut self) {
        self.0 = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_lower_number_is_a_step_back() {
        let mut highest = Highest::default();
        let seen: Vec<bool> = ["5", "5", "9", "8", "x", "", "9"]
            .map(|version| highest.see(version))
            .to_vec();
        assert_eq!(seen, [true, true, true, false, true, true, true]);
        assert!(!highest.is_reached_by("8"));
        assert!(highest.is_reached_by("50"));
        assert!(highest.see("9"), "asking notes nothing");
        highest.forget();
        assert!(highest.see("1"));
    }
}
