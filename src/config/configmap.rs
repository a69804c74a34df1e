//! The ConfigMap of MetalLB v0.8.1 to v0.12.1, field by field, into the model.
//!
//! Where the versions disagree the later one holds. What MetalLB refused only
//! because its native or FRR speaker could not do it is accepted. Each section
//! has a file; this one reads the top level and ties them together.

mod advertisement;
mod bfd;
mod community;
mod node_selector;
mod peer;
mod pool;

use super::fields::Item;
use super::finding::{Errors, Note};
use super::keys;
use super::model::{Config, OnRemovedPool};
use super::report::{self, Report};
use super::scalar;
use super::tree::{self, Limits};
use crate::bgp::types::Origin;

/// The API server allows 1 MiB in a ConfigMap.
const LIMITS: Limits = Limits {
    bytes: 1 << 20,
    nodes: 200_000,
    documents: 1,
};

/// A text that was accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed {
    /// What it says.
    pub config: Config,
    /// What its author should know nevertheless.
    pub notes: Vec<Note>,
}

/// Reads the text under the ConfigMap's key `config`.
///
/// An empty text is a valid, empty configuration.
///
/// # Errors
/// Everything that is wrong with the text, ordered by place.
pub fn parse(text: &str) -> Result<Parsed, Errors> {
    let stream = tree::read(text, &LIMITS).map_err(|broken| report::broken(text, broken))?;
    let root = stream.documents.into_iter().next().flatten();
    let mut report = Report::new(text, root.iter().cloned().collect());
    if let Some(node) = stream.more {
        let what = "has a second document, which is not read, as MetalLB did not read it";
        Item::new(node, String::new()).note(&mut report, what, "remove it, or the `---` before it");
    }
    let config = match root {
        Some(node) => config(&Item::new(node, String::new()), &mut report),
        None => Some(Config::default()),
    };
    let notes = report.finish()?;
    // A reader that returns nothing has reported an error.
    let config = config.expect("a config without errors is whole");
    Ok(Parsed { config, notes })
}

fn config(item: &Item, report: &mut Report<'_>) -> Option<Config> {
    let top = item.fields(report, &keys::TOP)?;
    let bfd_profiles = top.optional(report, "bfd-profiles", bfd::profiles);
    let communities = top.optional(report, "bgp-communities", community::aliases);
    let profiles = bfd_profiles
        .as_ref()
        .map(|known| known.clone().unwrap_or_default());
    let peers = top.optional(report, "peers", |item, report| {
        peer::peers(item, report, profiles.as_ref())
    });
    let aliases = communities
        .as_ref()
        .map(|known| known.clone().unwrap_or_default());
    let pools = top.optional(report, "address-pools", |item, report| {
        pool::pools(item, report, aliases.as_ref())
    });
    let origin = top.optional(report, "origin", |item, report| {
        scalar::choice(
            item,
            report,
            &[("igp", Origin::Igp), ("incomplete", Origin::Incomplete)],
        )
    });
    let on_removed_pool = top.optional(report, "on-removed-pool", |item, report| {
        scalar::choice(
            item,
            report,
            &[
                ("keep", OnRemovedPool::Keep),
                ("reassign", OnRemovedPool::Reassign),
            ],
        )
    });
    Some(Config {
        peers: peers?.unwrap_or_default(),
        pools: pools?.unwrap_or_default(),
        bfd_profiles: bfd_profiles?.unwrap_or_default(),
        origin: origin?.unwrap_or_default(),
        on_removed_pool: on_removed_pool?.unwrap_or_default(),
    })
}
