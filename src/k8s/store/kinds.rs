//! The kinds that the store holds, where they stand in the API, and what an
//! API server fills in.

use std::fmt;

use serde_json::{Value, json};

use super::Refused;
use crate::k8s::objects::{ConfigMaps, Nodes, Services, Slices, Subject};

/// A kind of object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// core/v1.
    ConfigMap,
    /// core/v1; has no namespace.
    Node,
    /// core/v1.
    Service,
    /// discovery.k8s.io/v1.
    EndpointSlice,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Kind; 4] = [
        Kind::ConfigMap,
        Kind::Node,
        Kind::Service,
        Kind::EndpointSlice,
    ];

    /// `kind` in an object.
    pub fn word(self) -> &'static str {
        match self {
            Kind::ConfigMap => "ConfigMap",
            Kind::Node => "Node",
            Kind::Service => "Service",
            Kind::EndpointSlice => "EndpointSlice",
        }
    }

    /// `apiVersion` in an object.
    pub fn version(self) -> &'static str {
        match self {
            Kind::EndpointSlice => "discovery.k8s.io/v1",
            _ => "v1",
        }
    }

    /// The collection's name in a path.
    pub(super) fn plural(self) -> &'static str {
        match self {
            Kind::ConfigMap => "configmaps",
            Kind::Node => "nodes",
            Kind::Service => "services",
            Kind::EndpointSlice => "endpointslices",
        }
    }

    fn has_namespace(self) -> bool {
        self != Kind::Node
    }
}

/// What names one object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name {
    /// Its kind.
    pub kind: Kind,
    /// `metadata.namespace`; "" for a Node.
    pub namespace: Box<str>,
    /// `metadata.name`.
    pub name: Box<str>,
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.namespace {
            "" => write!(f, "{} {}", self.kind.word(), self.name),
            namespace => write!(f, "{} {namespace}/{}", self.kind.word(), self.name),
        }
    }
}

impl Name {
    /// A name; the namespace of a Node counts for nothing.
    pub fn new(kind: Kind, namespace: &str, name: &str) -> Self {
        Self {
            kind,
            namespace: if kind.has_namespace() { namespace } else { "" }.into(),
            name: name.into(),
        }
    }

    /// What an object is called. A namespace that is not written is `default`.
    ///
    /// # Errors
    /// It has no name, or none that an API server would take, or its kind is
    /// not one of ours.
    pub fn of(object: &Value) -> Result<Self, Refused> {
        let text = |path: &str| object.pointer(path).and_then(Value::as_str);
        let word = text("/kind").ok_or(Refused::Missing("kind"))?;
        let version = text("/apiVersion").ok_or(Refused::Missing("apiVersion"))?;
        let found = Kind::ALL
            .into_iter()
            .find(|kind| kind.word() == word && kind.version() == version);
        let kind = found.ok_or_else(|| Refused::Foreign {
            kind: word.into(),
            version: version.into(),
        })?;
        let name = text("/metadata/name").filter(|name| !name.is_empty());
        let name = name.ok_or(Refused::Missing("metadata.name"))?;
        let namespace = text("/metadata/namespace").filter(|namespace| !namespace.is_empty());
        let name = Self::new(kind, namespace.unwrap_or("default"), name);
        // Names become paths, of requests and of files.
        let good = match kind {
            Kind::Service => is_label(&name.name),
            _ => is_dotted(&name.name),
        };
        if !good || kind.has_namespace() && !is_label(&name.namespace) {
            return Err(Refused::Named(name));
        }
        Ok(name)
    }
}

/// A part of a DNS name, as RFC 1123 has it and an API server wants it.
fn is_label(text: &str) -> bool {
    let ends = |text: &str| text.starts_with('-') || text.ends_with('-');
    let octet = |octet: u8| octet.is_ascii_lowercase() || octet.is_ascii_digit() || octet == b'-';
    (1..=63).contains(&text.len()) && !ends(text) && text.bytes().all(octet)
}

/// A DNS name. A machine's own name, which becomes that of its Node, may have
/// capitals and underscores too.
fn is_dotted(text: &str) -> bool {
    let octet = |octet: u8| octet.is_ascii_alphanumeric() || b"-_.".contains(&octet);
    text.len() <= 253 && text.split('.').all(|part| !part.is_empty()) && text.bytes().all(octet)
}

/// Reads an object as the daemon will, so that whoever wrote it hears of what
/// is wrong, and not the log of a watch.
pub(super) fn decode(object: &Value, name: &Name) -> Result<(), Refused> {
    let text = object.to_string();
    let done = match name.kind {
        Kind::ConfigMap => {
            let maps = ConfigMaps {
                namespace: name.namespace.clone(),
                name: name.name.clone(),
                key: "".into(),
            };
            maps.fact(&text).map(drop)
        }
        Kind::Node => {
            let name = name.name.clone();
            Nodes { name }.fact(&text).map(drop)
        }
        Kind::Service => Services.fact(&text).map(drop),
        Kind::EndpointSlice => Slices { node: "".into() }.fact(&text).map(drop),
    };
    done.map_err(|error| Refused::Undecodable {
        name: name.clone(),
        cause: match name.kind {
            Kind::ConfigMap => "data and metadata hold texts by name".into(),
            // Without the place, which is one in our own text.
            _ => {
                let words = error.to_string();
                words.split(" at line ").next().unwrap_or_default().into()
            }
        },
    })
}

/// Fills in what an API server would, as far as Loods reads it.
pub(super) fn complete(object: &mut Value, name: &Name) {
    if name.kind.has_namespace() {
        object["metadata"]["namespace"] = json!(name.namespace);
    }
    if name.kind != Kind::Service {
        return;
    }
    let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) else {
        return;
    };
    let policy = spec
        .entry("ipFamilyPolicy")
        .or_insert_with(|| json!("SingleStack"));
    let both = matches!(
        policy.as_str(),
        Some("PreferDualStack" | "RequireDualStack")
    );
    let families = if both {
        json!(["IPv4", "IPv6"])
    } else {
        json!(["IPv4"])
    };
    spec.entry("ipFamilies").or_insert(families);
    spec.entry("externalTrafficPolicy")
        .or_insert_with(|| json!("Cluster"));
}
