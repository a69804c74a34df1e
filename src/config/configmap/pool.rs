//! `address-pools`: what may be given out.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use ipnet::{IpNet, IpSubnets, Ipv4Subnets, Ipv6Subnets};

use super::advertisement;
use super::community::Aliases;
use crate::bgp::types::Family;
use crate::config::fields::{Fields, Item};
use crate::config::keys;
use crate::config::model::{AddressRange, Advertisement, Pool, Protocol};
use crate::config::report::Report;
use crate::config::scalar;
use crate::config::tree::Node;

/// One entry of `addresses` with its place.
pub(super) struct Addresses {
    pub item: Item,
    first: IpAddr,
    last: IpAddr,
}

impl Addresses {
    pub fn family(&self) -> Family {
        Family::of(self.first)
    }

    /// The length of the largest prefix in it.
    pub fn widest(&self) -> u8 {
        let subnets = match (self.first, self.last) {
            (IpAddr::V4(first), IpAddr::V4(last)) => {
                IpSubnets::V4(Ipv4Subnets::new(first, last, 0))
            }
            (IpAddr::V6(first), IpAddr::V6(last)) => {
                IpSubnets::V6(Ipv6Subnets::new(first, last, 0))
            }
            // Entries of mixed families are refused before.
            _ => return 0,
        };
        subnets.map(|subnet| subnet.prefix_len()).min().unwrap_or(0)
    }
}

/// What earlier pools have taken.
#[derive(Default)]
struct Taken {
    names: BTreeMap<Box<str>, Rc<Node>>,
    /// Ranges without overlaps, by first address: last one, place, path.
    ranges: BTreeMap<IpAddr, (IpAddr, Item)>,
}

/// The list; `aliases` is absent when they could not be read.
pub(super) fn pools(
    item: &Item,
    report: &mut Report<'_>,
    aliases: Option<&Aliases>,
) -> Option<Vec<Arc<Pool>>> {
    let mut taken = Taken::default();
    let items = item.list(report)?;
    let read: Vec<_> = items
        .iter()
        .map(|item| pool(item, report, aliases, &mut taken))
        .collect();
    read.into_iter().map(|pool| pool.map(Arc::new)).collect()
}

fn pool(
    item: &Item,
    report: &mut Report<'_>,
    aliases: Option<&Aliases>,
    taken: &mut Taken,
) -> Option<Pool> {
    let fields = item.fields(report, &keys::POOL)?;
    let name = fields.required(
        report,
        "name",
        "write `name: ` and a name",
        |item, report| name(item, report, taken),
    );
    let protocol = fields.required(
        report,
        "protocol",
        "write `protocol: bgp`",
        |item, report| {
            scalar::choice(
                item,
                report,
                &[("bgp", Protocol::Bgp), ("layer2", Protocol::Layer2)],
            )
        },
    );
    let addresses = addresses(&fields, report, taken);
    let avoid_buggy_ips = fields.optional(report, "avoid-buggy-ips", scalar::boolean);
    let auto_assign = fields.optional(report, "auto-assign", scalar::boolean);
    let known = addresses.as_deref().unwrap_or_default();
    let advertisements = advertisements(&fields, report, protocol, known, aliases);
    if protocol == Some(Protocol::Layer2)
        && let Some(item) = fields.item("protocol")
    {
        item.note(
                report,
                "is accepted: addresses are given out, but announced by nobody, since Loods has no layer 2 mode",
                "write `bgp` to have them announced",
            );
    }
    let range = |entry: Addresses| AddressRange {
        bounds: entry.first..=entry.last,
    };
    Some(Pool {
        name: name?,
        protocol: protocol?,
        ranges: addresses?.into_iter().map(range).collect(),
        avoid_buggy_ips: avoid_buggy_ips?.unwrap_or(false),
        auto_assign: auto_assign?.unwrap_or(true),
        advertisements: advertisements?,
    })
}

fn name(item: &Item, report: &mut Report<'_>, taken: &mut Taken) -> Option<Arc<str>> {
    let text = scalar::text(item, report)?;
    if let Some(first) = taken.names.get(text) {
        let what = "the first pool of this name".to_owned();
        item.clash(
            report,
            "is the name of two pools",
            "rename one of them",
            (first, what),
        );
        return None;
    }
    taken.names.insert(text.into(), item.node.clone());
    Some(text.into())
}

