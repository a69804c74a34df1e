//! API objects as they arrive, and the facts they become.
//!
//! Each kind has a lean struct with the fields we use, all optional; serde
//! passes over the rest without keeping it. Texts are borrowed from the body
//! until the fact copies what it needs. So a list costs its body and its
//! facts, never a tree of API objects, and a field that a newer server adds or
//! leaves out hurts nobody.

mod annotations;
mod claim;
mod class;
mod config;
mod node;
mod service;
mod slice;
#[cfg(test)]
mod tests;
mod volume;

use std::borrow::Cow;
use std::fmt::Display;

use serde::Deserialize;

pub use annotations::{ORPHAN_ATTRIBUTES, REASSIGN, TERMINATING};
pub use claim::{ClaimFact, ClaimKey, Claims, DataSource, GID};
pub use class::{ClassFact, Classes};
pub use config::{ConfigFact, ConfigMaps};
pub use node::Nodes;
pub use service::{ALLOCATED, Services};
pub use slice::Slices;
pub use volume::{ClaimRef, CsiFact, HEALTH, VolumeFact, Volumes};

/// One kind of object that can be listed and watched.
pub trait Subject: Send + Sync + 'static {
    /// What an object becomes.
    type Fact: Send;
    /// What names it when it is gone.
    type Key: Send;
    /// Plural name as in the API's paths, for logs and errors.
    const PLURAL: &'static str;

    /// The path of the collection, from the root.
    fn path(&self) -> String;
    /// Field selector, if only some objects of the collection are meant.
    fn field_selector(&self) -> Option<String>;
    /// Field selector of a list that only asks for the collection's version:
    /// none, unless our account may read nothing but one name.
    fn probe_selector(&self) -> Option<String> {
        None
    }
    /// How many objects one page of a list may hold.
    fn page(&self) -> u32;
    /// Decodes one object. `None` = well-formed, but not of interest.
    fn fact(&self, json: &str) -> serde_json::Result<Option<Self::Fact>>;
    /// The key of an object with this namespace and name.
    fn key(namespace: &str, name: &str) -> Self::Key;
}

/// A text borrowed from the JSON where it has no escapes.
#[derive(Deserialize, Default)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl Text<'_> {
    fn boxed(&self) -> Box<str> {
        (*self.0).into()
    }
}

/// The text or, where the field is absent, "".
fn text<'t>(field: &'t Option<Text<'_>>) -> &'t str {
    field.as_ref().map_or("", |text| &text.0)
}

fn boxed(field: Option<Text<'_>>) -> Option<Box<str>> {
    field.map(|text| text.boxed())
}

/// An object without the field that makes it one.
fn missing(field: impl Display) -> serde_json::Error {
    serde::de::Error::custom(format_args!("{field} is missing"))
}

/// What the watch itself needs of any object.
#[derive(Deserialize)]
pub(super) struct Named<'a> {
    #[serde(borrow)]
    metadata: Identity<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Identity<'a> {
    #[serde(borrow)]
    name: Option<Text<'a>>,
    #[serde(borrow)]
    namespace: Option<Text<'a>>,
    #[serde(borrow)]
    resource_version: Option<Text<'a>>,
}

impl Named<'_> {
    pub(super) fn name(&self) -> &str {
        text(&self.metadata.name)
    }

    pub(super) fn namespace(&self) -> &str {
        text(&self.metadata.namespace)
    }

    pub(super) fn resource_version(&self) -> &str {
        text(&self.metadata.resource_version)
    }
}
