//! A disk that is about to die, and one that has died: their bricks move.

use crate::scene::{Scene, wanted};
use crate::support::gluster::{KEY, Server};
use crate::support::{python, wait};
use loods::storage::heketi::loods::HealthState;
use loods::storage::heketi::wire::{Disperse, Durability, VolumeCreate, VolumeInfo};
use serde_json::Value;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// Gives a device these states, one after the other, by Heketi's own client, and
/// answers with how many bricks it has then.
fn try_states(scene: &Scene, device: &str, states: &[&str]) -> Result<usize, String> {
    let command = scene.lab.core().command("python3");
    let url = scene.gluster.url();
    let mut arguments = vec![&*url, "admin", KEY, device];
    arguments.extend(states);
    let shown = python::official(command, "device.py", &arguments)?;
    let shown: Value = serde_json::from_str(&shown).expect("JSON");
    assert_eq!(shown["state"].as_str(), states.last().copied());
    Ok(shown["bricks"].as_array().map_or(0, Vec::len))
}

#[track_caller]
fn states(scene: &Scene, device: &str, states: &[&str]) -> usize {
    try_states(scene, device, states).unwrap_or_else(|why| panic!("{why}"))
}

/// The device with this brick.
#[track_caller]
fn device_of(scene: &Scene, volume: &VolumeInfo, path: &str) -> String {
    let volume = scene.ask(async |heketi| heketi.volume(&volume.id).await);
    let bricks = volume.expect("an answer").expect("it is there").bricks;
    let brick = bricks.iter().find(|brick| brick.path == path);
    brick.expect("the brick is known").device.clone()
}

