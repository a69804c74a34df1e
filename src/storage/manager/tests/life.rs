//! One life of a manager, asked as a client asks it; and what must be true of
//! the hosts whenever one has looked around.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::super::Manager;
use super::super::rebuild;
use super::super::routes::{self, Answer, Ask};
use super::hosts::{Hosts, Line, Luck};
use crate::storage::gluster::{Record, SnapshotRecord};

/// A manager and its line to the hosts.
pub(super) struct Life {
    pub manager: Arc<Manager>,
    pub line: Arc<Line>,
    seeds: Vec<Box<str>>,
}

/// How an operation ended.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Done {
    /// What it answered is there, by its path.
    At(String),
    /// With this body, "" for none.
    Answered(Value),
    /// Status and text.
    Refused(u16, String),
    /// The manager died in the midst.
    Died,
}

impl Done {
    pub(super) fn worked(&self) -> bool {
        matches!(self, Done::At(_) | Done::Answered(_))
    }

    /// The id at the end of the path.
    #[track_caller]
    pub(super) fn id(&self) -> String {
        let Done::At(path) = self else {
            panic!("nothing was made: {self:?}");
        };
        path.rsplit('/').next().expect("an id").to_owned()
    }

    #[track_caller]
    pub(super) fn refused(&self) -> (u16, &str) {
        let Done::Refused(status, text) = self else {
            panic!("it was not refused: {self:?}");
        };
        (*status, text)
    }
}

impl Life {
    /// Begins with this luck and looks once.
    pub(super) async fn begin(hosts: &Arc<Hosts>, lucks: impl IntoIterator<Item = Luck>) -> Self {
        let seeds: Vec<Box<str>> = hosts
            .world()
            .hosts
            .keys()
            .map(|name| (**name).into())
            .collect();
        let line = Line::new(hosts, lucks);
        let manager = Arc::new(Manager::new(
            Arc::clone(&line) as Arc<dyn super::super::agents::Agents>,
            &seeds,
            Vec::new(),
        ));
        let life = Self {
            manager,
            line,
            seeds,
        };
        life.look().await;
        life
    }

    /// With good luck, and looked as often as it takes to end what was left.
    pub(super) async fn settled(hosts: &Arc<Hosts>) -> Self {
        let life = Self::begin(hosts, []).await;
        life.look().await;
        life
    }

    pub(super) async fn look(&self) {
        tokio::select! {
            _ = rebuild::look(&self.manager, &self.seeds) => {}
            () = self.line.died() => {}
        }
        self.manager.looked.send_replace(true);
    }

    async fn ask(&self, method: &str, path: &str, body: &str) -> Option<Answer> {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let ask = Ask {
            method,
            path,
            query,
            body: body.as_bytes(),
        };
        tokio::select! {
            answer = routes::answer(&self.manager, ask) => Some(answer),
            () = self.line.died() => None,
        }
    }

    /// Asks, and follows the queue to its end.
    pub(super) async fn run(&self, method: &str, path: &str, body: Value) -> Done {
        self.run_text(method, path, &body.to_string()).await
    }

    /// The same with a body that may be no JSON.
    pub(super) async fn run_text(&self, method: &str, path: &str, body: &str) -> Done {
        let Some(mut answer) = self.ask(method, path, body).await else {
            return Done::Died;
        };
        let header = |answer: &Answer, name: &str| {
            let mut headers = answer.headers.iter();
            let found = headers.find(|(known, _)| *known == name);
            found.map(|(_, value)| value.clone())
        };
        if answer.status == 202 {
            let queue = header(&answer, "location").expect("a queue");
            loop {
                match self.ask("GET", &queue, "").await {
                    None => return Done::Died,
                    Some(now) if header(&now, "x-pending").is_some() => {
                        tokio::select! {
                            () = tokio::time::sleep(Duration::from_millis(10)) => {}
                            () = self.line.died() => return Done::Died,
                        }
                    }
                    Some(now) => {
                        answer = now;
                        break;
                    }
                }
            }
        }
        let text = String::from_utf8(answer.body.clone()).expect("text");
        match answer.status {
            303 => Done::At(header(&answer, "location").expect("a place")),
            200 | 201 | 204 => Done::Answered(serde_json::from_str(&text).unwrap_or(json!(""))),
            status => Done::Refused(status, text.trim_end().to_owned()),
        }
    }

    pub(super) async fn show(&self, path: &str) -> Done {
        self.run("GET", path, Value::Null).await
    }

    /// The volume of a name, by id.
    pub(super) fn id_of(&self, name: &str) -> Option<String> {
        let state = self.manager.state();
        state
            .volume_named(name)
            .map(|volume| volume.record.id.clone())
    }

