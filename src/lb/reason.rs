//! Why an address is not announced from this node, in one word.
//!
//! The same word stands in the log, the note of an Event, the metric, `/state`
//! and the command line, so that one search finds all of them. Where MetalLB
//! has a word for the same thing, it is that word.

use std::fmt;

/// Why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// `spec.type` is not LoadBalancer (any more).
    NotLoadBalancer,
    /// `spec.loadBalancerClass` names another implementation.
    OtherClass,
    /// `status.loadBalancer.ingress` is empty.
    NoIpAllocated,
    /// No entry of `status.loadBalancer.ingress` has an address that parses.
    InvalidIp,
    /// No pool holds the address and the status does not mark it as an orphan.
    AddressNotInPool,
    /// The pool that holds the address has `protocol: layer2`.
    PoolIsLayer2,
    /// The configuration, this node or a list of objects has not been read yet.
    Incomplete,
    /// Node condition NetworkUnavailable is True.
    NodeNetworkUnavailable,
    /// The node is labelled `node.kubernetes.io/exclude-from-external-load-balancers`.
    NodeLabeledExcludeBalancers,
    /// Policy Local, and no endpoint on this node takes connections.
    NoLocalEndpoints,
    /// Policy Local, an endpoint on this node has become ready, and the node's
    /// proxy does not send to it yet; other nodes serve meanwhile.
    ProxyNotReady,
    /// No endpoint anywhere takes connections.
    NoEndpoints,
    /// No peer of this node is reached over the address's own family.
    NoSessionForFamily,
    /// Deciding failed: a fault in Loods. The last announcement stays.
    InternalError,
}

impl Reason {
    /// Every reason, in the order in which they are looked for.
    pub const ALL: [Reason; 14] = [
        Reason::NotLoadBalancer,
        Reason::OtherClass,
        Reason::NoIpAllocated,
        Reason::InvalidIp,
        Reason::AddressNotInPool,
        Reason::PoolIsLayer2,
        Reason::Incomplete,
        Reason::NodeNetworkUnavailable,
        Reason::NodeLabeledExcludeBalancers,
        Reason::NoLocalEndpoints,
        Reason::ProxyNotReady,
        Reason::NoEndpoints,
        Reason::NoSessionForFamily,
        Reason::InternalError,
    ];

    /// The word, as users and their alerts know it.
    pub const fn word(self) -> &'static str {
        match self {
            Reason::NotLoadBalancer => "notLoadBalancer",
            Reason::OtherClass => "otherClass",
            Reason::NoIpAllocated => "noIPAllocated",
            Reason::InvalidIp => "invalidIP",
            Reason::AddressNotInPool => "addressNotInPool",
            Reason::PoolIsLayer2 => "poolIsLayer2",
            Reason::Incomplete => "incomplete",
            Reason::NodeNetworkUnavailable => "nodeNetworkUnavailable",
            Reason::NodeLabeledExcludeBalancers => "nodeLabeledExcludeBalancers",
            Reason::NoLocalEndpoints => "noLocalEndpoints",
            Reason::ProxyNotReady => "proxyNotReady",
            Reason::NoEndpoints => "noEndpoints",
            Reason::NoSessionForFamily => "noSessionForFamily",
            Reason::InternalError => "internalError",
        }
    }

    /// What is the case and what would mend it, for the person on call.
    pub fn meaning(self) -> &'static str {
        match self {
            Reason::NotLoadBalancer => "the Service is not of type LoadBalancer",
            Reason::OtherClass => {
                "spec.loadBalancerClass names another implementation; Loods serves the class of --lb-class, or Services without one"
            }
            Reason::NoIpAllocated => {
                "the Service has no address yet; its condition loods.io/Allocated says why"
            }
            Reason::InvalidIp => {
                "status.loadBalancer.ingress holds no IP address; another product may have written it"
            }
            Reason::AddressNotInPool => {
                "no pool of the configuration holds the address and the status does not call it an orphan; add it to a pool, or let the allocator give another"
            }
            Reason::PoolIsLayer2 => {
                "the pool has protocol layer2, and Loods announces by BGP only; set protocol: bgp"
            }
            Reason::Incomplete => {
                "the configuration, this node's Node object or the first list of Services or EndpointSlices is not in yet"
            }
            Reason::NodeNetworkUnavailable => {
                "the node's condition NetworkUnavailable is True; its network plugin clears it when the node can forward"
            }
            Reason::NodeLabeledExcludeBalancers => {
                "the node has the label node.kubernetes.io/exclude-from-external-load-balancers; remove it, or run with --ignore-exclude-lb"
            }
            Reason::NoLocalEndpoints => {
                "externalTrafficPolicy is Local and no ready endpoint of the address's family is on this node"
            }
            Reason::ProxyNotReady => {
                "a pod on this node is ready, and kube-proxy here does not send to it yet, as the Service's health check node port says; other nodes serve until it does"
            }
            Reason::NoEndpoints => "no endpoint of the address's family is ready on any node",
            Reason::NoSessionForFamily => {
                "no peer for this node has a peer-address of the address's family; routes travel over sessions of their own family"
            }
            Reason::InternalError => {
                "deciding on this Service failed inside Loods; what was announced stays; please report it"
            }
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_listed_once_in_order_and_has_its_own_word() {
        assert!(Reason::ALL.is_sorted());
        let words: std::collections::BTreeSet<_> = Reason::ALL.map(Reason::word).into();
        assert_eq!(words.len(), Reason::ALL.len());
        // The last variant's place counts them: a new one must be listed too.
        assert_eq!(Reason::InternalError as usize + 1, Reason::ALL.len());
    }
}
