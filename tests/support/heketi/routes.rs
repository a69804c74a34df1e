//! Paths of the stand-in, and what each answers.

use std::collections::BTreeMap;

use loods::storage::heketi::loods::{
    Capacity, ExpandFrom, Health, SnapshotCreate, SnapshotInfo, SnapshotList, VolumeFrom,
};
use loods::storage::heketi::wire::{
    ClusterCreate, ClusterInfo, ClusterList, DeviceAdd, NodeAdd, VolumeList,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::model::{Change, Model};
use super::volumes::Refusal;

/// An answer.
#[derive(Clone, Debug, Default)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Vec<u8>,
}

const JSON: &str = "application/json; charset=UTF-8";
const HTML: &str = "text/html; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";

impl Reply {
    fn json(status: u16, body: &impl Serialize) -> Self {
        let mut body = serde_json::to_vec(body).expect("plain structs");
        body.push(b'\n');
        Self {
            status,
            headers: vec![("content-type", JSON.into())],
            body,
        }
    }

    fn empty(status: u16) -> Self {
        Self {
            status,
            ..Self::default()
        }
    }

    /// As Go's `http.Error` has it.
    pub(super) fn error(status: u16, text: &str) -> Self {
        Self {
            status,
            headers: vec![
                ("content-type", TEXT.into()),
                ("x-content-type-options", "nosniff".into()),
            ],
            body: format!("{text}\n").into(),
        }
    }

    fn accepted(queue: String) -> Self {
        Self::empty(202).with("location", queue)
    }

    /// As Go's `http.Redirect` has it.
    fn see_other(path: &str) -> Self {
        Self {
            status: 303,
            headers: vec![("content-type", HTML.into()), ("location", path.into())],
            body: format!("<a href=\"{path}\">See Other</a>.\n\n").into(),
        }
    }

    /// Any text, of the type that it looks like.
    pub(super) fn text(status: u16, body: &str) -> Self {
        let kind = match body.as_bytes().first() {
            Some(b'<') => HTML,
            Some(b'{' | b'[') => JSON,
            _ => TEXT,
        };
        Self {
            status,
            headers: vec![("content-type", kind.into())],
            body: body.into(),
        }
    }

    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

impl From<Refusal> for Reply {
    fn from((status, text): Refusal) -> Self {
        Self::error(status, &text)
    }
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|_| (422, "request unable to be parsed".to_owned()))
}

fn not_found(text: &str) -> Refusal {
    (404, text.to_owned())
}

impl Model {
    /// What a request answers; the token was judged before.
    pub(super) fn answer(&mut self, method: &str, path: &str, query: &str, body: &[u8]) -> Reply {
        self.advance();
        let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        let known = match parts[..] {
            ["loods", ..] if self.loods => self.beyond(method, &parts[2..], query, body),
            ["clusters" | "nodes" | "devices", ..] => self.topology(method, &parts, body),
            _ => self.heketi(method, &parts, body),
        };
        known.unwrap_or_else(Reply::from)
    }

    fn heketi(&mut self, method: &str, parts: &[&str], body: &[u8]) -> Result<Reply, Refusal> {
        Ok(match (method, parts) {
            ("GET", ["hello"]) => {
                let reply = Reply::text(200, "Hello from Heketi");
                if self.loods {
                    reply.with("x-loods", env!("CARGO_PKG_VERSION"))
                } else {
                    reply
                }
            }
            ("GET", ["volumes"]) => {
                let seen = self.volumes.iter().filter(|(_, volume)| volume.visible);
                let volumes = seen.map(|(id, _)| id.clone()).collect();
                Reply::json(200, &VolumeList { volumes })
            }
            ("POST", ["volumes"]) => {
                let from: VolumeFrom = parse(body)?;
                Reply::accepted(self.create(from)?)
            }
            ("GET", ["volumes", id]) if is_id(id) => Reply::json(200, self.seen(id)?),
            ("DELETE", ["volumes", id]) if is_id(id) => Reply::accepted(self.delete(id)?),
            ("POST", ["volumes", id, "expand"]) if is_id(id) => {
                let expand: ExpandFrom = parse(body)?;
                Reply::accepted(self.expand(id, expand.expand_size, expand.from)?)
            }
            ("GET", ["queue", id]) if is_id(id) => self.poll(id)?,
            ("GET", ["operations"]) => {
                let running = self.running().count();
                Reply::json(
                    200,
                    &json!({"total": running, "in_flight": running, "stale": 0, "failed": 0, "new": 0}),
                )
            }
            ("GET", ["operations", "pending"]) => {
                let entry = |(id, operation): (&String, &super::model::Operation)| json!({"id": id, "type_name": operation.kind, "status": "", "sub_status": ""});
                let pending: Vec<_> = self.running().map(entry).collect();
                Reply::json(200, &json!({"pendingoperations": pending}))
            }
            ("GET" | "POST" | "DELETE", _) => return Err(not_found("Invalid path or request")),
            _ => Reply::empty(405),
        })
    }