/// Empties it, as `heketi-cli device disable` and `device remove` do.
#[track_caller]
fn drain(scene: &Scene, volume: &VolumeInfo, at: &(&Server, String)) {
    let device = device_of(scene, volume, &at.1);
    assert_eq!(states(scene, &device, &["offline", "failed"]), 0);
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

/// Ends a brick's process.
#[track_caller]
fn kill((server, path): &(&Server, String)) {
    let name = path.split('/').find(|part| part.starts_with("brick_"));
    let name = name.expect("a brick of ours").trim_start_matches('b');
    // In brackets, so that the shell is not one of those it finds.
    let done = server.shell(&format!("pkill -9 -f '[b]{name}/brick'"));
    done.expect("it dies");
}

/// Has the manager put another in a brick's place, which heals then.
#[track_caller]
fn replace(scene: &Scene, volume: &VolumeInfo, path: &str) {
    let known = scene.ask(async |heketi| heketi.volume(&volume.id).await);
    let bricks = known.expect("an answer").expect("it is there").bricks;
    let brick = bricks.iter().find(|brick| brick.path == path);
    let id = &brick.expect("the brick is known").id;
    let done = scene.ask(async |heketi| heketi.replace_brick(&volume.id, id).await);
    done.expect("it is replaced");
    wait::until_within(Duration::from_secs(90), "the new brick is healed", || {
        let health = scene.ask(async |heketi| heketi.health(&volume.id).await);
        let health = health.map_err(|error| error.to_string())?;
        let health = health.ok_or("no volume")?;
        wait::check(health.state == HealthState::Healthy, &health)
    });
}

/// Writes a file, has these bricks of the volume replaced, and reads it on another
/// machine while one of the others is dead.
#[track_caller]
fn moves(scene: &Scene, wanted: &VolumeCreate, places: &[usize], then_dead: usize) {
    let volume = scene.ask(async |heketi| heketi.ensure_volume(wanted).await);
    let volume = volume.expect("a volume is made");
    let [one, two] = &scene.web;
    let point = one.mount(&volume.name, &scene.gluster.servers);
    one.shell(&format!(
        "dd if=/dev/urandom of={point}/file bs=1M count=20 conv=fsync 2>&1"
    ))
    .expect("20 MB");
    let sum = one.shell(&format!("md5sum {point}/file"));
    for place in places {
        let (_, old) = scene.gluster.bricks(&volume.name).remove(*place);
        replace(scene, &volume, &old);
        let now = scene.gluster.bricks(&volume.name);
        assert!(now.iter().all(|(_, path)| *path != old));
        let mut hosts: Vec<_> = now.iter().map(|(server, _)| &server.host.name).collect();
        hosts.sort();
        hosts.dedup();
        assert_eq!(hosts.len(), now.len(), "two bricks of a set on one host");
    }
    kill(&scene.gluster.bricks(&volume.name)[then_dead]);
    two.mount(&volume.name, &scene.gluster.servers);
    assert_eq!(two.shell(&format!("md5sum {point}/file")), sum);
    for web in [one, two] {
        web.shell(&format!("umount {point}")).expect("unmounted");
    }
    scene.remove(&volume.id);
    scene.wait_nothing_left();
}

#[test]
#[ignore = "needs root and glusterfs-server: tests/run gluster"]
fn an_arbiter_moves_and_so_does_what_it_decides_between() {
    let scene = Scene::set();
    let mut wanted = wanted("judged", 1);
    wanted.durability = Durability::replicate(3);
    wanted
        .glustervolumeoptions
        .push("user.heketi.arbiter true".into());
    moves(&scene, &wanted, &[2, 0], 1);
}

#[test]
#[ignore = "needs root and glusterfs-server: tests/run gluster"]
fn a_brick_of_an_erasure_coded_volume_moves() {
    let scene = Scene::set();
    let mut wanted = wanted("coded", 1);
    wanted.durability = Durability {
        kind: "disperse".into(),
        disperse: Disperse {
            data: 2,
            redundancy: 1,
        },
        ..Durability::default()
    };
    moves(&scene, &wanted, &[0], 1);
}

#[test]
#[ignore = "needs root and glusterfs-server: tests/run gluster"]
fn the_bricks_of_a_host_that_is_cut_off_move_and_are_removed_when_it_is_back() {
    let scene = Scene::set();
    let volume = scene.make("bereft", 1);
    let point = scene.web[0].mount("bereft", &scene.gluster.servers);
    scene.web[0]
        .shell(&format!(
            "echo precious > {point}/file && sync {point}/file"
        ))
        .expect("it is written");
    let (gone, path) = {
        // Not the manager's.
        let mut bricks = scene.gluster.bricks("bereft").into_iter();
        let gone = bricks.find(|(server, _)| server.host.name != "gfs1");
        let (server, path) = gone.expect("there are two");
        (server.host.name.clone(), path)
    };
    let servers = scene.gluster.servers.iter();
    let at = servers
        .map(|server| &server.host.name)
        .position(|name| *name == gone);
    let at = at.expect("it is one of them");
    // Nobody tells its peers: glusterd itself misses it after half a minute.
    scene.lab.unplug(&scene.gluster.servers[at].host);
    let device = device_of(&scene, &volume, &path);
    // As one does at night: again, until it works.
    let start = Instant::now();
    wait::until_within(Duration::from_secs(120), "its device is emptied", || {
        try_states(&scene, &device, &["offline", "failed"])
    });
    println!(
        "the bricks of a host that was lost a moment ago moved in {:.1} s",
        start.elapsed().as_secs_f64()
    );
    let now = scene.gluster.bricks("bereft");
    assert!(now.iter().all(|(server, _)| server.host.name != gone));
    heals(&scene, &volume, "file");
    let read = scene.web[0].shell(&format!("echo more >> {point}/file && cat {point}/file"));
    assert_eq!(read.as_deref(), Ok("precious\nmore\n"));

    scene.lab.plug(&scene.gluster.servers[at].host);
    let back = &scene.gluster.servers[at];
    wait::until_within(Duration::from_secs(90), "its old brick is removed", || {
        let left = back.shell(&format!("ls {}", back.device().display()))?;
        wait::check(!left.contains("brick_"), left)
    });
    assert_eq!(states(&scene, &device, &["online"]), 0);
    scene.web[0]
        .shell(&format!("umount {point}"))
        .expect("unmounted");
    scene.remove(&volume.id);
    scene.wait_nothing_left();
}
