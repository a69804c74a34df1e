//! One test's stage: its controllers, its Heketi and its objects, with the
//! words that tests are written in.

use crate::controller::Controller;
use crate::support::heketi::StandIn;
use crate::support::wait;
use crate::world::{World, storage};
use serde_json::{Value, json};
use std::sync::MutexGuard;
use std::time::Duration;

/// The administrator's key.
pub const KEY: &str = "ADMIN_PASSWORD";
const CLAIMS: &str = "/api/v1/namespaces/default/persistentvolumeclaims";
const VOLUMES: &str = "/api/v1/persistentvolumes";
const CLASSES: &str = "/apis/storage.k8s.io/v1/storageclasses";
const ENDPOINTS: &str = "/api/v1/namespaces/default/endpoints";
const LEASE: &str = "/apis/coordination.k8s.io/v1/namespaces/loods-storage/leases/loods-storage";

pub struct Stage {
    pub world: MutexGuard<'static, World>,
    pub heketi: StandIn,
    pub controllers: Vec<Controller>,
}

impl Stage {
    /// A clean cluster, one controller that leads, no class.
    pub fn set() -> Stage {
        let mut stage = Stage::empty();
        stage.controllers[0].start();
        stage.controllers[0].wait_ready();
        stage
    }

    /// The same with the article's Secret and class.
    pub fn of_the_article() -> Stage {
        let stage = Stage::set();
        stage.secret();
        stage.class();
        stage
    }

    /// No controller runs yet.
    pub fn empty() -> Stage {
        let world = World::shared();
        remove_objects(&world);
        let heketi = StandIn::on(Some(KEY), world.listener());
        let hosts = world.hosts.iter();
        let controllers = hosts.map(|host| Controller::new(&world, host)).collect();
        Stage {
            world,
            heketi,
            controllers,
        }
    }

    /// Ends the first controller as a loss of power does, and starts it anew.
    pub fn restart(&mut self) {
        self.controllers[0].kill();
        // The new one need not wait until the dead one's Lease runs out.
        self.world.plane.delete(LEASE);
        self.controllers[0].start();
    }

    // --- objects ----------------------------------------------------------------

    pub fn secret(&self) {
        self.world.plane.apply(&storage("heketi-secret.yaml"));
    }

    pub fn class(&self) {
        self.world.plane.apply(&storage("storageclass.yaml"));
    }

    /// A class with these parameters besides the article's.
    #[track_caller]
    pub fn class_with(&self, name: &str, change: Value) {
        let mut class: Value = json!({
            "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass",
            "metadata": {"name": name},
            "provisioner": "kubernetes.io/glusterfs",
            "allowVolumeExpansion": true,
            "parameters": {
                "resturl": crate::world::heketi_url(), "restuser": "admin",
                "secretName": "heketi-secret", "secretNamespace": "kube-system",
                "volumetype": "replicate:3",
            },
        });
        merge(&mut class, change);
        self.world.plane.post(CLASSES, &class);
    }

    #[track_caller]
    pub fn delete_class(&self, name: &str) {
        self.world.plane.delete(&format!("{CLASSES}/{name}"));
    }

    /// A claim of 2Gi, ReadWriteMany; `change` is merged over it.
    #[track_caller]
    pub fn claim(&self, name: &str, class: &str, change: Value) {
        let mut claim = json!({
            "apiVersion": "v1", "kind": "PersistentVolumeClaim",
            "metadata": {"name": name},
            "spec": {
                "storageClassName": class,
                "accessModes": ["ReadWriteMany"],
                "resources": {"requests": {"storage": "2Gi"}},
            },
        });
        merge(&mut claim, change);
        self.world.plane.post(CLAIMS, &claim);
    }

    #[track_caller]
    pub fn delete_claim(&self, name: &str) {
        self.world.plane.delete(&format!("{CLAIMS}/{name}"));
    }

    #[track_caller]
    pub fn patch_claim(&self, name: &str, change: Value) {
        self.world.plane.patch(&format!("{CLAIMS}/{name}"), &change);
    }

    #[track_caller]
    pub fn patch_volume(&self, name: &str, change: Value) {
        self.world
            .plane
            .patch(&format!("{VOLUMES}/{name}"), &change);
    }

    // --- what users see -----------------------------------------------------------

    pub fn read_claim(&self, name: &str) -> Result<Value, String> {
        self.world.plane.try_read(&format!("{CLAIMS}/{name}"))
    }

    pub fn read_claims(&self) -> Vec<Value> {
        items(self.world.plane.read(CLAIMS))
    }