    /// The end of an operation is told once.
    fn poll(&mut self, id: &str) -> Result<Reply, Refusal> {
        let operation = self
            .queue
            .get(id)
            .ok_or_else(|| not_found("Id not found"))?;
        if !operation.is_over() {
            return Ok(Reply::empty(200).with("x-pending", "true"));
        }
        let operation = self.queue.remove(id).expect("it was there");
        Ok(match (operation.fails, operation.end) {
            (Some(text), _) => Reply::error(500, text),
            (None, Some(path)) => Reply::see_other(&path),
            (None, None) => Reply::empty(204),
        })
    }

    fn topology(&mut self, method: &str, parts: &[&str], body: &[u8]) -> Result<Reply, Refusal> {
        Ok(match (method, parts) {
            ("GET", ["clusters"]) => {
                let clusters = self.clusters.keys().cloned().collect();
                Reply::json(200, &ClusterList { clusters })
            }
            ("POST", ["clusters"]) => {
                let flags: ClusterCreate = parse(body)?;
                let id = self.add_cluster(None);
                let cluster = self.clusters.get_mut(&id).expect("it was made");
                cluster.file = flags.file.unwrap_or(true);
                cluster.block = flags.block.unwrap_or(true);
                Reply::json(201, cluster)
            }
            ("GET", ["clusters", id]) => {
                let cluster = self
                    .clusters
                    .get(*id)
                    .ok_or_else(|| not_found("Id not found"))?;
                let seen = |id: &String| self.volumes.get(id).is_some_and(|volume| volume.visible);
                let volumes = cluster
                    .volumes
                    .iter()
                    .filter(|id| seen(id))
                    .cloned()
                    .collect();
                let cluster = ClusterInfo {
                    volumes,
                    ..cluster.clone()
                };
                Reply::json(200, &cluster)
            }
            ("DELETE", ["clusters", id]) => {
                let cluster = self
                    .clusters
                    .get(*id)
                    .ok_or_else(|| not_found("Id not found"))?;
                if !cluster.nodes.is_empty() || !cluster.volumes.is_empty() {
                    let text = format!(
                        "Unable to delete cluster [{id}] because it contains volumes and/or nodes"
                    );
                    return Err((409, text));
                }
                self.clusters.remove(*id);
                Reply::empty(200)
            }
            ("POST", ["nodes"]) => {
                let add: NodeAdd = parse(body)?;
                if add.zone == 0 {
                    return Err((400, "validation failed: zone: cannot be blank.".into()));
                }
                if !self.clusters.contains_key(&add.cluster) {
                    return Err(not_found("Cluster id does not exist"));
                }
                let id = self.add_node(add);
                let end = Some(format!("/nodes/{id}"));
                Reply::accepted(self.begin("add-node", Change::Nothing, end))
            }
            ("GET", ["nodes", id]) => {
                let node = self
                    .nodes
                    .get(*id)
                    .ok_or_else(|| not_found("Id not found"))?;
                Reply::json(200, node)
            }
            ("DELETE", ["nodes", id]) => {
                let node = self
                    .nodes
                    .get(*id)
                    .ok_or_else(|| not_found("Id not found"))?;
                if !node.devices.is_empty() {
                    let text = format!("Unable to delete node [{id}] because it contains devices");
                    return Err((409, text));
                }
                let cluster = node.add.cluster.clone();
                self.nodes.remove(*id);
                if let Some(cluster) = self.clusters.get_mut(&cluster) {
                    cluster.nodes.retain(|known| known != id);
                }
                Reply::accepted(self.begin("remove-node", Change::Nothing, None))
            }
            ("POST", ["nodes", id, "state"]) => {
                let state: BTreeMap<String, String> = parse(body)?;
                let state = state.get("state").cloned().unwrap_or_default();
                if !matches!(&*state, "online" | "offline" | "failed") {
                    return Err((
                        400,
                        format!("validation failed: state: {state} is not valid state."),
                    ));
                }
                let node = self
                    .nodes
                    .get_mut(*id)
                    .ok_or_else(|| not_found("Id not found"))?;
                node.state = state;
                Reply::accepted(self.begin("set-state", Change::Nothing, None))
            }
            ("POST", ["devices"]) => {
                let add: DeviceAdd = parse(body)?;
                if !self.nodes.contains_key(&add.node) {
                    return Err(not_found("Node id does not exist"));
                }
                self.add_device(&add.node, &add.name, 500);
                Reply::accepted(self.begin("add-device", Change::Nothing, None))
            }
            ("GET", ["devices", id]) => {
                let mut devices = self.nodes.values().flat_map(|node| &node.devices);
                let device = devices.find(|device| device.id == *id);
                Reply::json(200, device.ok_or_else(|| not_found("Id not found"))?)
            }
            ("GET" | "POST" | "DELETE", _) => return Err(not_found("Invalid path or request")),
            _ => Reply::empty(405),
        })
    }

