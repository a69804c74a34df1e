//! Claims against a real control plane: kube-apiserver, kube-controller-manager
//! and `loods storage controller`, a process as nobody with the rights of
//! `manifests/storage.yaml` and no other. Heketi is the stand-in of
//! `tests/support/heketi`, which tells what it was asked and what it holds.
//!
//! What is asserted is what users see (`kubectl get pvc`, the PV, Events) and
//! that the stand-in holds exactly the volumes that it should. In `real` our own
//! manager is in its place, with real glusterds.

#[path = "../support/mod.rs"]
mod support;

mod article;
mod controller;
mod crashes;
mod errors;
mod figures;
mod health;
mod many;
mod migrate;
mod real;
mod sources;
mod stage;
mod world;
