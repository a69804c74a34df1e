//! What clients do, in a way that may be repeated after a lost answer: as our
//! own client does it, and as a person would.

use serde_json::{Value, json};

use super::super::state::Device;
use super::life::{Done, Life};

/// An operation on hosts that were prepared for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    FirstNode,
    AddNode,
    RemoveNode,
    AddDevice,
    RemoveDevice,
    Tags,
    Make,
    MakeOf3,
    MakeOnDirectories,
    Grow,
    GrowOnDirectories,
    Remove,
    Snapshot,
    DropSnapshot,
    Restore,
    Clone,
    Drain,
    DrainToDirectory,
}

pub(super) const ALL: [Act; 18] = [
    Act::FirstNode,
    Act::AddNode,
    Act::RemoveNode,
    Act::AddDevice,
    Act::RemoveDevice,
    Act::Tags,
    Act::Make,
    Act::MakeOf3,
    Act::MakeOnDirectories,
    Act::Grow,
    Act::GrowOnDirectories,
    Act::Remove,
    Act::Snapshot,
    Act::DropSnapshot,
    Act::Restore,
    Act::Clone,
    Act::Drain,
    Act::DrainToDirectory,
];

pub(super) const DIRECTORY: &str = "/srv/gluster";

/// The only cluster, made if there is none.
pub(super) async fn cluster(life: &Life) -> Option<String> {
    let known = life.manager.state().clusters.keys().next().cloned();
    if known.is_some() {
        return known;
    }
    match life
        .run("POST", "/clusters", json!({"file": true, "block": false}))
        .await
    {
        Done::Answered(made) => Some(made["id"].as_str().expect("an id").to_owned()),
        _ => None,
    }
}

pub(super) async fn add_node(life: &Life, n: u32) -> Done {
    let Some(cluster) = cluster(life).await else {
        return Done::Died;
    };
    let body = json!({
        "zone": n,
        "cluster": cluster,
        "hostnames": {"manage": [format!("gfs{n}")], "storage": [format!("10.0.0.{n}")]},
    });
    match life.run("POST", "/nodes", body).await {
        Done::Refused(409, _) => Done::Answered(Value::Null),
        done => done,
    }
}

pub(super) fn node(life: &Life, n: u32) -> Option<String> {
    let state = life.manager.state();
    let mut nodes = state.nodes.values();
    let storage = format!("10.0.0.{n}");
    let found = nodes.find(|node| node.record.storage == [storage.clone()]);
    found.map(|node| node.record.id.clone())
}

pub(super) fn device(life: &Life, n: u32, directory: &str) -> Option<String> {
    let node = node(life, n)?;
    let state = life.manager.state();
    let mut devices = state.devices.values();
    let found = devices.find(|device| device.node == node && device.record.name == directory);
    found.map(|device| device.record.id.clone())
}

pub(super) async fn add_device(life: &Life, n: u32, directory: &str) -> Done {
    add_device_of(life, n, directory, "loop").await
}

/// One whose bricks are of a kind.
pub(super) async fn add_device_of(life: &Life, n: u32, directory: &str, bricks: &str) -> Done {
    let node = node(life, n);
    let body = json!({"node": node, "name": directory, "tags": {"bricks": bricks}});
    life.run("POST", "/devices", body).await
}

/// DELETE of something that may be gone.
pub(super) async fn remove(life: &Life, path: &str, id: Option<String>) -> Done {
    let gone = Done::Answered(json!(""));
    let Some(id) = id else {
        return gone;
    };
    match life
        .run("DELETE", &format!("{path}/{id}"), Value::Null)
        .await
    {
        Done::Refused(404, _) => gone,
        done => done,
    }
}

/// The volume of a name, made if there is none.
pub(super) async fn ensure(life: &Life, body: Value) -> Done {
    let name = body["name"].as_str().expect("a name").to_owned();
    match life.show(&format!("/loods/v1/volumes?name={name}")).await {
        Done::Refused(404, _) => life.run("POST", "/volumes", body).await,
        Done::Answered(found) => {
            let id = found["id"].as_str().expect("an id");
            Done::At(format!("/volumes/{id}"))
        }
        other => other,
    }
}

