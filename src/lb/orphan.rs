//! How an orphan's address was announced while its pool was still there: the
//! text of annotation `loods.io/orphan-attributes`.
//!
//! ```text
//! 192.0.2.7/32 origin=igp local-pref=200 communities=64512:1,64512:2; 192.0.2.0/24 origin=igp
//! ```
//!
//! Routes stand with a semicolon between them. `local-pref` and `communities`
//! are left out where the pool had none; `none` says that it had no route at all.
//! The allocator writes it, the speakers read it, people may do both.

use std::fmt::Write;
use std::net::IpAddr;

use crate::bgp::types::{Attributes, Community, Origin, Prefix};
use crate::config::{Config, Protocol};

/// The text for a pool that announced nothing.
const NONE: &str = "none";

/// The routes that a configuration has for an address. `None`: no pool of it
/// has the address.
pub fn routes(config: &Config, address: IpAddr) -> Option<Vec<(Prefix, Attributes)>> {
    let pool = config.pool_of(address)?;
    if pool.protocol == Protocol::Layer2 {
        return Some(Vec::new());
    }
    let rules = pool.advertisements.iter();
    Some(
        rules
            .map(|rule| rule.announce(address, config.origin))
            .collect(),
    )
}

/// The text that records these routes.
pub fn encode(routes: &[(Prefix, Attributes)]) -> String {
    if routes.is_empty() {
        return NONE.into();
    }
    let mut text = String::new();
    for (prefix, attributes) in routes {
        if !text.is_empty() {
            text.push_str("; ");
        }
        let origin = match attributes.origin {
            Origin::Igp => "igp",
            Origin::Incomplete => "incomplete",
        };
        // Writing to a String does not fail.
        let _ = write!(text, "{prefix} origin={origin}");
        if let Some(local_pref) = attributes.local_pref {
            let _ = write!(text, " local-pref={local_pref}");
        }
        for (at, community) in attributes.communities.iter().enumerate() {
            let lead = if at == 0 { " communities=" } else { "," };
            let _ = write!(text, "{lead}{community}");
        }
    }
    text
}

/// The routes that the text records. `None` when it cannot be read: one route
/// that is not understood makes the whole text doubtful.
pub fn parse(text: &str) -> Option<Vec<(Prefix, Attributes)>> {
    if text.trim() == NONE {
        return Some(Vec::new());
    }
    text.split(';').map(route).collect()
}

fn route(text: &str) -> Option<(Prefix, Attributes)> {
    let mut words = text.split_whitespace();
    let prefix: Prefix = words.next()?.parse().ok()?;
    let mut attributes = Attributes::default();
    for word in words {
        let (key, value) = word.split_once('=')?;
        match key {
            "origin" => {
                attributes.origin = match value {
                    "igp" => Origin::Igp,
                    "incomplete" => Origin::Incomplete,
                    _ => return None,
                }
            }
            "local-pref" => attributes.local_pref = Some(value.parse().ok()?),
            "communities" => {
                attributes.communities = value.split(',').map(community).collect::<Option<_>>()?;
            }
            _ => return None,
        }
    }
    Some((prefix.trunc(), attributes))
}

fn community(text: &str) -> Option<Community> {
    let (high, low) = text.split_once(':')?;
    let (high, low): (u16, u16) = (high.parse().ok()?, low.parse().ok()?);
    Some(Community(u32::from(high) << 16 | u32::from(low)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn prefixes() -> impl Strategy<Value = Prefix> {
        let v4 = (any::<u32>(), 0..=32u8).prop_map(|(bits, length)| {
            Prefix::new_assert(std::net::Ipv4Addr::from_bits(bits).into(), length).trunc()
        });
        let v6 = (any::<u128>(), 0..=128u8).prop_map(|(bits, length)| {
            Prefix::new_assert(std::net::Ipv6Addr::from_bits(bits).into(), length).trunc()
        });
        prop_oneof![v4, v6]
    }

    fn attributes() -> impl Strategy<Value = Attributes> {
        let communities = proptest::collection::btree_set(any::<u32>().prop_map(Community), 0..4);
        (any::<bool>(), any::<Option<u32>>(), communities).prop_map(
            |(igp, local_pref, communities)| Attributes {
                origin: if igp { Origin::Igp } else { Origin::Incomplete },
                local_pref,
                communities,
            },
        )
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(routes in proptest::collection::vec((prefixes(), attributes()), 0..4)) {
            prop_assert_eq!(parse(&encode(&routes)), Some(routes));
        }

        #[test]
        fn any_text_is_survived(text in ".{0,80}") {
            let _ = parse(&text);
        }
    }

    #[test]
    fn it_reads_as_documented() {
        let text = "192.0.2.7/32 origin=igp local-pref=200 communities=64512:1,64512:2; 192.0.2.0/24 origin=igp";
        let routes = parse(text).expect("the documented text is read");
        assert_eq!(encode(&routes), text);
        assert_eq!(parse("none"), Some(vec![]));
    }

    #[test]
    fn what_is_not_understood_is_not_half_understood() {
        for text in [
            "",
            ";",
            "192.0.2.7",
            "192.0.2.7/32 med=3",
            "192.0.2.7/32 origin=egp",
            "192.0.2.7/32 communities=1",
            "192.0.2.7/32 communities=70000:1",
            "192.0.2.7/32 local-pref=-1",
            "192.0.2.7/32;",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
