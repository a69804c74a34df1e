//! Goes from volume to volume: how they fare, and what can be healed.
//!
//! glusterd takes a second to tell of one volume's heals, and a lock: so this goes
//! by itself, for a quarter of the time at most.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::Manager;
use super::health::health;
use super::state::Volume;
use crate::storage::agent::api::Command;
use crate::storage::heketi::loods::Health;

/// Shortest rest between two rounds.
const REST: Duration = Duration::from_secs(15);
/// After a long round the rest is so many times as long as that.
const TIMES: u32 = 3;

/// How each volume was when it was looked at last, by id.
pub(super) type Seen = BTreeMap<String, (Health, Instant)>;

/// What was seen on the way.
#[derive(Debug, Default)]
pub(super) struct Healths(Mutex<Seen>);

impl Healths {
    pub(super) fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Goes from volume to volume, for ever, and has healed what can be.
pub(super) async fn go(manager: Arc<Manager>, healths: Arc<Healths>) {
    loop {
        let start = Instant::now();
        let volumes = manager.state().volumes.clone();
        healths.seen().retain(|id, _| volumes.contains_key(id));
        for (id, volume) in volumes {
            match health(&manager, &volume).await {
                Ok(health) => {
                    heal(&manager, &volume, &health).await;
                    healths.seen().insert(id, (health, Instant::now()));
                }
                // What was seen before ages, which shows.
                Err(why) => tracing::debug!(volume = &*volume.name, why, "its health is not told"),
            }
        }
        tokio::time::sleep(REST.max(start.elapsed() * TIMES)).await;
    }
}

/// Has files healed that wait for it though all bricks serve. Gluster does so when
/// it hears that a brick is back; but of one that was cut off for less than its
/// ping-timeout it may not have heard that it was gone, and looks again after ten
/// minutes only.
async fn heal(manager: &Manager, volume: &Volume, health: &Health) {
    let waits = health.bricks.iter().any(|brick| brick.heal_pending > 0);
    if !waits || health.bricks.iter().any(|brick| !brick.online) {
        return;
    }
    let heal = Command::Heal(volume.name.clone(), false);
    match manager.gluster(&volume.record.cluster, heal).await {
        // A busy writer has some at each look.
        Ok(_) => tracing::debug!(
            volume = &*volume.name,
            "files wait to be healed, and all bricks serve: it begins now"
        ),
        Err(trouble) => tracing::debug!(volume = &*volume.name, %trouble, "healing begins later"),
    }
}
