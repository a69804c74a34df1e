//! The cluster's objects, reduced to what decisions need. The shell translates
//! API objects to these at its edge; nothing further in knows Kubernetes types.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::num::NonZeroU16;
use std::sync::Arc;

use crate::bgp::types::Family;

/// What a watch says about one kind of object. A (re)list comes as `Begin`,
/// one `Apply` for each object, `End`: what was not applied in between is gone.
#[derive(Clone, Debug)]
pub enum Event<T, K> {
    /// The server's history went backwards (etcd was restored): a version known
    /// so far compares with none that follows. A list follows.
    Rewound,
    /// A list begins.
    Begin,
    /// The object is there, as given.
    Apply(T),
    /// The object is gone, or no longer one of those that are watched; and its
    /// version since, if the watch told. Which of the two, a watch does not tell.
    Delete(K, Box<str>),
    /// The list is complete.
    End,
}

/// `namespace/name` of a Service; ordered by namespace, then name.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ServiceKey(Arc<str>);

impl ServiceKey {
    /// From its two parts.
    pub fn new(namespace: &str, name: &str) -> Self {
        Self(format!("{namespace}/{name}").into())
    }

    /// The part before the slash.
    pub fn namespace(&self) -> &str {
        self.0
            .split_once('/')
            .map_or("", |(namespace, _)| namespace)
    }

    /// The part after the slash.
    pub fn name(&self) -> &str {
        self.0.split_once('/').map_or(&self.0, |(_, name)| name)
    }
}

impl fmt::Display for ServiceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ServiceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Ord for ServiceKey {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.namespace(), self.name()).cmp(&(other.namespace(), other.name()))
    }
}

impl PartialOrd for ServiceKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// A Service of type LoadBalancer, or one that was: watches with the field
/// selector `spec.type=LoadBalancer` report the change of type as a deletion.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceFact {
    /// Namespace and name.
    pub key: ServiceKey,
    /// `metadata.uid`: tells a re-created Service from the old one.
    pub uid: Box<str>,
    /// `metadata.resourceVersion`, for writes that must not overtake a change.
    pub resource_version: Box<str>,
    /// `metadata.creationTimestamp`, seconds since 1970.
    pub created: i64,
    /// `metadata.deletionTimestamp` is set.
    pub deleting: bool,
    /// `spec.type` is LoadBalancer.
    pub load_balancer: bool,
    /// `spec.loadBalancerClass`.
    pub class: Option<Box<str>>,
    /// `spec.externalTrafficPolicy`.
    pub policy: TrafficPolicy,
    /// `spec.healthCheckNodePort`: where each node's proxy says whether it sends
    /// to a pod of its own. Of policy Local alone.
    pub health_port: Option<NonZeroU16>,
    /// `spec.ipFamilies`, primary first; families of `spec.clusterIPs` where absent.
    pub families: Vec<Family>,
    /// `spec.ipFamilyPolicy`.
    pub family_policy: FamilyPolicy,
    /// `spec.ports`.
    pub ports: Vec<Port>,
    /// `spec.selector` as `key=value,key=value`, sorted by key.
    pub selector: Box<str>,
    /// What the user asks of us, as written: spec.loadBalancerIP and annotations.
    pub asks: Asks,
    /// `status.loadBalancer.ingress`, entries as written.
    pub ingress: Vec<IngressFact>,
    /// Condition `loods.io/Allocated` in `status.conditions`.
    pub condition: Option<ConditionFact>,
    /// metadata.managedFields: we wrote `status.loadBalancer` last.
    pub ingress_is_ours: bool,
}

impl Default for ServiceKey {
    fn default() -> Self {
        Self::new("", "")
    }
}

/// Annotations and fields by which a user steers one Service, as raw texts.
/// Both prefixes are read, `metallb.io` before `metallb.universe.tf`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asks {
    /// `spec.loadBalancerIP`.
    pub load_balancer_ip: Option<Box<str>>,
    /// Annotation `loadBalancerIPs`: a list with commas.
    pub load_balancer_ips: Option<Box<str>>,
    /// Annotation `address-pool`.
    pub pool: Option<Box<str>>,
    /// Annotation `allow-shared-ip`: the sharing key. Empty = not set.
    pub sharing_key: Option<Box<str>>,
    /// Annotation `loods.io/terminating` as written; `keep` has a meaning.
    pub terminating: Option<Box<str>>,
    /// Annotation `loods.io/reassign` as written; `true` has a meaning.
    pub reassign: Option<Box<str>>,
    /// Annotation `loods.io/orphan-attributes`: how an orphan's address was announced
    /// when its pool was still there. Written by the allocator.
    pub orphan_attributes: Option<Box<str>>,
}

/// One entry of `status.loadBalancer.ingress`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IngressFact {
    /// `ip`, if it parses as one.
    pub ip: Option<IpAddr>,
    /// `hostname` or an unparsable `ip`, as written.
    pub other: Option<Box<str>>,
    /// `ipMode` is VIP.
    pub vip: bool,
}

/// Our condition as it stands in the status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConditionFact {
    /// `status` is "True".
    pub status: bool,
    /// `reason`, a word.
    pub reason: Box<str>,
    /// `message`: the pool when True, else the explanation.
    pub message: Box<str>,
}

/// `spec.externalTrafficPolicy`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TrafficPolicy {
    /// Any node forwards to any pod.
    #[default]
    Cluster,
    /// A node forwards to its own pods only; the client's address is kept.
    Local,
}

/// `spec.ipFamilyPolicy`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum FamilyPolicy {
    /// One family.
    #[default]
    SingleStack,
    /// Both where possible.
    PreferDualStack,
    /// Both or nothing.
    RequireDualStack,
}

/// A Service port as sharing sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Port {
    /// `protocol`.
    pub transport: Transport,
    /// `port`.
    pub number: u16,
}

/// `spec.ports[].protocol`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)] // the names are the documentation
pub enum Transport {
    Tcp,
    Udp,
    Sctp,
}

/// Identifies an EndpointSlice: namespace/name.
pub type SliceKey = ServiceKey;

/// An EndpointSlice, reduced for one node while it was decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SliceFact {
    /// Namespace and name of the slice itself.
    pub key: SliceKey,
    /// The Service it belongs to: label `kubernetes.io/service-name`.
    pub service: ServiceKey,
    /// `addressType`; FQDN slices are not passed on.
    pub family: Family,
    /// Endpoints on this node.
    pub here: Endpoints,
    /// Endpoints on other nodes, or on none.
    pub elsewhere: Endpoints,
}

/// How many endpoints can take connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Endpoints {
    /// Condition `ready` true or absent.
    pub ready: u16,
    /// Not ready, but `serving` (and so terminating): they still answer.
    pub serving: u16,
}

/// The speaker's own Node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeFact {
    /// `metadata.name`.
    pub name: Box<str>,
    /// `metadata.labels`.
    pub labels: BTreeMap<Box<str>, Box<str>>,
    /// Condition NetworkUnavailable is True.
    pub network_unavailable: bool,
    /// `status.addresses` of type InternalIP, in their order.
    pub addresses: Vec<IpAddr>,
}
