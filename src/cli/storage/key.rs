//! A file with the administrator's key.

use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Octets of it that are read.
const LIMIT: u64 = 64 * 1024;

/// The key in a file, without the line break that an editor leaves.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, String> {
    let mut key = Vec::new();
    let done = File::open(path).and_then(|file| file.take(LIMIT + 1).read_to_end(&mut key));
    done.map_err(|error| error.to_string())?;
    if key.len() as u64 > LIMIT {
        return Err(format!("more than {LIMIT} octets are no key"));
    }
    let end = key.trim_ascii_end().len();
    key.truncate(end);
    match key.is_empty() {
        true => Err("it is empty; put the manager's admin key into it".into()),
        false => Ok(key),
    }
}
