//! What is lost and comes back: power, cables, glusterd's memory.

use crate::scene::{Scene, World, wanted};
use crate::support::lab::run;
use crate::support::wait;
use loods::storage::heketi::loods::HealthState;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;
use std::time::{Duration, Instant};

/// Heals and heartbeats take their time.
const LONG: Duration = Duration::from_secs(90);

#[test]
#[ignore = "needs root and glusterfs-server: tests/run gluster"]
fn a_storage_host_that_loses_power_serves_and_heals_unaided() {
    let mut scene = Scene::set();
    let volume = scene.make("powered", 1);
    let point = scene.web[0].mount("powered", &scene.gluster.servers);
    let write = |scene: &Scene, line: &str| {
        let script = format!("echo {line} >> {point}/file && sync {point}/file");
        scene.web[0].shell(&script).expect("it is written");
    };
    write(&scene, "before");
    let (lost, path) = {
        let (server, path) = &scene.gluster.bricks("powered")[0];
        (server.host.name.clone(), path.clone())
    };
    let brick = path.trim_end_matches("/brick").to_owned();
    let servers = scene.gluster.servers.iter_mut();
    let mut server = servers.filter(|server| server.host.name == lost);
    let host = server.next().expect("a brick's host");
    // It went while the brick grew: the file has its length, what is in it not yet.
    let half_grown = format!(
        "sed -i 's/\"size\": 1048576/\"size\": 2097152/' {brick}.json && grep 2097152 {brick}.json && truncate --size 2G {brick}.img && sync"
    );
    host.shell(&half_grown).expect("a brick of 1 GiB");
    host.reboot();
    drop(server);
    write(&scene, "meanwhile");
    let start = Instant::now();
    wait::until_within(LONG, "it has what was written meanwhile", || {
        let bricks = scene.gluster.bricks("powered");
        let healed = bricks[0].0.shell(&format!("cat {path}/file"))?;
        wait::check(healed == "before\nmeanwhile\n", healed)
    });
    println!(
        "a host without power: healed {:.1} s after it came back",
        start.elapsed().as_secs_f64()
    );
    let back = scene.gluster.servers.iter();
    let mut back = back.filter(|server| server.host.name == lost);
    let size = back.next().expect("it is one of them").shell(&format!(
        "df --block-size=M --output=size {brick} | tail -n 1"
    ));
    let size = size.expect("it is mounted");
    let mib = size
        .split('M')
        .next()
        .and_then(|text| text.trim().parse().ok());
    assert!(mib > Some(1900), "the growth is not finished: {size}");
    scene.wait_nodes();
    wait::until_within(LONG, "the volume is removed", || {
        let removed = scene.ask(async |heketi| heketi.delete_volume(&volume.id).await);
        removed.map_err(|error| error.to_string())
    });
    scene.wait_nothing_left();
}

#[test]
#[ignore = "needs root and glusterfs-server: tests/run gluster"]
fn volumes_are_made_while_a_host_is_away() {
    let scene = Scene::set();
    let away = &scene.gluster.servers[1].host;
    scene.lab.unplug(away);
    let start = Instant::now();
    // As the controller does: it asks again.
    let volume = wait::until_within(LONG, "a volume is made on the others", || {
        let wanted = wanted("meanwhile", 1);
        let made = scene.ask(async |heketi| heketi.ensure_volume(&wanted).await);
        made.map_err(|error| error.to_string())
    });
    println!(
        "a volume while a host is away: {:.1} s",
        start.elapsed().as_secs_f64()
    );
    let bricks = scene.gluster.bricks("meanwhile");
    assert_eq!(bricks.len(), 2);
    assert!(
        bricks
            .iter()
            .all(|(server, _)| server.host.name != away.name)
    );
    let start = Instant::now();
    scene.make("next", 1);
    println!("the next one: {:.1} s", start.elapsed().as_secs_f64());
    assert!(start.elapsed() < Duration::from_secs(20));
    scene.lab.plug(away);
    for name in ["meanwhile", "next"] {
        let found = scene.ask(async |heketi| heketi.find_by_name(name).await);
        let id = found.expect("an answer").expect("it is there").id;
        wait::until_within(LONG, "it is removed", || {
            let removed = scene.ask(async |heketi| heketi.delete_volume(&id).await);
            removed.map_err(|error| error.to_string())
        });
    }
    assert_ne!(volume.id, "");
    scene.wait_nothing_left();
}

