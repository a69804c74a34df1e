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
//! an editor has just begun to write it, keeps the objects it had, also over a
//! restart. They go a moment after the file is gone, or says something else, so
//! that a file is renamed, an object moved from one file to another and an
//! editor's backup made without anybody noticing.

mod keep;
mod read;
mod status;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use inotify::{EventMask, EventStream, Inotify, WatchMask};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::store::{Kind, Name, Store};
pub use read::objects;
use status::Statuses;

/// Room for the events of one read.
const EVENTS: usize = 4096;
/// An object that no file has any more stays for so long: an editor moves a file
/// away before it writes it anew, and a rename is two events.
const GRACE: Duration = Duration::from_secs(1);
/// What could not be written is tried again after this.
const AGAIN: Duration = Duration::from_secs(10);
/// The directory itself is gone, or another one has its name.
const LOST: EventMask = EventMask::from_bits_retain(
    EventMask::DELETE_SELF.bits()
        | EventMask::MOVE_SELF.bits()
        | EventMask::UNMOUNT.bits()
        | EventMask::IGNORED.bits(),
);

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
    identity: (u64, u64),
    node: Arc<str>,
    store: Store,
    statuses: Statuses,
    /// What stands in each file, by its name.
    held: BTreeMap<OsString, BTreeSet<Name>>,
    /// What each file says of an object: the first one counts.
    said: BTreeMap<(Name, OsString), Value>,
    /// Objects that no file has any more, and when they go.
    leaving: BTreeMap<Name, Instant>,
    /// Files that could not be read.
    bad: BTreeSet<OsString>,
    /// Nothing is heard of changes any more.
    deaf: bool,
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
                | WatchMask::ATTRIB
                | WatchMask::DELETE_SELF
                | WatchMask::MOVE_SELF
                | WatchMask::ONLYDIR;
            inotify.watches().add(dir, mask)?;
            inotify.into_event_stream([0; EVENTS])
        });
        let mut files = Self {
            dir: dir.to_owned(),
            identity: identity(dir).map_err(broken)?,
            node,
            store: Store::default(),
            heard: heard.map_err(broken)?,
            statuses: Statuses::open(dir)?,
            held: BTreeMap::new(),
            said: BTreeMap::new(),
            leaving: BTreeMap::new(),
            bad: BTreeSet::new(),
            deaf: false,
        };
        files.read_all().map_err(broken)?;
        let (held, bad) = (&files.held, &files.bad);
        let there = |file: &OsStr| held.contains_key(file) || bad.contains(file);
        files.statuses.copies.forget_others(there);
        files.stand_in();
        files.statuses.forget_others(&files.store);
        Ok(files)
    }

    /// The store that the files fill.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Follows the files, and writes statuses, until `stop`. What was decided
    /// last is written before it ends. It waits for the disk: not for a thread
    /// that has other things to do.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut changes = self.store.changes();
        let mut again = None;
        loop {
            if self.statuses.write(&self.store) {
                again = None;
            } else {
                again.get_or_insert_with(|| Instant::now() + AGAIN);
            }
            let leave = self.leaving.values().min().copied();
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                Ok(()) = changes.changed() => {}
                event = self.heard.next(), if !self.deaf => match event {
                    Some(Ok(event)) => self.hear(&event),
                    Some(Err(error)) => self.lose(&error.to_string()),
                    None => self.lose("the system tells no more"),
                },
                () = at(leave) => self.take_leave(),
                () = at(again) => again = None,
            }
        }
        self.statuses.write(&self.store);
    }

    fn hear(&mut self, event: &inotify::Event<OsString>) {
        let file = event.name.clone().unwrap_or_default();
        if event.mask.intersects(LOST) {
            self.lose("the directory was moved or deleted, or its disk is gone");
        } else if event.mask.contains(EventMask::Q_OVERFLOW) || is_swap(&file) {
            if let Err(error) = self.read_all() {
                tracing::error!(dir = %self.dir.display(), %error, "cannot be read; what is known stays in force");
            }
        } else if self.is_news(event.mask, &file) {
            self.read_one(&file);
        }
    }

    /// Whether there is something to read now.
    fn is_news(&self, mask: EventMask, file: &OsStr) -> bool {
        if mask.contains(EventMask::CREATE) {
            // A new file has no content yet: its CLOSE_WRITE follows. A new link has.
            let about = self.dir.join(file).symlink_metadata();
            return about.is_ok_and(|about| about.is_symlink() || about.nlink() > 1);
        }
        // Its mode is of interest only to who could not read it.
        !mask.contains(EventMask::ATTRIB) || self.bad.contains(file)
    }

    /// From now on nothing changes, and nothing that is known goes.
    fn lose(&mut self, why: &str) {
        if !std::mem::replace(&mut self.deaf, true) {
            tracing::error!(dir = %self.dir.display(), "changes of files cannot be seen any more: {why}; what is known stays in force; restart Loods");
        }
        self.leaving.clear();
    }

    /// Reads every file that is there, and forgets those that are not.
    fn read_all(&mut self) -> io::Result<()> {
        let mut all: BTreeSet<OsString> = self.held.keys().cloned().collect();
        for entry in std::fs::read_dir(&self.dir)? {
            all.insert(entry?.file_name());
        }
        all.iter().for_each(|file| self.read_one(file));
        Ok(())
    }

    /// Reads a file and puts the difference into the store.
    fn read_one(&mut self, file: &OsStr) {
        if !read::is_ours(file) {
            return;
        }
        let path = self.dir.join(file);
        match read::file(&path) {
            Ok(content) => {
                self.bad.remove(file);
                let objects = content.as_ref().map(|content| content.objects.len());
                tracing::info!(file = %path.display(), objects, "{}", if objects.is_some() { "read" } else { "gone" });
                let (text, objects) = content.map(|c| (c.text, c.objects)).unzip();
                self.statuses.copies.keep(file, text);
                self.take(file, objects);
            }
            Err(why) => {
                tracing::error!(file = %path.display(), "{why}; the objects that this file had stay as they were");
                self.bad.insert(file.to_owned());
                if !self.held.contains_key(file)
                    && let Some(copy) = self.statuses.copies.of(file)
                {
                    tracing::warn!(file = %path.display(), objects = copy.objects.len(), "its last good copy counts");
                    self.take(file, Some(copy.objects));
                }
            }
        }
    }

    /// From now on a file says this; `None`: there is no such file.
    fn take(&mut self, file: &OsStr, objects: Option<BTreeMap<Name, Value>>) {
        let mut touched = self.held.remove(file).unwrap_or_default();
        for name in &touched {
            self.said.remove(&(name.clone(), file.to_owned()));
        }
        if let Some(objects) = objects {
            let names: BTreeSet<Name> = objects.keys().cloned().collect();
            touched.extend(names.iter().cloned());
            self.held.insert(file.to_owned(), names);
            let said = objects.into_iter();
            self.said
                .extend(said.map(|(name, object)| ((name, file.to_owned()), object)));
        }
        touched.iter().for_each(|name| self.settle(name));
    }

    /// Brings an object to where the files have it.
    fn settle(&mut self, name: &Name) {
        let first = (name.clone(), OsString::new());
        let mut said = self.said.range(first..).take_while(|(at, _)| at.0 == *name);
        let Some(((_, file), object)) = said.next() else {
            let goes = Instant::now() + GRACE;
            self.leaving.entry(name.clone()).or_insert(goes);
            return;
        };
        for ((_, other), _) in said {
            tracing::error!(
                "{name} stands in {} and in {}: the first one counts; write it once",
                file.display(),
                other.display()
            );
        }
        self.leaving.remove(name);
        self.put(object.clone(), name);
    }

    /// Takes the objects away whose time has come.
    fn take_leave(&mut self) {
        // The lock below keeps a deleted directory alive: no event tells of it.
        if identity(&self.dir).ok() != Some(self.identity) {
            return self.lose("the directory was deleted or replaced");
        }
        let now = Instant::now();
        let leaving = std::mem::take(&mut self.leaving).into_iter();
        let (gone, leaving): (BTreeMap<_, _>, _) = leaving.partition(|(_, goes)| *goes <= now);
        self.leaving = leaving;
        for name in gone.into_keys() {
            if name == self.own_node() {
                self.stand_in();
            } else {
                self.store.delete(&name);
            }
        }
    }

    fn put(&self, mut object: Value, name: &Name) {
        let known = self.store.get(name);
        let known = known.as_deref().or_else(|| self.statuses.of(name));
        if let Some(known) = known {
            status::remember(&mut object, known);
        }
        if let Err(why) = self.store.apply(object) {
            tracing::error!("{why}");
        }
    }

    fn own_node(&self) -> Name {
        Name::new(Kind::Node, "", &self.node)
    }

    /// This machine's Node, where no file tells of it.
    fn stand_in(&self) {
        let name = self.own_node();
        if !self.node.is_empty() && !self.said.keys().any(|(said, _)| *said == name) {
            let node =
                json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": &*self.node}});
            self.put(node, &name);
        }
    }
}

async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
    }
}

/// What tells one directory from another.
fn identity(dir: &Path) -> io::Result<(u64, u64)> {
    let about = std::fs::metadata(dir)?;
    Ok((about.dev(), about.ino()))
}

/// A directory that is swapped as a whole, by a link such as `..data`.
fn is_swap(file: &OsStr) -> bool {
    file.as_encoded_bytes().starts_with(b"..")
}
