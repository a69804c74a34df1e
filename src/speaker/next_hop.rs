//! Where the routes of a session point to: the local end of its connection,
//! and for IPv6 what RFC 2545 §3 wants beside it.
//!
//! The kernel tells a node's IPv6 addresses in /proc/net/if_inet6, so no
//! privilege and no netlink is needed.

use std::net::{IpAddr, Ipv6Addr};

use crate::bgp::types::NextHop;

/// One line of /proc/net/if_inet6.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Local {
    address: Ipv6Addr,
    prefix_length: u8,
    interface: String,
}

/// The next hop for a session between two addresses, as this node stands now.
pub(super) fn of(local: IpAddr, remote: IpAddr) -> NextHop {
    let (IpAddr::V6(ours), IpAddr::V6(theirs)) = (local, remote) else {
        return NextHop {
            address: local,
            link_local: None,
        };
    };
    let table = std::fs::read_to_string("/proc/net/if_inet6").unwrap_or_default();
    of_ipv6(ours, theirs, &parse(&table))
}

/// RFC 2545 §3: a global address, and the link-local one too if and only if
/// the peer is on the same link.
fn of_ipv6(ours: Ipv6Addr, theirs: Ipv6Addr, node: &[Local]) -> NextHop {
    let Some(here) = node.iter().find(|local| local.address == ours) else {
        return NextHop {
            address: ours.into(),
            link_local: None,
        };
    };
    let mut beside = node
        .iter()
        .filter(|local| local.interface == here.interface)
        .map(|local| local.address);
    if ours.is_unicast_link_local() {
        // A link without a global address has nothing better to name.
        let global = beside
            .find(|address| !address.is_unicast_link_local())
            .unwrap_or(ours);
        return NextHop {
            address: global.into(),
            link_local: Some(ours),
        };
    }
    let mask = u128::MAX
        .checked_shl(128 - u32::from(here.prefix_length))
        .unwrap_or(0);
    let same_link = u128::from(ours) & mask == u128::from(theirs) & mask;
    let link_local = beside
        .find(Ipv6Addr::is_unicast_link_local)
        .filter(|_| same_link);
    NextHop {
        address: ours.into(),
        link_local,
    }
}

/// Address (32 hex digits), interface index, prefix length, scope and flags
/// (hex), name. Lines of another shape are passed over.
fn parse(table: &str) -> Vec<Local> {
    let local = |line: &str| {
        let mut fields = line.split_whitespace();
        let address = u128::from_str_radix(fields.next()?, 16).ok()?.into();
        let prefix_length = u8::from_str_radix(fields.nth(1)?, 16)
            .ok()
            .filter(|length| *length <= 128)?;
        let interface = fields.nth(2)?.to_owned();
        Some(Local {
            address,
            prefix_length,
            interface,
        })
    };
    table.lines().filter_map(local).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
        fd000019000000000000000000000011 02 40 00 80     eth0\n\
        fe80000000000000a8bbccfffe000011 02 40 20 80     eth0\n\
        fe80000000000000a8bbccfffe000022 03 40 20 80     eth1\n\
        00000000000000000000000000000001 01 80 10 80       lo\n\
        a line of another shape\n";

    fn next_hop(ours: &str, theirs: &str) -> (String, Option<String>) {
        let parse_address = |text: &str| text.parse().expect("an IPv6 address");
        let found = of_ipv6(parse_address(ours), parse_address(theirs), &parse(TABLE));
        (
            found.address.to_string(),
            found.link_local.map(|address| address.to_string()),
        )
    }

    #[test]
    fn a_peer_on_the_same_link_gets_the_link_local_address_too() {
        let both = ("fd00:19::11".into(), Some("fe80::a8bb:ccff:fe00:11".into()));
        assert_eq!(next_hop("fd00:19::11", "fd00:19::2"), both);
    }

    #[test]
    fn a_peer_behind_a_router_gets_the_global_address_alone() {
        assert_eq!(
            next_hop("fd00:19::11", "2001:db8::2"),
            ("fd00:19::11".into(), None)
        );
        assert_eq!(
            next_hop("2001:db8::77", "2001:db8::2"),
            ("2001:db8::77".into(), None)
        );
    }

    #[test]
    fn a_session_over_link_local_addresses_names_the_interface_s_global_one() {
        let both = ("fd00:19::11".into(), Some("fe80::a8bb:ccff:fe00:11".into()));
        assert_eq!(next_hop("fe80::a8bb:ccff:fe00:11", "fe80::1"), both);
        let alone = (
            "fe80::a8bb:ccff:fe00:22".into(),
            Some("fe80::a8bb:ccff:fe00:22".into()),
        );
        assert_eq!(next_hop("fe80::a8bb:ccff:fe00:22", "fe80::1"), alone);
    }
}
