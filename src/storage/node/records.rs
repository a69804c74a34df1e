//! What was staged, one small file each, so that a node plugin that starts
//! anew can mount again what died meanwhile. A record that cannot be read is
//! as good as none: the kubelet still asks with everything in hand.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

use super::decide::Conflict;
use super::mountinfo::{Mount, at};
use super::source::Source;

/// Largest record, in octets.
const LARGEST: u64 = 64 << 10;
/// Mounts of one volume that died and are remembered.
const MOST_DIED: usize = 8;
/// Records that are read at one time: more volumes than a kubelet takes.
const MOST: usize = 4096;

/// One volume at its staging path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// The volume's id in CSI.
    pub volume_id: String,
    /// Where it is staged.
    pub staging: PathBuf,
    /// What is mounted.
    pub source: Source,
    /// `major:minor` of the mount: how its bind mounts are known after it died.
    pub device: String,
    /// What the kernel calls its source. A number is given out again when
    /// nobody has it any more; both together are this volume's alone.
    pub shown: String,
    /// The devices of mounts that died, and may still be held by containers.
    #[serde(default)]
    pub died: Vec<String>,
}

impl Record {
    /// The record of the mount that takes the place of this one's.
    pub fn succeeded_by(mut self, next: Record) -> Record {
        if self.device != next.device && self.shown == next.shown {
            self.died.push(self.device);
        }
        let mut died = self.died;
        died.retain(|device| *device != next.device);
        // The oldest are let go: their containers had many chances.
        let surplus = died.len().saturating_sub(MOST_DIED);
        died.drain(..surplus);
        Record { died, ..next }
    }

    /// The mounts of a list that show a dead one of this volume: on top at
    /// their place.
    pub fn dead_in<'a>(&self, mounts: &'a [Mount]) -> Vec<&'a Mount> {
        let ours = |mount: &&Mount| {
            mount.source == self.shown
                && self.died.contains(&mount.device)
                && at(mounts, &mount.point) == Some(mount)
        };
        mounts.iter().filter(ours).collect()
    }

    /// What stands against staging `source` where this is staged.
    pub fn against(&self, volume_id: &str, source: &Source) -> Option<Conflict> {
        // Hosts are only where to ask, and may be named anew.
        if self.volume_id != volume_id || self.source.volume != source.volume {
            Some(Conflict::OtherVolume)
        } else if self.source.read_only != source.read_only || self.source.options != source.options
        {
            Some(Conflict::OtherOptions)
        } else {
            None
        }
    }
}

/// The directory of all records.
#[derive(Clone, Debug)]
pub struct Records {
    dir: PathBuf,
}

