//! The cluster and the storage hosts that all tests share, with Loods' storage
//! installed, and the words that tests are written in.

use crate::support::cluster::Cluster;
use crate::support::gluster::Gluster;
use crate::support::node::files::pod_ranges;
use crate::support::{tools, wait};
use serde_json::{Value, json};
use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

const CLAIMS: &str = "/api/v1/namespaces/default/persistentvolumeclaims";
const VOLUMES: &str = "/api/v1/persistentvolumes";

/// Real parts that take their time: a container's start, an rsync of glusterd's.
const LONG: Duration = Duration::from_secs(60);

pub struct World {
    pub cluster: Cluster,
    pub gluster: Gluster,
    installed: bool,
}

/// One test's turn. If it fails, what everybody has to say is printed.
pub struct Scene(MutexGuard<'static, World>);

impl Deref for Scene {
    type Target = World;

    fn deref(&self) -> &World {
        &self.0
    }
}

impl DerefMut for Scene {
    fn deref_mut(&mut self) -> &mut World {
        &mut self.0
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}{}", self.cluster.story(), self.gluster.story());
            for part in ["storage-controller", "node", "keeper"] {
                let label = format!("component={part}");
                let logs = [
                    "logs",
                    "-n",
                    "loods-storage",
                    "-l",
                    &label,
                    "--prefix",
                    "--tail=40",
                ];
                let logs = self.cluster.plane.try_kubectl(&logs);
                eprintln!("{}", logs.unwrap_or_else(|why| why));
            }
        }
    }
}

impl Scene {
    /// Everything installed, no claims.
    pub fn set() -> Scene {
        static WORLD: OnceLock<Mutex<World>> = OnceLock::new();
        let world = WORLD.get_or_init(|| Mutex::new(World::new()));
        let mut scene = Scene(world.lock().unwrap_or_else(PoisonError::into_inner));
        // In the scene's time, so that a failure tells its story.
        if !std::mem::replace(&mut scene.0.installed, true) {
            scene.install();
        }
        let clear = [
            "delete",
            "pods,pvc",
            "--all",
            "--now",
            "--namespace=default",
        ];
        scene.cluster.kubectl(&clear);
        scene.wait_nothing_left();
        scene.cluster.plane.apply(&file("storageclass.yaml"));
        scene
    }

    // --- what users do --------------------------------------------------------

    /// A pod of busybox on this node, with the claim at /data.
    pub fn pod(&self, name: &str, node: &str, claim: &str, script: &str) {
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name},
            "spec": {
                "nodeName": node,
                "terminationGracePeriodSeconds": 1,
                "containers": [{
                    "name": "main", "image": "lab/busybox",
                    "command": ["/busybox", "sh", "-c", script],
                    "volumeMounts": [{"name": "data", "mountPath": "/data"}],
                }],
                "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": claim}}],
            },
        });
        self.cluster
            .plane
            .post("/api/v1/namespaces/default/pods", &pod);
    }

    #[track_caller]
    pub fn wait_running(&self, pod: &str) {
        wait::until_within(LONG, &format!("pod {pod} runs"), || {
            let pod = self
                .cluster
                .plane
                .try_read(&format!("/api/v1/namespaces/default/pods/{pod}"))?;
            wait::check(pod["status"]["phase"] == "Running", &pod["status"])
        });
    }

    /// A shell command in a pod.
    pub fn exec(&self, pod: &str, script: &str) -> Result<String, String> {
        let command = ["exec", pod, "--", "/busybox", "sh", "-c", script];
        self.cluster.plane.try_kubectl(&command)
    }

    pub fn claim(&self, name: &str) -> Result<Value, String> {
        self.cluster.plane.try_read(&format!("{CLAIMS}/{name}"))
    }

    pub fn make_claim(&self, name: &str) {
        let claim = json!({
            "apiVersion": "v1", "kind": "PersistentVolumeClaim",
            "metadata": {"name": name},
            "spec": {
                "storageClassName": "gluster-heketi-external",
                "accessModes": ["ReadWriteMany"],
                "resources": {"requests": {"storage": "1Gi"}},
            },
        });
        self.cluster.plane.post(CLAIMS, &claim);
    }

    pub fn volumes(&self) -> Result<Vec<Value>, String> {
        let list = self.cluster.plane.try_read(VOLUMES)?;
        Ok(list["items"].as_array().cloned().unwrap_or_default())
    }

    /// The PV of a claim, once it is Bound.
    #[track_caller]
    pub fn wait_bound(&self, claim: &str) -> Value {
        wait::until_within(LONG, &format!("claim {claim} is Bound"), || {
            let claim = self.claim(claim)?;
            wait::check(claim["status"]["phase"] == "Bound", &claim)?;
            let name = claim["spec"]["volumeName"].as_str().unwrap_or_default();
            self.cluster.plane.try_read(&format!("{VOLUMES}/{name}"))
        })
    }

    /// No PV, no volume, no brick, no loop device.
    #[track_caller]
    pub fn wait_nothing_left(&self) {
        wait::until_within(LONG * 4, "nothing is left", || {
            let volumes = self.volumes()?;
            wait::check(volumes.is_empty(), volumes)?;
            let left = self.gluster.left()?;
            wait::check(left.is_empty(), left)
        });
    }
}

impl World {
    fn new() -> World {
        let cluster = Cluster::start();
        let nodes = cluster.nodes.iter().map(|node| node.host.v4.to_string());
        let gluster = Gluster::start(&cluster.lab, 3, true, nodes.collect());
        for server in &gluster.servers {
            // The controller asks from the pod network.
            for (number, node) in (1..).zip(&cluster.nodes) {
                for range in pod_ranges(number) {
                    server.host.route(&range, &node.host);
                }
            }
        }
        World {
            cluster,
            gluster,
            installed: false,
        }
    }

    /// As docs/storage.md tells; the name `gfs1` is the network's DNS to know.
    fn install(&self) {
        let manifests = tools::repository().join("manifests");
        let apply = |file: &str| {
            let file = manifests.join(file);
            self.cluster
                .kubectl(&["apply", "-f", &file.to_string_lossy()]);
        };
        apply("storage.yaml");
        apply("storage-node.yaml");
        let names = json!({"spec": {"template": {"spec": {"hostAliases": [
            {"ip": self.gluster.servers[0].host.v4, "hostnames": ["gfs1"]},
        ]}}}});
        self.cluster.plane.patch(
            "/apis/apps/v1/namespaces/loods-storage/deployments/loods-storage-controller",
            &names,
        );
        self.cluster.plane.apply(&file("heketi-secret.yaml"));
        let pods = |label: &str, count| self.cluster.wait_pods("loods-storage", label, count);
        pods("component=storage-controller", 2);
        pods("component=node", 3);
        pods("component=keeper", 3);
    }
}

/// A file of config/storage/, as it is.
pub fn file(name: &str) -> String {
    let path = tools::repository().join("config/storage").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
