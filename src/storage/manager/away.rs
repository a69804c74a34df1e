//! Storage hosts that are gone, noticed before an operation counts on them.
//!
//! A glusterd locks all its peers for each change, and asks them how bricks fare; it
//! notices only after half a minute of silence that one is gone. What it is asked
//! for within that time hangs until `gluster` gives up after two minutes, and holds its
//! locks for another. So every operation asks all hosts first whether they are
//! there, which takes a millisecond, and so does whoever looks at a volume; and when
//! one has just been lost, a command waits until glusterd knows it too.
//!
//! The other way round, a glusterd leaves out of a change whoever is not a whole
//! peer at its begin. What is made or set then, the other hears of when it joins.
//! What is removed it does not, and brings back: so a removal asks a glusterd that
//! has joined with all hosts that are there, and waits until there is one. One that
//! was killed may call the others half a peer until it is started again (Gluster
//! 10.3), while they take it for a whole one: then it is they who are asked.

use std::time::Duration;

use futures::future::join_all;
use tokio::time::Instant;

use super::Manager;
use super::flows::Trouble;
use crate::storage::agent::api::{Command, Reply, Request};
use crate::storage::agent::client::AgentError;
use crate::storage::gluster::{Peer, replies};

/// How long glusterd may take to notice: it probes a silent peer after 10 s, and
/// gives it up after nine probes, 2 s apart.
const NOTICE: Duration = Duration::from_secs(45);
const PAUSE: Duration = Duration::from_millis(500);
/// How often, with [`PAUSE`] between, it is looked whether all have joined.
const LOOKS: u32 = 40;

impl Manager {
    /// An agent cannot be reached: nothing is placed there until a look finds it
    /// again, which is tried soon.
    pub(super) fn note_away(&self, agent: &str, error: &str) {
        // Said once, not at every try.
        if self.state().set_away(agent, Instant::now()) {
            tracing::warn!(
                agent,
                error,
                "a storage host is away: nothing is placed on it"
            );
            self.doubt.notify_one();
        }
    }

    /// Asks all hosts whether they are there.
    pub(super) async fn ping(&self) {
        let agents: Vec<String> = {
            let state = self.state();
            let there = state.nodes.values().filter(|node| node.there);
            there.map(|node| node.agent.clone()).collect()
        };
        let asking = agents.iter().map(async |agent| {
            // One that was not reached is noted by `ask`.
            if let Err(error @ AgentError::TimedOut { .. }) = self.ask(agent, &Request::Ping).await
            {
                self.note_away(agent, &error.to_string());
            }
        });
        join_all(asking).await;
    }

    /// Waits until the glusterd of this agent has noticed which hosts are lost.
    pub(super) async fn until_noticed(&self, cluster: &str, agent: &str) {
        while let Some(since) = Instant::now().checked_sub(NOTICE) {
            let lost = self.state().lost(cluster, since);
            if lost.is_empty() {
                return;
            }
            let told = self.ask(agent, &Request::Gluster(Command::PoolList)).await;
            let Ok(Reply::Gluster(text)) = told else {
                return;
            };
            match replies::pool(&text) {
                Ok(peers) if counts_on(&peers, &lost) => tokio::time::sleep(PAUSE).await,
                _ => return,
            }
        }
    }

    /// Waits until one glusterd of a cluster has joined with those of all hosts that
    /// are there. Answers with its agent.
    pub(super) async fn until_joined(&self, cluster: &str) -> Result<String, Trouble> {
        let first = self.first_agent(cluster)?;
        for _ in 0..LOOKS {
            let (agents, there) = {
                let state = self.state();
                let there = state.nodes_of(cluster).filter(|node| node.there).count();
                (state.agents_of(cluster), there)
            };
            for agent in agents {
                // The others may have joined, whatever this one's trouble is.
                let Ok(told) = self.gluster_at(&agent, Command::PoolList).await else {
                    continue;
                };
                let peers = joined(&replies::pool(&told)?);
                self.state().set_peers(&agent, peers);
                if peers >= there {
                    return Ok(agent);
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
        Err(Trouble::Other(format!(
            "no glusterd of cluster {cluster} (that on {first} and the others) is connected with those of every host that is there: a volume that is removed now would come back with the others; look at gluster pool list on each host, and start glusterd where it does not run"
        )))
    }
}

/// With how many peers a glusterd has joined, itself among them.
pub(super) fn joined(peers: &[Peer]) -> usize {
    peers.iter().filter(|peer| peer.is_ready()).count()
}

/// Whether a glusterd still takes one of these hosts for connected.
fn counts_on(peers: &[Peer], lost: &[String]) -> bool {
    let connected = peers.iter().filter(|peer| peer.connected);
    let mut names = connected.flat_map(|peer| &peer.names);
    names.any(|name| lost.contains(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_host_is_waited_for_while_glusterd_counts_on_it() {
        let peer = |name: &str, connected| Peer {
            names: vec![name.into()],
            connected,
            ..Peer::default()
        };
        let lost = ["h2".to_owned()];
        for (connected, expected) in [(true, true), (false, false)] {
            let peers = [
                peer("localhost", true),
                peer("h2", connected),
                peer("h3", true),
            ];
            assert_eq!(counts_on(&peers, &lost), expected);
        }
        assert!(!counts_on(&[peer("h3", true)], &lost));
    }

    #[test]
    fn half_a_peer_has_not_joined() {
        let peer = |connected, state: &str| Peer {
            connected,
            state: state.into(),
            ..Peer::default()
        };
        let asked = || peer(true, "");
        let whole = || peer(true, "Peer in Cluster");
        assert_eq!(joined(&[asked(), whole()]), 2);
        for other in [
            peer(false, "Peer in Cluster"),
            peer(true, "Accepted peer request"),
        ] {
            assert_eq!(joined(&[asked(), other]), 1);
        }
    }
}
