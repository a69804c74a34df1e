//! One laboratory: a bridge in a namespace of its own, and hosts (each a
//! namespace) joined to it by veth pairs. All addresses, IPv4 198.19.0.0/24
//! and IPv6 fd00:19::/64, exist in these namespaces only.
//!
//! Names are `loods-PID-N-HOST`, of namespaces and of cgroups. Clearing up is
//! the work of one small shell per laboratory, which waits for its standard
//! input to end: that happens when the laboratory is dropped, when the test
//! panics, and when the test is killed. It ends only processes that live in
//! this laboratory's namespaces.

use super::wait;
use std::fs;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

/// Arguments: the prefix of the namespaces' names, the directory to remove.
const CLEAR_UP: &str = r#"
    trap '' INT TERM HUP
    cat > /dev/null
    for space in $(ip netns list | cut -d' ' -f1 | grep "^$1-"); do
        for pid in $(ip netns pids "$space"); do
            kill -9 "$pid"
            # Where FRR keeps the last lines of each process.
            rm -rf /var/tmp/frr/*".$pid"
        done
        ip netns del "$space"
    done
    # What was killed may take a moment to go; its cgroups go after it.
    for _ in $(seq 100); do
        left=$(find /sys/fs/cgroup -maxdepth 2 -type d -name "$1-*")
        [ -n "$left" ] || break
        find $left -depth -type d -exec rmdir {} + 2> /dev/null || sleep 0.1
    done
    rm -rf "$2"
"#;

/// The bridge and what hangs on it. Dropping it ends everything in it.
pub struct Lab {
    tag: String,
    dir: PathBuf,
    core: Host,
    reaper: Child,
}

/// A network namespace with its own loopback and `eth0`.
#[derive(Clone, Debug)]
pub struct Host {
    /// Its short name, such as `n1`.
    pub name: String,
    /// Its address in 198.19.0.0/24.
    pub v4: Ipv4Addr,
    /// Its address in fd00:19::/64.
    pub v6: Ipv6Addr,
    /// Its own directory: configuration, sockets, logs.
    pub dir: PathBuf,
    namespace: String,
}

impl Lab {
    /// A new laboratory with its bridge at 198.19.0.1 and fd00:19::1.
    pub fn new() -> Lab {
        static SWEEP: Once = Once::new();
        static NEXT: AtomicU32 = AtomicU32::new(0);
        SWEEP.call_once(clear_up_after_the_dead);

        let tag = format!(
            "loods-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let dir = std::env::temp_dir().join(&tag);
        fs::create_dir_all(&dir).expect("a directory for the laboratory");
        let reaper = start_reaper(&tag, &dir);

        let core = Host::new(&tag, &dir, "core", inside(1));
        core.run("ip", &["link", "add", "br0", "type", "bridge"]);
        core.bring_up("br0");
        Lab {
            tag,
            dir,
            core,
            reaper,
        }
    }

    /// The namespace of the bridge, where the control plane lives.
    pub fn core(&self) -> &Host {
        &self.core
    }

    /// The directory that all programs of this laboratory may read.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Adds a host `name` with the last byte `number` in both addresses.
    pub fn host(&self, name: &str, number: u8) -> Host {
        let host = Host::new(&self.tag, &self.dir, name, inside(number));
        let port = format!("to-{name}");
        host.run(
            "ip",
            &[
                "link",
                "add",
                "eth0",
                "type",
                "veth",
                "peer",
                "name",
                &port,
                "netns",
                &self.core.namespace,
            ],
        );
        self.core
            .run("ip", &["link", "set", &port, "master", "br0", "up"]);
        host.bring_up("eth0");
        host
    }

    /// Adds a host that is not on the bridge but behind `router`: the outside
    /// world, 198.51.100.0/24 and 2001:db8:100::/64.
    pub fn behind(&self, router: &Host, name: &str) -> Host {
        let outside = |number: u8| {
            (
                Ipv4Addr::new(198, 51, 100, number),
                Ipv6Addr::new(0x2001, 0xdb8, 0x100, 0, 0, 0, 0, number.into()),
            )
        };
        let host = Host::new(&self.tag, &self.dir, name, outside(2));
        let link = "link add eth0 type veth peer name outside netns";
        let mut link: Vec<&str> = link.split(' ').collect();
        link.push(&router.namespace);
        host.run("ip", &link);
        let (v4, v6) = outside(1);
        let end = Host {
            v4,
            v6,
            ..router.clone()
        };
        end.bring_up("outside");
        host.bring_up("eth0");
        end.forward();
        host.route("default", &end);
        host
    }

    /// Pulls the host's cable out of the switch: both ends lose their carrier,
    /// and nothing that the host still sends arrives.
    pub fn unplug(&self, host: &Host) {
        self.port(host, "down");
    }

    /// Puts it back.
    pub fn plug(&self, host: &Host) {
        self.port(host, "up");
    }

    fn port(&self, host: &Host, state: &str) {
        let port = format!("to-{}", host.name);
        self.core.run("ip", &["link", "set", &port, state]);
    }
}

/// The addresses of host `number` on the bridge.
fn inside(number: u8) -> (Ipv4Addr, Ipv6Addr) {
    (
        Ipv4Addr::new(198, 19, 0, number),
        Ipv6Addr::new(0xfd00, 0x19, 0, 0, 0, 0, 0, number.into()),
    )
}

impl Drop for Lab {
    fn drop(&mut self) {
        drop(self.reaper.stdin.take());
        // The shell may fail to remove what is gone already; nothing rests on it.
        let _ = self.reaper.wait();
    }
}

impl Host {
    fn new(tag: &str, lab_dir: &Path, name: &str, (v4, v6): (Ipv4Addr, Ipv6Addr)) -> Host {
        let namespace = format!("{tag}-{name}");
        run(Command::new("ip").args(["netns", "add", &namespace]));
        let dir = lab_dir.join(name);
        fs::create_dir_all(&dir).expect("a directory for the host");
        let host = Host {
            name: name.into(),
            v4,
            v6,
            dir,
            namespace,
        };
        host.run("ip", &["link", "set", "lo", "up"]);
        host
    }

    fn bring_up(&self, interface: &str) {
        self.run("ip", &["link", "set", interface, "up"]);
        self.run(
            "ip",
            &[
                "address",
                "add",
                &format!("{}/24", self.v4),
                "dev",
                interface,
            ],
        );
        // No duplicate address detection: nobody else is here, and it takes seconds.
        self.run(
            "ip",
            &[
                "address",
                "add",
                &format!("{}/64", self.v6),
                "dev",
                interface,
                "nodad",
            ],
        );
    }

    /// The link-local address of `eth0`, once it may be used.
    #[track_caller]
    pub fn link_local(&self) -> Ipv6Addr {
        let show = [
            "-6", "-o", "address", "show", "dev", "eth0", "scope", "link",
        ];
        wait::until(&format!("{} has a link-local address", self.name), || {
            let shown = self.run("ip", &show);
            wait::check(!shown.contains("tentative"), &shown)?;
            let mut words = shown.split_whitespace();
            let address = words.find_map(|word| word.split_once('/')?.0.parse().ok());
            address.ok_or(shown.clone())
        })
    }

    /// Makes it a router: it passes on what is not for itself, and spreads
    /// connections over equal paths by their addresses and ports.
    pub fn forward(&self) {
        self.sysctl(&[
            "net.ipv4.ip_forward=1",
            "net.ipv6.conf.all.forwarding=1",
            "net.ipv4.fib_multipath_hash_policy=1",
            "net.ipv6.fib_multipath_hash_policy=1",
        ]);
    }

    /// Sets kernel parameters of this namespace.
    pub fn sysctl(&self, settings: &[&str]) {
        self.run("sysctl", &[&["-qw"], settings].concat());
    }

    /// Routes `prefix` (`default`: both families) through `gateway`, on the same link.
    pub fn route(&self, prefix: &str, gateway: &Host) {
        let (v4, v6) = (gateway.v4.to_string(), gateway.v6.to_string());
        let add = |family, via: &str| {
            self.run("ip", &[family, "route", "add", prefix, "via", via]);
        };
        if !prefix.contains(':') {
            add("-4", &v4);
        }
        if prefix.contains(':') || prefix == "default" {
            add("-6", &v6);
        }
    }

    /// The name that is this host's alone on the whole machine.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// A command that will run in this namespace, as root. `nsenter` replaces
    /// itself, so the process id is the program's own.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net=/run/netns/{}", self.namespace))
            .arg("--")
            .arg(program);
        command
    }

    /// A command that will run here as nobody (uid 65534) and without a single
    /// capability, as the manifests ask.
    pub fn command_as_nobody(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = self.command("setpriv");
        command
            .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
            .args([
                "--bounding-set=-all",
                "--inh-caps=-all",
                "--no-new-privs",
                "--",
            ])
            .arg(program);
        command
    }

    /// Opens this namespace, for a thread that enters it.
    pub fn open_namespace(&self) -> fs::File {
        let path = Path::new("/run/netns").join(&self.namespace);
        fs::File::open(path).expect("the namespace is there as long as the laboratory")
    }

    /// Runs a program here to its end and answers what it printed; a failure ends the test.
    #[track_caller]
    pub fn run(&self, program: &str, arguments: &[&str]) -> String {
        run(self.command(program).args(arguments))
    }

    /// GETs `url` from inside the namespace: the body when the status is below 400.
    pub fn http_body(&self, url: &str) -> Result<String, String> {
        attempt(
            self.command("curl")
                .args(["-sS", "--fail-with-body", "--max-time", "5", url]),
        )
    }
}

/// Runs a command to its end: its output, or everything about its failure.
pub fn attempt(command: &mut Command) -> Result<String, String> {
    let shown = format!("{command:?}");
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("{shown}: {error} (tests/run installs what the tests need)"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        Ok(text)
    } else {
        Err(format!(
            "{shown}: {}\n{text}{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        ))
    }
}

/// [`attempt`], where a failure ends the test.
#[track_caller]
pub fn run(command: &mut Command) -> String {
    match attempt(command) {
        Ok(text) => text,
        Err(failure) => panic!("{failure}"),
    }
}

fn start_reaper(tag: &str, dir: &Path) -> Child {
    Command::new("setsid")
        .args(["sh", "-c", CLEAR_UP, "clear-up", tag])
        .arg(dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("setsid and sh are in every Debian")
}

/// Laboratories of processes that no longer live: a machine that lost power
/// between two commands, or a reaper that was killed too.
fn clear_up_after_the_dead() {
    let listed = run(Command::new("ip").args(["netns", "list"]));
    for line in listed.lines() {
        let Some(owner) = line
            .strip_prefix("loods-")
            .and_then(|rest| rest.split('-').next())
        else {
            continue;
        };
        if owner.parse::<u32>().is_ok() && !Path::new("/proc").join(owner).exists() {
            let tag = line
                .split(' ')
                .next()
                .and_then(|name| name.rsplit_once('-'))
                .map(|(tag, _)| tag);
            if let Some(tag) = tag {
                let mut reaper = start_reaper(tag, &std::env::temp_dir().join(tag));
                drop(reaper.stdin.take());
                let _ = reaper.wait();
            }
        }
    }
}
