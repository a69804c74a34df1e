//! Who announces an address, and how: one pure function.
//!
//! [`advertise`] answers two questions at once. *How* is an address announced
//! by whoever announces it? That follows from the configuration and the
//! Service's status, so every node of the cluster comes to the same answer.
//! *Does this node* announce it? That follows from the node, its endpoints and
//! its peers; where not, the [`Reason`] says why.
//!
//! It knows no other Service. What several Services of one prefix make of it
//! together is the work of [`prefixes`](super::prefixes).

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::num::NonZeroU16;

use super::backends::Presence;
use super::orphan;
use super::prefixes::{Route, merge};
use super::reason::Reason;
use crate::bgp::types::{Attributes, Community, Family, Origin, Prefix};
use crate::config::{Config, Peer, Protocol};
use crate::facts::{NodeFact, ServiceFact, TrafficPolicy};

/// The label by which users keep load balancers' traffic off a node. Any value
/// counts, as in Kubernetes itself.
pub const EXCLUDE_LABEL: &str = "node.kubernetes.io/exclude-from-external-load-balancers";

/// What announcing needs to know of one Service: the rest of it is not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// `metadata.uid`: tells a re-created Service from the old one.
    pub uid: Box<str>,
    /// Why the Service as a whole is not announced from any node of ours.
    pub refusal: Option<Reason>,
    /// The addresses in its status, in the order written, each once. Empty
    /// where there is a refusal.
    pub addresses: Box<[IpAddr]>,
    /// `spec.externalTrafficPolicy`.
    pub policy: TrafficPolicy,
    /// `spec.healthCheckNodePort`.
    pub health_port: Option<NonZeroU16>,
    /// Annotation `loods.io/terminating: keep`.
    pub keep_terminating: bool,
    /// What condition `loods.io/Allocated` says of the addresses.
    pub allocated: Allocated,
}

/// What the allocator says of a Service's addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Allocated {
    /// Nothing, or that a pool holds them: the configuration decides.
    Unmarked,
    /// True, reason Orphaned: in use, and their pool is gone. With the routes
    /// they had, where the annotation tells them.
    Orphaned(Option<Box<[(Prefix, Attributes)]>>),
    /// False: the Service has no allocation, whatever else its status holds.
    Refused,
}

/// What announcing needs to know of the node that it runs on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// The Node object and every first list are in.
    pub complete: bool,
    /// Condition NetworkUnavailable is True.
    pub network_unavailable: bool,
    /// Has [`EXCLUDE_LABEL`], and it is not to be ignored.
    pub excluded: bool,
    /// A peer of this node is reached over IPv4.
    pub ipv4_peer: bool,
    /// A peer of this node is reached over IPv6.
    pub ipv6_peer: bool,
    /// It has an IPv4 address, at which its proxy can be asked.
    pub ipv4_proxy: bool,
    /// It has an IPv6 address, at which its proxy can be asked.
    pub ipv6_proxy: bool,
}

/// By which right an address is announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grant {
    /// A pool of the configuration holds it.
    Pool,
    /// The status calls it an orphan.
    Orphan,
    /// It was granted before, and its pool went; the status has said nothing
    /// yet. What works is not broken meanwhile.
    Held,
}

/// What becomes of one address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict<R = Route> {
    /// The address.
    pub address: IpAddr,
    /// Its routes on whatever node announces it; each prefix once. Empty where
    /// no node may.
    pub routes: Box<[R]>,
    /// By which right it has them.
    pub grant: Option<Grant>,
    /// Why this node does not announce it; `None` = it does.
    pub refusal: Option<Reason>,
}

impl<R> Verdict<R> {
    /// The routes that this node sends for the address.
    pub fn announced(&self) -> &[R] {
        match self.refusal {
            None => &self.routes,
            Some(_) => &[],
        }
    }
}

impl Service {
    /// Reduces a Service. `class` is the `--lb-class` that we serve; without
    /// one, Services without a class are ours.
    pub fn of(fact: &ServiceFact, class: Option<&str>) -> Self {
        let mut addresses = Vec::with_capacity(fact.ingress.len());
        for address in fact.ingress.iter().filter_map(|entry| entry.ip) {
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        let refusal = if !fact.load_balancer {
            Some(Reason::NotLoadBalancer)
        } else if fact.class.as_deref() != class {
            Some(Reason::OtherClass)
        } else if fact.ingress.is_empty() {
            Some(Reason::NoIpAllocated)
        } else if addresses.is_empty() {
            Some(Reason::InvalidIp)
        } else {
            None
        };
        if refusal.is_some() {
            addresses.clear();
        }
        let allocated = match &fact.condition {
            Some(condition) if !condition.status => Allocated::Refused,
            Some(condition) if &*condition.reason == "Orphaned" => Allocated::Orphaned(
                fact.asks
                    .orphan_attributes
                    .as_deref()
                    .and_then(orphan::parse)
                    .map(Vec::into_boxed_slice),
            ),
            _ => Allocated::Unmarked,
        };
        Self {
            uid: fact.uid.clone(),
            refusal,
            addresses: addresses.into(),
            policy: fact.policy,
            health_port: fact.health_port,
            keep_terminating: fact.asks.terminating.as_deref() == Some("keep"),
            allocated,
        }
    }
}

impl Node {
    /// Reduces a Node and the peers that it speaks to.
    pub fn of<'a>(
        fact: &NodeFact,
        ignore_exclude_lb: bool,
        peers: impl IntoIterator<Item = &'a Peer>,
    ) -> Self {
        let families: BTreeSet<Family> = peers
            .into_iter()
            .map(|peer| Family::of(peer.address))
            .collect();
        Self {
            complete: true,
            network_unavailable: fact.network_unavailable,
            excluded: !ignore_exclude_lb && fact.labels.contains_key(EXCLUDE_LABEL),
            ipv4_peer: families.contains(&Family::Ipv4),
            ipv6_peer: families.contains(&Family::Ipv6),
            ipv4_proxy: fact.addresses.iter().any(IpAddr::is_ipv4),
            ipv6_proxy: fact.addresses.iter().any(IpAddr::is_ipv6),
        }
    }

