//! One operation each, carried out by asking agents. Text of an error is what
//! a Heketi client is told.

mod adopt;
mod grow;
mod limit;
mod make;
mod mark;
mod plan;
mod remove;
mod replace;
mod snapshot;
mod states;
mod topology;

pub(super) use adopt::{adopt, strangers};
pub(super) use grow::grow;
pub(super) use limit::{keep_size, limit};
use limit::{keep_to, on_directories};
pub(super) use make::{make, make_copy};
pub(super) use mark::{mark, places, settle};
pub(super) use plan::{Copies, begin as begin_make};
pub(super) use remove::{clear_bricks, remove, withdraw};
pub(super) use replace::replace;
pub(super) use snapshot::{
    copy_bricks, drop_snapshot, forget_copies, forget_copies_of, take_snapshot,
};
pub(super) use states::{pay_states, set_state};
pub(super) use topology::{add_device, add_node, put_device, put_node, remove_device, remove_node};

use std::time::Duration;

use super::Manager;
use crate::storage::agent::api::{Command, FailureKind, Reply, Request};
use crate::storage::agent::client::AgentError;
use crate::storage::gluster::{self, GlusterError, Kind, command, error, replies};

/// Tries of one glusterd command that another transaction is in the way of.
const TRIES: u32 = 20;
/// Between two tries; longer each time, up to ten times this.
const PAUSE: Duration = Duration::from_millis(100);

/// Why an operation did not come to its end.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum Trouble {
    /// An agent.
    #[error(transparent)]
    Agent(#[from] AgentError),
    /// glusterd.
    #[error(transparent)]
    Gluster(#[from] GlusterError),
    /// What we know by ourselves.
    #[error("{0}")]
    Other(String),
}

impl Trouble {
    fn is_not_found(&self) -> bool {
        match self {
            Trouble::Agent(AgentError::Failed { failure, .. }) => {
                failure.kind == FailureKind::NotFound
            }
            Trouble::Gluster(error) => error.kind == Kind::NotFound,
            _ => false,
        }
    }

    fn is_started(&self) -> bool {
        matches!(self, Trouble::Gluster(error) if error.kind == Kind::Started)
    }

    fn is_there_already(&self) -> bool {
        matches!(self, Trouble::Gluster(error) if error.kind == Kind::AlreadyExists)
    }
}

impl Manager {
    /// Asks an agent; what was lost on the way is asked once more.
    pub(super) async fn ask(&self, agent: &str, request: &Request) -> Result<Reply, AgentError> {
        match self.agents.call(agent, request).await {
            Err(AgentError::Unreachable { .. }) => tokio::time::sleep(PAUSE).await,
            answer => return answer,
        }
        let answer = self.agents.call(agent, request).await;
        if let Err(error @ AgentError::Unreachable { .. }) = &answer {
            self.note_away(agent, &error.to_string());
        }
        answer
    }

    /// Has a cluster's glusterd do something, again while another transaction
    /// is in the way. Answers with its XML. Done before counts as done.
    pub(super) async fn gluster(&self, cluster: &str, asked: Command) -> Result<String, Trouble> {
        loop {
            let removes = matches!(asked, Command::Stop(_) | Command::Delete(_));
            let agent = match removes {
                true => self.until_joined(cluster).await?,
                false => self.first_agent(cluster)?,
            };
            if !command::asks_alone(&asked) {
                self.until_noticed(cluster, &agent).await;
            }
            match self.gluster_at(&agent, asked.clone()).await {
                // It is noted as away now, and every other can do the same.
                Err(Trouble::Agent(AgentError::Unreachable { .. })) => {}
                answer => return answer,
            }
        }
    }

    /// Which agent a cluster's glusterd is asked by.
    pub(super) fn first_agent(&self, cluster: &str) -> Result<String, Trouble> {
        self.state().agent_for(cluster).ok_or_else(|| {
            Trouble::Other(format!(
                "no agent of cluster {cluster} answers: see loods storage doctor"
            ))
        })
    }

    /// The same by the agent that is named.
    pub(super) async fn gluster_at(&self, agent: &str, asked: Command) -> Result<String, Trouble> {
        let request = Request::Gluster(asked.clone());
        let mut tries = 1;
        loop {
            let text = match self.ask(agent, &request).await? {
                Reply::Gluster(text) => text,
                other => return Err(unexpected(agent, &other)),
            };
            match error::success(&text) {
                Ok(_) => return Ok(text),
                Err(trouble) if command::holds_already(&asked, &trouble) => return Ok(text),
                Err(trouble) if trouble.kind.may_pass() && tries < TRIES => {
                    tokio::time::sleep(PAUSE * tries.min(10)).await;
                    tries += 1;
                }
                Err(trouble) => return Err(trouble.into()),
            }
        }
    }
}

impl Manager {
    /// A volume as glusterd has it; `None`: it has none of that name.
    async fn in_glusterd(
        &self,
        cluster: &str,
        name: &str,
    ) -> Result<Option<gluster::Volume>, Trouble> {
        let info = Command::Info(Some(name.into()));
        match self.gluster(cluster, info).await {
            Ok(text) => {
                let mut volumes = replies::info(&text)?.into_iter();
                Ok(volumes.find(|volume| volume.name == name))
            }
            Err(trouble) if trouble.is_not_found() => Ok(None),
            Err(trouble) => Err(trouble),
        }
    }
}

pub(super) fn unexpected(agent: &str, reply: &Reply) -> Trouble {
    // The variant's name alone: a reply may be long.
    let text = format!("{reply:?}");
    let kind = text.split(['(', ' ']).next().unwrap_or_default();
    Trouble::Other(format!(
        "agent {agent} answered {kind} to something else: is it of another version?"
    ))
}
