//! The official Python client drives the stand-in: what it takes for a Heketi,
//! our own client may be tested against.

use std::process::Command;

use super::KEY;
use crate::stand_in::StandIn;

#[test]
#[ignore = "needs the Python package heketi, which tests/run installs"]
fn the_official_python_client_takes_the_stand_in_for_a_heketi() {
    let packages = std::env::var("LOODS_PYTHON").expect("tests/run sets LOODS_PYTHON");
    let server = StandIn::start(KEY);
    let output = Command::new("python3")
        .arg(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/heketi/session.py"
        ))
        .args([&server.url(), "admin", KEY, "/dev/sdz"])
        .env("PYTHONPATH", packages)
        // Nothing beside the script, and no proxy between the two.
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("NO_PROXY", "*")
        .output()
        .expect("python3");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}\n{:#?}", server.lines());
    let saw: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(saw["made"]["size"], 2);
    assert_eq!(saw["made"]["bricks"].as_array().map(Vec::len), Some(2));
    assert_eq!(
        saw["taken"],
        "Failed to allocate new volume: Volume name 'python' already in use\n"
    );
    assert_eq!(saw["gone"], "Id not found\n");
    assert_eq!(saw["four"], "Invalid replica value\n");
    assert_eq!(saw["node"]["devices"][0]["name"], "/dev/sdz");
    assert_eq!(
        saw["stranger"],
        "Invalid JWT token: signature is invalid (client and server secrets may not match)\n"
    );
    assert!(server.volumes().is_empty());
}
