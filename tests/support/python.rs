//! Heketi's official Python client: the scripts of `tests/heketi`.

use std::process::Command;

/// `python3` with the session's arguments; `prefix` is a command that runs it
/// elsewhere, such as in another network.
pub fn session(
    prefix: Command,
    url: &str,
    key: &str,
    device: &str,
) -> Result<serde_json::Value, String> {
    let saw = official(prefix, "session.py", &[url, "admin", key, device])?;
    let saw: serde_json::Value = serde_json::from_str(&saw).expect("JSON");
    assert_eq!(saw["made"]["size"], 2);
    assert_eq!(saw["made"]["bricks"].as_array().map(Vec::len), Some(2));
    assert_eq!(
        saw["taken"],
        "Failed to allocate new volume: Volume name 'python' already in use\n"
    );
    assert_eq!(saw["gone"], "Id not found\n");
    assert_eq!(saw["four"], "Invalid replica value\n");
    assert_eq!(saw["node"]["devices"][0]["name"], device);
    assert_eq!(
        saw["stranger"],
        "Invalid JWT token: signature is invalid (client and server secrets may not match)\n"
    );
    Ok(saw)
}

/// Runs a script of `tests/heketi` with the official client.
pub fn official(mut prefix: Command, script: &str, arguments: &[&str]) -> Result<String, String> {
    let packages = std::env::var("LOODS_PYTHON").expect("tests/run sets LOODS_PYTHON");
    let scripts = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/heketi");
    let output = prefix
        .arg(format!("{scripts}/{script}"))
        .args(arguments)
        .env("PYTHONPATH", packages)
        // Nothing beside the script, and no proxy between the two.
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("NO_PROXY", "*")
        .output()
        .expect("python3");
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    match output.status.success() {
        true => Ok(text(&output.stdout)),
        false => Err(text(&output.stderr)),
    }
}
