//! The official Python client drives the stand-in: what it takes for a Heketi,
//! our own client may be tested against.

use std::process::Command;

use super::{KEY, session::session};
use crate::stand_in::StandIn;

#[test]
#[ignore = "needs the Python package heketi, which tests/run installs"]
fn the_official_python_client_takes_the_stand_in_for_a_heketi() {
    let server = StandIn::start(KEY);
    let saw = session(Command::new("python3"), &server.url(), KEY, "/dev/sdz");
    saw.unwrap_or_else(|why| panic!("{why}\n{:#?}", server.lines()));
    assert!(server.volumes().is_empty());
}
