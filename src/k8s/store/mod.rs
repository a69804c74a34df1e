//! An API server in memory, as far as Loods asks one: LIST, WATCH, GET, PATCH
//! and POST of the few kinds it reads and writes.
//!
//! ```text
//!   files, demo, tests -- apply, delete --> Store <-- requests -- Client
//!                                            |
//!                                        watch, list, patch, lastgood, events:
//!                                        the same code as with a real server
//! ```
//!
//! It stands below [`Client`] and not beside it: what comes out is the text
//! that a server would send, so all that lies between a watch and the wire
//! runs the same. Its owner may make it slow, stale or hostile ([`Faults`]).
//!
//! It checks nothing but what Loods relies on: preconditions of a PATCH,
//! versions that only grow, a watch that begins where its list ended.

#[cfg(test)]
mod faults;
mod kinds;
mod merge;
mod serve;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use k8s_openapi::jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::Client;
pub use kinds::{Kind, Name};

/// Changes kept for watches; a watch that is further behind is told to list anew.
const HISTORY: usize = 4096;
/// Events kept, the newest.
const EVENTS: usize = 1024;

/// Holds objects and serves them. Clones share them.
#[derive(Clone)]
pub struct Store(Arc<Shared>);

struct Shared {
    held: Mutex<Held>,
    /// The newest version: wakes every watch.
    version: watch::Sender<u64>,
}

#[derive(Default)]
struct Held {
    version: u64,
    objects: BTreeMap<Name, Arc<Value>>,
    history: VecDeque<Change>,
    events: VecDeque<Value>,
    faults: Faults,
}

/// One step from a version to the next.
#[derive(Clone)]
struct Change {
    version: u64,
    name: Name,
    before: Option<Arc<Value>>,
    /// `None`: deleted.
    after: Option<Arc<Value>>,
}

/// How the store misbehaves, by what is asked of it. A GET of one object and an
/// Event are always answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Of PATCHes.
    pub patch: Fault,
    /// Of lists.
    pub list: Fault,
    /// Of watches: a delay makes what they show stale.
    pub watch: Fault,
}

/// One way to misbehave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fault {
    /// None.
    #[default]
    None,
    /// Right, but so much later; a PATCH is also done later.
    Delay(Duration),
    /// Refused with this HTTP status; a watch, when it begins.
    Refuse(u16),
    /// Done, but the answer is lost; a watch shows nothing as long as this lasts.
    Lose,
}

/// An object that the store cannot take, in words for who wrote it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// No `kind` or `apiVersion`, or no text.
    #[error("the object has no {0}")]
    Missing(&'static str),
    /// Not one of ours.
    #[error("kind {kind} of {version} is not used by Loods")]
    Foreign {
        /// As written.
        kind: Box<str>,
        /// `apiVersion`, as written.
        version: Box<str>,
    },
    /// No name for an object of its kind.
    #[error(
        "{0}: an API server would refuse this name; lower case letters, digits and '-' do, at most 63 of them"
    )]
    Named(Name),
    /// A field has another type than it should.
    #[error("{name} does not decode: {cause}")]
    Undecodable {
        /// The object.
        name: Name,
        /// In words; for a ConfigMap, which may hold passwords, without a value.
        cause: Box<str>,
    },
}

impl Default for Store {
    fn default() -> Self {
        Self(Arc::new(Shared {
            held: Mutex::default(),
            version: watch::Sender::new(0),
        }))
    }
}

impl fmt::Debug for Store {
    /// Objects hold passwords: only their number shows.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let held = self.held();
        write!(
            f,
            "Store({} objects at {})",
            held.objects.len(),
            held.version
        )
    }
}

impl Store {
    /// A client whose API server is this store. Needs a tokio runtime.
    pub fn client(&self) -> Client {
        serve::client(self.clone())
    }

    /// What an object would be called here, if it is one that Loods can read.
    ///
    /// # Errors
    /// As [`Store::apply`], and where a field has another type than it should.
    pub fn check(object: &Value) -> Result<Name, Refused> {
        let name = Name::of(object)?;
        let mut whole = object.clone();
        kinds::complete(&mut whole, &name);
        inherit(&mut whole, None, &name, 0);
        kinds::decode(&whole, &name)?;
        Ok(name)
    }

