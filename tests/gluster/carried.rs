//! The second image carries a GlusterFS client: it mounts a volume with nothing of
//! the host's but the kernel.

use crate::scene::Scene;
use crate::support::lab::run;
use crate::support::tools;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Unpacks what the image's containers see.
#[track_caller]
fn unpack(image: &Path, into: &Path) -> PathBuf {
    let (layout, root) = (into.join("layout"), into.join("root"));
    for dir in [&layout, &root] {
        std::fs::create_dir_all(dir).expect("a directory");
    }
    run(Command::new("tar")
        .arg("-xf")
        .arg(image)
        .arg("-C")
        .arg(&layout));
    let blob = |of: &Value| {
        let digest = of["digest"].as_str().expect("a digest").replace(':', "/");
        layout.join("blobs").join(digest)
    };
    let read = |path: &Path| -> Value {
        let text = std::fs::read(path).expect("it is in the image");
        serde_json::from_slice(&text).expect("JSON")
    };
    let index = read(&layout.join("index.json"));
    let manifest = read(&blob(&index["manifests"][0]));
    for layer in manifest["layers"].as_array().expect("layers") {
        run(Command::new("tar")
            .arg("-xzf")
            .arg(blob(layer))
            .arg("-C")
            .arg(&root));
    }
    root
}

#[test]
#[ignore = "needs root and glusterfs-server: tests/run gluster"]
fn the_second_image_mounts_a_volume_with_nothing_of_the_host() {
    let scene = Scene::set();
    let volume = scene.make("carried", 1);
    let [one, two] = &scene.web;
    let point = two.mount("carried", &scene.gluster.servers);
    two.shell(&format!("echo hello > {point}/file && sync {point}/file"))
        .expect("it is written");

    let dir = one.host.dir.join("image");
    std::fs::create_dir_all(&dir).expect("a directory");
    let image = dir.join("loods-gluster.tar");
    // The client is what is tried; Loods' own program is in the first image too.
    run(Command::new(tools::repository().join("image/gluster"))
        .arg("--output")
        .arg(&image)
        .args(["--binary", "/bin/busybox"]));
    let root = unpack(&image, &dir).display().to_string();
    let from: Vec<String> = scene
        .gluster
        .servers
        .iter()
        .map(|server| server.host.v4.to_string())
        .collect();
    one.shell(&format!(
        "mkdir -p {root}/dev {root}/proc {root}/mnt/volume \
         && mount --bind /dev {root}/dev && mount -t proc proc {root}/proc \
         && chroot {root} /sbin/mount.glusterfs {}:/carried /mnt/volume -o backup-volfile-servers={},log-level=WARNING \
         || {{ cat {root}/var/log/glusterfs/*; exit 1; }}",
        from[0],
        from[1..].join(":")
    ))
    .expect("it is mounted");
    let read = one.shell(&format!(
        "cat {root}/mnt/volume/file && echo back > {root}/mnt/volume/other"
    ));
    assert_eq!(read.as_deref(), Ok("hello\n"));
    let back = two.shell(&format!("cat {point}/other"));
    assert_eq!(back.as_deref(), Ok("back\n"));
    // Every program and library of the process is the image's.
    let maps = one.shell("grep -h -o '/.*' /proc/$(pgrep -n -x glusterfs)/maps | sort -u");
    let maps = maps.expect("it runs");
    let modules = maps.lines().filter(|line| line.contains(".so"));
    let (own, others): (Vec<&str>, Vec<&str>) = modules.partition(|line| line.starts_with(&root));
    assert!(own.len() > 20 && others.is_empty(), "{others:?} {own:?}");

    // The client holds /dev/fuse for a moment more.
    let unmount = format!("umount {root}/mnt/volume {root}/proc && umount --lazy {root}/dev");
    one.shell(&unmount).expect("unmounted");
    two.shell(&format!("umount {point}")).expect("unmounted");
    scene.remove(&volume.id);
    scene.wait_nothing_left();
}
