//! What was staged, one small file each, so that a node plugin that starts
//! anew can mount again what died meanwhile. A record that cannot be read is
//! as good as none: the kubelet still asks with everything in hand.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};

use super::decide::Conflict;
use super::source::Source;

/// Largest record, in octets.
const LARGEST: u64 = 64 << 10;
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
}

impl Record {
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
        }
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