    /// What our manager can do beyond; `parts` behind `/loods/v1/`.
    fn beyond(
        &mut self,
        method: &str,
        parts: &[&str],
        query: &str,
        body: &[u8],
    ) -> Result<Reply, Refusal> {
        let absent = || not_found("Id not found");
        Ok(match (method, parts) {
            ("GET", ["volumes"]) => {
                let name = query.strip_prefix("name=").ok_or_else(absent)?;
                let mut seen = self.volumes.values().filter(|volume| volume.visible);
                let found = seen.find(|volume| volume.info.name == name);
                Reply::json(200, &found.ok_or_else(absent)?.info)
            }
            ("GET", ["snapshots"]) => {
                let snapshots = self.snapshots.values().cloned().collect();
                Reply::json(200, &SnapshotList { snapshots })
            }
            ("POST", ["snapshots"]) => {
                let create: SnapshotCreate = parse(body)?;
                let (size, gid) = {
                    let volume = self.seen(&create.volume)?;
                    (volume.size, volume.gid)
                };
                let snapshot = SnapshotInfo {
                    gid,
                    id: self.id(),
                    name: create.name,
                    volume: create.volume,
                    size,
                    created: "2025-11-23T00:00:00Z".into(),
                };
                let end = Some(format!("/loods/v1/snapshots/{}", snapshot.id));
                Reply::accepted(self.begin("snapshot", Change::Snapshot(snapshot), end))
            }
            ("GET", ["snapshots", id]) => {
                Reply::json(200, self.snapshots.get(*id).ok_or_else(absent)?)
            }
            ("DELETE", ["snapshots", id]) => {
                self.snapshots.get(*id).ok_or_else(absent)?;
                let change = Change::RemoveSnapshot((*id).into());
                Reply::accepted(self.begin("remove-snapshot", change, None))
            }
            ("GET", ["volumes", id, "health"]) => {
                self.seen(id)?;
                Reply::json(200, self.health.get(*id).unwrap_or(&Health::default()))
            }
            ("GET", ["capacity"]) => {
                let devices = self.nodes.values().flat_map(|node| &node.devices);
                let mut capacity = Capacity::default();
                for device in devices {
                    capacity.total += device.storage.total;
                    capacity.free += device.storage.free;
                    capacity.largest = capacity.largest.max(device.storage.free);
                }
                Reply::json(200, &capacity)
            }
            _ => return Err(not_found("Invalid path or request")),
        })
    }
}

/// As Heketi's routes want it.
fn is_id(id: &str) -> bool {
    !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_hexdigit())
}
