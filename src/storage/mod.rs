//! Shared storage: GlusterFS volumes made on demand, for today's Kubernetes.
//!
//! ```text
//!   StorageClass, PVC --watch--> controller --Heketi's REST--> manager --mutual TLS--> agent (one on
//!   PV, Event <--writes-----------'                 \                                  each storage host)
//!                                                    '--> or an existing Heketi          |  gluster --xml
//!   kubelet --CSI--> node --> keeper --> mount.glusterfs <== data ==> bricks <== glusterd <'
//! ```
//!
//! There is one way from the controller to volumes: Heketi's REST API, spoken
//! by an old Heketi and by our own manager alike. What Heketi lacks (look-up
//! by name, snapshots, health) the manager adds under `/loods/v1`, and the
//! client asks `GET /hello` which of the two it talks to.
//!
//! Nothing has a database. A volume's record stands in glusterd, as options
//! `user.loods.*` of the volume; a brick's in a marker file beside the brick;
//! a node's and a device's in a file each on that storage host. A manager that
//! starts asks the agents for all of it.
//!
//! | folder | kind | what lives there |
//! |---|---|---|
//! | [`heketi`] | both | the wire's shapes, tokens and errors (pure); the client |
//! | [`class`] | pure | what a StorageClass asks for, each error with its mend |
//! | [`gluster`] | pure | glusterd's XML, its commands' arguments, a volume's record |
//! | [`provision`] | pure | what to do next for a claim or a volume |
//! | [`controller`] | shell | watches claims, volumes and classes, and carries it out; CSI Controller |
//! | [`csi`] | shell | messages and services of CSI; what Node and Controller have in common |
//! | [`node`] | shell | CSI Identity and Node, registration, mounts, the mount keeper |
//! | [`manager`] | both | topology and placement (pure); serves Heketi's REST, drives agents |
//! | [`agent`] | shell | bricks and `gluster` on one storage host, for the manager alone |
//!
//! Never imports `lb`, `bgp` or `speaker`, nor they it.

pub mod agent;
pub mod class;
pub mod controller;
pub mod csi;
pub mod gluster;
pub mod heketi;
pub mod manager;
pub mod node;
pub mod provision;

/// `spec.csi.driver` of our PVs, and the provisioner name of our own classes.
pub const DRIVER: &str = "gluster.loods.io";

/// The provisioner name of the in-tree plugin that Kubernetes removed in 1.26.
pub const IN_TREE: &str = "kubernetes.io/glusterfs";
