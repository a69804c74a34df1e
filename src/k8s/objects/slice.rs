//! EndpointSlice (discovery.k8s.io/v1) to [`SliceFact`], reduced for one node.
//!
//! Kubernetes' rules for absent conditions: `ready` absent means ready,
//! `serving` absent means the same as ready. publishNotReadyAddresses needs no
//! care here, since the slice controller then marks its endpoints ready.

use serde::{Deserialize, Deserializer};

use super::{Subject, Text, missing, text};
use crate::bgp::types::Family;
use crate::facts::{Endpoints, ServiceKey, SliceFact, SliceKey};

/// Slices of all Services, counted as seen from one node.
#[derive(Clone, Debug)]
pub struct Slices {
    /// The node that counts as `here`. "": none does.
    pub node: Box<str>,
}

impl Subject for Slices {
    type Fact = SliceFact;
    type Key = SliceKey;
    const PLURAL: &'static str = "endpointslices";

    fn path(&self) -> String {
        "/apis/discovery.k8s.io/v1/endpointslices".into()
    }

    fn field_selector(&self) -> Option<String> {
        None
    }

    /// A slice may hold 1,000 endpoints: some 300 kB.
    fn page(&self) -> u32 {
        100
    }

    fn fact(&self, json: &str) -> serde_json::Result<Option<SliceFact>> {
        fact(&serde_json::from_str(json)?, &self.node)
    }

    fn key(namespace: &str, name: &str) -> SliceKey {
        SliceKey::new(namespace, name)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Slice<'a> {
    #[serde(borrow)]
    metadata: Meta<'a>,
    #[serde(borrow)]
    address_type: Option<Text<'a>>,
    #[serde(borrow)]
    endpoints: Option<Vec<Endpoint<'a>>>,
}

#[derive(Deserialize)]
struct Meta<'a> {
    #[serde(borrow)]
    name: Option<Text<'a>>,
    #[serde(borrow)]
    namespace: Option<Text<'a>>,
    #[serde(borrow)]
    labels: Option<Labels<'a>>,
}

#[derive(Deserialize)]
struct Labels<'a> {
    #[serde(borrow, rename = "kubernetes.io/service-name")]
    service: Option<Text<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Endpoint<'a> {
    #[serde(borrow)]
    node_name: Option<Text<'a>>,
    #[serde(default, deserialize_with = "null_is_default")]
    conditions: Conditions,
}

#[derive(Deserialize, Default)]
struct Conditions {
    ready: Option<bool>,
    serving: Option<bool>,
}

fn null_is_default<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Conditions, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

fn fact(slice: &Slice<'_>, node: &str) -> serde_json::Result<Option<SliceFact>> {
    let meta = &slice.metadata;
    let family = match text(&slice.address_type) {
        "IPv4" => Family::Ipv4,
        "IPv6" => Family::Ipv6,
        _ => return Ok(None),
    };
    let name = meta.name.as_ref().ok_or_else(|| missing("metadata.name"))?;
    let service = meta
        .labels
        .as_ref()
        .map_or("", |labels| text(&labels.service));
    if service.is_empty() {
        return Ok(None);
    }
    let (mut here, mut elsewhere) = (Endpoints::default(), Endpoints::default());
    for endpoint in slice.endpoints.iter().flatten() {
        let of_node = text(&endpoint.node_name);
        let side = if !node.is_empty() && of_node == node {
            &mut here
        } else {
            &mut elsewhere
        };
        if endpoint.conditions.ready.unwrap_or(true) {
            side.ready = side.ready.saturating_add(1);
        } else if endpoint.conditions.serving == Some(true) {
            side.serving = side.serving.saturating_add(1);
        }
    }
    let namespace = text(&meta.namespace);
    Ok(Some(SliceFact {
        key: SliceKey::new(namespace, &name.0),
        service: ServiceKey::new(namespace, service),
        family,
        here,
        elsewhere,
    }))
}
