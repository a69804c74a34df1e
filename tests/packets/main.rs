//! Packets through a real cluster: a client outside, a router, three nodes
//! with kubelets, and Loods installed as its users install it.
//!
//! The cluster is [`support::cluster::Cluster`]. A test begins with
//! [`scene::Scene::set`], which clears up behind the test before, and then
//! speaks to the cluster:
//!
//! ```text
//! let mut cluster = Scene::set();          // three nodes Ready, nothing installed
//! cluster.install();                       // kubectl apply -k manifests/
//! cluster.plane.create(&cluster.article("config.yaml"));
//! cluster.wait_pods(NAMESPACE, "component=speaker", 3);
//! cluster.router.wait_route("1.2.3.4/32", &cluster.addresses(&["n1", "n2"]));
//! cluster.ask("http://1.2.3.4/")           // from the client, through the router
//! cluster.client.command("…")              // any program outside
//! cluster.power_off("n1"); cluster.power_on("n1");
//! ```
//!
//! When a test fails, the scene tells everything about the cluster: pods,
//! Events, the ends of all logs.

#[path = "../support/mod.rs"]
mod support;

mod article;
mod changes;
mod frames;
mod latency;
mod reliability;
mod scene;
