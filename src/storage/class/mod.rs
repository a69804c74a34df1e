//! What a StorageClass asks for, and what a claim may ask of it. Pure.
//!
//! ```text
//!   parameters (text to text) --Class::read--> Class  ----.
//!                                   '--> Faults           +--> what Heketi is asked for
//!   claim (modes, size, ...) --claim::judge--> GiB --------'
//!                                   '--> Faults
//! ```
//!
//! The keys, their defaults and the beginnings of the error texts are those of
//! the plugin that Kubernetes removed in 1.26 (read in 1.25.16), since people
//! have classes, scripts and searches that rest on them. What differs:
//!
//! - all faults are told at once, each with its value and its mend;
//! - what the old plugin took and Heketi then failed on, or worse, is refused
//!   here: a `restuser` other than admin, options with shell characters, sets
//!   and counts that Heketi does not make;
//! - `resturl` may be left out in a class of our own name: the manager that
//!   the controller was told of is meant.

pub mod claim;
mod durability;
mod fault;
mod name;
mod options;
mod parameters;
pub mod quantity;
mod secret;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;

use super::heketi::wire::{Durability, Snapshot, VolumeCreate};

pub use fault::{Fault, Faults};
pub use name::volume_name;
pub use options::judge as judge_option;
pub use parameters::{KEYS, judge_secret, judge_url};
pub use secret::key_of;

/// The only user of Heketi's whose calls lead anywhere.
pub const USER: &str = "admin";

/// The lowest and highest group that a volume may have.
pub const GIDS: (u32, u32) = (2000, i32::MAX as u32);

/// A class's parameters, understood.
#[derive(Clone, Debug, PartialEq)]
pub struct Class {
    /// Heketi, or our manager: `http` or `https`, a host, perhaps a port and a
    /// path; no `/` at the end.
    pub url: Box<str>,
    /// How it is asked.
    pub auth: Auth,
    /// Parameter `clusterid`: the clusters that may hold volumes. Empty: all.
    pub clusters: Vec<Box<str>>,
    /// Lowest and highest group to give out.
    pub gids: (u32, u32),
    /// How volumes survive.
    pub durability: Durability,
    /// Each `key value`.
    pub options: Vec<String>,
    /// In front of the names of volumes.
    pub name_prefix: Option<Box<str>>,
    /// Room for snapshots: so many times the size.
    pub snapshot_factor: f32,
    /// In front of the names of Endpoints, as the removed plugin made them.
    pub endpoint_prefix: Box<str>,
}

/// Where the key is that tokens are signed with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Auth {
    /// Nothing is signed.
    None,
    /// The key stands in the class: parameter `restuserkey`.
    Key(Key),
    /// It stands in a Secret.
    Secret(SecretName),
}

/// Which Secret.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SecretName {
    /// Its namespace.
    pub namespace: Box<str>,
    /// Its name.
    pub name: Box<str>,
}

impl fmt::Display for SecretName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// A key. It can be used, and not be shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(Box<str>);

impl Key {
    /// From its text.
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// For whoever signs.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(not shown)")
    }
}

impl Class {
    /// Reads the parameters of a class of this provisioner. `manager` is the
    /// URL that a class of our own may leave out.
    pub fn read<K, V>(
        provisioner: &str,
        parameters: &BTreeMap<K, V>,
        manager: Option<&str>,
    ) -> Result<Class, Faults>
    where
        K: AsRef<str> + Ord,
        V: AsRef<str>,
    {
        parameters::read(provisioner, parameters, manager)
    }

    /// What is sent to make a volume of this class.
    pub fn volume(&self, name: &str, gib: u64, gid: u32) -> VolumeCreate {
        let clusters = self.clusters.iter().map(ToString::to_string).collect();
        VolumeCreate {
            // Judged before: it fits.
            size: i64::try_from(gib).unwrap_or(i64::MAX),
            clusters: (!self.clusters.is_empty()).then_some(clusters),
            name: name.into(),
            durability: self.durability.clone(),
            gid: gid.into(),
            glustervolumeoptions: self.options.clone(),
            block: false,
            snapshot: Snapshot {
                enable: true,
                factor: self.snapshot_factor,
            },
        }
    }

    /// Two copies and nobody to decide between them: after a fault of the
    /// network the halves of a file may differ, and neither is right.
    pub fn may_split(&self) -> bool {
        self.durability.kind == "replicate"
            && self.durability.replicate.replica == 2
            && !self
                .options
                .iter()
                .any(|option| option == "user.heketi.arbiter true")
    }
}
