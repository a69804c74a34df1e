//! Who may not call an agent.

use crate::scene::Scene;
use crate::support::lab::run;
use crate::support::tools;
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
