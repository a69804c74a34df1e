//! `loods run --files`: a directory in place of a cluster, and a real router.

use std::fs;
use std::os::unix::fs::chown;
use std::path::PathBuf;

use crate::link::Link;
use crate::support::frr::Frr;
use crate::support::process::Process;
use crate::support::{tools, wait};

/// Whom the daemon runs as.
const NOBODY: u32 = 65534;

/// A directory with the sample, for the router of this link, and a daemon on it.
struct Machine {
    link: Link,
    frr: Frr,
    dir: PathBuf,
    daemon: Process,
}

const NEIGHBOUR: &str = "
 neighbor NODE remote-as 64513
 address-family ipv4 unicast
  neighbor NODE activate
 exit-address-family";

impl Machine {
    fn start() -> Machine {
        let link = Link::new();
        let frr = link.frr(64512, NEIGHBOUR);
        let dir = link.node.dir.join("objects");
        fs::create_dir_all(&dir).expect("a directory");
        chown(&dir, Some(NOBODY), Some(NOBODY)).expect("given to nobody");
        let daemon = run(&link, &dir);
        let machine = Machine {
            link,
            frr,
            dir,
            daemon,
        };
        machine.write(&sample().replace("198.51.100.1", &machine.link.router.v4.to_string()));
        machine
    }

    fn write(&self, text: &str) {
        let new = self.dir.join(".new");
        fs::write(&new, text).expect("written");
        fs::rename(new, self.file()).expect("moved");
    }

    fn file(&self) -> PathBuf {
        self.dir.join("loods.yaml")
    }

    fn edit(&self, from: &str, to: &str) {
        let text = fs::read_to_string(self.file()).expect("readable");
        assert!(text.contains(from), "{from}: {text}");
        self.write(&text.replace(from, to));
    }

    fn wait_routes(&self, wanted: &[&str]) {
        wait::until(&format!("FRR has {wanted:?}"), || {
            let table = self.frr.table("ipv4");
            let held: Vec<&str> = table.keys().map(String::as_str).collect();
            wait::check(held == wanted, &held)
        });
    }
}

fn sample() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/config/files/loods.yaml");
    fs::read_to_string(path).expect("the sample")
}

fn run(link: &Link, dir: &std::path::Path) -> Process {
    let mut command = link.node.command_as_nobody(tools::loods(&link.lab));
    command
        .args(["run", "--node-name", "n1", "--files"])
        .arg(dir);
    Process::start(&link.node, "loods", command)
}

#[test]
#[ignore = "needs root: tests/run runs it"]
fn the_sample_announces_its_service_and_follows_its_file() {
    let mut machine = Machine::start();
    machine.wait_routes(&["192.0.2.10/32"]);
    let status = fs::read_to_string(machine.dir.join(".status/default.web.yaml"));
    let status = status.expect("a status file");
    assert!(
        status.contains("192.0.2.10") && status.contains("InPool"),
        "{status}"
    );

    machine.edit("ready: true", "ready: false");
    machine.wait_routes(&[]);
    machine.edit("ready: false", "ready: true");
    machine.wait_routes(&["192.0.2.10/32"]);

    // Neither what does not parse nor an editor that puts its backup aside
    // changes anything; the marker that follows says so.
    let recorded = machine.frr.recording().len();
    let text = fs::read_to_string(machine.file()).expect("readable");
    fs::rename(machine.file(), machine.dir.join("loods.yaml~")).expect("moved");
    fs::write(machine.file(), text).expect("written");
    fs::write(machine.dir.join("broken.yaml"), "kind: [\n").expect("written");
    let mail = "apiVersion: v1\nkind: Service\nmetadata: {name: mail}\nspec: {type: LoadBalancer, ports: [{port: 25}]}\n---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: mail, labels: {kubernetes.io/service-name: mail}}\naddressType: IPv4\nendpoints: [{addresses: [192.0.2.11]}]\n";
    fs::write(machine.dir.join("mail.yaml"), mail).expect("written");
    machine.wait_routes(&["192.0.2.10/32", "192.0.2.11/32"]);
    let since = &machine.frr.recording()[recorded..];
    assert!(
        since
            .iter()
            .all(|heard| format!("{heard:?}").contains("192.0.2.11")),
        "{since:?}"
    );
    let log = machine.daemon.log();
    assert!(
        log.contains("broken.yaml") && log.contains("line "),
        "{log}"
    );

    // After a restart with a broken configuration all is as it was, although
    // the Services are found in another order; and the same with a broken file.
    machine.daemon.terminate();
    machine.edit("192.0.2.10-192.0.2.20", "192.0.2.10-192.0.2.2000");
    fs::rename(machine.dir.join("mail.yaml"), machine.dir.join("a.yaml")).expect("moved");
    machine.wait_routes(&[]);
    machine.daemon = run(&machine.link, &machine.dir);
    machine.wait_routes(&["192.0.2.10/32", "192.0.2.11/32"]);
    machine.daemon.terminate();
    machine.edit("kind: Service\n", "kind: [Service\n");
    machine.wait_routes(&[]);
    machine.daemon = run(&machine.link, &machine.dir);
    machine.wait_routes(&["192.0.2.10/32", "192.0.2.11/32"]);
    let kept = |name: &str| fs::read_to_string(machine.dir.join(".status").join(name));
    assert!(
        kept("default.web.yaml")
            .expect("kept")
            .contains("192.0.2.10")
    );
    assert!(
        kept("default.mail.yaml")
            .expect("kept")
            .contains("192.0.2.11")
    );
}

#[test]
#[ignore = "needs root: tests/run runs it"]
fn a_second_process_on_the_same_directory_is_refused() {
    let machine = Machine::start();
    machine.wait_routes(&["192.0.2.10/32"]);
    let mut second = run(&machine.link, &machine.dir);
    let status = wait::until("the second one ends", || {
        second.exited().ok_or("it runs".to_owned())
    });
    assert_eq!(status.code(), Some(1));
    assert!(second.log().contains("another process"), "{}", second.log());
    machine.wait_routes(&["192.0.2.10/32"]);
}