    fn has_peer(&self, family: Family) -> bool {
        match family {
            Family::Ipv4 => self.ipv4_peer,
            Family::Ipv6 => self.ipv6_peer,
        }
    }

    /// Whether the node's proxy can be asked about addresses of a family.
    pub fn has_proxy(&self, family: Family) -> bool {
        match family {
            Family::Ipv4 => self.ipv4_proxy,
            Family::Ipv6 => self.ipv6_proxy,
        }
    }
}

/// Decides on one address of a Service.
///
/// `endpoints` are those of the address's family. `held` are the routes that
/// the same Service had for it when last decided; empty if none.
pub fn advertise(
    service: &Service,
    address: IpAddr,
    endpoints: Presence,
    node: &Node,
    config: &Config,
    held: &[Route],
) -> Verdict<(Prefix, Attributes)> {
    let (grant, routes) = match granted(service, address, config, held) {
        Ok(granted) => granted,
        Err(reason) => {
            return Verdict {
                address,
                routes: Box::default(),
                grant: None,
                refusal: Some(reason),
            };
        }
    };
    let refusal = refused_by_node(node)
        .or_else(|| refused_by_endpoints(service, endpoints))
        .or_else(|| (!node.has_peer(Family::of(address))).then_some(Reason::NoSessionForFamily));
    Verdict {
        address,
        routes: routes.into_iter().collect(),
        grant: Some(grant),
        refusal,
    }
}

type Routes = BTreeMap<Prefix, Attributes>;

/// The routes of an address on whatever node announces it, or why none may.
fn granted(
    service: &Service,
    address: IpAddr,
    config: &Config,
    held: &[Route],
) -> Result<(Grant, Routes), Reason> {
    if let Some(reason) = service.refusal {
        return Err(reason);
    }
    if let Some(pool) = config.pool_of(address) {
        return match pool.protocol {
            Protocol::Layer2 => Err(Reason::PoolIsLayer2),
            Protocol::Bgp => {
                let rules = pool.advertisements.iter();
                let routes = collect(rules.map(|rule| rule.announce(address, config.origin)));
                Ok((Grant::Pool, routes))
            }
        };
    }
    let last = || {
        collect(
            held.iter()
                .map(|(prefix, attributes)| (*prefix, (**attributes).clone())),
        )
    };
    match &service.allocated {
        // The pool that is gone announced nothing: there is nothing to go on with.
        Allocated::Orphaned(Some(known)) if known.is_empty() => Err(Reason::PoolIsLayer2),
        Allocated::Orphaned(known) => {
            let of_address = known
                .iter()
                .flatten()
                .filter(|(prefix, _)| prefix.contains(&address));
            let mut routes = collect(of_address.cloned());
            if routes.is_empty() {
                routes = last();
            }
            if routes.is_empty() {
                routes = unknown(address, config.origin);
            }
            Ok((Grant::Orphan, routes))
        }
        Allocated::Unmarked if !held.is_empty() => Ok((Grant::Held, last())),
        Allocated::Unmarked | Allocated::Refused => Err(Reason::AddressNotInPool),
    }
}

/// Each prefix once: rules of one aggregation length are one route.
fn collect(routes: impl IntoIterator<Item = (Prefix, Attributes)>) -> Routes {
    let mut merged = Routes::new();
    for (prefix, attributes) in routes {
        merged
            .entry(prefix)
            .and_modify(|known| merge(known, &attributes))
            .or_insert(attributes);
    }
    merged
}

/// An orphan whose attributes nobody knows any more: reachable from the
/// routers next to us, and kept from travelling further by mistake.
fn unknown(address: IpAddr, origin: Origin) -> Routes {
    let attributes = Attributes {
        origin,
        local_pref: None,
        communities: BTreeSet::from([Community::NO_EXPORT]),
    };
    Routes::from([(Prefix::from(address), attributes)])
}

fn refused_by_node(node: &Node) -> Option<Reason> {
    if !node.complete {
        Some(Reason::Incomplete)
    } else if node.network_unavailable {
        Some(Reason::NodeNetworkUnavailable)
    } else if node.excluded {
        Some(Reason::NodeLabeledExcludeBalancers)
    } else {
        None
    }
}

/// Kubernetes marks endpoints of a Service with publishNotReadyAddresses as
/// ready itself, so they need no rule here.
fn refused_by_endpoints(service: &Service, seen: Presence) -> Option<Reason> {
    match service.policy {
        TrafficPolicy::Local => {
            // kube-proxy sends to terminating endpoints of this node while it
            // has no ready one: as long as no other node can take over, the
            // route is better than none.
            let last_resort =
                seen.serving_here && (service.keep_terminating || !seen.ready_elsewhere);
            if !seen.ready_here && !last_resort {
                Some(Reason::NoLocalEndpoints)
            } else if seen.proxy_behind && seen.ready_here && seen.ready_elsewhere {
                // What came here now would be dropped, and others serve it.
                Some(Reason::ProxyNotReady)
            } else {
                None
            }
        }
        TrafficPolicy::Cluster => {
            let ready = seen.ready_here || seen.ready_elsewhere;
            let serving = seen.serving_here || seen.serving_elsewhere;
            (!ready && !serving).then_some(Reason::NoEndpoints)
        }
    }
}

#[cfg(test)]
mod tests;
