//! A volume as a Heketi left it: taken under management, and its bricks replaced.

use crate::scene::Scene;
use crate::support::gluster::KEY;
use crate::support::lab::attempt;
use crate::support::{tools, wait};
use std::time::Duration;

const ID: &str = "0123456789abcdef0123456789abcdef";

/// `loods storage adopt`, from a machine in the laboratory's network: exit code and output.
fn adopt(scene: &Scene, arguments: &[&str]) -> (i32, String) {
    let key = scene.lab.dir().join("admin-key");
    std::fs::write(&key, KEY).expect("a file");
    let mut command = scene.lab.core().command(tools::loods(&scene.lab));
    command
        .args(["storage", "adopt", "--without-kubernetes", "--manager"])
        .arg(scene.gluster.url())
        .arg("--key-file")
        .arg(&key)
        .args(arguments);
    let output = command.output().expect("it runs");
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8(text).expect("text");
    (output.status.code().expect("a code"), text)
}

/// Where Heketi mounts its logical volumes.
fn place(scene: &Scene, server: usize) -> String {
    let dir = &scene.gluster.servers[server].host.dir;
    format!("{}/heketi/mounts/vg_1", dir.display())
}

#[test]
#[ignore = "needs root and glusterfs-server: tests/run gluster"]
fn a_volume_of_a_lost_heketi_is_adopted_and_its_bricks_become_ours() {
    let mut scene = Scene::set();
    let name = format!("vol_{ID}");
    let mut bricks = Vec::new();
    for n in 0..2 {
        let server = &scene.gluster.servers[n];
        let path = format!(
            "{}/brick_{}/brick",
            place(&scene, n),
            n.to_string().repeat(32)
        );
        server.shell(&format!("mkdir -p {path}")).expect("a brick");
        bricks.push(format!("{}:{path}", server.host.v4));
    }
    let gluster = "gluster --mode=script volume";
    let make = format!(
        "{gluster} create {name} replica 2 {} force && {gluster} start {name}",
        bricks.join(" ")
    );
    scene.gluster.servers[0]
        .shell(&make)
        .expect("a volume is made by hand");
    let point = scene.web[0].mount(&name, &scene.gluster.servers);
    scene.web[0]
        .shell(&format!("echo precious > {point}/file"))
        .expect("it is written");

    // Looking changes nothing.
    let (code, told) = adopt(&scene, &[]);
    assert_eq!(code, 0, "{told}");
    for words in [
        &*name,
        ID,
        "can be adopted",
        "may be mounted by * now",
        "nothing was changed",
    ] {
        assert!(told.contains(words), "{words}: {told}");
    }
    let held = scene.ask(async |heketi| heketi.volumes().await.expect("a list"));
    assert_eq!(held, []);
    let (code, told) = adopt(&scene, &["no-such"]);
    assert!(code == 1 && told.contains("no-such: refused: "), "{told}");
    let (code, told) = adopt(&scene, &["--size", "1Gi"]);
    assert!(code == 2 && told.contains("of one volume"), "{told}");

    let one = [&*name, "--size", "1Gi", "--gid", "2000", "--apply"];
    let (code, told) = adopt(&scene, &one);
    assert!(code == 0 && told.contains("  adopted"), "{told}");
    let found = scene.ask(async |heketi| heketi.volume(ID).await);
    let found = found.expect("an answer").expect("it is there");
    assert_eq!((&*found.name, found.size, found.gid), (&*name, 1, 2000));
    assert_eq!(found.durability.replicate.replica, 2);
    // Who had it mounted, and may, notices nothing.
    let info = format!("{gluster} info {name}");
    wait::until("others may not mount it any more", || {
        let info = scene.gluster.servers[1].shell(&info)?;
        wait::check(
            info.contains(&format!("auth.allow: {}", scene.gluster.servers[0].host.v4)),
            info,
        )
    });
    let add = format!("echo more >> {point}/file && cat {point}/file");
    assert_eq!(scene.web[0].shell(&add).as_deref(), Ok("precious\nmore\n"));

    // The next manager has it too.
    scene.gluster.kill_manager();
    scene.gluster.start_manager();
    scene.wait_nodes();
    let again = scene.ask(async |heketi| heketi.volume(ID).await);
    assert_eq!(again.expect("an answer"), Some(found));
    let refused = scene.ask(async |heketi| heketi.expand_to(ID, 2).await);
    let refused = refused.expect_err("an old brick does not grow").to_string();
    assert!(refused.contains("--replace-bricks"), "{refused}");

    let (code, told) = adopt(&scene, &[&*name, "--apply", "--replace-bricks"]);
    assert!(
        code == 0 && told.contains("adopted, 2 bricks replaced"),
        "{told}"
    );
    wait::until_within(
        Duration::from_secs(60),
        "both new bricks have the file",
        || {
            let bricks = scene.gluster.bricks(&name);
            for (server, path) in &bricks {
                let there = server.shell(&format!("cat {path}/file"))?;
                wait::check(
                    there == "precious\nmore\n" && path.contains("/device/"),
                    (path, there),
                )?;
            }
            wait::check(bricks.len() == 2, bricks.len())
        },
    );
    // Asked for once more, it is done.
    let (code, told) = adopt(&scene, &[&*name, "--apply", "--replace-bricks"]);
    assert!(code == 0 && told.contains("  adopted"), "{told}");
    let grown = scene.ask(async |heketi| heketi.expand_to(ID, 2).await);
    assert_eq!(grown.expect("it grows").size, 2);
    assert_eq!(
        scene.web[0].shell(&format!("cat {point}/file")).as_deref(),
        Ok("precious\nmore\n")
    );

    scene.web[0]
        .shell(&format!("umount {point}"))
        .expect("it is unmounted");
    scene.remove(ID);
    scene.wait_nothing_left();
    // What others made stays, with its files.
    for n in 0..2 {
        let server = &scene.gluster.servers[n];
        let place = place(&scene, n);
        let kept = attempt(
            server
                .command("sh")
                .args(["-c", &format!("cat {place}/*/brick/file")]),
        );
        assert!(kept.is_ok_and(|kept| kept.starts_with("precious")));
        server
            .shell(&format!("rm -r {place}"))
            .expect("it is removed by hand");
    }
}
