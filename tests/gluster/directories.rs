//! Bricks that are plain directories: Gluster's quota keeps their size.

use crate::scene::{Scene, wanted};
use crate::support::gluster::KEY;
use crate::support::{python, wait};
use std::time::Duration;

/// A second device of a host, by Heketi's own client.
#[track_caller]
fn device(scene: &Scene, server: usize, order: &str) -> String {
    let host = &scene.gluster.servers[server].host;
    let place = host.dir.join("plain");
    std::fs::create_dir_all(&place).expect("a directory");
    let place = place.display().to_string();
    let url = scene.gluster.url();
    let arguments = [&*url, "admin", KEY, order, &host.v4.to_string(), &place];
    let done = python::official(
        scene.lab.core().command("python3"),
        "directory.py",
        &arguments,
    );
    done.unwrap_or_else(|why| panic!("{why}"));
    place
}

#[test]
#[ignore = "needs root and glusterfs-server: tests/run gluster"]
fn a_volume_on_directories_holds_what_was_asked_for_and_no_more() {
    let scene = Scene::set();
    let places = [0, 1].map(|server| device(&scene, server, "add"));
    let mut wanted = wanted("plain", 1);
    let rule = "user.heketi.device-tag-match bricks=directory";
    wanted.glustervolumeoptions.push(rule.into());
    let volume = scene.ask(async |heketi| heketi.ensure_volume(&wanted).await);
    let volume = volume.expect("a volume is made");
    let bricks = scene.gluster.bricks("plain");
    let mut on: Vec<&str> = bricks
        .iter()
        .filter_map(|(_, path)| Some(path.split_once("/brick_")?.0))
        .collect();
    on.sort_unstable();
    assert_eq!(on, places);

    let web = &scene.web[0];
    let point = web.mount("plain", &scene.gluster.servers);
    let sized = |gib: u64| {
        wait::until("df tells the size that was asked for", || {
            let df = web.shell(&format!("df --block-size=1 --output=size {point}"))?;
            let size = df.lines().last().map(str::trim);
            wait::check(size == Some(&*(gib << 30).to_string()), df)
        });
    };
    sized(1);
    // Quota looks at what was written every few seconds.
    let fill = |name: &str| {
        let script = format!(
            "for n in $(seq 30); do dd if=/dev/zero of={point}/{name}-$n bs=1M count=100 conv=fsync 2>&1 || exit 1; done"
        );
        web.shell(&script)
    };
    let why = fill("file").expect_err("more than it holds");
    assert!(why.contains("Disk quota exceeded"), "{why}");
    let used = web.shell(&format!("du --summarize --block-size=1M {point}"));
    println!("a volume of 1 GiB on directories took {used:?} MiB");

    let grown = scene.ask(async |heketi| heketi.expand_to(&volume.id, 4).await);
    assert_eq!(grown.expect("it grows").size, 4);
    sized(4);
    wait::until_within(Duration::from_secs(30), "there is room again", || {
        web.shell(&format!(
            "dd if=/dev/zero of={point}/more bs=1M count=100 conv=fsync 2>&1"
        ))
    });
    let refused = scene.ask(async |heketi| heketi.snapshot("never", &volume.id).await);
    let why = refused.expect_err("no reflinks there").to_string();
    assert!(why.contains("reflink"), "{why}");

    web.shell(&format!("umount {point}")).expect("unmounted");
    scene.remove(&volume.id);
    for (server, place) in places.iter().enumerate() {
        device(&scene, server, "remove");
        let left = scene.gluster.servers[server].shell(&format!("ls -A {place}"));
        assert_eq!(left.as_deref(), Ok(""));
    }
    scene.wait_nothing_left();
}
