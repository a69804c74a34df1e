//! What was decided, kept beside the files: one file for each Service, and the
//! last good configuration.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::keep::{self, Copies};
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
    /// Of the files that all this was decided on.
    pub(super) copies: Copies,
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
        let file = keep::private(&lock).map_err(|cause| broken(&lock, cause))?;
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
                Ok(content) => read.extend(content.unwrap_or_default().objects),
                Err(why) => {
                    tracing::error!(file = %path.display(), "{why}: the addresses that it kept are given out anew");
                }
            }
        }
        Ok(Self {
            copies: Copies::open(&folder).map_err(|cause| broken(&folder, cause))?,
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

    /// Brings the files up to date. False: not all could be written, and it
    /// should be tried again.
    pub(super) fn write(&mut self, store: &Store) -> bool {
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
        let mut trouble = self.copies.write().err();
        for name in gone {
            match keep::remove(&self.path(&name)) {
                Ok(()) => drop(self.written.remove(&name)),
                Err(error) => trouble = Some(error),
            }
        }
        for (name, object) in wanted {
            if self.written.get(&name) == Some(&object) {
                continue;
            }
            match self.replace(&name, &object) {
                Ok(()) => drop(self.written.insert(name, object)),
                Err(error) => trouble = Some(error),
            }
        }
        self.tell(trouble)
    }

    fn path(&self, name: &Name) -> PathBuf {
        // Neither a namespace nor a Service's name has a dot in it.
        let file = match name.kind {
            Kind::ConfigMap => format!("{}.{}.configmap.yaml", name.namespace, name.name),
            _ => format!("{}.{}.yaml", name.namespace, name.name),
        };
        self.folder.join(file)
    }

    fn replace(&self, name: &Name, object: &Value) -> io::Result<()> {
        let text = serde_yaml::to_string(object).map_err(io::Error::other)?;
        keep::replace(&self.path(name), &[ABOUT, &text])
    }

    /// Said when it changes, not at every try. Whether all is well.
    fn tell(&mut self, trouble: Option<io::Error>) -> bool {
        let kind = trouble.as_ref().map(io::Error::kind);
        let before = std::mem::replace(&mut self.trouble, kind);
        match trouble {
            Some(error) if before != kind => {
                tracing::error!(folder = %self.folder.display(), %error, "a status cannot be kept: after a restart addresses may move; trying again");
            }
            None if before.is_some() => tracing::info!("statuses can be kept again"),
            _ => {}
        }
        kind.is_none()
    }
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
