//! Names of volumes by id, so that a look-up by name need not read them all (pure).
//!
//! Heketi has no look-up by name: it lists ids, and tells of one volume at a
//! time. Neither the name of a volume changes nor is an id given twice, so what
//! was read once stays true; whether the volume still exists, the list tells.

use std::collections::{BTreeMap, BTreeSet};

/// Names that are kept: some 2 MB. Heketi itself takes 1,000 volumes per cluster.
const MOST: usize = 16 << 10;

/// Ids and their names.
#[derive(Debug, Default)]
pub(super) struct Names(BTreeMap<Box<str>, Box<str>>);

impl Names {
    /// Forgets what is not in a list, and tells which ids of it have yet to be read.
    pub(super) fn compare(&mut self, list: &[String]) -> Vec<String> {
        let listed: BTreeSet<&str> = list.iter().map(String::as_str).collect();
        self.0.retain(|id, _| listed.contains(&**id));
        let unknown = listed.into_iter().filter(|id| !self.0.contains_key(*id));
        unknown.map(str::to_owned).collect()
    }

    /// Keeps what was read.
    pub(super) fn learn(&mut self, id: &str, name: &str) {
        if self.0.len() < MOST {
            self.0.insert(id.into(), name.into());
        }
    }

    /// The id of a name; the lowest, should there be two.
    pub(super) fn id_of(&self, name: &str) -> Option<String> {
        let mut found = self.0.iter().filter(|(_, known)| &***known == name);
        found.next().map(|(id, _)| id.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_is_not_read_again_and_what_is_gone_is_forgotten() {
        let list = |ids: &[&str]| ids.iter().map(ToString::to_string).collect::<Vec<_>>();
        let mut names = Names::default();
        assert_eq!(names.compare(&list(&["2", "1"])), ["1", "2"]);
        names.learn("1", "pvc-a");
        names.learn("2", "pvc-b");
        assert_eq!(names.compare(&list(&["1", "2", "3"])), ["3"]);
        assert_eq!(names.id_of("pvc-b"), Some("2".to_owned()));
        assert_eq!(names.compare(&list(&["1"])), [""; 0]);
        assert_eq!(names.id_of("pvc-b"), None);
    }
}
