//! Is what the stream counts what happened? A scripted server in a namespace
//! and packet filter rules make each kind of loss to an exact number, told
//! apart by the client's port.

mod server;
mod support;

use server::Server;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;
use support::lab::{Host, Lab};
use support::stream::Stream;
use support::wait;

const SHORT: Duration = Duration::from_millis(600);

/// Of the source ports 2000-2999, each used once: which meet what.
const RULES: &str = "
    table inet losses {
        set seen { type inet_service; }
        chain input {
            type filter hook input priority 0;
            tcp sport 2400-2406 tcp flags & psh == psh reject with tcp reset
            tcp sport 2500-2511 tcp flags syn drop
            tcp sport 2600-2604 reject with tcp reset
            ip saddr 198.19.0.0/24 tcp sport 2700-2702 reject with icmp type host-unreachable
            ip6 saddr fd00:19::/64 tcp sport 2700-2702 reject with icmpv6 type addr-unreachable
            tcp sport 2800-2807 tcp flags syn tcp sport != @seen add @seen { tcp sport } drop
        }
    }
";

struct Stage {
    _lab: Lab,
    client: Host,
    host: Host,
    _server: Server,
}

impl Stage {
    fn set() -> Stage {
        let lab = Lab::new();
        let client = lab.host("client", 9);
        let host = lab.host("server", 8);
        let server = Server::start(&host);
        Stage {
            _lab: lab,
            client,
            host,
            _server: server,
        }
    }

    fn stream(&self, target: SocketAddr, arguments: &[&str]) -> Stream {
        let program = Path::new(env!("CARGO_BIN_EXE_loods-stream"));
        Stream::start(program, &self.client, target, arguments)
    }

    fn filter(&self, rules: &str) {
        let file = self.host.dir.join("rules.nft");
        std::fs::write(&file, rules).expect("a file for the rules");
        self.host.run("nft", &["-f", &file.to_string_lossy()]);
    }

    /// How many elements a set of the table `losses` has.
    fn elements(&self, set: &str) -> usize {
        let text = self
            .host
            .run("nft", &["-j", "list", "set", "inet", "losses", set]);
        let value: serde_json::Value = serde_json::from_str(&text).expect("nft's JSON");
        let mut parts = value["nftables"].as_array().into_iter().flatten();
        parts
            .find_map(|part| part["set"]["elem"].as_array().map(Vec::len))
            .unwrap_or(0)
    }
}

fn each_kind_of_loss(target: impl Fn(&Host) -> SocketAddr) {
    let stage = Stage::set();
    stage.filter(RULES);
    let arguments = ["--ports=2000-2999", "--count=1000", "--long=0"];
    let seen = stage.stream(target(&stage.host), &arguments).end();
    let wanted = [
        ("closed", 10),
        ("late", 30),
        ("refused", 5),
        ("reset", 7),
        ("retried", 8),
        ("timeout", 20 + 12),
        ("unreachable", 3),
        ("wrong", 4),
    ];
    let wanted: BTreeMap<String, u64> = wanted.map(|(kind, n)| (kind.into(), n)).into();
    assert_eq!(seen.lost_by(), wanted, "{}", seen.0);
    let lost: u64 = wanted.values().sum();
    assert_eq!((seen.due(), seen.lost()), (1000, lost));
    assert_eq!(seen.backends(), [("server".into(), 1000 - lost)].into());
    // The first port with a fault is the 101st, the last the 908th.
    assert_eq!(seen.count("/new/first_loss_ms"), 200);
    assert_eq!(seen.count("/new/last_loss_ms"), 1806);
}

#[test]
#[ignore = "needs root: tests/run runs it"]
fn each_kind_of_loss_is_counted_exactly() {
    each_kind_of_loss(|host| SocketAddr::new(host.v4.into(), server::PORT));
}

#[test]
#[ignore = "needs root: tests/run runs it"]
fn each_kind_of_loss_is_counted_exactly_over_ipv6() {
    each_kind_of_loss(|host| SocketAddr::new(host.v6.into(), server::PORT));
}

#[test]
#[ignore = "needs root: tests/run runs it"]
fn marks_put_before_during_and_after_apart() {
    let stage = Stage::set();
    let target = SocketAddr::new(stage.host.v4.into(), server::PORT);
    let mut stream = stage.stream(target, &["--ports=3000-30000"]);
    stream.run_for("warm-up", SHORT);

    let before = stream.run_for("before", SHORT);
    assert_eq!((before.lost(), before.broken()), (0, 0), "{}", before.0);
    assert_eq!(before.count("/long/open"), 50);

    // Every new connection is dropped, retries too; the long ones are reset once each.
    stage.filter(
        "table inet losses {
            set dropped { type inet_service; }
            set hit { type inet_service; }
            chain input {
                type filter hook input priority 0;
                tcp dport 80 tcp sport 3000-30000 tcp flags syn add @dropped { tcp sport } drop
                tcp dport 80 tcp flags & psh == psh tcp sport 32768-60999 jump long
            }
            chain long {
                tcp sport @hit return
                add @hit { tcp sport } reject with tcp reset
            }
        }",
    );
    wait::until("some are dropped and all long ones reset", || {
        let seen = (stage.elements("dropped"), stage.elements("hit"));
        wait::check(seen.0 >= 300 && seen.1 >= 50, seen)
    });
    let dropped_only = "flush chain inet losses input\n";
    stage.filter(dropped_only);
    let dropped = stage.elements("dropped") as u64;
    let during = stream.mark("during");
    // Those that were due within a second before the end came by their retry.
    assert_eq!(during.lost(), dropped, "{}", during.0);
    let kinds: Vec<String> = during.lost_by().into_keys().collect();
    assert!(
        kinds
            .iter()
            .all(|kind| kind == "retried" || kind == "timeout"),
        "{kinds:?}"
    );
    assert_eq!(during.broken(), 50, "{}", during.0);
    assert_eq!(
        during.count("/long/broken_by/reset"),
        during.count("/long/breaks")
    );

    let after = stream.run_for("after", SHORT);
    assert_eq!((after.lost(), after.broken()), (0, 0), "{}", after.0);
    assert_eq!(after.count("/long/open"), 50);
}
