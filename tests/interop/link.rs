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

    /// FRR with `asn`, `NODE` replaced by the node's IPv4 and `NODE6` by its IPv6 address.
    pub fn frr(&self, asn: u32, lines: &str) -> Frr {
        let lines = lines
            .replace("NODE6", &self.node6())
            .replace("NODE", &self.node4());
        let config = format!(
            "hostname router\n{}router bgp {asn}\n bgp router-id 198.19.0.2\n no bgp ebgp-requires-policy\n\
             no bgp default ipv4-unicast\n bgp log-neighbor-changes\n{lines}\n",
            frr::recording_to(&self.router)
        );
        Frr::start(&self.router, &config)
    }

    /// BIRD with one BGP protocol `node`; `lines` are what differs.
    pub fn bird(&self, protocol: &str) -> Bird {
        let protocol = protocol
            .replace("NODE6", &self.node6())
            .replace("NODE", &self.node4());
        Bird::start(
            &self.router,
            &format!(
                "log \"{}/bird.txt\" all;\nrouter id 198.19.0.2;\ndebug protocols {{ states, events }};\n\
                 protocol device {{}}\nprotocol bgp node {{\n{protocol}\n}}\n",
                self.router.dir.display()
            ),
        )
    }

    /// The speaker; `peer` are the lines of the one peer, `ROUTER` and `ROUTER6` replaced.
    pub fn speaker(&self, peer: &str) -> Announcer {
        let peer = peer
            .replace("ROUTER6", &self.router.v6.to_string())
            .replace("ROUTER", &self.router.v4.to_string());
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