pub(super) fn replicated(name: &str, gib: i64, copies: u32) -> Value {
    json!({
        "size": gib,
        "name": name,
        "gid": 2000,
        "durability": {"type": "replicate", "replicate": {"replica": copies}},
    })
}

pub(super) async fn grow_to(life: &Life, name: &str, gib: i64) -> Done {
    let found = match life.show(&format!("/loods/v1/volumes?name={name}")).await {
        Done::Answered(found) => found,
        other => return other,
    };
    let (id, size) = (
        found["id"].as_str().expect("an id"),
        found["size"].as_i64().expect("a size"),
    );
    if size >= gib {
        return Done::At(format!("/volumes/{id}"));
    }
    let body = json!({"expand_size": gib - size, "from": size});
    life.run("POST", &format!("/volumes/{id}/expand"), body)
        .await
}

pub(super) async fn snapshot(life: &Life, name: &str, volume: &str) -> Done {
    let body = json!({"name": name, "volume": life.id_of(volume)});
    life.run("POST", "/loods/v1/snapshots", body).await
}

pub(super) fn snapshot_id(life: &Life, name: &str) -> Option<String> {
    let infos = life.manager.state().snapshot_infos();
    infos
        .into_iter()
        .find(|info| info.name == name)
        .map(|info| info.id)
}

/// The device that is emptied: the only one that is not online, or else one that
/// has a brick.
fn drained(life: &Life) -> Option<String> {
    let state = life.manager.state();
    let mut devices = state.devices.iter();
    let leaving = devices.find(|(_, device)| device.record.state != "online");
    let first = || Some(&state.volume_named("vol")?.bricks.first()?.info.device);
    leaving.map(|(id, _)| id).or_else(first).cloned()
}

impl Act {
    /// Whether the bricks of a host are directories.
    fn on_directory(self, n: u32) -> bool {
        match self {
            Act::MakeOnDirectories | Act::GrowOnDirectories => true,
            // The first two take the volume.
            Act::DrainToDirectory => n == 3,
            _ => false,
        }
    }

    /// Makes what it needs; all luck is good.
    pub(super) async fn prepare(self, life: &Life) {
        if self == Act::FirstNode {
            return;
        }
        for n in 1..=3 {
            if self == Act::AddNode && n == 3 {
                continue;
            }
            assert!(add_node(life, n).await.worked());
            if !(n == 3 && matches!(self, Act::RemoveNode | Act::AddDevice)) {
                let bricks = if self.on_directory(n) {
                    "directory"
                } else {
                    "loop"
                };
                let added = add_device_of(life, n, DIRECTORY, bricks).await;
                assert!(added.worked());
            }
        }
        if matches!(self, Act::RemoveNode | Act::AddNode) {
            // One on the others: it must come through.
            assert!(ensure(life, replicated("kept", 2, 2)).await.worked());
        }
        match self {
            Act::RemoveDevice => {
                assert!(add_device(life, 1, "/srv/more").await.worked());
            }
            Act::Make | Act::MakeOf3 | Act::MakeOnDirectories => {
                assert!(ensure(life, replicated("kept", 2, 2)).await.worked());
            }
            Act::Grow | Act::GrowOnDirectories | Act::Remove | Act::Snapshot | Act::Clone => {
                assert!(ensure(life, replicated("kept", 2, 2)).await.worked());
                assert!(ensure(life, replicated("vol", 3, 2)).await.worked());
            }
            Act::Drain | Act::DrainToDirectory => {
                assert!(ensure(life, replicated("vol", 3, 2)).await.worked());
                let body = json!({"state": "offline"});
                let path = format!("/devices/{}/state", drained(life).expect("it has bricks"));
                assert!(life.run("POST", &path, body).await.worked());
            }
            Act::DropSnapshot | Act::Restore => {
                assert!(ensure(life, replicated("vol", 3, 2)).await.worked());
                assert!(snapshot(life, "nightly", "vol").await.worked());
                assert!(snapshot(life, "kept", "vol").await.worked());
            }
            _ => {}
        }
    }

