//! What was decided, kept beside the files: one file for each Service, and the
//! last good configuration.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::{OpenError, read};
use crate::k8s::lastgood;
use crate::k8s::objects::ORPHAN_ATTRIBUTES;
use crate::k8s::store::{Kind, Name, Store};

/// Below the directory of the files.
const FOLDER: &str = ".status";
const ABOUT: &str = "# Written by Loods; edits are lost.\n";

/// The files below `.status`.
pub(super) struct Statuses {
    folder: PathBuf,
    /// What was read at the start.
    read: BTreeMap<Name, Value>,
    /// What each file says now.
    written: BTreeMap<Name, Value>,
    /// The error that was logged last, while it lasts.
    trouble: Option<io::ErrorKind>,
    /// Locked as long as this process works here.
    _lock: fs::File,
}

impl Statuses {
    /// Locks and reads what an earlier process left.
    pub(super) fn open(dir: &Path) -> Result<Self, OpenError> {
        let folder = dir.join(FOLDER);
        let broken = |path: &Path, cause| OpenError::Status {
            path: path.display().to_string().into(),
            cause,
        };
        fs::create_dir_all(&folder).map_err(|cause| broken(&folder, cause))?;
        let lock = folder.join("lock");
        let file = private(&lock).map_err(|cause| broken(&lock, cause))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => {
                let dir = dir.display().to_string().into();
                return Err(OpenError::Taken { dir });
            }
            Err(fs::TryLockError::Error(cause)) => return Err(broken(&lock, cause)),
        }
        let mut read = BTreeMap::new();
        for entry in fs::read_dir(&folder).map_err(|cause| broken(&folder, cause))? {
            let path = entry.map_err(|cause| broken(&folder, cause))?.path();
            if !path.file_name().is_some_and(read::is_ours) {
                continue;
            }
            match read::file(&path) {
                Ok(objects) => {
                    let named = objects
                        .into_iter()
                        .filter_map(|o| Some((Name::of(&o).ok()?, o)));
                    read.extend(named);
                }
                Err(why) => {
                    tracing::error!(file = %path.display(), "{why}: the addresses that it kept are given out anew");
                }
            }
        }
        Ok(Self {
            folder,
            written: read.clone(),
            read,
            trouble: None,
            _lock: file,
        })
    }

    /// What was kept of an object.
    pub(super) fn of(&self, name: &Name) -> Option<&Value> {
        self.read.get(name)
    }

    /// Every file is read: what is kept of no Service that is there is of no
    /// use. The copy of the configuration has no file of its own.
    pub(super) fn forget_others(&mut self, store: &Store) {
        for (name, object) in std::mem::take(&mut self.read) {
            if is_copy(&name)
                && let Err(why) = store.apply(object)
            {
                tracing::error!("{name}: {why}");
            }
        }
    }

    /// Brings the files up to date.
    pub(super) fn write(&mut self, store: &Store) {
        let mut wanted = BTreeMap::new();
        let maps = store.all(Kind::ConfigMap);
        for object in store.all(Kind::Service).iter().chain(&maps) {
            if let (Ok(name), Some(kept)) = (Name::of(object), kept(object)) {
                wanted.insert(name, kept);
            }
        }
        let gone: Vec<Name> = self
            .written
            .keys()
            .filter(|n| !wanted.contains_key(n))
            .cloned()
            .collect();
        for name in gone {
            let removed = fs::remove_file(self.path(&name));
            match removed {
                Err(error) if error.kind() != io::ErrorKind::NotFound => self.tell(&error),
                _ => drop(self.written.remove(&name)),
            }
        }
        for (name, object) in wanted {
            if self.written.get(&name) == Some(&object) {
                continue;
            }
            match self.replace(&name, &object) {
                Ok(()) => {
                    self.trouble = None;
                    self.written.insert(name, object);
                }
                Err(error) => self.tell(&error),
            }
        }
    }

    fn path(&self, name: &Name) -> PathBuf {
        let file = match name.kind {
            Kind::ConfigMap => format!("{}.{}.configmap.yaml", name.namespace, name.name),
            _ => format!("{}.{}.yaml", name.namespace, name.name),
        };
        // Names come from files, and are not checked as an API server does.
        self.folder.join(file.replace(['/', '\0'], "_"))
    }

    /// Whole or not at all, also when the power goes.
    fn replace(&self, name: &Name, object: &Value) -> io::Result<()> {
        let path = self.path(name);
        let new = path.with_extension("new");
        let text = serde_yaml::to_string(object).map_err(io::Error::other)?;
        let mut file = private(&new)?;
        file.set_len(0)?;
        file.write_all(ABOUT.as_bytes())?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, &path)
    }

    /// Said when it changes, not at every try.
    fn tell(&mut self, error: &io::Error) {
        if self.trouble.replace(error.kind()) != Some(error.kind()) {
            tracing::error!(folder = %self.folder.display(), %error, "a status cannot be kept: after a restart addresses may move");
        }
    }
}

/// Only its owner may read it: the copy of the configuration holds passwords.
fn private(path: &Path) -> io::Result<fs::File> {
    let mut options = fs::OpenOptions::new();
    options
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(path)
}

fn is_copy(name: &Name) -> bool {
    name.kind == Kind::ConfigMap && *name.name == *lastgood::NAME
}

/// What is kept of an object: nothing of one that has no status of ours.
fn kept(object: &Arc<Value>) -> Option<Value> {
    let name = Name::of(object).ok()?;
    if is_copy(&name) {
        let mut copy = (**object).clone();
        copy["metadata"].as_object_mut()?.remove("resourceVersion");
        return Some(copy);
    }
    let status = object
        .get("status")
        .filter(|_| name.kind == Kind::Service)?;
    let mut metadata = Map::new();
    for field in ["name", "namespace", "uid", "creationTimestamp"] {
        metadata.insert(field.into(), object["metadata"][field].clone());
    }
    if let Some(attributes) = orphan_attributes(object) {
        metadata.insert("annotations".into(), json!({ORPHAN_ATTRIBUTES: attributes}));
    }
    Some(json!({
        "apiVersion": name.kind.version(),
        "kind": name.kind.word(),
        "metadata": metadata,
        "status": status,
    }))
}

fn orphan_attributes(object: &Value) -> Option<&Value> {
    object["metadata"]["annotations"].get(ORPHAN_ATTRIBUTES)
}

/// Gives an object from a file what was decided about it earlier.
pub(super) fn remember(object: &mut Value, known: &Value) {
    let Some(fields) = object.as_object_mut() else {
        return;
    };
    if let Some(status) = known.get("status") {
        fields.insert("status".into(), status.clone());
    }
    let Some(metadata) = fields.get_mut("metadata").and_then(Value::as_object_mut) else {
        return;
    };
    for field in ["uid", "creationTimestamp"] {
        if let Some(value) = known["metadata"].get(field) {
            metadata.insert(field.into(), value.clone());
        }
    }
    if let Some(attributes) = orphan_attributes(known) {
        let annotations = metadata.entry("annotations").or_insert(Value::Null);
        // A file may say nothing here, or nonsense.
        if !annotations.is_object() {
            *annotations = json!({});
        }
        annotations[ORPHAN_ATTRIBUTES] = attributes.clone();
    }
}
