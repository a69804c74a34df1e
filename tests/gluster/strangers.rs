//! Who may not call an agent or mount a volume, and what is not ours.

use crate::scene::{Scene, wanted};
use crate::support::lab::run;
use crate::support::{tools, wait};
use std::process::Command;

#[test]
#[ignore = "needs root and glusterfs-server: tests/run gluster"]
fn nobody_but_the_manager_can_call_an_agent() {
    let scene = Scene::set();
    let ours = scene.lab.dir().join("tls");
    let others = scene.lab.dir().join("other-tls");
    let agent = scene.gluster.servers[1].host.v4.to_string();
    run(Command::new(tools::loods(&scene.lab))
        .args(["storage", "certificates", "--out"])
        .arg(&others)
        .arg(&agent));
    let call = |certificate: Option<std::path::PathBuf>| {
        let mut command = scene.lab.core().command("curl");
        command.args(["-sS", "--fail", "--max-time", "5", "--cacert"]);
        command.arg(ours.join("manager/ca.pem"));
        if let Some(own) = certificate {
            command.arg("--cert").arg(own.join("cert.pem"));
            command.arg("--key").arg(own.join("key.pem"));
        }
        command.args(["--data", "\"look\"", &format!("https://{agent}:24100/v1")]);
        crate::support::lab::attempt(&mut command)
    };
    let known = call(Some(ours.join("manager"))).expect("the manager can");
    assert!(known.contains("host"), "{known}");
    for stranger in [
        None,
        // Of another authority.
        Some(others.join("manager")),
        // Of the same, and not the manager's.
        Some(ours.join(scene.gluster.servers[0].host.v4.to_string())),
    ] {
        let refused = call(stranger.clone());
        assert!(refused.is_err(), "{stranger:?}: {refused:?}");
    }
}

#[test]
#[ignore = "needs root and glusterfs-server: tests/run gluster"]
fn who_may_mount_follows_what_the_manager_is_told() {
    let mut scene = Scene::set();
    scene.make("guarded", 1);
    let both: Vec<String> = scene
        .web
        .iter()
        .map(|web| web.host.v4.to_string())
        .collect();
    for allowed in [vec![both[0].clone()], both.clone()] {
        scene.gluster.kill_manager();
        scene.gluster.start_manager_for(allowed.clone());
        wait::until("glusterd has it", || {
            let info = scene.gluster.servers[2].shell("gluster volume info guarded")?;
            let line = info.lines().find(|line| line.starts_with("auth.allow: "));
            let listed = |address: &&String| line.is_some_and(|line| line.contains(&***address));
            let told: Vec<&String> = both.iter().filter(listed).collect();
            wait::check(told == allowed.iter().collect::<Vec<_>>(), line)
        });
        let servers = &scene.gluster.servers;
        for web in &scene.web {
            let script = format!(
                "mkdir -p /mnt/guarded && mount -t glusterfs {}:guarded /mnt/guarded && umount /mnt/guarded",
                servers[0].host.v4
            );
            let mounted = web.shell(&script);
            let may = allowed.contains(&web.host.v4.to_string());
            assert_eq!(mounted.is_ok(), may, "{}: {mounted:?}", web.host.name);
        }
    }
}

#[test]
#[ignore = "needs root and glusterfs-server: tests/run gluster"]
fn a_volume_that_is_not_ours_is_left_alone() {
    let scene = Scene::set();
    let server = &scene.gluster.servers[0];
    let gluster = "gluster --mode=script volume";
    let place = scene.gluster.servers[0].host.dir.join("byhand");
    let place = place.display();
    server
        .shell(&format!(
            "{gluster} create byhand {}:{place} force && {gluster} start byhand",
            server.host.v4
        ))
        .expect("somebody makes a volume by hand");
    let wanted = wanted("byhand", 1);
    let made = scene.ask(async |heketi| {
        let making = heketi.ensure_volume(&wanted);
        tokio::time::timeout(std::time::Duration::from_secs(5), making).await
    });
    assert!(!made.is_ok_and(|made| made.is_ok()), "it is not ours");
    let info = server.shell(&format!("{gluster} info byhand"));
    let info = info.expect("it is there");
    assert!(info.contains("Status: Started"), "{info}");
    server
        .shell(&format!(
            "{gluster} stop byhand force && {gluster} delete byhand && rm -r {place}"
        ))
        .expect("it is removed by hand");
    scene.wait_nothing_left();
}
