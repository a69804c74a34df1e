//! Whether this process is ready, and if not, what it still waits for.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Named conditions, all of which must hold. Cheap to clone: one set.
#[derive(Clone, Debug, Default)]
pub struct Readiness {
    waiting: Arc<Mutex<BTreeMap<&'static str, bool>>>,
}

impl Readiness {
    /// Adds a condition that does not hold yet, named so that "not ready: NAME" reads well.
    pub fn expect(&self, name: &'static str) {
        self.set(name, false);
    }

    /// Says whether a condition holds.
    pub fn set(&self, name: &'static str, holds: bool) {
        self.lock().insert(name, holds);
    }

    /// `Ok` if every condition holds, else the names of those that do not.
    pub fn check(&self) -> Result<(), Vec<&'static str>> {
        let missing: Vec<_> = self
            .lock()
            .iter()
            .filter(|(_, holds)| !**holds)
            .map(|(name, _)| *name)
            .collect();
        if missing.is_empty() {
            Ok(())
        } else {
            Err(missing)
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<&'static str, bool>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_missing_condition_is_named() {
        let readiness = Readiness::default();
        assert_eq!(readiness.check(), Ok(()));
        readiness.expect("services listed");
        readiness.expect("configuration read");
        readiness.set("services listed", true);
        assert_eq!(readiness.check(), Err(vec!["configuration read"]));
    }
}
