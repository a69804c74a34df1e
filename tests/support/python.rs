//! A session of Heketi's official Python client: `tests/heketi/session.py`.

use std::process::Command;

/// `python3` with the session's arguments; `prefix` is a command that runs it
/// elsewhere, such as in another network.
pub fn session(
    mut prefix: Command,
    url: &str,
    key: &str,
    device: &str,
) -> Result<serde_json::Value, String> {
    let packages = std::env::var("LOODS_PYTHON").expect("tests/run sets LOODS_PYTHON");
    let output = prefix
        .arg(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/heketi/session.py"
        ))
        .args([url, "admin", key, device])
        .env("PYTHONPATH", packages)
        // Nothing beside the script, and no proxy between the two.
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("NO_PROXY", "*")
        .output()
        .expect("python3");
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let saw: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
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
