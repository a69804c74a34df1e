//! What volumes are for: made, shared, grown, copied, removed.

use crate::scene::{Scene, wanted};
use crate::support::gluster::Server;
use crate::support::wait;
use loods::storage::heketi::loods::{HealthState, Source};
use std::time::{Duration, Instant};

/// The same octets on every brick of a volume.
#[track_caller]
fn same_on_all_bricks(scene: &Scene, volume: &str, file: &str) {
    let sums: Vec<_> = scene
        .gluster
        .bricks(volume)
        .iter()
        .map(|(server, path)| server.shell(&format!("md5sum < {path}/{file}")))
        .collect();
    assert!(sums.len() == 2 && sums[0].is_ok(), "{sums:?}");
    assert_eq!(sums[0], sums[1]);
}

fn mib(web: &Server, point: &str) -> u64 {
    let df = web.shell(&format!(
        "df --block-size=M --output=size {point} | tail -n 1"
    ));
    let df = df.expect("df");
    df.trim().trim_end_matches('M').parse().expect("a number")
}

/// The floor: what glusterd itself takes for a volume, on directories.
fn by_hand(scene: &Scene) {
    let [one, two] = [0, 1].map(|n| {
        let host = &scene.gluster.servers[n].host;
        format!("{}:{}/byhand", host.v4, host.dir.display())
    });
    let gluster = "gluster --mode=script volume";
    let start = Instant::now();
    scene.gluster.servers[0]
        .shell(&format!(
            "{gluster} create byhand replica 2 {one} {two} force && {gluster} start byhand"
        ))
        .expect("a volume is made by hand");
    println!("a volume by hand: {:.2} s", start.elapsed().as_secs_f64());
    scene.gluster.servers[0]
        .shell(&format!(
            "{gluster} stop byhand force && {gluster} delete byhand"
        ))
        .expect("it is removed by hand");
    for server in &scene.gluster.servers[..2] {
        let place = server.host.dir.join("byhand");
        server
            .shell(&format!("rm -r {}", place.display()))
            .expect("its directory goes");
    }
}

#[test]
#[ignore = "needs root and glusterfs-server: tests/run gluster"]
fn a_volume_is_made_shared_grown_and_removed() {
    let scene = Scene::set();
    let start = Instant::now();
    let volume = scene.make("uploads", 2);
    println!("first volume: {:.2} s", start.elapsed().as_secs_f64());
    by_hand(&scene);
    let start = Instant::now();
    let next = scene.make("next", 1);
    println!("the next volume: {:.2} s", start.elapsed().as_secs_f64());
    scene.remove(&next.id);
    // Half a second on a quiet machine.
    assert!(start.elapsed() < Duration::from_secs(10));
    let info = scene.gluster.servers[2]
        .shell("gluster volume info uploads")
        .expect("every glusterd knows it");
    assert!(info.contains("Number of Bricks: 1 x 2 = 2"), "{info}");
    let allow = info.lines().find(|line| line.starts_with("auth.allow: "));
    let allow = allow.expect("not everybody may mount it");
    for host in scene.gluster.servers.iter().chain(&scene.web) {
        assert!(allow.contains(&host.host.v4.to_string()), "{allow}");
    }
    assert!(!allow.contains('*'), "{allow}");

    let [one, two] = &scene.web;
    let point = one.mount("uploads", &scene.gluster.servers);
    two.mount("uploads", &scene.gluster.servers);
    one.shell(&format!(
        "dd if=/dev/urandom of={point}/file bs=1M count=20 2>&1"
    ))
    .expect("one writes");
    assert_eq!(
        one.shell(&format!("md5sum {point}/file")),
        two.shell(&format!("md5sum {point}/file"))
    );
    same_on_all_bricks(&scene, "uploads", "file");

    let before = mib(two, &point);
    let grown = scene.ask(async |heketi| heketi.expand_to(&volume.id, 3).await);
    assert_eq!(grown.expect("it grows").size, 3);
    wait::until("a client sees it", || {
        let now = mib(two, &point);
        wait::check(now > before + 900, (before, now))
    });
    // Once more with another goal that it has: nothing grows twice.
    let again = scene.ask(async |heketi| heketi.expand_to(&volume.id, 3).await);
    assert_eq!(again.expect("done already").size, 3);
    for web in &scene.web {
        web.shell(&format!("umount {point}")).expect("unmounted");
    }
    scene.remove(&volume.id);
    assert_eq!(scene.gluster.left(), Ok(vec![]));
}

#[test]
#[ignore = "needs root and glusterfs-server: tests/run gluster"]
fn a_full_volume_takes_nothing_from_its_neighbours() {
    let scene = Scene::set();
    scene.make("full", 1);
    scene.make("beside", 1);
    let web = &scene.web[0];
    let full = web.mount("full", &scene.gluster.servers);
    let beside = web.mount("beside", &scene.gluster.servers);
    let written = web.shell(&format!(
        "dd if=/dev/zero of={full}/file bs=1M count=1200 2>&1"
    ));
    let why = written.expect_err("more than it holds");
    assert!(why.contains("No space left"), "{why}");
    web.shell(&format!(
        "dd if=/dev/zero of={beside}/file bs=1M count=300 2>&1"
    ))
    .expect("the other has its room");
}

