//! Why a Service gets no address: a word for programs, a text for people.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use crate::bgp::types::Family;

use super::terms::Blocker;

/// Why not. `Display` says all, with how full the pools are now; it is for Events,
/// logs and `/state`. [`Refusal::summary`] leaves the counts out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A text that should be an address is not.
    Unparsable {
        /// Where it stands.
        field: &'static str,
        /// The piece that does not parse.
        value: Box<str>,
    },
    /// Addresses are asked for in two places.
    AskedTwice,
    /// Two addresses of one family are asked for.
    TwoOfOneFamily {
        /// The first.
        first: IpAddr,
        /// The second.
        second: IpAddr,
    },
    /// An asked address is of a family that the Service does not have.
    FamilyNotOfService {
        /// As asked.
        address: IpAddr,
        /// `spec.ipFamilies`.
        families: Vec<Family>,
    },
    /// The Service has neither ipFamilies nor a cluster IP.
    NoFamily,
    /// RequireDualStack, but the Service has one family.
    OneFamilyOnly {
        /// This one.
        has: Family,
    },
    /// RequireDualStack, but one address asked for.
    SecondNotAsked {
        /// This one.
        address: IpAddr,
    },
    /// Annotation `address-pool` names no pool.
    UnknownPool {
        /// As written.
        name: Box<str>,
        /// The pools that there are.
        known: Vec<Arc<str>>,
    },
    /// An asked address is in no pool.
    NotInPool {
        /// As asked.
        address: IpAddr,
        /// The pools that there are.
        known: Vec<Arc<str>>,
    },
    /// An asked address is in another pool than the asked one.
    NotInAskedPool {
        /// As asked.
        address: IpAddr,
        /// Annotation `address-pool`.
        asked: Box<str>,
        /// Where the address is.
        pool: Arc<str>,
    },
    /// Two asked addresses are in two pools.
    TwoPools {
        /// The first, and its pool.
        first: (IpAddr, Arc<str>),
        /// The second, and its pool.
        second: (IpAddr, Arc<str>),
    },
    /// An asked address is held by a Service that cannot share it.
    InUse {
        /// As asked.
        address: IpAddr,
        /// Its pool.
        pool: Option<Arc<str>>,
        /// Who, and the rule.
        blocker: Blocker,
    },
    /// No pool may be used without being asked for.
    NoAutomaticPool {
        /// The pools that there are.
        known: Vec<Arc<str>>,
    },
    /// No pool that may be used has addresses of the family, or of both.
    NoPoolOfFamily {
        /// Which are needed.
        families: Vec<Family>,
        /// The pools that may be used.
        looked_at: Vec<Arc<str>>,
    },
    /// All pools that may be used are full.
    Exhausted {
        /// Which are needed, from one pool.
        families: Vec<Family>,
        /// How full they are.
        fullness: Vec<(Arc<str>, Fullness)>,
    },
}

/// How many addresses of one family a pool gives out, and how many are held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fullness {
    /// Which.
    pub family: Family,
    /// Held, by whomever.
    pub in_use: u128,
    /// Given out at most; those that `avoid-buggy-ips` skips not counted.
    pub total: u128,
}