#[test]
#[ignore = "needs root and glusterfs-server: tests/run gluster"]
fn a_volume_that_glusterd_does_not_know_any_more_keeps_its_files() {
    let mut scene = Scene::set();
    scene.make("lost", 1);
    let point = scene.web[0].mount("lost", &scene.gluster.servers);
    let written = scene.web[0].shell(&format!("echo precious > {point}/file && umount {point}"));
    written.expect("it is written");
    let places: Vec<_> = {
        let bricks = scene.gluster.bricks("lost").into_iter();
        bricks
            .map(|(server, path)| (server.host.name.clone(), path))
            .collect()
    };
    let gluster = "gluster --mode=script volume";
    scene.gluster.servers[0]
        .shell(&format!(
            "{gluster} stop lost force && {gluster} delete lost"
        ))
        .expect("somebody deletes it by hand");
    let told = |scene: &Scene| {
        let log = scene.gluster.manager.log();
        log.matches("a brick holds a volume that glusterd does not have")
            .count()
    };
    // Each life tells of both bricks once.
    for life in 1..=2 {
        scene.gluster.kill_manager();
        scene.gluster.start_manager();
        wait::until_within(LONG, "the manager tells of both bricks", || {
            wait::check(told(&scene) == 2 * life, scene.gluster.manager.tail(20))
        });
        wait::until("it does not know the volume", || {
            let found = scene.ask(async |heketi| heketi.find_by_name("lost").await);
            let found = found.map_err(|error| error.to_string())?;
            wait::check(found.is_none(), found)
        });
    }
    for (name, path) in places {
        let mut servers = scene.gluster.servers.iter();
        let server = servers.find(|server| server.host.name == name).expect("it");
        let kept = server.shell(&format!("cat {path}/file"));
        assert_eq!(kept.as_deref(), Ok("precious\n"), "{name}");
        // As the message has it.
        let record = format!("{}.json", path.trim_end_matches("/brick"));
        server
            .shell(&format!(
                "sed -i 's/\\(\"settled\": \\)true/\\1false/' {record}"
            ))
            .expect("it may go");
    }
    scene.gluster.kill_manager();
    scene.gluster.start_manager();
    scene.wait_nothing_left();
}

#[test]
#[ignore = "needs root and glusterfs-server: tests/run gluster"]
fn a_disk_that_somebody_else_filled_costs_nobody_a_file() {
    let scene = Scene::set();
    let volume = scene.make("squeezed", 2);
    let web = &scene.web[0];
    let point = web.mount("squeezed", &scene.gluster.servers);
    web.shell(&format!("echo before > {point}/old && sync {point}/old"))
        .expect("it is written");
    let bricks = scene.gluster.bricks("squeezed");
    let full = bricks[0].0;
    let device = full.device().display().to_string();
    full.shell(&format!(
        "fallocate -l $(($(df --output=avail -B1 {device} | tail -n 1) - (20 << 20))) {device}/theirs"
    ))
    .expect("somebody's file");
    // A brick has its room, whatever the others do.
    let script = format!(
        "for n in $(seq 10); do dd if=/dev/urandom of={point}/file-$n bs=1M count=30 conv=fsync 2>&1 || exit 1; done"
    );
    web.shell(&script).expect("there is room");
    let sums = format!("cd {point} && md5sum old file-*");
    let sums = web.shell(&sums).expect("they can be read");
    // Nothing new is placed where there is no room.
    scene.make("elsewhere", 1);
    let others = scene.gluster.bricks("elsewhere");
    assert!(
        others
            .iter()
            .all(|(server, _)| server.host.name != full.host.name)
    );

    wait::until_within(LONG, "both bricks have everything", || {
        for (server, path) in &bricks {
            let there = server.shell(&format!("cd {path} && md5sum old file-*"))?;
            wait::check(there == sums, (&server.host.name, there))?;
        }
        let health = scene.ask(async |heketi| heketi.health(&volume.id).await);
        let health = health
            .map_err(|error| error.to_string())?
            .ok_or("no volume")?;
        wait::check(health.state == HealthState::Healthy, &health)
    });
    // On the disk, and not in anybody's memory alone.
    let read =
        "for file in old file-*; do dd if=$file iflag=direct bs=1M status=none | md5sum; done";
    let on_disk = bricks
        .iter()
        .map(|(server, path)| server.shell(&format!("sync && cd {path} && {read}")));
    let on_disk: Vec<_> = on_disk.collect();
    assert!(
        on_disk[0].is_ok() && on_disk[0] == on_disk[1],
        "{on_disk:?}"
    );
    web.shell(&format!("umount {point}")).expect("unmounted");
    full.shell(&format!("rm {device}/theirs"))
        .expect("room again");
}

/// Mounts, loop devices and processes that tell of a directory.
fn traces(directory: &str) -> Vec<String> {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").expect("mounts");
    let loops = run(Command::new("losetup").args(["--list", "--output", "BACK-FILE"]));
    let processes = run(Command::new("ps").args(["-eo", "args"]));
    let all = [mounts, loops, processes];
    let lines = all.iter().flat_map(|text| text.lines());
    lines
        .filter(|line| line.contains(directory))
        .map(Into::into)
        .collect()
}

#[test]
#[ignore = "needs root and glusterfs-server: tests/run gluster"]
fn a_test_that_panics_leaves_nothing() {
    let mut directory = String::new();
    let failed = catch_unwind(AssertUnwindSafe(|| {
        let world = World::new();
        directory = world.lab.dir().display().to_string();
        world.make("half", 1);
        world.web[0].mount("half", &world.gluster.servers);
        assert!(
            traces(&directory)
                .iter()
                .any(|line| line.contains("brick_"))
        );
        panic!("as a failed test does; what follows is its story");
    }));
    failed.expect_err("it fails");
    wait::until("nothing is left", || {
        let traces = traces(&directory);
        wait::check(traces.is_empty(), traces)
    });
    assert!(!std::path::Path::new(&directory).exists());
}
