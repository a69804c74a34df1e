//! Service (core/v1) to [`ServiceFact`].

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::num::NonZeroU16;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::annotations::Annotations;
use super::{Subject, Text, boxed, missing, text};
use crate::bgp::types::Family;
use crate::facts::{
    Asks, ConditionFact, FamilyPolicy, IngressFact, Port, ServiceFact, ServiceKey, TrafficPolicy,
    Transport,
};
use crate::k8s::FIELD_MANAGER;

/// Condition type in a Service's status: what Loods decided about it.
pub const ALLOCATED: &str = "loods.io/Allocated";

/// All Services of type LoadBalancer. One whose type changes is reported as deleted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Services;

impl Subject for Services {
    type Fact = ServiceFact;
    type Key = ServiceKey;
    const PLURAL: &'static str = "services";

    fn path(&self) -> String {
        "/api/v1/services".into()
    }

    fn field_selector(&self) -> Option<String> {
        Some("spec.type=LoadBalancer".into())
    }

    fn page(&self) -> u32 {
        500
    }

    fn fact(&self, json: &str) -> serde_json::Result<Option<ServiceFact>> {
        fact(serde_json::from_str(json)?).map(Some)
    }

    fn key(namespace: &str, name: &str) -> ServiceKey {
        ServiceKey::new(namespace, name)
    }
}

#[derive(Deserialize)]
struct Service<'a> {
    #[serde(borrow)]
    metadata: Meta<'a>,
    #[serde(borrow)]
    spec: Option<Spec<'a>>,
    #[serde(borrow)]
    status: Option<Status<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Meta<'a> {
    #[serde(borrow)]
    name: Option<Text<'a>>,
    #[serde(borrow)]
    namespace: Option<Text<'a>>,
    #[serde(borrow)]
    uid: Option<Text<'a>>,
    #[serde(borrow)]
    resource_version: Option<Text<'a>>,
    #[serde(borrow)]
    creation_timestamp: Option<Text<'a>>,
    deletion_timestamp: Option<IgnoredAny>,
    annotations: Option<Annotations>,
    #[serde(borrow)]
    managed_fields: Option<Vec<Managed<'a>>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct Spec<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Text<'a>>,
    #[serde(borrow)]
    load_balancer_class: Option<Text<'a>>,
    #[serde(borrow, rename = "loadBalancerIP")]
    load_balancer_ip: Option<Text<'a>>,
    #[serde(borrow)]
    external_traffic_policy: Option<Text<'a>>,
    health_check_node_port: Option<u16>,
    #[serde(borrow)]
    ip_families: Option<Vec<Text<'a>>>,
    #[serde(borrow)]
    ip_family_policy: Option<Text<'a>>,
    #[serde(borrow, rename = "clusterIP")]
    cluster_ip: Option<Text<'a>>,
    #[serde(borrow, rename = "clusterIPs")]
    cluster_ips: Option<Vec<Text<'a>>>,
    #[serde(borrow)]
    ports: Option<Vec<SpecPort<'a>>>,
    selector: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
struct SpecPort<'a> {
    port: Option<u16>,
    #[serde(borrow)]
    protocol: Option<Text<'a>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct Status<'a> {
    #[serde(borrow)]
    load_balancer: Option<LoadBalancer<'a>>,
    #[serde(borrow)]
    conditions: Option<Vec<Condition<'a>>>,
}

#[derive(Deserialize)]
struct LoadBalancer<'a> {
    #[serde(borrow)]
    ingress: Option<Vec<Ingress<'a>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Ingress<'a> {
    #[serde(borrow)]
    ip: Option<Text<'a>>,
    #[serde(borrow)]
    hostname: Option<Text<'a>>,
    #[serde(borrow)]
    ip_mode: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Condition<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Text<'a>>,
    #[serde(borrow)]
    status: Option<Text<'a>>,
    #[serde(borrow)]
    reason: Option<Text<'a>>,
    #[serde(borrow)]
    message: Option<Text<'a>>,
}

/// One entry of metadata.managedFields, so far as it tells who wrote
/// `status.loadBalancer`. The field set is a tree of objects whose keys are
/// field names after `f:`.
#[derive(Deserialize)]
struct Managed<'a> {
    #[serde(borrow)]
    manager: Option<Text<'a>>,
    #[serde(borrow)]
    subresource: Option<Text<'a>>,
    #[serde(rename = "fieldsV1")]
    fields: Option<Fields>,
}

#[derive(Deserialize)]
struct Fields {
    #[serde(rename = "f:status")]
    status: Option<StatusFields>,
}

#[derive(Deserialize)]
struct StatusFields {
    #[serde(rename = "f:loadBalancer")]
    load_balancer: Option<IgnoredAny>,
}

