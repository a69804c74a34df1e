//! What a server has to make volumes of.

use super::Heketi;
use super::find::AT_ONCE;
use crate::storage::heketi::error::HeketiError;
use crate::storage::heketi::wire::{ClusterInfo, ClusterList, NodeInfo};
use futures::future::try_join_all;

/// Nodes that are read at most.
const MOST: usize = 1000;

impl Heketi {
    /// The nodes of these clusters, with their devices; no clusters: of all.
    ///
    /// # Errors
    /// Whatever a call may bring.
    pub async fn nodes(&self, clusters: &[Box<str>]) -> Result<Vec<NodeInfo>, HeketiError> {
        self.within("GET", "/clusters", self.read_nodes(clusters))
            .await
    }

    async fn read_nodes(&self, clusters: &[Box<str>]) -> Result<Vec<NodeInfo>, HeketiError> {
        let mut wanted: Vec<String> = clusters.iter().map(ToString::to_string).collect();
        if wanted.is_empty() {
            wanted = self.read::<ClusterList>("/clusters").await?.clusters;
        }
        let mut ids = Vec::new();
        for id in wanted.iter().filter(|id| super::is_id(id)).take(MOST) {
            // One that is not there has no nodes, which is what is asked.
            let cluster: Option<ClusterInfo> =
                self.read_if_there(&format!("/clusters/{id}")).await?;
            ids.extend(cluster.map(|cluster| cluster.nodes).unwrap_or_default());
        }
        ids.retain(|id| super::is_id(id));
        ids.truncate(MOST);
        let mut nodes = Vec::new();
        for some in ids.chunks(AT_ONCE) {
            let paths: Vec<String> = some.iter().map(|id| format!("/nodes/{id}")).collect();
            let reading = paths
                .iter()
                .map(|path| self.read_if_there::<NodeInfo>(path));
            nodes.extend(try_join_all(reading).await?.into_iter().flatten());
        }
        Ok(nodes)
    }
}
