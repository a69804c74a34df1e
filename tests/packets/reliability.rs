//! What a steady stream of connections loses when something happens.
//!
//! 500 new connections a second and 50 long ones run from the client to a
//! Service of policy Local, all through these tests. Each test does one thing
//! that happens in the life of a cluster, writes down what was lost (see
//! [`row`]) and asserts what is promised: new connections lose nothing in
//! whatever is done with notice. docs/reliability.md has the table.
//!
//! The tests share one installation and one stream ([`steady`]), and each
//! leaves the cluster as it found it: three pods on three nodes.

mod allocators;
mod nodes;
mod pods;
mod row;
mod speakers;
mod steady;
mod the_api;
