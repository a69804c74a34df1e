//! Heketi's official Python client, unmodified, drives the manager.

use crate::support::gluster::{Gluster, KEY};
use crate::support::lab::Lab;
use crate::support::{python, wait};

#[test]
#[ignore = "needs root, glusterfs-server and the Python package heketi: tests/run gluster"]
fn the_official_python_client_takes_the_manager_for_a_heketi() {
    let lab = Lab::new();
    let mut gluster = Gluster::start(&lab, 3, false, Vec::new());
    // What the session adds as a cluster of its own.
    let other = gluster.add_server(&lab, "node9", 49, "192.168.10.99");
    let device = other.device().display().to_string();
    wait::until("its agent listens", || {
        other
            .shell("ss -Hltn 'sport = :24100' | grep -q 24100")
            .map(drop)
    });
    let python = lab.core().command("python3");
    let saw = python::session(python, &gluster.url(), KEY, &device);
    let saw = saw.unwrap_or_else(|why| panic!("{why}\n{}", gluster.story()));
    assert_eq!(saw["clusters"].as_array().map(Vec::len), Some(1));
    assert_eq!(saw["node"]["devices"][0]["state"], "online");
    assert!(
        saw["made"]["mount"]["glusterfs"]["device"]
            .as_str()
            .is_some_and(|device| device.ends_with(":python"))
    );
    assert_eq!(gluster.left(), Ok(vec![]));
    gluster.kill_manager();
}
