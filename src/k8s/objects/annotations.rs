//! The annotations by which a user steers one Service.

use std::fmt;

use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::Text;

/// Annotation: how an orphan's address was announced. Written by the allocator.
pub const ORPHAN_ATTRIBUTES: &str = "loods.io/orphan-attributes";
/// Annotation: the user asks for another address. Removed once obeyed.
pub const REASSIGN: &str = "loods.io/reassign";
/// Annotation: what to do while all endpoints are terminating.
pub const TERMINATING: &str = "loods.io/terminating";

/// An annotation under MetalLB's two prefixes. The later prefix wins, as in MetalLB.
#[derive(Default)]
pub(super) struct Twice {
    metallb_io: Option<Box<str>>,
    universe_tf: Option<Box<str>>,
}

impl Twice {
    pub(super) fn value(self) -> Option<Box<str>> {
        self.metallb_io.or(self.universe_tf)
    }
}

/// The annotations we read; others, which may be long, are not even copied.
#[derive(Default)]
pub(super) struct Annotations {
    pub(super) load_balancer_ips: Twice,
    pub(super) pool: Twice,
    pub(super) sharing_key: Twice,
    pub(super) terminating: Option<Box<str>>,
    pub(super) reassign: Option<Box<str>>,
    pub(super) orphan_attributes: Option<Box<str>>,
}

impl Annotations {
    fn slot(&mut self, key: &str) -> Option<&mut Option<Box<str>>> {
        match key {
            TERMINATING => return Some(&mut self.terminating),
            REASSIGN => return Some(&mut self.reassign),
            ORPHAN_ATTRIBUTES => return Some(&mut self.orphan_attributes),
            _ => {}
        }
        let (prefix, word) = key.split_once('/')?;
        let twice = match word {
            "loadBalancerIPs" => &mut self.load_balancer_ips,
            "address-pool" => &mut self.pool,
            "allow-shared-ip" => &mut self.sharing_key,
            _ => return None,
        };
        match prefix {
            "metallb.io" => Some(&mut twice.metallb_io),
            "metallb.universe.tf" => Some(&mut twice.universe_tf),
            _ => None,
        }
    }
}

impl<'de> Deserialize<'de> for Annotations {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pick;
        impl<'de> Visitor<'de> for Pick {
            type Value = Annotations;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of annotations")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Annotations, M::Error> {
                let mut picked = Annotations::default();
                while let Some(key) = map.next_key::<Text<'de>>()? {
                    match picked.slot(&key.0) {
                        Some(slot) => *slot = map.next_value()?,
                        None => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                Ok(picked)
            }
        }
        deserializer.deserialize_map(Pick)
    }
}
