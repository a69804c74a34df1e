//! Files of our own, below `.status`.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::read::{self, Content};

/// Below `.status`.
const FOLDER: &str = "files";

/// Opens a file that only its owner may read: there are passwords in some.
pub(super) fn private(path: &Path) -> io::Result<fs::File> {
    let mut options = fs::OpenOptions::new();
    options
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(path)
}

/// Whole or not at all, also when the power goes.
pub(super) fn replace(path: &Path, parts: &[&str]) -> io::Result<()> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    // What a crash left is not written to: it may be readable by others.
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = private(Path::new(&new))?;
    for part in parts {
        file.write_all(part.as_bytes())?;
    }
    file.sync_all()?;
    fs::rename(&new, path)
}

/// Takes a file away. One that is gone already is as good.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The last good text of every file: what counts where a process starts while
/// a file is wrong. So a slip at noon and a restart at three in the morning do
/// not add up to an outage, nor to an address that has moved.
pub(super) struct Copies {
    folder: PathBuf,
    /// What could not be written or removed yet; `None`: to be removed.
    due: BTreeMap<OsString, Option<String>>,
}

impl Copies {
    /// In this folder, which is made.
    pub(super) fn open(status: &Path) -> io::Result<Self> {
        let folder = status.join(FOLDER);
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true).mode(0o700).create(&folder)?;
        let due = BTreeMap::new();
        Ok(Self { folder, due })
    }

    /// The copy of a file, if there is a good one.
    pub(super) fn of(&self, file: &OsStr) -> Option<Content> {
        read::file(&self.folder.join(file)).ok().flatten()
    }

    /// Keeps a file's text, or nothing of a file that is gone.
    pub(super) fn keep(&mut self, file: &OsStr, text: Option<String>) {
        self.due.insert(file.to_owned(), text);
    }

    /// Forgets the copies of files other than these.
    pub(super) fn forget_others(&mut self, there: impl Fn(&OsStr) -> bool) {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        for file in entries.map(|entry| entry.file_name()) {
            if !there(&file) {
                self.due.insert(file, None);
            }
        }
    }

    /// Writes what is due. What fails stays due.
    ///
    /// # Errors
    /// The last one.
    pub(super) fn write(&mut self) -> io::Result<()> {
        let mut done = Ok(());
        self.due.retain(|file, text| {
            let path = self.folder.join(file);
            let written = match text {
                None => remove(&path),
                Some(text) if fs::read_to_string(&path).is_ok_and(|kept| kept == *text) => Ok(()),
                Some(text) => replace(&path, &[text]),
            };
            let failed = written.is_err();
            if failed {
                done = written;
            }
            failed
        });
        done
    }
}
