//! The speaker's own Node (core/v1) to [`NodeFact`].

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Subject, Text, missing, text};
use crate::facts::NodeFact;

/// One Node, by name.
#[derive(Clone, Debug)]
pub struct Nodes {
    /// `metadata.name`.
    pub name: Box<str>,
}

impl Subject for Nodes {
    type Fact = NodeFact;
    type Key = ();
    const PLURAL: &'static str = "nodes";

    fn path(&self) -> String {
        "/api/v1/nodes".into()
    }

    fn field_selector(&self) -> Option<String> {
        Some(format!("metadata.name={}", self.name))
    }

    fn probe_selector(&self) -> Option<String> {
        self.field_selector()
    }

    fn page(&self) -> u32 {
        1
    }

    fn fact(&self, json: &str) -> serde_json::Result<Option<NodeFact>> {
        fact(serde_json::from_str(json)?).map(Some)
    }

    fn key(_: &str, _: &str) {}
}

#[derive(Deserialize)]
struct Node<'a> {
    #[serde(borrow)]
    metadata: Meta<'a>,
    #[serde(borrow)]
    status: Option<Status<'a>>,
}

#[derive(Deserialize)]
struct Meta<'a> {
    #[serde(borrow)]
    name: Option<Text<'a>>,
    labels: Option<BTreeMap<Box<str>, Box<str>>>,
}

#[derive(Deserialize, Default)]
struct Status<'a> {
    #[serde(borrow)]
    conditions: Option<Vec<Condition<'a>>>,
    #[serde(borrow)]
    addresses: Option<Vec<Address<'a>>>,
}

#[derive(Deserialize)]
struct Address<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Text<'a>>,
    #[serde(borrow)]
    address: Option<Text<'a>>,
}

#[derive(Deserialize)]
struct Condition<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Text<'a>>,
    #[serde(borrow)]
    status: Option<Text<'a>>,
}

fn fact(node: Node<'_>) -> serde_json::Result<NodeFact> {
    let status = node.status.unwrap_or_default();
    let conditions = status.conditions.unwrap_or_default();
    let addresses = status.addresses.into_iter().flatten();
    Ok(NodeFact {
        name: node
            .metadata
            .name
            .ok_or_else(|| missing("metadata.name"))?
            .boxed(),
        labels: node.metadata.labels.unwrap_or_default(),
        network_unavailable: conditions.iter().any(|condition| {
            text(&condition.kind) == "NetworkUnavailable" && text(&condition.status) == "True"
        }),
        addresses: addresses
            .filter(|address| text(&address.kind) == "InternalIP")
            .filter_map(|address| text(&address.address).parse().ok())
            .collect(),
    })
}
