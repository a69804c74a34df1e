//! The whole product against a real control plane and real routers: two
//! allocators, three speakers on nodes n1…n3, each a process of its own as
//! nobody, with the rights of `manifests/loods.yaml` and no other.
//!
//! The router is FRR with the article's internal session, ASN 65559 and
//! password; BIRD is a second one with an external session. What is asserted
//! is what users see: `kubectl get svc`, and the routers' own tables. Where
//! something must *not* happen, everything that FRR heard is recorded, a
//! marker route is made last, and nothing may lie before it (see [`stage`]).
//!
//! The control plane and the routers are started once; each test starts its
//! own Loods and clears up its objects.

#[path = "../support/mod.rs"]
mod support;

mod allocation;
mod applied;
mod article;
mod configuration;
mod daemon;
mod endpoints;
mod layer2;
mod leaders;
mod leaving;
mod outages;
mod restore;
mod rights;
mod sharing;
mod stage;
mod words;
mod world;
