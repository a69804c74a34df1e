//! The seam to the storage hosts: one request, one reply.

use futures::future::BoxFuture;

use crate::storage::agent::api::{Reply, Request};
use crate::storage::agent::client::{AgentError, Client};

/// Asks agents. A reply is never [`Reply::Failed`]: that is an error.
pub trait Agents: Send + Sync + 'static {
    /// Asks the agent at `host`, with a port where it is not the usual one.
    fn call<'a>(
        &'a self,
        host: &'a str,
        request: &'a Request,
    ) -> BoxFuture<'a, Result<Reply, AgentError>>;
}

impl Agents for Client {
    fn call<'a>(
        &'a self,
        host: &'a str,
        request: &'a Request,
    ) -> BoxFuture<'a, Result<Reply, AgentError>> {
        Box::pin(Client::call(self, host, request))
    }
}
