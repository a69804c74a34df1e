//! A disk that is about to die, and one that has died: their bricks move.

use crate::scene::Scene;
use crate::support::gluster::{KEY, Server};
use crate::support::{python, wait};
use loods::storage::heketi::loods::HealthState;
use loods::storage::heketi::wire::VolumeInfo;
use serde_json::Value;
use std::process::Stdio;
use std::time::Duration;

/// Gives a device these states, one after the other, by Heketi's own client, and
/// answers with how many bricks it has then.
#[track_caller]
fn states(scene: &Scene, device: &str, states: &[&str]) -> usize {
    let command = scene.lab.core().command("python3");
    let url = scene.gluster.url();
    let mut arguments = vec![&*url, "admin", KEY, device];
    arguments.extend(states);
    let shown = python::official(command, "device.py", &arguments);
    let shown = shown.unwrap_or_else(|why| panic!("{why}"));
    let shown: Value = serde_json::from_str(&shown).expect("JSON");
    assert_eq!(shown["state"].as_str(), states.last().copied());
    shown["bricks"].as_array().map_or(0, Vec::len)
}

/// Empties the device with this brick.
#[track_caller]
fn drain(scene: &Scene, volume: &VolumeInfo, at: &(&Server, String)) {
    let volume = scene.ask(async |heketi| heketi.volume(&volume.id).await);
    let bricks = volume.expect("an answer").expect("it is there").bricks;
    let brick = bricks.iter().find(|brick| brick.path == at.1);
    let device = &brick.expect("the brick is known").device;
    // As `heketi-cli device disable` and `device remove`.
    assert_eq!(states(scene, device, &["offline", "failed"]), 0);
    let left = at.0.shell(&format!("ls {}", at.1));
    assert!(left.is_err(), "the old brick is still there: {left:?}");
}

#[track_caller]
fn heals(scene: &Scene, volume: &VolumeInfo, file: &str) {
    wait::until_within(Duration::from_secs(90), "the new brick is healed", || {
        let health = scene.ask(async |heketi| heketi.health(&volume.id).await);
        let health = health.map_err(|error| error.to_string())?;
        let health = health.ok_or("no volume")?;
        wait::check(health.state == HealthState::Healthy, &health)?;
        let bricks = scene.gluster.bricks(&volume.name);
        let sum =
            |(server, path): &(&Server, String)| server.shell(&format!("md5sum < {path}/{file}"));
        let (one, two) = (sum(&bricks[0])?, sum(&bricks[1])?);
        wait::check(one == two, (one.clone(), two))
    });
}

#[test]
#[ignore = "needs root and glusterfs-server: tests/run gluster"]
fn a_device_is_drained_under_a_writer_also_when_its_brick_is_dead() {
    let scene = Scene::set();
    let volume = scene.make("moves", 1);
    let web = &scene.web[0];
    let point = web.mount("moves", &scene.gluster.servers);
    web.shell(&format!(
        "dd if=/dev/urandom of={point}/file bs=1M count=50 conv=fsync 2>&1"
    ))
    .expect("50 MB");
    let stop = web.host.dir.join("stop");
    let script = format!(
        "i=0; while [ ! -e {} ]; do echo $i >> {point}/lines && sync {point}/lines || exit 7; i=$((i+1)); done; echo $i",
        stop.display()
    );
    let mut writer = web.command("sh");
    writer.args(["-c", &script]).stdout(Stdio::piped());
    let writer = writer.spawn().expect("a writer");

    let old = scene.gluster.bricks("moves").remove(0);
    drain(&scene, &volume, &old);
    let now = scene.gluster.bricks("moves");
    assert!(
        now.iter().all(|brick| brick.1 != old.1),
        "{}",
        scene.gluster.story()
    );
    heals(&scene, &volume, "file");

    // The host that was emptied takes bricks again; then another's dies.
    let nodes = scene.ask(async |heketi| heketi.nodes(&[]).await);
    let devices = nodes
        .expect("nodes")
        .into_iter()
        .flat_map(|node| node.devices);
    let failed: Vec<_> = devices.filter(|device| device.state == "failed").collect();
    assert_eq!(failed.len(), 1);
    states(&scene, &failed[0].id, &["online"]);
    let dead = scene.gluster.bricks("moves").remove(0);
    dead.0.shell("pkill -9 -x glusterfsd").expect("it dies");
    drain(&scene, &volume, &dead);
    heals(&scene, &volume, "file");

    std::fs::write(&stop, "").expect("the writer is told");
    let wrote = writer.wait_with_output().expect("it ends");
    assert!(wrote.status.success(), "the writer saw an error: {wrote:?}");
    let count = String::from_utf8(wrote.stdout).expect("a number");
    let lines = web.shell(&format!("wc -l < {point}/lines"));
    assert_eq!(lines.as_deref().map(str::trim), Ok(count.trim()));
    heals(&scene, &volume, "lines");
    let failed = scene.ask(async |heketi| heketi.nodes(&[]).await);
    let devices = failed
        .expect("nodes")
        .into_iter()
        .flat_map(|node| node.devices);
    for device in devices.filter(|device| device.state == "failed") {
        states(&scene, &device.id, &["online"]);
    }
    web.shell(&format!("umount {point}")).expect("unmounted");
    scene.remove(&volume.id);
    scene.wait_nothing_left();
}
