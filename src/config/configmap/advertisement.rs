//! `bgp-advertisements`: how a pool is announced.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

use super::community::{self, Aliases};
use super::pool::Addresses;
use crate::bgp::types::{Community, Family};
use crate::config::fields::Item;
use crate::config::keys;
use crate::config::model::Advertisement;
use crate::config::report::Report;
use crate::config::scalar;
use crate::config::tree::Node;

/// What a pool without the key does: each address alone, no attributes.
pub(super) fn default() -> Advertisement {
    Advertisement {
        aggregation_length: Family::Ipv4.bits(),
        aggregation_length_v6: Family::Ipv6.bits(),
        local_pref: None,
        communities: BTreeSet::new(),
    }
}

/// The list; an empty one is the default advertisement.
pub(super) fn advertisements(
    item: &Item,
    report: &mut Report<'_>,
    addresses: &[Addresses],
    aliases: Option<&Aliases>,
) -> Option<Vec<Advertisement>> {
    let mut list = Some(Vec::new());
    let mut places: HashMap<Advertisement, Rc<Node>> = HashMap::new();
    for item in item.list(report)? {
        let Some(advertisement) = advertisement(&item, report, addresses, aliases) else {
            list = None;
            continue;
        };
        if let Some(first) = places.get(&advertisement) {
            let what = "the first one".to_owned();
            item.clash(
                report,
                "is the same as another one",
                "remove one of them",
                (first, what),
            );
            list = None;
            continue;
        }
        places.insert(advertisement.clone(), item.node.clone());
        if let Some(list) = &mut list {
            list.push(advertisement);
        }
    }
    list.map(|list| {
        if list.is_empty() {
            vec![default()]
        } else {
            list
        }
    })
}

fn advertisement(
    item: &Item,
    report: &mut Report<'_>,
    addresses: &[Addresses],
    aliases: Option<&Aliases>,
) -> Option<Advertisement> {
    let fields = item.fields(report, &keys::ADVERTISEMENT)?;
    let mut length = |key, family: Family| {
        let read = fields.optional(report, key, |item, report| {
            let length = scalar::number(item, report, 0u8, family.bits())?;
            holds_a_prefix(item, report, length, family, addresses)
        });
        read.map(|written| written.unwrap_or(family.bits()))
    };
    let aggregation_length = length("aggregation-length", Family::Ipv4);
    let aggregation_length_v6 = length("aggregation-length-v6", Family::Ipv6);
    let local_pref = fields.optional(report, "localpref", |item, report| {
        scalar::number(item, report, 0u32, u32::MAX)
    });
    let communities = fields.optional(report, "communities", |item, report| {
        communities(item, report, aliases)
    });
    Some(Advertisement {
        aggregation_length: aggregation_length?,
        aggregation_length_v6: aggregation_length_v6?,
        local_pref: local_pref?,
        communities: communities?.unwrap_or_default(),
    })
}

/// An aggregate wider than all of an entry would attract traffic for addresses
/// that the pool does not have. As in MetalLB v0.12 only the widest prefix of a
/// range counts.
fn holds_a_prefix(
    item: &Item,
    report: &mut Report<'_>,
    length: u8,
    family: Family,
    addresses: &[Addresses],
) -> Option<u8> {
    let of_family = addresses.iter().filter(|entry| entry.family() == family);
    let Some(entry) = of_family
        .filter(|entry| length < entry.widest())
        .max_by_key(|entry| entry.widest())
    else {
        return Some(length);
    };
    let shown = report.show(&entry.item.node);
    let widest = entry.widest();
    let what = format!("the widest prefix in `{shown}` is a /{widest}");
    item.clash(
        report,
        "is a larger block than the pool has there",
        format!("write {widest} or more, or give the pool the whole block"),
        (&entry.item.node, what),
    );
    None
}

fn communities(
    item: &Item,
    report: &mut Report<'_>,
    aliases: Option<&Aliases>,
) -> Option<BTreeSet<Community>> {
    let mut communities = Some(BTreeSet::new());
    let mut seen: BTreeMap<Box<str>, Rc<Node>> = BTreeMap::new();
    for item in item.list(report)? {
        let community = community::community(&item, report, aliases);
        if let Some(text) = item.node.text() {
            if let Some(first) = seen.get(text) {
                let what = "the first one".to_owned();
                item.clash(
                    report,
                    "is written twice",
                    "keep one of them",
                    (first, what),
                );
                communities = None;
                continue;
            }
            seen.insert(text.into(), item.node.clone());
        }
        match (&mut communities, community) {
            (Some(communities), Some(community)) => {
                communities.insert(community);
            }
            _ => communities = None,
        }
    }
    communities
}