impl Managed<'_> {
    fn is_our_ingress(&self) -> bool {
        text(&self.manager) == FIELD_MANAGER
            && text(&self.subresource) == "status"
            && self
                .fields
                .as_ref()
                .and_then(|f| f.status.as_ref())
                .is_some_and(|s| s.load_balancer.is_some())
    }
}

fn fact(service: Service<'_>) -> serde_json::Result<ServiceFact> {
    let Service {
        metadata,
        spec,
        status,
    } = service;
    let (spec, status) = (spec.unwrap_or_default(), status.unwrap_or_default());
    let name = metadata.name.ok_or_else(|| missing("metadata.name"))?;
    let families = families(&spec);
    let ingress_is_ours = metadata
        .managed_fields
        .iter()
        .flatten()
        .any(Managed::is_our_ingress);
    let said = metadata.annotations.unwrap_or_default();
    Ok(ServiceFact {
        key: ServiceKey::new(text(&metadata.namespace), &name.0),
        uid: text(&metadata.uid).into(),
        resource_version: text(&metadata.resource_version).into(),
        created: seconds(text(&metadata.creation_timestamp)),
        deleting: metadata.deletion_timestamp.is_some(),
        load_balancer: text(&spec.kind) == "LoadBalancer",
        class: boxed(spec.load_balancer_class),
        policy: match text(&spec.external_traffic_policy) {
            "Local" => TrafficPolicy::Local,
            _ => TrafficPolicy::Cluster,
        },
        health_port: spec.health_check_node_port.and_then(NonZeroU16::new),
        families,
        family_policy: match text(&spec.ip_family_policy) {
            "PreferDualStack" => FamilyPolicy::PreferDualStack,
            "RequireDualStack" => FamilyPolicy::RequireDualStack,
            _ => FamilyPolicy::SingleStack,
        },
        ports: spec.ports.into_iter().flatten().filter_map(port).collect(),
        selector: selector(spec.selector),
        asks: Asks {
            // The API server keeps an emptied field as "".
            load_balancer_ip: boxed(spec.load_balancer_ip).filter(|ip| !ip.is_empty()),
            load_balancer_ips: said.load_balancer_ips.value(),
            pool: said.pool.value(),
            sharing_key: said.sharing_key.value(),
            terminating: said.terminating,
            reassign: said.reassign,
            orphan_attributes: said.orphan_attributes,
        },
        ingress: status
            .load_balancer
            .and_then(|lb| lb.ingress)
            .into_iter()
            .flatten()
            .map(ingress)
            .collect(),
        condition: status
            .conditions
            .into_iter()
            .flatten()
            .find(|c| text(&c.kind) == ALLOCATED)
            .map(condition),
        ingress_is_ours,
    })
}

fn families(spec: &Spec<'_>) -> Vec<Family> {
    let named = spec
        .ip_families
        .iter()
        .flatten()
        .filter_map(|family| match &*family.0 {
            "IPv4" => Some(Family::Ipv4),
            "IPv6" => Some(Family::Ipv6),
            _ => None,
        });
    let named: Vec<Family> = named.collect();
    if !named.is_empty() {
        return named;
    }
    // Servers before 1.20 have no ipFamilies. "None" is a headless Service's clusterIP.
    let many = spec.cluster_ips.as_deref().unwrap_or_default();
    let addresses = if many.is_empty() {
        spec.cluster_ip.as_slice()
    } else {
        many
    };
    addresses
        .iter()
        .filter_map(|ip| ip.0.parse().ok())
        .map(Family::of)
        .collect()
}

fn port(port: SpecPort<'_>) -> Option<Port> {
    let transport = match text(&port.protocol) {
        "" | "TCP" => Transport::Tcp,
        "UDP" => Transport::Udp,
        "SCTP" => Transport::Sctp,
        _ => return None,
    };
    Some(Port {
        transport,
        number: port.port?,
    })
}

fn selector(selector: Option<BTreeMap<String, String>>) -> Box<str> {
    let terms = selector.unwrap_or_default();
    let terms: Vec<String> = terms
        .into_iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    terms.join(",").into()
}

fn ingress(entry: Ingress<'_>) -> IngressFact {
    let ip: Option<IpAddr> = text(&entry.ip).parse().ok();
    let other = match ip {
        Some(_) => None,
        None => entry.hostname.or(entry.ip),
    };
    IngressFact {
        ip,
        other: boxed(other),
        vip: text(&entry.ip_mode) == "VIP",
    }
}

fn condition(condition: Condition<'_>) -> ConditionFact {
    ConditionFact {
        status: text(&condition.status) == "True",
        reason: text(&condition.reason).into(),
        message: text(&condition.message).into(),
    }
}

/// Seconds since 1970; 0, the oldest, for a time that does not parse.
fn seconds(time: &str) -> i64 {
    time.parse::<jiff::Timestamp>()
        .map_or(0, jiff::Timestamp::as_second)
}