    /// Creates an object or replaces it. Its status, uid and creation time stay
    /// unless it brings its own; absent fields get what an API server would put
    /// there. An object that is there already, the same, changes nothing.
    ///
    /// # Errors
    /// It is no object, or of a kind that Loods does not read.
    pub fn apply(&self, mut object: Value) -> Result<Name, Refused> {
        let name = Name::of(&object)?;
        let mut held = self.held();
        let before = held.objects.get(&name).cloned();
        kinds::complete(&mut object, &name);
        inherit(&mut object, before.as_deref(), &name, held.version);
        if before
            .as_deref()
            .is_none_or(|before| differs(before, &object))
        {
            held.put(name.clone(), Some(object));
            self.announce(&held);
        }
        Ok(name)
    }

    /// Takes an object away. Whether it was there.
    pub fn delete(&self, name: &Name) -> bool {
        let mut held = self.held();
        let was = held.objects.contains_key(name);
        if was {
            held.put(name.clone(), None);
            self.announce(&held);
        }
        was
    }

    /// The object as it is now.
    pub fn get(&self, name: &Name) -> Option<Arc<Value>> {
        self.held().objects.get(name).cloned()
    }

    /// All objects of a kind, by namespace and name.
    pub fn all(&self, kind: Kind) -> Vec<Arc<Value>> {
        let held = self.held();
        let of_kind = held.objects.iter().filter(|(name, _)| name.kind == kind);
        of_kind.map(|(_, object)| Arc::clone(object)).collect()
    }

    /// The Events that were written, the oldest first; the newest 1,024.
    pub fn events(&self) -> Vec<Value> {
        self.held().events.iter().cloned().collect()
    }

    /// Misbehaves from now on, or no longer.
    pub fn set_faults(&self, faults: Faults) {
        self.held().faults = faults;
        // A watch that was held back looks again.
        self.0.version.send_modify(|_| {});
    }

    /// Tells of each change: the store's version after it.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.version.subscribe()
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        // Each change is complete in itself: a panic elsewhere leaves it whole.
        self.0.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn announce(&self, held: &Held) {
        self.0.version.send_replace(held.version);
    }
}

impl Held {
    /// Puts an object at a place, or takes it away, as the next version.
    fn put(&mut self, name: Name, object: Option<Value>) {
        self.version += 1;
        let version = self.version;
        let after = object.map(|mut object| {
            object["metadata"]["resourceVersion"] = json!(version.to_string());
            Arc::new(object)
        });
        let before = match &after {
            Some(after) => self.objects.insert(name.clone(), Arc::clone(after)),
            None => self.objects.remove(&name),
        };
        self.history.push_back(Change {
            version,
            name,
            before,
            after,
        });
        if self.history.len() > HISTORY {
            self.history.pop_front();
        }
    }

    /// The changes after a version; `None`: the oldest of them is forgotten.
    fn since(&self, version: u64) -> Option<Vec<Change>> {
        let first = self.history.front().map_or(self.version + 1, |c| c.version);
        if version + 1 < first {
            return None;
        }
        // Versions follow one another: what is known already is not looked at.
        let known = usize::try_from(version + 1 - first).unwrap_or(usize::MAX);
        Some(self.history.iter().skip(known).cloned().collect())
    }
}

/// What the writer of an object does not say stays, or begins.
fn inherit(object: &mut Value, before: Option<&Value>, name: &Name, version: u64) {
    let kept = |path: &str| before.and_then(|before| before.pointer(path)).cloned();
    // kubectl writes null where it knows nothing.
    let says_nothing = |field: Option<&Value>| field.is_none_or(Value::is_null);
    if says_nothing(object.get("status"))
        && let Some(status) = kept("/status")
    {
        object["status"] = status;
    }
    let metadata = &mut object["metadata"];
    if says_nothing(metadata.get("creationTimestamp")) {
        let now = || json!(Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
        metadata["creationTimestamp"] = kept("/metadata/creationTimestamp").unwrap_or_else(now);
    }
    if says_nothing(metadata.get("uid")) {
        let created = metadata["creationTimestamp"].as_str().unwrap_or_default();
        // Also unlike that of one that was deleted within the same second.
        let new = || json!(format!("{name}@{created}.{version}"));
        metadata["uid"] = kept("/metadata/uid").unwrap_or_else(new);
    }
}

/// Whether two objects differ in more than their version.
fn differs(before: &Value, after: &Value) -> bool {
    let mut after = after.clone();
    after["metadata"]["resourceVersion"] = before["metadata"]["resourceVersion"].clone();
    *before != after
}
