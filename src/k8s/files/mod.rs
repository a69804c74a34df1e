//! A directory of YAML files in place of an API server.
//!
//! ```text
//!   DIR/*.yaml --read, then watched--> Store --> the daemon
//!   DIR/.status/ <--what was decided-- Store <--    "
//! ```
//!
//! A file says what should be; `.status/` keeps what was decided, so that an
//! address is the same after a restart. Objects that Loods does not read
//! (Deployments, say) are passed over.
//!
//! Nothing is lost on bad input: a file that does not parse, or is empty since
//! an editor has just begun to write it, keeps the objects it had. They go when
//! the file goes, or when it says something else.

mod read;
mod status;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::StreamExt;
use inotify::{EventMask, EventStream, Inotify, WatchMask};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::store::{Kind, Name, Store};
use status::Statuses;

/// Room for the events of one read.
const EVENTS: usize = 4096;

/// There is no usable directory.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It cannot be read or watched.
    #[error("--files {dir}: {cause}")]
    Directory {
        /// As given.
        dir: Box<str>,
        /// The system's words.
        cause: io::Error,
    },
    /// `.status` cannot be written.
    #[error("--files: {path}: {cause}; the addresses that are given out are kept there")]
    Status {
        /// The file or directory.
        path: Box<str>,
        /// The system's words.
        cause: io::Error,
    },
    /// Two daemons would overwrite each other's status.
    #[error("--files {dir}: another process works on this directory (it holds .status/lock)")]
    Taken {
        /// As given.
        dir: Box<str>,
    },
}

/// Reads a directory into a store, and follows it.
pub struct Files {
    dir: PathBuf,
    node: Arc<str>,
    store: Store,
    statuses: Statuses,
    /// What each file holds, by its name.
    held: BTreeMap<OsString, Vec<Name>>,
    heard: EventStream<[u8; EVENTS]>,
}

impl Files {
    /// Reads every file. `node` is the Node that this machine is; without a
    /// file for it there is one without labels. What is wrong with single
    /// files is logged. Needs a tokio runtime.
    ///
    /// # Errors
    /// The directory cannot be read, or is in use by another process.
    pub fn open(dir: &Path, node: Arc<str>) -> Result<Self, OpenError> {
        let broken = |cause| OpenError::Directory {
            dir: dir.display().to_string().into(),
            cause,
        };
        // Watched before it is read: what happens in between is read twice.
        let heard = Inotify::init().and_then(|inotify| {
            let mask = WatchMask::CLOSE_WRITE
                | WatchMask::MOVE
                | WatchMask::CREATE
                | WatchMask::DELETE
                | WatchMask::ONLYDIR;
            inotify.watches().add(dir, mask)?;
            inotify.into_event_stream([0; EVENTS])
        });
        let mut files = Self {
            dir: dir.to_owned(),
            node,
            store: Store::default(),
            heard: heard.map_err(broken)?,
            statuses: Statuses::open(dir)?,
            held: BTreeMap::new(),
        };
        files.read_all().map_err(broken)?;
        files.stand_in();
        files.statuses.forget_others(&files.store);
        Ok(files)
    }

    /// The store that the files fill.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Follows the files, and writes statuses, until `stop`. What was decided
    /// last is written before it ends.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut changes = self.store.changes();
        loop {
            self.statuses.write(&self.store);
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Ok(()) = changes.changed() => {}
                event = self.heard.next() => match event {
                    Some(Ok(event)) => self.hear(&event),
                    Some(Err(error)) => {
                        tracing::error!(dir = %self.dir.display(), %error, "changes of files cannot be seen any more; restart Loods");
                        stop.cancelled().await;
                    }
                    None => stop.cancelled().await,
                },
            }
        }
        self.statuses.write(&self.store);
    }

    fn hear(&mut self, event: &inotify::Event<OsString>) {
        let file = event.name.clone().unwrap_or_default();
        // A new file has no content yet: its CLOSE_WRITE follows. A new link has.
        let begun = event.mask.contains(EventMask::CREATE) && !self.dir.join(&file).is_symlink();
        if event.mask.contains(EventMask::Q_OVERFLOW) || is_swap(&file) {
            if let Err(error) = self.read_all() {
                tracing::error!(dir = %self.dir.display(), %error, "cannot be read; what is known stays in force");
            }
        } else if !begun {
            self.read_one(&file);
        }
        self.stand_in();
    }

    /// Reads every file that is there, and forgets those that are not.
    fn read_all(&mut self) -> io::Result<()> {
        let mut there = Vec::new();
        for entry in std::fs::read_dir(&self.dir)? {
            there.push(entry?.file_name());
        }
        there.sort();
        let gone: Vec<OsString> = self
            .held
            .keys()
            .filter(|file| !there.contains(file))
            .cloned()
            .collect();
        for file in there.iter().chain(&gone) {
            self.read_one(file);
        }
        Ok(())
    }

    /// Reads a file and puts the difference into the store.
    fn read_one(&mut self, file: &OsStr) {
        if !read::is_ours(file) {
            return;
        }
        let path = self.dir.join(file);
        let objects = match read::file(&path) {
            Ok(objects) => objects,
            Err(why) => {
                tracing::error!(file = %path.display(), "{why}; the objects that this file had stay as they were");
                return;
            }
        };
        let before = self.held.remove(file).unwrap_or_default();
        let mut now = Vec::new();
        for object in objects {
            let name = match Name::of(&object) {
                Ok(name) => name,
                Err(why) => {
                    tracing::debug!(file = %path.display(), "passed over: {why}");
                    continue;
                }
            };
            if let Some(other) = self.holder(&name) {
                tracing::error!(file = %path.display(), "{name} stands in {} too, which counts; write it once", other.display());
                continue;
            }
            if self.put(object, &name) {
                now.push(name);
            }
        }
        for name in before.iter().filter(|name| !now.contains(name)) {
            self.store.delete(name);
        }
        if path.exists() {
            tracing::info!(file = %path.display(), objects = now.len(), "read");
            self.held.insert(file.to_owned(), now);
        }
    }

    /// The file that an object came from.
    fn holder(&self, name: &Name) -> Option<PathBuf> {
        let mut found = self.held.iter().filter(|(_, names)| names.contains(name));
        found.next().map(|(file, _)| self.dir.join(file))
    }

    fn put(&self, mut object: Value, name: &Name) -> bool {
        let known = self.store.get(name);
        let known = known.as_deref().or_else(|| self.statuses.of(name));
        if let Some(known) = known {
            status::remember(&mut object, known);
        }
        match self.store.apply(object) {
            Ok(_) => true,
            Err(why) => {
                tracing::error!("{name}: {why}");
                false
            }
        }
    }

    /// This machine's Node, where no file tells of it.
    fn stand_in(&self) {
        let name = Name::new(Kind::Node, "", &self.node);
        if !self.node.is_empty() && self.store.get(&name).is_none() {
            let node =
                json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": &*self.node}});
            self.put(node, &name);
        }
    }
}

/// A directory that is swapped as a whole, by a link such as `..data`.
fn is_swap(file: &OsStr) -> bool {
    file.as_encoded_bytes().starts_with(b"..")
}