impl Refusal {
    /// The reason in one word: in the condition, the Event's note, metrics, `/state`.
    pub fn word(&self) -> &'static str {
        match self {
            Refusal::Unparsable { .. } => "unparsableAddress",
            Refusal::AskedTwice => "addressAskedTwice",
            Refusal::TwoOfOneFamily { .. } => "twoAddressesOfOneFamily",
            Refusal::FamilyNotOfService { .. } => "familyNotOfService",
            Refusal::NoFamily => "noFamily",
            Refusal::OneFamilyOnly { .. } => "oneFamilyOnly",
            Refusal::SecondNotAsked { .. } => "secondAddressNotAsked",
            Refusal::UnknownPool { .. } => "unknownPool",
            Refusal::NotInPool { .. } => "addressNotInPool",
            Refusal::NotInAskedPool { .. } => "addressNotInAskedPool",
            Refusal::TwoPools { .. } => "addressesOfTwoPools",
            Refusal::InUse { .. } => "addressInUse",
            Refusal::NoAutomaticPool { .. } => "noAutomaticPool",
            Refusal::NoPoolOfFamily { .. } => "noPoolOfFamily",
            Refusal::Exhausted { .. } => "poolExhausted",
        }
    }

    /// The explanation without what changes while the reason stays: it stands
    /// in the Service's condition, and must not be rewritten in every waiting
    /// Service each time that a pool's count changes.
    pub fn summary(&self) -> String {
        match self {
            Refusal::Exhausted { families, fullness } => {
                let mut pools: Vec<_> = fullness.iter().map(|(name, _)| Arc::clone(name)).collect();
                pools.dedup();
                format!(
                    "{} is free in {}; add addresses to a pool or delete a Service",
                    no_address(families),
                    pools_named(&pools),
                )
            }
            other => other.to_string(),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Unparsable { field, value } => write!(
                f,
                "{field} has {value:?}, which is no IP address; write addresses like 192.0.2.1 or 2001:db8::1, with commas between them"
            ),
            Refusal::AskedTwice => f.write_str(
                "addresses are asked for in spec.loadBalancerIP and in annotation loadBalancerIPs; remove one of them",
            ),
            Refusal::TwoOfOneFamily { first, second } => write!(
                f,
                "{first} and {second} are of one family; ask for at most one address of each"
            ),
            Refusal::FamilyNotOfService { address, families } => write!(
                f,
                "{address} is asked for, but the Service has {} only; change spec.ipFamilies or the address",
                families_and(families)
            ),
            Refusal::NoFamily => f.write_str(
                "the Service has neither spec.ipFamilies nor spec.clusterIPs, so its family is unknown",
            ),
            Refusal::OneFamilyOnly { has } => write!(
                f,
                "spec.ipFamilyPolicy is RequireDualStack, but spec.ipFamilies has {has} only"
            ),
            Refusal::SecondNotAsked { address } => write!(
                f,
                "spec.ipFamilyPolicy is RequireDualStack, but only {address} is asked for; ask for one address of each family"
            ),
            Refusal::UnknownPool { name, known } => write!(
                f,
                "annotation address-pool names {name:?}, which is no pool; there is {}",
                pools_named(known)
            ),
            Refusal::NotInPool { address, known } => write!(
                f,
                "{address} is asked for, but no pool has it; there is {}",
                pools_named(known)
            ),
            Refusal::NotInAskedPool {
                address,
                asked,
                pool,
            } => write!(
                f,
                "{address} is asked for and annotation address-pool names {asked:?}, but the address is in pool {pool:?}"
            ),
            Refusal::TwoPools { first, second } => write!(
                f,
                "{} is in pool {:?} and {} in pool {:?}; both addresses of a Service must be of one pool",
                first.0, first.1, second.0, second.1
            ),
            Refusal::InUse {
                address,
                pool,
                blocker,
            } => {
                write!(f, "{address}")?;
                if let Some(pool) = pool {
                    write!(f, " of pool {pool:?}")?;
                }
                write!(
                    f,
                    " is in use by Service {}: {}",
                    blocker.service, blocker.rule
                )
            }
            Refusal::NoAutomaticPool { known } if known.is_empty() => {
                f.write_str("the configuration has no pool")
            }
            Refusal::NoAutomaticPool { known } => write!(
                f,
                "no pool is given out without being asked for (auto-assign: false); name one in annotation metallb.io/address-pool; there is {}",
                pools_named(known)
            ),
            Refusal::NoPoolOfFamily {
                families,
                looked_at,
            } => write!(
                f,
                "{} is needed{}, but {} has none",
                families_and(families),
                if families.len() > 1 {
                    " from one pool"
                } else {
                    ""
                },
                pools_named(looked_at)
            ),
            Refusal::Exhausted { families, fullness } => {
                write!(f, "{} is free:", no_address(families))?;
                for (at, (name, full)) in fullness.iter().enumerate() {
                    let comma = if at > 0 { "," } else { "" };
                    write!(
                        f,
                        "{comma} pool {name:?} has {} of {} {} addresses in use",
                        full.in_use, full.total, full.family
                    )?;
                }
                f.write_str("; add addresses to a pool or delete a Service")
            }
        }
    }
}

fn no_address(families: &[Family]) -> String {
    match families {
        [one] => format!("no {one} address"),
        many => format!("no pair of {} addresses of one pool", families_and(many)),
    }
}

fn families_and(families: &[Family]) -> String {
    let names: Vec<_> = families.iter().map(Family::to_string).collect();
    names.join(" and ")
}

/// At most this many pools are listed by name in a text.
const LISTED: usize = 16;

fn pools_named(names: &[Arc<str>]) -> String {
    if names.is_empty() {
        return "no pool".into();
    }
    let listed: Vec<_> = names
        .iter()
        .take(LISTED)
        .map(|n| format!("{n:?}"))
        .collect();
    let more = match names.len() - listed.len() {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let noun = if names.len() == 1 { "pool" } else { "pools" };
    format!("{noun} {}{more}", listed.join(", "))
}
