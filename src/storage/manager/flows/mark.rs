//! Marks on bricks: whether one may hold what somebody needs.
//!
//! A brick is settled once its volume serves, and no longer once its volume is
//! to go. So a brick that no volume has is an unfinished or a removed one if it
//! is not settled; and if it is, a glusterd has forgotten its volume, and the
//! brick is left for people to look at.

use futures::future::join_all;

use super::super::state::Brick;
use super::{Manager, Trouble};
use crate::storage::agent::api::Request;

/// Marks these bricks; (id, node) each. One that no agent has, as of a volume
/// that somebody else made, needs no mark.
pub(in super::super) async fn mark(
    manager: &Manager,
    bricks: impl IntoIterator<Item = (String, String)>,
    settled: bool,
) -> Result<(), Trouble> {
    let work = bricks.into_iter().map(async |(id, node)| {
        let agent = manager
            .state()
            .nodes
            .get(&node)
            .map(|node| node.agent.clone());
        let Some(agent) = agent else {
            return Ok(());
        };
        let request = Request::MarkBrick { id, settled };
        match manager.ask(&agent, &request).await.map_err(Trouble::from) {
            Err(trouble) if !trouble.is_not_found() => Err(trouble),
            _ => Ok(()),
        }
    });
    join_all(work).await.into_iter().collect()
}

/// After a volume's start. What cannot be marked now is marked by the next look.
pub(in super::super) async fn settle(manager: &Manager, volume: &str, bricks: &[Brick]) {
    if let Err(trouble) = mark(manager, places(bricks), true).await {
        tracing::warn!(volume, %trouble, "its bricks are not marked as settled yet");
    }
}

/// Id and node of each.
pub(in super::super) fn places(bricks: &[Brick]) -> impl Iterator<Item = (String, String)> {
    let info = bricks.iter().map(|brick| &brick.info);
    info.map(|info| (info.id.clone(), info.node.clone()))
}
