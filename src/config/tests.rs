use super::*;

#[test]
fn the_article_with_a_real_address_is_a_config() {
    let text = include_str!("../../config/article/config.yaml");
    let text = text
        .split_once("config: |\n")
        .unwrap()
        .1
        .replace("10.x.x.1", "10.0.0.1");
    let parsed = parse(&text).unwrap();
    assert_eq!(parsed.notes, []);
    assert_eq!(parsed.config.peers.len(), 1);
    assert_eq!(parsed.config.peers[0].my_asn.0, 65559);
    assert_eq!(&*parsed.config.peers[0].password.as_ref().unwrap().0, "foo");
    assert_eq!(&*parsed.config.pools[0].name, "public-pool");
    let bounds = &parsed.config.pools[0].ranges[0].bounds;
    assert_eq!(format!("{bounds:?}"), "1.2.3.4..=1.2.3.8");
}

#[test]
fn a_peer_is_called_by_an_address_that_can_be_read() {
    let name = |address: &str| {
        let text = format!("peers: [{{my-asn: 1, peer-asn: 2, peer-address: '{address}'}}]");
        super::parse(&text).expect("a good text").config.peers[0].endpoint()
    };
    assert_eq!(name("192.0.2.1"), "192.0.2.1:179");
    assert_eq!(name("2001:db8::1"), "[2001:db8::1]:179");
    assert_eq!(name("fe80::1%eth0"), "[fe80::1%eth0]:179");
}

#[test]
fn a_text_with_passwords_does_not_show_in_debug_output() {
    let seen = super::Seen::Text("peers: [{password: hush}]".into());
    assert_eq!(format!("{seen:?}"), "Text of 25 bytes");
}