impl Records {
    /// In `dir`, which is made when it is needed.
    pub fn in_directory(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// [`Self::in_directory`], of this boot of the machine alone: no mount
    /// outlives it, and what was staged before is not mounted again by us.
    pub fn of_boot(dir: impl Into<PathBuf>, boot: &str) -> io::Result<Self> {
        let records = Self::in_directory(dir);
        let mark = records.dir.join("boot");
        if fs::read_to_string(&mark).ok().as_deref() != Some(boot) {
            for record in records.all() {
                records.remove(&record.staging)?;
            }
            fs::create_dir_all(&records.dir)?;
            fs::write(&mark, boot)?;
        }
        Ok(records)
    }

    /// Keeps one.
    pub fn put(&self, record: &Record) -> io::Result<()> {
        fs::create_dir_all(&self.dir)?;
        let place = self.place(&record.staging);
        let beside = place.with_extension("new");
        let mut file = File::create(&beside)?;
        file.write_all(&serde_json::to_vec(record)?)?;
        file.sync_all()?;
        fs::rename(&beside, &place)
    }

    /// The one of a staging path.
    pub fn find(&self, staging: &Path) -> Option<Record> {
        read(&self.place(staging)).filter(|record| record.staging == staging)
    }

    /// Forgets one.
    pub fn remove(&self, staging: &Path) -> io::Result<()> {
        match fs::remove_file(self.place(staging)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// All of them, by path.
    pub fn all(&self) -> Vec<Record> {
        let Ok(entries) = fs::read_dir(&self.dir) else {
            return Vec::new();
        };
        let files = entries.flatten().map(|entry| entry.path());
        let mut records: Vec<Record> = files
            .filter(|path| path.extension().is_some_and(|end| end == "json"))
            .take(MOST)
            .filter_map(|path| read(&path))
            .collect();
        records.sort_by(|a, b| a.staging.cmp(&b.staging));
        records
    }

    fn place(&self, staging: &Path) -> PathBuf {
        let sum = digest(&SHA256, staging.as_os_str().as_encoded_bytes());
        let name: String = sum.as_ref()[..16]
            .iter()
            .map(|octet| format!("{octet:02x}"))
            .collect();
        self.dir.join(name + ".json")
    }
}

fn read(path: &Path) -> Option<Record> {
    let mut text = Vec::new();
    let file = File::open(path).ok()?;
    file.take(LARGEST).read_to_end(&mut text).ok()?;
    let record: Record = serde_json::from_slice(&text).ok()?;
    record.source.check().ok()?;
    Some(record)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(staging: &str) -> Record {
        Record {
            volume_id: "id".into(),
            staging: staging.into(),
            source: Source {
                hosts: vec!["h".into()],
                volume: "v".into(),
                options: Vec::new(),
                read_only: false,
            },
            device: "0:9".into(),
            shown: "h:/v".into(),
            died: Vec::new(),
        }
    }

    #[test]
    fn another_boot_begins_with_nothing() {
        let dir = std::env::temp_dir().join(format!("loods-boot-{}", std::process::id()));
        let records = Records::of_boot(&dir, "one").expect("a directory");
        records.put(&record("/a")).expect("kept");
        let same = Records::of_boot(&dir, "one").expect("a directory");
        assert_eq!(same.all().len(), 1);
        let other = Records::of_boot(&dir, "two").expect("a directory");
        assert_eq!(other.all(), []);
        fs::remove_dir_all(&dir).expect("removed");
    }

    #[test]
    fn what_died_is_known_by_number_and_source_together() {
        let next = Record {
            device: "0:10".into(),
            ..record("/a")
        };
        let next = record("/a").succeeded_by(next);
        assert_eq!(next.died, ["0:9"]);
        let list = b"1 0 0:9 / /dead rw - fuse.glusterfs h:/v rw\n\
            2 0 0:9 / /other rw - fuse.glusterfs h:/w rw\n\
            3 0 0:9 / /healed rw - fuse.glusterfs h:/v rw\n\
            4 3 0:10 / /healed rw - fuse.glusterfs h:/v rw\n";
        let mounts = crate::storage::node::mountinfo::parse(list);
        let dead = next.dead_in(&mounts);
        assert_eq!(dead.len(), 1);
        assert_eq!(dead[0].point, Path::new("/dead"));

        // A number that came back is not dead any more.
        let again = next.succeeded_by(record("/a"));
        assert_eq!(again.died, ["0:10"]);
    }

    #[test]
    fn what_was_kept_is_found_and_what_is_broken_is_not() {
        let dir = std::env::temp_dir().join(format!("loods-records-{}", std::process::id()));
        let records = Records::in_directory(&dir);
        assert_eq!(records.all(), []);
        for staging in ["/b", "/a"] {
            records.put(&record(staging)).expect("kept");
        }
        fs::write(dir.join("x.json"), "{").expect("written");
        assert_eq!(records.all(), [record("/a"), record("/b")]);
        assert_eq!(records.find(Path::new("/a")), Some(record("/a")));
        records.remove(Path::new("/a")).expect("removed");
        records.remove(Path::new("/a")).expect("gone already");
        assert_eq!(records.find(Path::new("/a")), None);
        fs::remove_dir_all(&dir).expect("removed");
    }

    #[test]
    fn only_other_hosts_are_no_conflict() {
        let kept = record("/a");
        let mut source = kept.source.clone();
        source.hosts = vec!["other".into()];
        assert_eq!(kept.against("id", &source), None);
        assert_eq!(kept.against("other", &source), Some(Conflict::OtherVolume));
        source.read_only = true;
        assert_eq!(kept.against("id", &source), Some(Conflict::OtherOptions));
        source.volume = "w".into();
        assert_eq!(kept.against("id", &source), Some(Conflict::OtherVolume));
    }
}
