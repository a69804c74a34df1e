//! The smallest network: a router and a node on one bridge.

use crate::support::announce::Announcer;
use crate::support::bird::Bird;
use crate::support::frr::{self, Frr};
use crate::support::lab::{Host, Lab};

/// A router's and a node's namespace, with nothing running in them yet.
pub struct Link {
    pub lab: Lab,
    pub router: Host,
    pub node: Host,
}

impl Link {
    /// Router 198.19.0.2 and node 198.19.0.11, and the same numbers in fd00:19::/64.
    pub fn new() -> Link {
        let lab = Lab::new();
        let router = lab.host("router", 2);
        let node = lab.host("n1", 11);
        Link { lab, router, node }
    }

    /// FRR with `asn`, `NODE` and its like replaced by the node's addresses.
    pub fn frr(&self, asn: u32, lines: &str) -> Frr {
        let lines = fill_in(lines, "NODE", &self.node);
        let config = format!(
            "hostname router\n{}router bgp {asn}\n bgp router-id 198.19.0.2\n no bgp ebgp-requires-policy\n\
             no bgp default ipv4-unicast\n bgp log-neighbor-changes\n{lines}\n",
            frr::recording_to(&self.router)
        );
        Frr::start(&self.router, &config)
    }

    /// BIRD with one BGP protocol `node`; `lines` are what differs.
    pub fn bird(&self, protocol: &str) -> Bird {
        let protocol = fill_in(protocol, "NODE", &self.node);
        Bird::start(
            &self.router,
            &format!(
                "log \"{}/bird.txt\" all;\nrouter id 198.19.0.2;\ndebug protocols {{ states, events }};\n\
                 protocol device {{}}\nprotocol bgp node {{\n{protocol}\n}}\n",
                self.router.dir.display()
            ),
        )
    }

    /// The speaker; `peer` are the lines of the one peer, `ROUTER` and its like
    /// replaced by the router's addresses.
    pub fn speaker(&self, peer: &str) -> Announcer {
        let peer = fill_in(peer, "ROUTER", &self.router);
        let lines: Vec<&str> = peer.trim().lines().collect();
        let config = format!("peers:\n- {}\n", lines.join("\n  "));
        Announcer::start(&self.lab, &self.node, &config)
    }

    pub fn node4(&self) -> String {
        self.node.v4.to_string()
    }

    pub fn node6(&self) -> String {
        self.node.v6.to_string()
    }
}

/// Puts a host's IPv4 address in place of `WORD`, its IPv6 address in place of
/// `WORD6` and its link-local one in place of `WORDLL`.
fn fill_in(text: &str, word: &str, host: &Host) -> String {
    let mut text = text.to_string();
    let link_local = format!("{word}LL");
    // It may be used only a second or two after the link is up.
    if text.contains(&link_local) {
        text = text.replace(&link_local, &host.link_local().to_string());
    }
    let text = text.replace(&format!("{word}6"), &host.v6.to_string());
    text.replace(word, &host.v4.to_string())
}

/// FRR's lines for the one internal neighbour of the article.
pub const ARTICLE_NEIGHBOUR: &str = "
 neighbor NODE remote-as 65559
 neighbor NODE password foo
 address-family ipv4 unicast
  neighbor NODE activate
 exit-address-family";

/// The article's peer, with the router's address put in.
pub const ARTICLE_PEER: &str = "
peer-address: ROUTER
peer-asn: 65559
my-asn: 65559
password: \"foo\"";
