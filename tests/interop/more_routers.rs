//! Two more implementations, each for the one thing that matters: the session
//! comes up and the routes arrive.

use crate::link::Link;
use crate::support::lab::{Host, attempt, run};
use crate::support::process::Process;
use crate::support::wait;
use serde_json::Value;
use std::fs;
use std::process::Command;

#[test]
#[ignore = "needs root: tests/run runs it"]
fn gobgp_takes_the_articles_session_and_its_routes() {
    let link = Link::new();
    let _gobgpd = start_gobgpd(&link);
    let mut speaker = link.speaker(crate::link::ARTICLE_PEER);
    speaker.tell("add 1.2.3.4/32 communities=64512:7");
    speaker.tell("fill 500 10.1.0.0");

    let paths = |host: &Host| -> Result<Value, String> {
        let text = attempt(host.command("gobgp").args(["-j", "global", "rib"]))?;
        serde_json::from_str(&text).map_err(|error| error.to_string())
    };
    let table = wait::until("GoBGP has 501 routes", || {
        let table = paths(&link.router)?;
        let count = table.as_object().map_or(0, serde_json::Map::len);
        wait::check(count == 501, count)?;
        Ok(table)
    });
    let path = &table["1.2.3.4/32"][0];
    let local_pref = path["attrs"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|attribute| attribute["type"] == 5);
    assert_eq!(
        local_pref.map(|attribute| &attribute["value"]),
        Some(&Value::from(100)),
        "{path}"
    );

    speaker.tell("clear 500 10.1.0.0");
    wait::until("GoBGP has one route", || {
        let table = paths(&link.router)?;
        let count = table.as_object().map_or(0, serde_json::Map::len);
        wait::check(count == 1 && table.get("1.2.3.4/32").is_some(), count)
    });
}

fn start_gobgpd(link: &Link) -> Process {
    let file = link.router.dir.join("gobgpd.yaml");
    let config = format!(
        "global:\n  config:\n    as: 65559\n    router-id: {}\nneighbors:\n- config:\n    neighbor-address: {}\n\
         \x20   peer-as: 65559\n    auth-password: foo\n  transport:\n    config:\n      passive-mode: true\n",
        link.router.v4, link.node.v4
    );
    fs::write(&file, config).expect("GoBGP's configuration");
    let mut command = link.router.command("gobgpd");
    command
        .args([
            "-t",
            "yaml",
            "--api-hosts",
            "127.0.0.1:50051",
            "--pprof-disable",
            "-f",
        ])
        .arg(&file);
    let mut process = Process::start(&link.router, "gobgpd", command);
    process.wait("GoBGP answers", || {
        attempt(link.router.command("gobgp").args(["-j", "neighbor"]))
    });
    process
}

#[test]
#[ignore = "needs root: tests/run runs it"]
fn openbgpd_takes_an_external_session_and_its_routes() {
    let link = Link::new();
    let (_openbgpd, socket) = start_openbgpd(&link);
    let mut speaker = link.speaker("peer-address: ROUTER\npeer-asn: 65002\nmy-asn: 65559");
    speaker.tell("add 1.2.3.4/32 communities=64512:7");

    let detail = wait::until("OpenBGPD has the route", || {
        let text = attempt(
            link.router
                .command("bgpctl")
                .args(["-s", &socket, "show", "rib", "detail"]),
        )?;
        wait::check(text.contains("1.2.3.4/32"), &text)?;
        Ok(text)
    });
    assert!(
        detail.contains("65559") && detail.contains("64512:7"),
        "{detail}"
    );
    speaker.tell("del 1.2.3.4/32");
    wait::until("OpenBGPD has no route", || {
        let text = attempt(
            link.router
                .command("bgpctl")
                .args(["-s", &socket, "show", "rib"]),
        )?;
        wait::check(!text.contains("1.2.3.4/32"), text)
    });
}

fn start_openbgpd(link: &Link) -> (Process, String) {
    let file = link.router.dir.join("openbgpd.conf");
    let socket = link.router.dir.join("openbgpd.sock").display().to_string();
    let config = format!(
        "AS 65002\nrouter-id {0}\nfib-update no\nlisten on {0}\nsocket \"{socket}\"\n\
         neighbor {1} {{\n remote-as 65559\n passive\n}}\nallow from any\n",
        link.router.v4, link.node.v4
    );
    fs::write(&file, config).expect("OpenBGPD's configuration");
    // The empty directory that it locks itself up in; systemd would make it.
    fs::create_dir_all("/run/openbgpd").expect("a directory under /run");
    // It refuses a configuration that others may read.
    run(Command::new("chmod").arg("600").arg(&file));
    let mut command = link.router.command("/usr/sbin/bgpd");
    command.args(["-d", "-f"]).arg(&file);
    let mut process = Process::start(&link.router, "openbgpd", command);
    process.wait("OpenBGPD answers", || {
        attempt(
            link.router
                .command("bgpctl")
                .args(["-s", &socket, "show", "summary"]),
        )
    });
    (process, socket)
}
