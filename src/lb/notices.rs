//! What a speaker tells users: Events about Services, made only from changes.
//!
//! Two things are worth an Event from a node. That it starts to announce a
//! Service of policy Local (of policy Cluster every node does, at once, and
//! the address is the news, not the node). That a prefix goes out with other
//! attributes than a Service's own pool asks for.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use super::advertise::Verdict;
use super::entry::Entry;
use super::event::{Event, EventKind};
use super::prefixes::{Prefixes, same_on_the_wire};
use crate::bgp::types::{Attributes, Prefix};
use crate::facts::{ServiceKey, TrafficPolicy};

/// This node announces a Service of policy Local, and did not before.
pub(super) fn node_assigned(
    key: &ServiceKey,
    entry: &Entry,
    before: &[Verdict],
    node: &str,
) -> Option<Event> {
    let announced_before = before.iter().any(|verdict| verdict.refusal.is_none());
    if entry.service.policy != TrafficPolicy::Local || announced_before {
        return None;
    }
    let prefixes: Vec<String> = entry
        .announced()
        .map(|(prefix, _)| prefix.to_string())
        .collect();
    let note = format!("node \"{node}\" announces {} by BGP", prefixes.join(", "));
    (!prefixes.is_empty()).then(|| event(key, entry, EventKind::Normal, "nodeAssigned", note))
}

/// Notes which prefixes of a Service go out with other attributes than it
/// wants, and returns those that did not before.
pub(super) fn newly_differing(entry: &mut Entry, prefixes: &Prefixes) -> Vec<Prefix> {
    let differing: Box<[Prefix]> = entry
        .announced()
        .filter(|(prefix, own)| {
            let sent = prefixes.announced().get(prefix);
            sent.is_some_and(|sent| !same_on_the_wire(sent, own))
        })
        .map(|(prefix, _)| *prefix)
        .collect();
    let before = std::mem::replace(&mut entry.differing, differing);
    let new = entry
        .differing
        .iter()
        .filter(|prefix| !before.contains(prefix));
    new.copied().collect()
}

/// Tells each Service that a prefix of its is announced otherwise than its own
/// pool says, and names another Service that has a part in it.
pub(super) fn attributes_differ(
    found: &BTreeMap<ServiceKey, Vec<Prefix>>,
    services: &BTreeMap<ServiceKey, Entry>,
    prefixes: &Prefixes,
) -> Vec<Event> {
    let wanted: BTreeSet<Prefix> = found.values().flatten().copied().collect();
    let parties = parties(&wanted, services);
    let mut events = Vec::new();
    for (key, differing) in found {
        let Some(entry) = services.get(key) else {
            continue;
        };
        for (prefix, own) in entry
            .announced()
            .filter(|(prefix, _)| differing.contains(prefix))
        {
            let (Some(sent), Some(parties)) =
                (prefixes.announced().get(prefix), parties.get(prefix))
            else {
                continue;
            };
            let other = parties
                .iter()
                .find(|(theirs, other)| *theirs != own && *other != key);
            let other = other.map_or(String::new(), |(_, other)| format!(" with {other}"));
            let note = format!(
                "{prefix} is announced with {}, not with {} as this Service's pool says: it is shared{other}, and what all of its Services ask for is merged; give their pools equal bgp-advertisements",
                shown(sent),
                shown(own),
            );
            events.push(event(
                key,
                entry,
                EventKind::Warning,
                "AttributesDiffer",
                note,
            ));
        }
    }
    events
}

type Parties<'a> = BTreeMap<Prefix, Vec<(&'a Arc<Attributes>, &'a ServiceKey)>>;

/// For each prefix the distinct attributes wanted, each with the first Service
/// that wants them.
fn parties<'a>(
    wanted: &BTreeSet<Prefix>,
    services: &'a BTreeMap<ServiceKey, Entry>,
) -> Parties<'a> {
    let mut parties = Parties::new();
    if wanted.is_empty() {
        return parties;
    }
    for (key, entry) in services {
        for (prefix, own) in entry.verdicts.iter().flat_map(|verdict| &verdict.routes) {
            if wanted.contains(prefix) {
                let known = parties.entry(*prefix).or_default();
                if known.iter().all(|(theirs, _)| *theirs != own) {
                    known.push((own, key));
                }
            }
        }
    }
    parties
}

/// Attributes in words, as an iBGP peer gets them.
fn shown(attributes: &Attributes) -> String {
    let mut text = format!("localpref {}", attributes.local_pref.unwrap_or(100));
    text.push_str(if attributes.communities.is_empty() {
        ", no communities"
    } else {
        ", communities"
    });
    for community in &attributes.communities {
        // Writing to a String cannot fail.
        let _ = write!(text, " {community}");
    }
    text
}

fn event(
    key: &ServiceKey,
    entry: &Entry,
    kind: EventKind,
    reason: &'static str,
    note: String,
) -> Event {
    Event {
        service: key.clone(),
        uid: entry.service.uid.clone(),
        kind,
        reason,
        note,
    }
}
