//! Records in files: whole or not there, whenever power is lost; and never
//! through a symbolic link.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::api::Failure;

/// Largest record, in octets.
const LARGEST: u64 = 256 << 10;

/// Most entries of one directory that are looked at.
const ENTRIES: usize = 100_000;

/// Opens for reading, without following a link and without waiting for one end
/// of a pipe.
fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
        .open(path)
}

/// Reads a record; `None` when there is no file.
pub(super) fn load<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, Failure> {
    let file = match open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Failure::io("read", path, &error)),
    };
    let mut text = String::new();
    file.take(LARGEST)
        .read_to_string(&mut text)
        .map_err(|error| Failure::io("read", path, &error))?;
    serde_json::from_str(&text).map(Some).map_err(|error| {
        Failure::internal(format!(
            "{} is not what an agent wrote: {error}; restore it from a backup, or move it away",
            path.display()
        ))
    })
}

/// Writes a record: beside its place, to the disk, then into its place.
pub(super) fn save(path: &Path, record: &impl Serialize) -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::io("write", path, &error);
    let mut text = serde_json::to_vec_pretty(record)
        .map_err(|error| Failure::internal(format!("{}: {error}", path.display())))?;
    text.push(b'\n');
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = Path::new(&beside);
    // One that was left is gone first, so that the file is new and no link.
    remove(beside)?;
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(beside)
        .map_err(failed)?;
    file.write_all(&text)
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::rename(beside, path))
        .map_err(failed)?;
    sync_parent(path)
}

/// Makes what happened in the directory of `path` last.
pub(super) fn sync_parent(path: &Path) -> Result<(), Failure> {
    let Some(parent) = path.parent() else {
        return Ok(());
    };
    File::open(parent)
        .and_then(|directory| directory.sync_all())
        .map_err(|error| Failure::io("write", parent, &error))
}

/// Moves a finished file into its place, for good.
pub(super) fn publish(from: &Path, to: &Path) -> Result<(), Failure> {
    open(from)
        .and_then(|file| file.sync_all())
        .and_then(|()| fs::rename(from, to))
        .map_err(|error| Failure::io("write", to, &error))?;
    sync_parent(to)
}

/// Removes a file; that it is gone already is as good.
pub(super) fn remove(path: &Path) -> Result<(), Failure> {
    gone(fs::remove_file(path), path)
}

/// Removes an empty directory; that it is gone already is as good.
pub(super) fn remove_directory(path: &Path) -> Result<(), Failure> {
    gone(fs::remove_dir(path), path)
}

fn gone(result: io::Result<()>, path: &Path) -> Result<(), Failure> {
    match result {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Failure::io("remove", path, &error))
        }
        _ => Ok(()),
    }
}

/// Makes a directory with this mode, or finds one; a link is neither.
pub(super) fn make_directory(path: &Path, mode: u32) -> Result<(), Failure> {
    use std::os::unix::fs::DirBuilderExt;
    match fs::DirBuilder::new().mode(mode).create(path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && is_directory(path) => Ok(()),
        Err(error) => Err(Failure::io("make", path, &error)),
    }
}

/// Whether it is a directory, and no link to one.
pub(super) fn is_directory(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.is_dir())
}

/// Whether it is a file, and no link to one.
pub(super) fn is_file(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.is_file())
}

/// The names in a directory, in order; names that are no UTF-8 are not ours.
pub(super) fn names(path: &Path) -> Result<Vec<String>, Failure> {
    let failed = |error: io::Error| Failure::io("read", path, &error);
    let mut names = Vec::new();
    for entry in fs::read_dir(path).map_err(failed)?.take(ENTRIES) {
        if let Ok(name) = entry.map_err(failed)?.file_name().into_string() {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    use std::path::PathBuf;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// A directory that is gone at the end of the test.
    pub(in super::super) struct Scratch(pub(in super::super) PathBuf);

    impl Scratch {
        pub(in super::super) fn new() -> Self {
            static NEXT: AtomicU32 = AtomicU32::new(0);
            let name = format!(
                "loods-agent-{}-{}",
                std::process::id(),
                NEXT.fetch_add(1, Ordering::Relaxed)
            );
            let path = std::env::temp_dir().join(name);
            fs::create_dir_all(&path).expect("a directory");
            Self(fs::canonicalize(path).expect("it is there"))
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_record_comes_back_and_leaves_nothing_beside_it() {
        let scratch = Scratch::new();
        let path = scratch.0.join("a.json");
        assert_eq!(load::<Vec<u32>>(&path), Ok(None));
        for record in [vec![1, 2], vec![3]] {
            save(&path, &record).expect("a place to write");
            assert_eq!(load(&path), Ok(Some(record)));
        }
        assert_eq!(names(&scratch.0), Ok(vec!["a.json".to_owned()]));
    }

    #[test]
    fn half_a_record_is_an_error_that_names_the_file() {
        let scratch = Scratch::new();
        let path = scratch.0.join("a.json");
        fs::write(&path, "[1,").expect("a place to write");
        let failure = load::<Vec<u32>>(&path).expect_err("half");
        assert!(failure.message.contains("a.json"), "{failure}");
    }

    #[test]
    fn what_is_left_of_a_write_that_was_cut_off_does_no_harm() {
        let scratch = Scratch::new();
        let path = scratch.0.join("a.json");
        fs::write(scratch.0.join("a.json.new"), "half of").expect("a place to write");
        save(&path, &1).expect("a place to write");
        assert_eq!(load(&path), Ok(Some(1)));
    }

    #[test]
    fn no_link_is_followed() {
        let scratch = Scratch::new();
        let (path, target) = (scratch.0.join("a.json"), scratch.0.join("target"));
        fs::write(&target, "1").expect("a place to write");
        std::os::unix::fs::symlink(&target, &path).expect("a link");
        assert!(load::<u32>(&path).is_err());
        // A write replaces the link and leaves what it points to.
        save(&path, &2).expect("a place to write");
        assert_eq!(fs::read_to_string(&target).expect("there"), "1");
        std::os::unix::fs::symlink(&scratch.0, scratch.0.join("d")).expect("a link");
        assert!(make_directory(&scratch.0.join("d"), 0o700).is_err());
        assert!(!is_directory(&scratch.0.join("d")));
    }
}
