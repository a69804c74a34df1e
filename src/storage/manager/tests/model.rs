//! Users, faults and restarts in any order.
//!
//! Whatever happens: what a client was told to be there is there, and what it
//! was told to be gone is gone, with the ids that it was told. In the end, when
//! nothing goes wrong any more, nothing leaks and everything can be removed.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;

use super::acts::{
    self, DIRECTORY, add_device_of, add_node, ensure, grow_to, replicated, snapshot, snapshot_id,
};
use super::hosts::{Hosts, Luck};
use super::life::{Done, Life, check};

#[derive(Clone, Debug)]
enum Step {
    Make(u8, u32),
    Grow(u8),
    Remove(u8),
    Snapshot(u8),
    Unsnapshot(u8),
    Clone(u8, u8),
    Look,
    Restart,
    Away(u32),
    Back,
}

fn steps() -> impl Strategy<Value = (Step, Vec<Luck>)> {
    let step = prop_oneof![
        4 => (0..4u8, 1..=3u32).prop_map(|(n, copies)| Step::Make(n, copies)),
        2 => (0..4u8).prop_map(Step::Grow),
        3 => (0..4u8).prop_map(Step::Remove),
        2 => (0..4u8).prop_map(Step::Snapshot),
        1 => (0..4u8).prop_map(Step::Unsnapshot),
        1 => (0..4u8, 0..4u8).prop_map(|(from, to)| Step::Clone(from, to)),
        2 => Just(Step::Look),
        1 => Just(Step::Restart),
        1 => (1..=3u32).prop_map(Step::Away),
        2 => Just(Step::Back),
    ];
    let luck = prop_oneof![
        20 => Just(Luck::Good),
        1 => Just(Luck::Refused),
        1 => Just(Luck::Unsent),
        1 => Just(Luck::Lost),
        1 => Just(Luck::Late),
        1 => Just(Luck::DiesBefore),
        1 => Just(Luck::DiesAfter),
    ];
    (step, proptest::collection::vec(luck, 0..25))
}

/// What clients were told.
#[derive(Debug, Default)]
struct Told {
    /// Ids and least sizes of volumes that are there, by name.
    volumes: BTreeMap<String, (String, i64)>,
    /// Ids of snapshots that are there, by name.
    snapshots: BTreeMap<String, String>,
}

struct Model {
    hosts: Arc<Hosts>,
    life: Life,
    told: Told,
}

impl Model {
    /// On one host bricks may be directories.
    async fn new(directory: bool) -> Self {
        let hosts = Hosts::new(3, 40);
        let life = Life::settled(&hosts).await;
        for n in 1..=3 {
            assert!(add_node(&life, n).await.worked());
            let bricks = if directory && n == 3 {
                "directory"
            } else {
                "loop"
            };
            let added = add_device_of(&life, n, DIRECTORY, bricks).await;
            assert!(added.worked());
        }
        life.look().await;
        Self {
            hosts,
            life,
            told: Told::default(),
        }
    }

    async fn step(&mut self, step: &Step, lucks: &[Luck]) {
        self.life.line.shall(lucks.iter().copied());
        let name = |n: &u8| format!("v{n}");
        match step {
            Step::Make(n, copies) => {
                let mut body = replicated(&name(n), 2, (*copies).max(2));
                if *copies == 1 {
                    body["durability"] = serde_json::json!({"type": "none"});
                }
                let done = ensure(&self.life, body).await;
                self.made(&name(n), &done, 2);
            }
            Step::Clone(from, to) => {
                let mut body = replicated(&name(to), 9, 2);
                body["source"] = serde_json::json!({"volume": self.life.id_of(&name(from))});
                let done = ensure(&self.life, body).await;
                self.made(&name(to), &done, 2);
            }
            Step::Grow(n) => {
                let size = self.told.volumes.get(&name(n)).map_or(2, |(_, size)| *size);
                let done = grow_to(&self.life, &name(n), size + 1).await;
                self.made(&name(n), &done, size + 1);
            }
            Step::Remove(n) => {
                let id = self.told.volumes.get(&name(n)).map(|(id, _)| id.clone());
                let id = id.or_else(|| self.life.id_of(&name(n)));
                // From the order on nobody was promised anything.
                let known = self.told.volumes.remove(&name(n));
                let done = acts::remove(&self.life, "/volumes", id).await;
                // Unless it is refused before anything is done.
                if let (Done::Refused(409, _), Some(known)) = (done, known) {
                    self.told.volumes.insert(name(n), known);
                }
            }
            Step::Snapshot(n) => {
                let called = format!("s{n}");
                if self.life.id_of(&name(n)).is_some()
                    && let Done::At(path) = snapshot(&self.life, &called, &name(n)).await
                {
                    let id = path.rsplit('/').next().expect("an id").to_owned();
                    let before = self.told.snapshots.insert(called, id.clone());
                    assert!(before.is_none_or(|before| before == id));
                }
            }
            Step::Unsnapshot(n) => {
                let id = snapshot_id(&self.life, &format!("s{n}"));
                self.told.snapshots.remove(&format!("s{n}"));
                acts::remove(&self.life, "/loods/v1/snapshots", id).await;
            }
            Step::Look => self.life.look().await,
            Step::Restart => self.life = Life::begin(&self.hosts, lucks.to_vec()).await,
            Step::Away(n) => self.away(|name| name == format!("gfs{n}")),
            Step::Back => self.away(|_| false),
        }
        while self.life.line.is_dead() {
            self.life = Life::begin(&self.hosts, []).await;
        }
    }

    fn away(&self, away: impl Fn(&str) -> bool) {
        for (name, host) in &mut self.hosts.world().hosts {
            host.away = away(name);
        }
    }

    fn made(&mut self, name: &str, done: &Done, size: i64) {
        if !matches!(done, Done::At(_)) {
            return;
        }
        let id = done.id();
        let told = self
            .told
            .volumes
            .entry(name.into())
            .or_insert((id.clone(), size));
        assert_eq!(told.0, id, "{name} has another id than a client was told");
        told.1 = told.1.max(size);
    }

    async fn end(mut self) {
        self.away(|_| false);
        self.life = Life::settled(&self.hosts).await;
        check(&self.hosts, &self.life, "in the end");
        let known = self.life.knows();
        for (name, (id, size)) in &self.told.volumes {
            assert_eq!(known.volumes.get(id), Some(name));
            assert!(
                self.life.manager.state().volumes[id].record.size >= *size,
                "{name}"
            );
        }
        for (name, id) in &self.told.snapshots {
            assert_eq!(known.snapshots.get(id), Some(name));
        }
        for id in known.snapshots.into_keys() {
            assert!(
                acts::remove(&self.life, "/loods/v1/snapshots", Some(id))
                    .await
                    .worked()
            );
        }
        for id in known.volumes.into_keys() {
            let done = acts::remove(&self.life, "/volumes", Some(id)).await;
            assert!(done.worked(), "{done:?}");
        }
        assert!(self.hosts.world().bricks().is_empty());
        check(&self.hosts, &self.life, "all removed");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]
    #[test]
    fn what_clients_were_told_holds_whatever_goes_wrong(
        directory in any::<bool>(),
        steps in proptest::collection::vec(steps(), 1..25)
    ) {
        super::begin_row();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let mut model = Model::new(directory).await;
            for (step, lucks) in &steps {
                model.step(step, lucks).await;
            }
            model.end().await;
        });
    }
}
