//! Interop.
#[path = "../support/mod.rs"]
mod support;
#[test]
#[ignore = "needs root: tests/run runs it"]
fn routers_start() {
    let lab = support::lab::Lab::new();
    let r = lab.host("r", 2);
    let b = lab.host("b", 3);
    let frr = support::frr::Frr::start(&r, &format!("{}router bgp 65559\n bgp router-id 198.19.0.2\n no bgp ebgp-requires-policy\n neighbor 198.19.0.3 remote-as 65001\n neighbor 198.19.0.3 password foo\n address-family ipv6 unicast\n neighbor 198.19.0.3 activate\n exit-address-family\n", support::frr::recording_to(&r)));
    let bird = support::bird::Bird::start(&b, "router id 198.19.0.3;\nprotocol device {}\nprotocol static { ipv4; route 1.2.3.4/32 blackhole; }\nprotocol bgp r { local 198.19.0.3 as 65001; neighbor 198.19.0.2 as 65559; password \"foo\"; ipv4 { import all; export filter { bgp_community.add((65001,7)); accept; }; }; }\n");
    bird.wait_established(1);
    frr.wait_established("ipv4", &["198.19.0.3".into()]);
    frr.wait_route("1.2.3.4/32", &["198.19.0.3".into()]);
    println!("{:?}", frr.paths("1.2.3.4/32"));
    println!("{:?}", frr.summary("ipv4"));
    println!("{:?}", frr.forwarding("1.2.3.4/32"));
    let _ = bird.birdc("disable all");
    frr.wait_route("1.2.3.4/32", &[]);
    println!("{:?}", frr.recording());
    println!("{}", frr.log());
    println!("{:?}", bird.sessions());
}