    /// What it knows: whatever a client may have noted.
    pub(super) fn knows(&self) -> Known {
        let state = self.manager.state();
        let nodes = state.nodes.iter();
        let devices = state.devices.iter();
        let volumes = state.volumes.iter();
        Known {
            nodes: nodes
                .map(|(id, node)| (id.clone(), node.record.storage.concat()))
                .collect(),
            devices: devices
                .map(|(id, device)| {
                    (
                        id.clone(),
                        (device.node.clone(), device.record.name.clone()),
                    )
                })
                .collect(),
            volumes: volumes
                .map(|(id, _)| (id.clone(), state.volume_info(id).expect("it is there").name))
                .collect(),
            bricks: state
                .volumes
                .iter()
                .map(|(id, volume)| {
                    let bricks = volume.bricks.iter().map(|brick| brick.info.id.clone());
                    (id.clone(), bricks.collect())
                })
                .collect(),
            snapshots: state
                .snapshot_infos()
                .into_iter()
                .map(|info| (info.id, info.name))
                .collect(),
        }
    }
}

/// Ids and what they belong to.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Known {
    pub nodes: BTreeMap<String, String>,
    pub devices: BTreeMap<String, (String, String)>,
    pub volumes: BTreeMap<String, String>,
    pub bricks: BTreeMap<String, Vec<String>>,
    pub snapshots: BTreeMap<String, String>,
}

/// What must be true when a manager has looked, with good luck, at hosts that
/// are all there.
#[track_caller]
pub(super) fn check(hosts: &Hosts, life: &Life, told: &str) {
    let world = hosts.world();
    let state = life.manager.state();
    let mut in_volumes = BTreeSet::new();
    let mut ids = BTreeMap::new();
    let mut snapshots = BTreeSet::new();
    for (name, volume) in world.volumes() {
        in_volumes.extend(volume.bricks.iter().cloned());
        snapshots.extend(SnapshotRecord::decode(&volume.options).into_keys());
        assert_ne!(
            volume.options.get("features.barrier").map(String::as_str),
            Some("enable"),
            "{told}: writes to {name} still wait"
        );
        let Some(record) = Record::decode(&volume.options).expect("a record") else {
            // Somebody else's.
            assert!(state.volume_named(name).is_none(), "{told}");
            continue;
        };
        assert_eq!(volume.state, "Started", "{told}: {name}");
        let twice = ids.insert(record.id.clone(), name.clone());
        assert_eq!(twice, None, "{told}: two volumes have the id of {name}");
        let known = state.volumes.get(&record.id);
        let known = known.unwrap_or_else(|| panic!("{told}: {name} is not known"));
        assert_eq!((&known.name, &known.record), (name, &record), "{told}");
        let places = known.bricks.iter();
        let places: Vec<_> = places
            .map(|brick| (brick.host.clone(), brick.info.path.clone()))
            .collect();
        assert_eq!(places, volume.bricks, "{told}: {name}");
        if places.iter().any(|place| world.is_on_directory(place)) {
            let size = u64::try_from(record.size << 20).ok();
            assert_eq!(
                volume.quota, size,
                "{told}: nothing keeps the size of {name}"
            );
        }
    }
    assert_eq!(state.volumes.len(), ids.len(), "{told}: {ids:?}");
    let bricks = world.bricks();
    for (host, path, brick) in &bricks {
        assert!(brick.record.settled, "{told}: {host}:{path} is not settled");
        let place = (host.clone(), path.clone());
        assert!(
            in_volumes.contains(&place),
            "{told}: {host}:{path} of {} leaks",
            brick.record.volume_name
        );
    }
    for host in world.hosts.values() {
        for device in host.devices.values() {
            let known = &state.devices[&device.record.id];
            assert_eq!(
                known.space.free,
                super::hosts::free(device),
                "{told}: room of {}:{}",
                host.storage,
                device.record.name
            );
            for (snapshot, brick) in device.copies.keys() {
                assert!(
                    snapshots.contains(snapshot),
                    "{told}: a copy of {brick} leaks"
                );
            }
        }
        let node = host.node.as_ref().map(|node| &node.id);
        let known = state.nodes.values();
        let mut known = known.filter(|known| known.record.storage.concat() == host.storage);
        assert_eq!(known.next().map(|known| &known.record.id), node, "{told}");
    }
    let devices = world.hosts.values().map(|host| host.devices.len());
    assert_eq!(state.devices.len(), devices.sum::<usize>(), "{told}");
    assert!(state.making.is_empty() && state.taking.is_empty(), "{told}");
}
