//! What the user meant: MetalLB's ConfigMap, read into one model.
//!
//! ```text
//! file --manifest--> text --tree--> spanned tree --configmap--> Config
//!                                        |             |
//!                                        +--- finding -+--> every error, with its place
//! ```
//!
//! [`parse`] takes the text under the key `config` and answers with the whole
//! [`Config`], or with everything that is wrong in it. Half a configuration is
//! never returned. Nothing here reads a file or talks to an API server, and no
//! output of this folder holds any part of a `password`.

pub mod check;
mod configmap;
mod excerpt;
mod fields;
mod finding;
mod keeper;
mod keys;
pub mod manifest;
mod model;
mod report;
mod scalar;
mod selector;
mod tree;

#[cfg(test)]
mod tests;

pub use configmap::{Parsed, parse};
pub use finding::{Errors, Excerpt, Finding, Note, Related};
pub use keeper::{Change, Keeper, Seen};
pub use keys::{KEYS, Section};
pub use model::{
    AddressRange, Advertisement, BfdProfile, Config, OnRemovedPool, Password, Peer, Pool, Protocol,
};
pub use selector::{Selector, Term};