fn advertisements(
    fields: &Fields,
    report: &mut Report<'_>,
    protocol: Option<Protocol>,
    addresses: &[Addresses],
    aliases: Option<&Aliases>,
) -> Option<Vec<Advertisement>> {
    let written = fields.optional(report, "bgp-advertisements", |item, report| {
        let is_empty = item.list(report)?.is_empty();
        let list = advertisement::advertisements(item, report, addresses, aliases);
        if protocol == Some(Protocol::Layer2) && !is_empty {
            item.blame(
                report,
                "stands in a pool with `protocol: layer2`, which is not announced by BGP",
                "remove it, or write `protocol: bgp`",
            );
            return None;
        }
        list
    })?;
    Some(match protocol {
        Some(Protocol::Layer2) => Vec::new(),
        _ => written.unwrap_or_else(|| vec![advertisement::default()]),
    })
}

const ADDRESSES_MEND: &str =
    "write a block such as `192.0.2.0/24`, or a range such as `192.0.2.10-192.0.2.20`";

fn addresses(
    fields: &Fields,
    report: &mut Report<'_>,
    taken: &mut Taken,
) -> Option<Vec<Addresses>> {
    let list = fields.required(report, "addresses", ADDRESSES_MEND, |item, report| {
        item.list(report)
    })?;
    if list.is_empty() {
        if let Some(item) = fields.item("addresses") {
            item.blame(report, "is empty", ADDRESSES_MEND);
        }
        return None;
    }
    let mut all = Some(Vec::new());
    for item in list {
        let entry = entry(item, report).and_then(|entry| free(entry, report, taken));
        match (&mut all, entry) {
            (Some(all), Some(entry)) => all.push(entry),
            _ => all = None,
        }
    }
    all
}

fn entry(item: Item, report: &mut Report<'_>) -> Option<Addresses> {
    match bounds(scalar::text(&item, report)?) {
        Ok((first, last)) => Some(Addresses { item, first, last }),
        Err((problem, mend)) => {
            item.refuse(report, problem, mend);
            None
        }
    }
}

/// First and last address of a block or range.
fn bounds(text: &str) -> Result<(IpAddr, IpAddr), (&'static str, String)> {
    if let Some((first, last)) = text.split_once('-') {
        let address = |text: &str| scalar::address(text.trim());
        let (Some(first), Some(last)) = (address(first), address(last)) else {
            return Err(("is not a range of addresses", ADDRESSES_MEND.into()));
        };
        if Family::of(first) != Family::of(last) {
            return Err(("mixes IPv4 and IPv6", "write one range for each".into()));
        }
        if last < first {
            return Err(("ends before it starts", format!("write `{last}-{first}`")));
        }
        return Ok((first, last));
    }
    if let Ok(block) = text.parse::<IpNet>() {
        return Ok((block.network(), block.broadcast()));
    }
    match scalar::address(text.trim()) {
        Some(one) => Err((
            "is one address, where a block or range is wanted",
            format!("write `{one}/{}`", Family::of(one).bits()),
        )),
        None => Err((
            "is neither a block nor a range of addresses",
            ADDRESSES_MEND.into(),
        )),
    }
}

/// Every address belongs to one entry of one pool.
fn free(entry: Addresses, report: &mut Report<'_>, taken: &mut Taken) -> Option<Addresses> {
    // Taken ranges do not overlap: if any holds a part, so does the last one
    // that begins before our end. IPv4 sorts before IPv6.
    let before = taken.ranges.range(..=entry.last).next_back();
    if let Some((_, (_, other))) = before.filter(|(_, (last, _))| *last >= entry.first) {
        let what = format!("`{}` in {}", report.show(&other.node), other.path);
        let node = other.node.clone();
        entry.item.clash(
            report,
            "overlaps another entry",
            "give each address to one pool, once",
            (&node, what),
        );
        return None;
    }
    taken
        .ranges
        .insert(entry.first, (entry.last, entry.item.clone()));
    Some(entry)
}