#[test]
#[ignore = "needs root and glusterfs-server: tests/run gluster"]
fn a_snapshot_and_a_clone_have_what_was_there_and_go_their_own_way() {
    let scene = Scene::set();
    let volume = scene.make("origin", 1);
    let web = &scene.web[0];
    let origin = web.mount("origin", &scene.gluster.servers);
    web.shell(&format!(
        "dd if=/dev/urandom of={origin}/file bs=1M count=200 conv=fsync 2>&1"
    ))
    .expect("200 MB");
    let sum = web.shell(&format!("md5sum < {origin}/file"));

    let start = Instant::now();
    let taken = scene.ask(async |heketi| heketi.snapshot("nightly", &volume.id).await);
    let taken = taken.expect("a snapshot");
    println!("snapshot of 200 MB: {:.2} s", start.elapsed().as_secs_f64());
    assert_eq!((taken.volume.as_str(), taken.size), (&*volume.id, 1));
    web.shell(&format!(
        "echo changed > {origin}/file && sync {origin}/file"
    ))
    .expect("the volume goes on");

    let start = Instant::now();
    let source = Source::Snapshot(taken.id.clone());
    let restored = scene.ask(async |heketi| {
        let wanted = wanted("restored", 2);
        heketi.clone_volume(&wanted, source).await
    });
    let restored = restored.expect("a volume of the snapshot");
    println!("volume of it: {:.2} s", start.elapsed().as_secs_f64());
    let point = web.mount("restored", &scene.gluster.servers);
    assert_eq!(web.shell(&format!("md5sum < {point}/file")), sum);
    assert!(mib(web, &point) > 1900);
    web.shell(&format!("echo mine > {point}/own"))
        .expect("it is writable");
    assert!(web.shell(&format!("ls {origin}/own")).is_err());
    same_on_all_bricks(&scene, "restored", "own");

    // The volume as it is now.
    let source = Source::Volume(volume.id.clone());
    let start = Instant::now();
    let cloned = scene.ask(async |heketi| heketi.clone_volume(&wanted("cloned", 1), source).await);
    println!("clone of it: {:.2} s", start.elapsed().as_secs_f64());
    let cloned = cloned.expect("a clone");
    let point = web.mount("cloned", &scene.gluster.servers);
    assert_eq!(
        web.shell(&format!("cat {point}/file")).as_deref(),
        Ok("changed\n")
    );

    // What is needed stays.
    let refused = scene.ask(async |heketi| heketi.delete_volume(&volume.id).await);
    let why = refused.expect_err("it has a snapshot").to_string();
    assert!(why.contains("nightly"), "{why}");
    let left = scene
        .ask(async |heketi| heketi.snapshots().await)
        .expect("a list");
    assert_eq!(left, std::slice::from_ref(&taken));
    let gone = scene.ask(async |heketi| heketi.delete_snapshot(&taken.id).await);
    gone.expect("removed");
    for id in [&volume.id, &restored.id, &cloned.id] {
        let _ = web.shell("umount -l /mnt/*");
        scene.remove(id);
    }
    assert_eq!(scene.gluster.left(), Ok(vec![]));
}

#[test]
#[ignore = "needs root and glusterfs-server: tests/run gluster"]
fn a_new_manager_knows_all_that_the_last_one_knew() {
    let mut scene = Scene::set();
    let know = |scene: &Scene| {
        scene.ask(async |heketi| {
            let nodes = heketi.nodes(&[]).await.expect("nodes");
            let volumes = heketi.volumes().await.expect("volumes");
            let snapshots = heketi.snapshots().await.expect("snapshots");
            // What is free moves with what others write.
            let nodes: Vec<_> = nodes
                .into_iter()
                .map(|node| (node.id, node.add, node.devices.len()))
                .collect();
            (nodes, volumes, snapshots)
        })
    };
    for with_volumes in [false, true] {
        if with_volumes {
            let volume = scene.make("kept", 1);
            let taken = scene.ask(async |heketi| heketi.snapshot("kept", &volume.id).await);
            taken.expect("a snapshot");
        }
        let before = know(&scene);
        assert_eq!(before.1.len(), usize::from(with_volumes));
        scene.gluster.kill_manager();
        scene.gluster.start_manager();
        scene.wait_nodes();
        wait::until("it knows the same", || {
            let now = know(&scene);
            wait::check(now == before, (&before, &now))
        });
    }
}

#[test]
#[ignore = "needs root and glusterfs-server: tests/run gluster"]
fn a_healthy_volume_says_so_and_the_room_is_told() {
    let scene = Scene::set();
    let room = scene
        .ask(async |heketi| heketi.capacity().await)
        .expect("room");
    assert!(room.total >= 4 * (15 << 20), "{room:?}");
    let volume = scene.make("well", 1);
    let less = scene
        .ask(async |heketi| heketi.capacity().await)
        .expect("room");
    assert!(less.free <= room.free - (2 << 20), "{room:?} {less:?}");
    wait::until("it is healthy", || {
        let health = scene.ask(async |heketi| heketi.health(&volume.id).await);
        let health = health
            .map_err(|error| error.to_string())?
            .ok_or("no volume")?;
        wait::check(
            health.state == HealthState::Healthy && health.bricks.len() == 2,
            &health,
        )
    });
}
