//! `loods check`.

use crate::{Scratch, loods};
use expect_test::expect;
use serde_json::Value;

const GOOD: &str = "address-pools:\n- name: p\n  protocol: bgp\n  addresses: [192.0.2.0/24]\n";
/// Two things are wrong, and both are said.
const BAD: &str = "address-pools:\n- name: p\n  protocol: bpg\n  addresses: [192.0.2.0/33]\n";

#[test]
fn a_good_file_is_summed_up_and_ends_with_0() {
    let good = Scratch::new("sound.yaml", GOOD);
    let called = loods(&["check", good.path()], "");
    assert_eq!((called.code, called.errors.as_str()), (Some(0), ""));
    assert!(
        called
            .output
            .ends_with("good: 0 peers, 1 pool, 256 addresses\n"),
        "{}",
        called.output
    );
}

#[test]
fn the_articles_own_file_has_its_one_error_at_its_place() {
    let called = loods(&["check", "config/article/config.yaml"], "");
    assert_eq!((called.code, called.errors.as_str()), (Some(1), ""));
    expect![[r#"
        error: peers[0].peer-address: `10.x.x.1` is not an IP address
          --> config/article/config.yaml:10:21
           |
        10 | - peer-address: 10.x.x.1
           |                 ^^^^^^^^
           = write an IPv4 or IPv6 address such as `192.0.2.1`

        config/article/config.yaml: ConfigMap metallb-system/config: bad: 1 error
    "#]]
    .assert_eq(&called.output);
}

#[test]
fn standard_input_is_a_file_named_by_a_dash() {
    let called = loods(&["check", "-"], GOOD);
    assert_eq!(called.code, Some(0), "{called:?}");
    let called = loods(&["check", "-"], BAD);
    assert_eq!(called.code, Some(1), "{called:?}");
    expect![[r#"
        error: address-pools[0].protocol: `bpg` is not known here
         --> -:3:13
          |
        3 |   protocol: bpg
          |             ^^^
          = write `bgp` or `layer2`

        error: address-pools[0].addresses[0]: `192.0.2.0/33` is neither a block nor a range of addresses
         --> -:4:15
          |
        4 |   addresses: [192.0.2.0/33]
          |               ^^^^^^^^^^^^
          = write a block such as `192.0.2.0/24`, or a range such as `192.0.2.10-192.0.2.20`

        -: bad: 2 errors
    "#]].assert_eq(&called.output);
}

#[test]
fn one_bad_file_among_good_ones_decides_the_code_and_is_named() {
    let good = Scratch::new("good.yaml", GOOD);
    let bad = Scratch::new("bad.yaml", BAD);
    let called = loods(&["check", good.path(), bad.path()], "");
    assert_eq!(called.code, Some(1), "{called:?}");
    assert!(
        called.output.contains(&format!("{}: ", good.path())),
        "{}",
        called.output
    );
    assert!(
        called.output.contains(&format!("{}:3:13", bad.path())),
        "{}",
        called.output
    );
}

#[test]
fn json_has_the_place_of_each_error_and_the_same_code() {
    let called = loods(&["check", "--output", "json", "-"], BAD);
    assert_eq!(called.code, Some(1), "{called:?}");
    let json: Value = serde_json::from_str(&called.output).expect("one JSON object");
    assert_eq!(json["ok"], false);
    let errors = json["texts"][0]["errors"].as_array().expect("a list");
    let places: Vec<_> = errors
        .iter()
        .map(|error| {
            (
                error["line"].as_u64(),
                error["path"].as_str().unwrap_or_default(),
            )
        })
        .collect();
    assert_eq!(
        places,
        [
            (Some(3), "address-pools[0].protocol"),
            (Some(4), "address-pools[0].addresses[0]"),
        ]
    );

    let called = loods(&["check", "--output", "json", "-"], GOOD);
    assert_eq!(called.code, Some(0));
    let json: Value = serde_json::from_str(&called.output).expect("one JSON object");
    assert_eq!(json["ok"], true);
    assert_eq!(json["texts"][0]["summary"]["addresses"], 256);
}

#[test]
fn what_cannot_be_read_is_a_mistake_of_the_command_line() {
    for arguments in [
        &["check"][..],
        &["check", "--output", "xml", "-"],
        &["check", "no/such/file.yaml"],
        &["chekc", "-"],
    ] {
        let called = loods(arguments, GOOD);
        assert_eq!(called.code, Some(2), "{called:?}");
        assert_eq!(called.output, "", "{called:?}");
        assert!(called.errors.starts_with("error: "), "{called:?}");
    }
    let called = loods(&["check", "no/such/file.yaml"], "");
    assert!(called.errors.contains("no/such/file.yaml"), "{called:?}");
}

#[test]
fn no_password_is_printed() {
    let secret =
        "peers:\n- {peer-address: 10.0.0.300, peer-asn: 1, my-asn: 2, password: hush-hush}\n";
    for format in ["text", "json"] {
        let called = loods(&["check", "--output", format, "-"], secret);
        assert_eq!(called.code, Some(1), "{called:?}");
        assert!(called.output.contains("10.0.0.300"), "{called:?}");
        assert!(!called.output.contains("hush"), "{called:?}");
    }
}
