//! `bgp-communities`, and communities where they are used.

use std::collections::BTreeMap;

use crate::bgp::types::Community;
use crate::config::fields::Item;
use crate::config::report::Report;
use crate::config::scalar;

/// Names of the user's own, from `bgp-communities`.
pub(super) type Aliases = BTreeMap<String, Community>;

/// IANA's registry of well-known communities: names that need no alias.
const WELL_KNOWN: &[(&str, u32)] = &[
    ("graceful-shutdown", 0xFFFF_0000),   // RFC 8326
    ("accept-own", 0xFFFF_0001),          // RFC 7611
    ("llgr-stale", 0xFFFF_0006),          // RFC 9494
    ("no-llgr", 0xFFFF_0007),             // RFC 9494
    ("blackhole", 0xFFFF_029A),           // RFC 7999
    ("no-export", 0xFFFF_FF01),           // RFC 1997
    ("no-advertise", 0xFFFF_FF02),        // RFC 1997
    ("no-export-subconfed", 0xFFFF_FF03), // RFC 1997
    ("no-peer", 0xFFFF_FF04),             // RFC 3765
];

const MEND: &str =
    "write `A:B`, two numbers from 0 to 65535, or a well-known name such as `no-export`";

/// The mapping from names to literals.
pub(super) fn aliases(item: &Item, report: &mut Report<'_>) -> Option<Aliases> {
    let entries = item.names(report)?;
    let mut aliases = Some(Aliases::new());
    for (key, value) in entries {
        let community = scalar::text(&value, report).and_then(|text| {
            let found = literal(text);
            if found.is_none() {
                value.refuse(report, "is not a community", MEND);
            }
            found
        });
        match (&mut aliases, community, key.node.text()) {
            (Some(aliases), Some(community), Some(name)) => {
                aliases.insert(name.to_owned(), community);
            }
            _ => aliases = None,
        }
    }
    aliases
}

/// One entry of `communities`: an alias, else a literal. With the aliases
/// unreadable any word may have been one, so nothing is said of it.
pub(super) fn community(
    item: &Item,
    report: &mut Report<'_>,
    aliases: Option<&Aliases>,
) -> Option<Community> {
    let text = scalar::text(item, report)?;
    let aliased = aliases.and_then(|aliases| aliases.get(text));
    let found = aliased.copied().or_else(|| literal(text));
    if found.is_none() && aliases.is_some() {
        item.refuse(
            report,
            "is neither a community nor a name in `bgp-communities`",
            MEND,
        );
    }
    found
}

fn literal(text: &str) -> Option<Community> {
    let named = WELL_KNOWN.iter().find(|(name, _)| *name == text);
    if let Some((_, value)) = named {
        return Some(Community(*value));
    }
    let (high, low) = text.split_once(':')?;
    let half = |digits: &str| {
        let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        digits.parse::<u16>().ok().filter(|_| plain)
    };
    Some(Community(
        u32::from(half(high)?) << 16 | u32::from(half(low)?),
    ))
}
