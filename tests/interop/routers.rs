//! The other routers: the same speaker, asked by other implementations.

use crate::link::Link;
use crate::support::wait;

#[test]
#[ignore = "needs root: tests/run runs it"]
fn bird_takes_an_external_session_and_its_attributes() {
    let link = Link::new();
    let bird = link.bird(&format!(
        "local {} as 65002; neighbor NODE as 65559; password \"foo\"; ipv4 {{ import all; export none; }};",
        link.router.v4
    ));
    let mut speaker =
        link.speaker("peer-address: ROUTER\npeer-asn: 65002\nmy-asn: 65559\npassword: foo");
    speaker.tell("add 1.2.3.4/32 localpref=300 communities=64512:100,65535:65281");

    bird.wait_established(1);
    bird.wait_route("1.2.3.4/32", &[link.node4()]);
    let attributes = bird.attributes("1.2.3.4/32");
    assert!(attributes.contains("BGP.origin: IGP"), "{attributes}");
    assert!(attributes.contains("BGP.as_path: 65559"), "{attributes}");
    assert!(
        attributes.contains("(64512,100)") && attributes.contains("(65535,65281)"),
        "{attributes}"
    );
    // RFC 4271 §5.1.5: LOCAL_PREF stays inside an AS. BIRD shows its own default.
    assert!(attributes.contains("BGP.local_pref: 100"), "{attributes}");

    speaker.tell("del 1.2.3.4/32");
    bird.wait_route("1.2.3.4/32", &[]);
}

#[test]
#[ignore = "needs root: tests/run runs it"]
fn bird_takes_ten_thousand_routes_in_extended_messages() {
    let link = Link::new();
    let bird = link.bird(&format!(
        "local {} as 65559; neighbor NODE as 65559; enable extended messages on; ipv4 {{ import all; export none; }};",
        link.router.v4
    ));
    let mut speaker = link.speaker("peer-address: ROUTER\npeer-asn: 65559\nmy-asn: 65559");
    for (command, count) in [("fill", 10_000), ("clear", 0)] {
        speaker.tell(&format!("{command} 10000 10.1.0.0"));
        let wanted = format!("{count} of {count} routes for {count} networks");
        wait::until(&wanted, || {
            let seen = bird.birdc("show route count")?;
            wait::check(
                seen.contains(&wanted) && bird.sessions()["node"] == "Established",
                seen,
            )
        });
    }
}

#[test]
#[ignore = "needs root: tests/run runs it"]
fn bird_takes_an_ipv6_session() {
    let link = Link::new();
    let bird = link.bird(&format!(
        "local {} as 65002; neighbor NODE6 as 65559; ipv6 {{ import all; export none; }};",
        link.router.v6
    ));
    let mut speaker = link.speaker("peer-address: ROUTER6\npeer-asn: 65002\nmy-asn: 65559");
    speaker.tell("add 2001:db8::4/128");
    bird.wait_route("2001:db8::4/128", &[link.node6()]);
}