    /// Does it, or what is still to be done of it.
    pub(super) async fn carry_out(self, life: &Life) -> Done {
        match self {
            Act::FirstNode => add_node(life, 1).await,
            Act::AddNode => add_node(life, 3).await,
            Act::RemoveNode => remove(life, "/nodes", node(life, 3)).await,
            Act::AddDevice => add_device(life, 3, DIRECTORY).await,
            Act::RemoveDevice => remove(life, "/devices", device(life, 1, "/srv/more")).await,
            Act::Tags => {
                let id = device(life, 1, DIRECTORY).expect("it is there");
                let body = json!({"change_type": "set", "tags": {"rack": "7"}});
                life.run("POST", &format!("/devices/{id}/tags"), body).await
            }
            Act::Make | Act::MakeOnDirectories => ensure(life, replicated("vol", 3, 2)).await,
            Act::MakeOf3 => ensure(life, replicated("vol", 3, 3)).await,
            Act::Grow | Act::GrowOnDirectories => grow_to(life, "vol", 5).await,
            Act::Remove => remove(life, "/volumes", life.id_of("vol")).await,
            Act::Snapshot => snapshot(life, "nightly", "vol").await,
            Act::DropSnapshot => {
                let id = snapshot_id(life, "nightly");
                remove(life, "/loods/v1/snapshots", id).await
            }
            Act::Restore => {
                let mut body = replicated("copy", 4, 2);
                body["source"] = json!({"snapshot": snapshot_id(life, "nightly")});
                ensure(life, body).await
            }
            Act::Clone => {
                let mut body = replicated("copy", 4, 2);
                body["source"] = json!({"volume": life.id_of("vol")});
                ensure(life, body).await
            }
            Act::Drain | Act::DrainToDirectory => {
                let id = drained(life).expect("it is there");
                let body = json!({"state": "failed"});
                life.run("POST", &format!("/devices/{id}/state"), body)
                    .await
            }
        }
    }

    /// That it was done, by what the manager shows.
    #[track_caller]
    pub(super) fn check_done(self, life: &Life, told: &str) {
        let state = life.manager.state();
        let size = |name: &str| state.volume_named(name).map(|volume| volume.record.size);
        let done = match self {
            Act::FirstNode => state.nodes.len() == 1,
            Act::AddNode => state.nodes.len() == 3,
            Act::RemoveNode => state.nodes.len() == 2,
            Act::AddDevice | Act::RemoveDevice => state.devices.len() == 3,
            Act::Tags => state
                .devices
                .values()
                .any(|device| !device.record.tags.is_empty()),
            Act::Make | Act::MakeOf3 | Act::MakeOnDirectories => size("vol") == Some(3),
            Act::Grow | Act::GrowOnDirectories => size("vol") == Some(5),
            Act::Remove => size("vol").is_none(),
            Act::Snapshot => state.snapshot_infos().len() == 1,
            Act::DropSnapshot => state.snapshot_infos().len() == 1,
            Act::Restore => size("copy") == Some(4) && state.snapshot_infos().len() == 2,
            Act::Clone => size("copy") == Some(4) && state.snapshot_infos().is_empty(),
            Act::Drain | Act::DrainToDirectory => {
                let failed = |device: &Device| device.record.state == "failed";
                let device = state.devices.iter().find(|(_, device)| failed(device));
                device.is_some_and(|(id, _)| {
                    let volume = state.volume_named("vol").expect("it is there");
                    volume.bricks.len() == 2
                        && volume.bricks.iter().all(|brick| brick.info.device != *id)
                })
            }
        };
        assert!(done, "{told}: it is not done");
    }
}
