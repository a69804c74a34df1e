//! Which of the configured peers are a node's.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::{Config, Peer};

/// The peers whose node selectors mean a node with these labels, in the order of
/// the configuration; `None` if they are those of `before`. A peer that did
/// not change is the same `Arc` as before.
pub(super) fn select(
    config: &Config,
    labels: Option<&BTreeMap<Box<str>, Box<str>>>,
    before: &[Arc<Peer>],
) -> Option<Vec<Arc<Peer>>> {
    let means_us = |peer: &Peer| {
        peer.node_selectors.iter().any(|selector| match labels {
            Some(labels) => selector.matches(labels),
            // Labels are not known yet: only "every node" is certain.
            None => selector.terms.is_empty(),
        })
    };
    let kept = |peer: &Arc<Peer>| {
        let known = before.iter().find(|known| *known == peer);
        known.unwrap_or(peer).clone()
    };
    let ours = config.peers.iter().filter(|peer| means_us(peer));
    let selected: Vec<Arc<Peer>> = ours.map(kept).collect();
    (selected != before).then_some(selected)
}