    pub fn read_volumes(&self) -> Vec<Value> {
        items(self.world.plane.read(VOLUMES))
    }

    /// Waits until a claim is Bound and without a mark; its PV.
    #[track_caller]
    pub fn wait_bound(&self, name: &str) -> Value {
        let volume = wait::until(&format!("claim {name} is Bound"), || {
            let claim = self.read_claim(name)?;
            let bound = claim["status"]["phase"] == "Bound" && !is_marked(&claim);
            match claim["spec"]["volumeName"].as_str() {
                Some(volume) if bound => Ok(volume.to_owned()),
                _ => Err(format!("{claim}\n{}", self.told(name))),
            }
        });
        self.world.plane.read(&format!("{VOLUMES}/{volume}"))
    }

    /// Waits until no claim, no PV and no volume is left.
    #[track_caller]
    pub fn wait_nothing_left(&self) {
        wait::until_within(Duration::from_secs(60), "nothing is left", || {
            let (claims, volumes) = (self.read_claims(), self.read_volumes());
            let held = self.heketi.volumes();
            wait::check(
                claims.is_empty() && volumes.is_empty() && held.is_empty(),
                (claims, volumes, held),
            )
        });
    }

    /// The reasons and notes of a claim's Events, in order.
    pub fn events(&self, name: &str) -> Vec<(String, String)> {
        let path =
            format!("/api/v1/namespaces/default/events?fieldSelector=involvedObject.name={name}");
        let text = |value: &Value| value.as_str().unwrap_or("").to_owned();
        items(self.world.plane.read(&path))
            .iter()
            .map(|event| (text(&event["reason"]), text(&event["message"])))
            .collect()
    }

    fn told(&self, name: &str) -> String {
        let events = self.events(name);
        let lines = events
            .iter()
            .map(|(reason, note)| format!("{reason}: {note}"));
        lines.collect::<Vec<_>>().join("\n")
    }

    /// Waits for an Event about an object with this reason and these words.
    #[track_caller]
    pub fn wait_told(&self, name: &str, reason: &str, words: &str) -> String {
        wait::until(&format!("{name} is told {reason}: {words}"), || {
            let events = self.events(name);
            let found = events
                .iter()
                .find(|(is, note)| is == reason && note.contains(words));
            found
                .map(|(_, note)| note.clone())
                .ok_or_else(|| self.told(name))
        })
    }
}

pub fn is_marked(claim: &Value) -> bool {
    finalizers(claim).contains(&"gluster.loods.io/provisioning".to_owned())
}

pub fn finalizers(object: &Value) -> Vec<String> {
    let list = object["metadata"]["finalizers"].as_array();
    let texts = list.into_iter().flatten().filter_map(Value::as_str);
    texts.map(str::to_owned).collect()
}

fn items(list: Value) -> Vec<Value> {
    list["items"].as_array().cloned().unwrap_or_default()
}

/// A merge patch, as the API server does it.
pub fn merge(base: &mut Value, change: Value) {
    match change {
        Value::Object(change) if base.is_object() => {
            for (key, value) in change {
                if value.is_null() {
                    base.as_object_mut().expect("an object").remove(&key);
                } else {
                    merge(&mut base[key], value);
                }
            }
        }
        other => *base = other,
    }
}

/// What an earlier test left, its finalizers by force: its Heketi is gone.
fn remove_objects(world: &World) {
    let plane = &world.plane;
    plane.delete(CLASSES);
    plane.delete("/api/v1/namespaces/kube-system/secrets/heketi-secret");
    plane.delete(LEASE);
    plane.delete(CLAIMS);
    plane.delete(ENDPOINTS);
    plane.delete(VOLUMES);
    wait::until("the cluster is clean", || {
        let claims = items(plane.try_read(CLAIMS)?);
        let volumes = items(plane.try_read(VOLUMES)?);
        for (objects, path) in [(&claims, CLAIMS), (&volumes, VOLUMES)] {
            for object in objects {
                let name = object["metadata"]["name"].as_str().unwrap_or("");
                let _ = plane.try_kubectl(&[
                    "patch",
                    if path == CLAIMS { "pvc" } else { "pv" },
                    name,
                    "--type=merge",
                    "-p",
                    r#"{"metadata":{"finalizers":null}}"#,
                ]);
            }
        }
        wait::check(claims.is_empty() && volumes.is_empty(), (claims, volumes))
    });
    plane.delete("/api/v1/namespaces/default/events");
}
