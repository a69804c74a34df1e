//! A PV of the removed plugin, and the CSI PV that takes its place. Pure.

use serde_json::{Map, Value, json};

use crate::storage::class::{Auth, Class, USER};
use crate::storage::provision::FINALIZER;
use crate::storage::{DRIVER, IN_TREE};

/// Annotation: the uid of the PV that a new one took the place of.
pub const MIGRATED: &str = "gluster.loods.io/migrated-from";

const PROVISIONED_BY: &str = "pv.kubernetes.io/provisioned-by";
const HEKETI_ID: &str = "gluster.kubernetes.io/heketi-volume-id";

/// What is read of an old PV.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Old {
    /// `metadata.name`.
    pub name: Box<str>,
    /// `metadata.uid`.
    pub uid: Box<str>,
    /// `spec.glusterfs.path`: the volume's name in Gluster.
    pub volume: Box<str>,
    /// `spec.glusterfs.endpoints`.
    pub endpoints: Box<str>,
    /// Its namespace: the one that is named, else the claim's.
    pub endpoints_namespace: Box<str>,
    /// `spec.claimRef`, as namespace, name, uid; `None`: nobody has claimed it.
    pub claim: Option<[Box<str>; 3]>,
    /// `spec.storageClassName`, or the beta annotation.
    pub class: Box<str>,
    /// `spec.persistentVolumeReclaimPolicy`.
    pub policy: Box<str>,
    /// The whole object.
    whole: Value,
}

fn text(value: &Value) -> Box<str> {
    value.as_str().unwrap_or_default().into()
}

impl Old {
    /// Reads one.
    ///
    /// # Errors
    /// What is missing, in words.
    pub fn read(whole: Value) -> Result<Self, String> {
        let (meta, spec) = (&whole["metadata"], &whole["spec"]);
        let source = &spec["glusterfs"];
        let reference = &spec["claimRef"];
        let claim = reference.is_object().then(|| {
            let of = |field: &str| text(&reference[field]);
            [of("namespace"), of("name"), of("uid")]
        });
        let namespace = match (source["endpointsNamespace"].as_str(), &claim) {
            (Some(named), _) if !named.is_empty() => named.into(),
            (_, Some([namespace, ..])) => namespace.clone(),
            _ => "default".into(),
        };
        let beta = &meta["annotations"]["volume.beta.kubernetes.io/storage-class"];
        let class = if beta.is_string() {
            beta
        } else {
            &spec["storageClassName"]
        };
        let old = Self {
            name: text(&meta["name"]),
            uid: text(&meta["uid"]),
            // The plugin mounted HOST:PATH, and people wrote the slash or not.
            volume: text(&source["path"]).trim_matches('/').into(),
            endpoints: text(&source["endpoints"]),
            endpoints_namespace: namespace,
            claim,
            class: text(class),
            policy: text(&spec["persistentVolumeReclaimPolicy"]),
            whole: whole.clone(),
        };
        for (field, value) in [
            ("metadata.name", &old.name),
            ("metadata.uid", &old.uid),
            ("spec.glusterfs.path", &old.volume),
        ] {
            if value.is_empty() {
                return Err(format!(
                    "PersistentVolume {:?}: {field} is missing",
                    old.name
                ));
            }
        }
        Ok(old)
    }

    /// The object as it was read.
    pub fn whole(&self) -> &Value {
        &self.whole
    }

    /// The finalizers that it has.
    pub fn finalizers(&self) -> usize {
        self.whole["metadata"]["finalizers"]
            .as_array()
            .map_or(0, Vec::len)
    }

    /// Made by the removed plugin, so its volume may be deleted by us in the end.
    fn was_provisioned(&self) -> bool {
        let annotations = &self.whole["metadata"]["annotations"];
        annotations[PROVISIONED_BY] == IN_TREE && annotations[HEKETI_ID].is_string()
    }

    /// The PV that takes its place. It keeps the volume until it is Bound,
    /// whatever the old one said.
    pub fn successor(&self, hosts: &[Box<str>], class: Option<&Class>) -> Value {
        let (meta, spec) = (&self.whole["metadata"], &self.whole["spec"]);
        let mut annotations = meta["annotations"].as_object().cloned().unwrap_or_default();
        // The API server's own, of the object that was.
        annotations.remove("kubectl.kubernetes.io/last-applied-configuration");
        annotations.insert(MIGRATED.into(), (*self.uid).into());
        let mut metadata = Map::new();
        metadata.insert("name".into(), (*self.name).into());
        if self.was_provisioned() {
            annotations.insert(PROVISIONED_BY.into(), DRIVER.into());
            if &*self.policy == "Delete" {
                metadata.insert("finalizers".into(), json!([FINALIZER]));
            }
        }
        let id = annotations.get(HEKETI_ID).and_then(Value::as_str);
        let handle = id.unwrap_or(&self.volume).to_owned();
        metadata.insert("annotations".into(), annotations.into());
        if meta["labels"].is_object() {
            metadata.insert("labels".into(), meta["labels"].clone());
        }
        let mut spec = spec.as_object().cloned().unwrap_or_default();
        let read_only = spec
            .remove("glusterfs")
            .is_some_and(|source| source["readOnly"] == true);
        if let Some(reference) = spec.get_mut("claimRef").and_then(Value::as_object_mut) {
            reference.remove("resourceVersion");
        }
        spec.insert("persistentVolumeReclaimPolicy".into(), "Retain".into());
        let mut csi = json!({
            "driver": DRIVER,
            "volumeHandle": handle,
            "volumeAttributes": self.attributes(hosts, class),
        });
        if read_only {
            csi["readOnly"] = true.into();
        }
        spec.insert("csi".into(), csi);
        json!({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": metadata, "spec": spec})
    }

    /// As the controller writes them.
    fn attributes(&self, hosts: &[Box<str>], class: Option<&Class>) -> Value {
        let mut attributes = json!({"volume": self.volume, "hosts": hosts.join(",")});
        if let Some(class) = class.filter(|_| self.was_provisioned()) {
            attributes["resturl"] = (*class.url).into();
            if class.auth != Auth::None {
                attributes["restuser"] = USER.into();
            }
            if let Auth::Secret(secret) = &class.auth {
                attributes["secretName"] = (*secret.name).into();
                attributes["secretNamespace"] = (*secret.namespace).into();
            }
        }
        attributes
    }
}
