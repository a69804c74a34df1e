//! A packet to a port that no Service has, counted on the wire between the
//! router and the nodes.
//!
//! kube-proxy has no rule for it, so a node sends it where it sends everything
//! that is not its own: to its default gateway, which is the router that it came
//! from, and which sends it to a node. `docs/routers.md` has the rule that ends
//! this; here it stands as it is written there.

use crate::scene::Scene;
use crate::support::cluster::NAMESPACE;
use crate::support::tools;
use serde_json::Value;
use std::fs;

/// No Service has it.
const UNUSED: u16 = 81;
/// A client's packet begins with this TTL (Linux), and each hop takes one.
const TTL: u64 = 64;

#[test]
#[ignore = "needs root: tests/run runs it"]
fn one_syn_to_an_unused_port_goes_round_until_the_router_drops_what_comes_back() {
    let cluster = Scene::set();
    cluster.install();
    cluster.plane.create(&cluster.article("config.yaml"));
    cluster.wait_pods(NAMESPACE, "component=speaker", 3);
    cluster.plane.create(&cluster.article("whoami.yaml"));
    cluster.wait_pods("default", "app=whoami", 3);
    let pods = cluster.try_pods("default", "app=whoami").expect("pods");
    let mut nodes: Vec<&str> = pods.iter().map(|pod| &*pod.node).collect();
    nodes.sort_unstable();
    nodes.dedup();
    cluster
        .router
        .wait_route("1.2.3.4/32", &cluster.addresses(&nodes));

    // The router takes the first of 64, and the last hop keeps what has none left.
    let looped = syn(&cluster);
    println!("one SYN to an unused port: {looped} frames between router and nodes");
    assert_eq!(looped, TTL - 1);

    filter(&cluster, &documented());
    let dropped = syn(&cluster);
    println!("with the router's drop: {dropped} frames");
    // To the node and back.
    assert_eq!(dropped, 2);
    // Who is served goes on being served.
    cluster.ask("http://1.2.3.4/").expect("an answer");
    filter(&cluster, "delete table inet loods\n");
}

/// Sends one SYN to the unused port: the frames that it made on the nodes' wire.
fn syn(cluster: &Scene) -> u64 {
    filter(
        cluster,
        &format!(
            "table inet frames
             delete table inet frames
             table inet frames {{
               counter seen {{}}
               chain from_nodes {{
                 type filter hook prerouting priority -300;
                 iifname eth0 tcp dport {UNUSED} counter name seen
               }}
               chain to_nodes {{
                 type filter hook postrouting priority 300;
                 oifname eth0 tcp dport {UNUSED} counter name seen
               }}
             }}\n"
        ),
    );
    // A second SYN would follow after a second. What goes round is gone in a
    // thousandth of that.
    let url = format!("http://1.2.3.4:{UNUSED}/");
    let mut curl = cluster.client.command("curl");
    let status = curl.args(["-sS", "--max-time", "0.5", &url]).output();
    assert!(
        !status.expect("curl runs").status.success(),
        "nobody is there"
    );
    let router = &cluster.router_host;
    let text = router.run("nft", &["-j", "list", "counter", "inet", "frames", "seen"]);
    router.run("nft", &["delete", "table", "inet", "frames"]);
    let listed: Value = serde_json::from_str(&text).expect("nft's JSON");
    let mut parts = listed["nftables"].as_array().into_iter().flatten();
    let packets = parts.find_map(|part| part["counter"]["packets"].as_u64());
    packets.unwrap_or_else(|| panic!("no counter in {text}"))
}

fn filter(cluster: &Scene, rules: &str) {
    let file = cluster.router_host.dir.join("rules.nft");
    fs::write(&file, rules).expect("a file for the rules");
    cluster
        .router_host
        .run("nft", &["-f", &file.to_string_lossy()]);
}

/// The rules of the document, for this router's interface and pool.
fn documented() -> String {
    let path = tools::repository().join("docs/routers.md");
    let document = fs::read_to_string(path).expect("docs/routers.md");
    let after = document.split_once("```nft\n").expect("a block of rules").1;
    let block = after.split_once("```").expect("the block ends").0;
    let ours = block
        .replace("\"eth1\"", "\"eth0\"")
        .replace("198.51.100.0/24", "1.2.3.4/30");
    assert_ne!(ours, block);
    ours
}
