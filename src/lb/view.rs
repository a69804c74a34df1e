//! One Service of the [index](super::index) as a user may see it.

use std::net::IpAddr;

use super::advertise::Verdict;
use super::entry::Entry;
use super::reason::Reason;
use crate::bgp::types::Prefix;
use crate::facts::{ServiceKey, TrafficPolicy};

/// One Service as this node sees it.
#[derive(Clone, Copy, Debug)]
pub struct ServiceView<'a> {
    /// Namespace and name.
    pub key: &'a ServiceKey,
    /// `spec.externalTrafficPolicy`.
    pub policy: TrafficPolicy,
    /// Why there is nothing to say of single addresses, or nothing new.
    pub refusal: Option<Reason>,
    /// What became of each address.
    pub verdicts: &'a [Verdict],
}

impl<'a> ServiceView<'a> {
    pub(super) fn of(key: &'a ServiceKey, entry: &'a Entry, settled: bool) -> Self {
        let refusal = if entry.fault {
            Some(Reason::InternalError)
        } else {
            entry
                .service
                .refusal
                .or((!settled).then_some(Reason::Incomplete))
        };
        Self {
            key,
            policy: entry.service.policy,
            refusal,
            verdicts: &entry.verdicts,
        }
    }

    /// Each address that this node announces, with a prefix that carries it.
    pub fn announced(&self) -> impl Iterator<Item = (IpAddr, Prefix)> + use<'a> {
        self.verdicts.iter().flat_map(|verdict| {
            let routes = verdict.announced().iter();
            routes.map(|(prefix, _)| (verdict.address, *prefix))
        })
    }

    /// The prefixes that this node announces for the Service, in the order of
    /// its addresses; or why there is none.
    pub fn outcome(&self) -> Result<Vec<Prefix>, Reason> {
        let prefixes: Vec<Prefix> = self.announced().map(|(_, prefix)| prefix).collect();
        if !prefixes.is_empty() {
            return Ok(prefixes);
        }
        let first = self.verdicts.iter().find_map(|verdict| verdict.refusal);
        Err(self.refusal.or(first).unwrap_or(Reason::Incomplete))
    }
}
