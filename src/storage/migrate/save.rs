//! Old PVs in files, so that nothing is deleted that is not written down.
//!
//! JSON in files named .yaml, which it is: `kubectl create -f` takes them back.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::old::Old;

/// Octets of a save that are read: an API server takes no larger object.
const LIMIT: u64 = 4 << 20;
const ENDING: &str = ".yaml";

/// A directory of saves.
#[derive(Clone, Debug)]
pub struct Saves(pub PathBuf);

fn named(path: &Path, text: impl std::fmt::Display) -> String {
    format!("{}: {text}", path.display())
}

impl Saves {
    fn path(&self, name: &str) -> PathBuf {
        self.0.join(format!("{name}{ENDING}"))
    }

    /// The save of a PV.
    ///
    /// # Errors
    /// A file that cannot be read, or is none of ours.
    pub fn read(&self, name: &str) -> Result<Option<Old>, String> {
        let path = self.path(name);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(named(&path, error)),
        };
        let mut text = String::new();
        file.take(LIMIT)
            .read_to_string(&mut text)
            .map_err(|error| named(&path, error))?;
        let whole = serde_json::from_str(&text).map_err(|error| named(&path, error))?;
        let old = Old::read(whole).map_err(|error| named(&path, error))?;
        match &*old.name == name {
            true => Ok(Some(old)),
            false => Err(named(
                &path,
                format_args!("it is of PersistentVolume {}", old.name),
            )),
        }
    }

    /// The names of all PVs that are saved here.
    ///
    /// # Errors
    /// A directory that cannot be read; one that is not there is empty.
    pub fn names(&self) -> Result<Vec<Box<str>>, String> {
        let entries = match fs::read_dir(&self.0) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(named(&self.0, error)),
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|error| named(&self.0, error))?;
            let name = entry.file_name();
            names.extend(
                name.to_str()
                    .and_then(|name| name.strip_suffix(ENDING))
                    .map(Into::into),
            );
        }
        Ok(names)
    }

    /// Writes one: whole or not at all, also when the power goes.
    ///
    /// # Errors
    /// The file, and what the system says.
    pub fn write(&self, old: &Old) -> Result<(), String> {
        let path = self.path(&old.name);
        let new = self.0.join(format!("{}.new", old.name));
        let text = format!("{:#}\n", old.whole());
        let written = fs::create_dir_all(&self.0).and_then(|()| {
            let mut file = OpenOptions::new()
                .create(true)
                .truncate(true)
                .write(true)
                .mode(0o600)
                .open(&new)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&new, &path)?;
            File::open(&self.0)?.sync_all()
        });
        written.map_err(|error| named(&path, error))
    }
}
