//! What an [`Index`] knows, for those who look.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use super::super::view::ServiceView;
use super::Index;
use crate::bgp::types::{Attributes, Prefix};
use crate::config::Peer;
use crate::facts::ServiceKey;

impl Index {
    /// Where this node's proxy can be asked.
    pub fn node_addresses(&self) -> &[IpAddr] {
        self.own_node.as_ref().map_or(&[], |node| &node.addresses)
    }

    /// Whether this node's object has been seen.
    pub fn knows_node(&self) -> bool {
        self.own_node.is_some()
    }

    /// Whether the configuration, this node's object and the first lists of
    /// Services and slices are in. No route is announced before.
    pub fn complete(&self) -> bool {
        self.config.is_some()
            && self.own_node.is_some()
            && self.services_listed
            && self.backends.listed()
    }

    /// All that this node announces now.
    pub fn announcements(&self) -> &BTreeMap<Prefix, Arc<Attributes>> {
        self.prefixes.announced()
    }

    /// The peers of this node.
    pub fn peers(&self) -> &[Arc<Peer>] {
        &self.peers
    }

    /// Every Service, in order, as of the last [`take`](Index::take).
    pub fn services(&self) -> impl Iterator<Item = ServiceView<'_>> {
        let settled = self.settled;
        self.services
            .iter()
            .map(move |(key, entry)| ServiceView::of(key, entry, settled))
    }

    /// One Service, as of the last [`take`](Index::take).
    pub fn view(&self, key: &ServiceKey) -> Option<ServiceView<'_>> {
        let (key, entry) = self.services.get_key_value(key)?;
        Some(ServiceView::of(key, entry, self.settled))
    }
}
