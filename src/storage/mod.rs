//! Shared storage: GlusterFS volumes made on demand, for today's Kubernetes.
//!
//! ```text
//!   StorageClass, PVC --watch--> controller --Heketi's REST--> manager --mutual TLS--> agent --> glusterd
//!   PV, Event <--writes-----------'                 or an old Heketi                     bricks
//!   kubelet --CSI--> node --> keeper --> mount.glusterfs <============ data =============='
//! ```
//!
//! There is one way from the controller to volumes: Heketi's REST API. What
//! Heketi lacks (look-up by name, snapshots, health) a server may add under
//! `/loods/v1`, and the client asks `GET /hello` which of the two it talks to.
//!
//! | folder | kind | what lives there |
//! |---|---|---|
//! | [`heketi`] | both | the wire's shapes, tokens and errors (pure); the client |
//! | [`class`] | pure | what a StorageClass asks for, each error with its mend |
//! | [`provision`] | pure | what to do next for a claim or a volume |
//! | [`controller`] | shell | watches claims, volumes and classes, and carries it out; CSI Controller |
//! | [`doctor`] | both | why a claim has no volume, in words |
//! | [`migrate`] | both | PVs of the removed plugin become CSI PVs in place |
//! | [`csi`] | shell | messages and services of CSI; what Node and Controller have in common |
//! | [`node`] | shell | CSI Identity and Node, registration, mounts, the mount keeper |
//! | [`gluster`] | pure | commands of `gluster --xml` and their answers; records in volume options |
//! | [`manager`] | both | placement and state (pure); Heketi's REST API over agents |
//! | [`agent`] | shell | bricks, devices and `gluster` on one storage host, behind mutual TLS |
//! | [`demo`] | shell | three storage hosts in namespaces, and the article's volume on them |
//!
//! Never imports `lb`, `bgp` or `speaker`, nor they it.

pub mod adopt;
pub mod agent;
pub mod class;
pub mod controller;
pub mod csi;
pub mod demo;
pub mod doctor;
pub mod gluster;
pub mod heketi;
pub mod manager;
pub mod migrate;
pub mod node;
pub mod provision;

/// `spec.csi.driver` of our PVs, and the provisioner name of our own classes.
pub const DRIVER: &str = "gluster.loods.io";

/// The provisioner name of the in-tree plugin that Kubernetes removed in 1.26.
pub const IN_TREE: &str = "kubernetes.io/glusterfs";
