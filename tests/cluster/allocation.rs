//! Who gets which address, who gets none and what they are told, and whose
//! Service is not touched at all.

use crate::daemon::Through;
use crate::stage::{PEERS_AND_POOL, Stage};
use crate::support::wait;
use serde_json::{Value, json};

/// The article's pool, and two that are given out only to who asks.
fn three_pools() -> String {
    format!(
        "{}\n{}",
        PEERS_AND_POOL.trim_end(),
        r"- name: by-hand
  protocol: bgp
  auto-assign: false
  addresses: [10.7.0.1-10.7.0.2]
- name: whole
  protocol: bgp
  auto-assign: false
  avoid-buggy-ips: true
  addresses: [10.8.0.0/24]
"
    )
}

fn annotated(key: &str, value: &str) -> Value {
    json!({"metadata": {"annotations": {key: value}}})
}

#[test]
#[ignore = "needs root: tests/run runs it"]
fn addresses_and_pools_are_asked_for_by_the_field_and_by_both_prefixes() {
    let stage = Stage::with(Through::Tls, &three_pools());
    stage.service("field", json!({"spec": {"loadBalancerIP": "1.2.3.8"}}));
    for (name, key, value) in [
        ("old-ip", "metallb.universe.tf/loadBalancerIPs", "1.2.3.7"),
        ("new-ip", "metallb.io/loadBalancerIPs", "1.2.3.6"),
        ("old-pool", "metallb.universe.tf/address-pool", "by-hand"),
        ("new-pool", "metallb.io/address-pool", "by-hand"),
        ("no-zero", "metallb.io/address-pool", "whole"),
    ] {
        stage.service(name, annotated(key, value));
    }
    for name in ["auto-1", "auto-2", "auto-3"] {
        stage.service(name, json!({}));
    }
    let wanted = [
        ("field", "1.2.3.8"),
        ("old-ip", "1.2.3.7"),
        ("new-ip", "1.2.3.6"),
        ("old-pool", "10.7.0.1"),
        ("new-pool", "10.7.0.2"),
        // avoid-buggy-ips: 10.8.0.0 is skipped.
        ("no-zero", "10.8.0.1"),
        ("auto-1", "1.2.3.4"),
        ("auto-2", "1.2.3.5"),
        // The other pools have room, but auto-assign is false there.
        ("auto-3", ""),
    ];
    stage.wait_addresses(&wanted);
    stage.wait_reason("auto-3", "poolExhausted");
}

/// (name, what is asked, the reason, what its note says)
fn refusals() -> Vec<(&'static str, Value, &'static str, &'static [&'static str])> {
    vec![
        (
            "used",
            json!({"spec": {"loadBalancerIP": "1.2.3.4"}}),
            "addressInUse",
            &[
                "1.2.3.4",
                "public-pool",
                "default/holder",
                "metallb.io/allow-shared-ip",
            ],
        ),
        (
            "no-such-pool",
            annotated("metallb.io/address-pool", "publik-pool"),
            "unknownPool",
            &["publik-pool", "\"public-pool\""],
        ),
        (
            "no-address",
            annotated("metallb.io/loadBalancerIPs", "1.2.3.x"),
            "unparsableAddress",
            &["1.2.3.x", "loadBalancerIPs"],
        ),
        (
            "outside",
            annotated("metallb.universe.tf/loadBalancerIPs", "192.0.2.1"),
            "addressNotInPool",
            &["192.0.2.1", "\"public-pool\""],
        ),
        (
            "another-pool",
            json!({
                "metadata": {"annotations": {"metallb.io/address-pool": "by-hand"}},
                "spec": {"loadBalancerIP": "1.2.3.5"},
            }),
            "addressNotInAskedPool",
            &["1.2.3.5", "by-hand", "public-pool"],
        ),
        (
            "twice",
            json!({
                "metadata": {"annotations": {"metallb.io/loadBalancerIPs": "1.2.3.5"}},
                "spec": {"loadBalancerIP": "1.2.3.5"},
            }),
            "addressAskedTwice",
            &["spec.loadBalancerIP", "loadBalancerIPs", "remove one"],
        ),
        (
            "one-family",
            annotated("metallb.io/loadBalancerIPs", "1.2.3.5,1.2.3.6"),
            "twoAddressesOfOneFamily",
            &["1.2.3.5", "1.2.3.6"],
        ),
        (
            "wrong-family",
            annotated("metallb.io/loadBalancerIPs", "2001:db8::1"),
            "familyNotOfService",
            &["2001:db8::1", "spec.ipFamilies"],
        ),
    ]
}

#[test]
#[ignore = "needs root: tests/run runs it"]
fn what_cannot_be_had_is_refused_with_the_reason_the_names_and_the_mend() {
    let stage = Stage::with(Through::Tls, &three_pools());
    stage.service("holder", json!({}));
    stage.wait_addresses(&[("holder", "1.2.3.4")]);
    let refusals = refusals();
    for (name, ask, _, _) in &refusals {
        stage.service(name, ask.clone());
    }
    for (name, _, reason, names) in &refusals {
        let note = stage.wait_told(name, "AllocationFailed");
        assert!(note.starts_with(&format!("{reason}: ")), "{name}: {note}");
        for piece in *names {
            assert!(note.contains(piece), "{name}: {piece} is not in: {note}");
        }
        stage.wait_reason(name, reason);
        assert_eq!(stage.condition(name).0, "False", "{name}");
    }

    // Each is mended by what its note says.
    stage.remove_service("holder");
    stage.change_service(
        "no-such-pool",
        annotated("metallb.io/address-pool", "public-pool"),
    );
    for name in ["used", "no-such-pool"] {
        stage.wait_reason(name, "InPool");
    }
    let addresses = stage.addresses();
    let having: Vec<_> = addresses
        .iter()
        .filter(|(_, address)| !address.is_empty())
        .map(|(name, address)| (name.as_str(), address.as_str()))
        .collect();
    assert_eq!(having, [("no-such-pool", "1.2.3.5"), ("used", "1.2.3.4")]);
}

#[test]
#[ignore = "needs root: tests/run runs it"]
fn what_is_freed_goes_to_those_who_wait_in_order_and_a_service_made_again_is_new() {
    let stage = Stage::set();
    for name in ["s1", "s2", "s3", "s4", "s5"] {
        stage.service(name, json!({}));
        stage.wait_reason(name, "InPool");
    }
    for name in ["w1", "w2", "w3"] {
        stage.service(name, json!({}));
        stage.wait_reason(name, "poolExhausted");
    }
    stage.remove_service("s4");
    stage.wait_reason("w1", "InPool");
    stage.remove_service("s2");
    stage.wait_reason("w2", "InPool");
    stage.remove_service("s1");
    // It comes back at once, as an edited manifest does; others waited before it.
    stage.service("s1", json!({}));
    stage.wait_addresses(&[
        ("w1", "1.2.3.7"),
        ("w2", "1.2.3.5"),
        ("w3", "1.2.3.4"),
        ("s3", "1.2.3.6"),
        ("s5", "1.2.3.8"),
        ("s1", ""),
    ]);
    stage.remove_service("s3");
    stage.wait_reason("s1", "InPool");
    assert_eq!(stage.addresses()["s1"], "1.2.3.6");
}

#[test]
#[ignore = "needs root: tests/run runs it"]
fn a_service_of_others_is_never_written_and_its_address_never_given_out() {
    let stage = Stage::empty(Through::Tls);
    stage.configure(PEERS_AND_POOL);
    let other = json!({"spec": {"loadBalancerClass": "example.com/other"}});
    stage.service("class", other.clone());
    stage.service("class-without-status", other);
    stage.service("foreign", json!({}));
    stage.write_status("class", &["1.2.3.4"]);
    stage.write_status("foreign", &["203.0.113.7"]);
    let others = ["class", "class-without-status", "foreign"];
    let versions = |stage: &Stage| {
        others.map(|name| {
            let metadata = &stage.object(name)["metadata"];
            (
                metadata["resourceVersion"].clone(),
                metadata["managedFields"].clone(),
            )
        })
    };
    let mut before = versions(&stage);

    // Found by an allocator that begins, and changed while it leads.
    let mut stage = stage;
    stage.start_all();
    stage.wait_all_ready();
    for round in ["first", "second"] {
        stage.service(round, json!({}));
        stage.wait_reason(round, "InPool");
        assert_eq!(versions(&stage), before, "before the {round}");
        for name in others {
            stage.change_service(name, json!({"metadata": {"labels": {"round": round}}}));
        }
        before = versions(&stage);
    }
    stage.service("third", json!({}));
    stage.wait_addresses(&[
        ("class", "1.2.3.4"),
        ("class-without-status", ""),
        ("foreign", "203.0.113.7"),
        ("first", "1.2.3.5"),
        ("second", "1.2.3.6"),
        ("third", "1.2.3.7"),
    ]);
    assert_eq!(versions(&stage), before);

    let note = stage.wait_told("foreign", "AllocationFailed");
    assert!(note.starts_with("foreignStatus: "), "{note}");
    let note = stage.wait_told("class", "AllocationFailed");
    assert!(
        note.starts_with("otherClass: ") && note.contains("--lb-class"),
        "{note}"
    );
    assert_eq!(stage.events("Service", "class-without-status"), []);
}

#[test]
#[ignore = "needs root: tests/run runs it"]
fn with_a_class_of_its_own_it_serves_that_class_and_no_other() {
    let mut stage = Stage::empty(Through::Tls);
    stage.configure(PEERS_AND_POOL);
    for daemon in stage.daemons() {
        daemon.flags.push("--lb-class=loods.io/bgp".into());
    }
    stage.start_all();
    stage.service("plain", json!({}));
    stage.service(
        "other",
        json!({"spec": {"loadBalancerClass": "example.com/other"}}),
    );
    stage.service(
        "ours",
        json!({"spec": {"loadBalancerClass": "loods.io/bgp"}}),
    );
    stage.pod("ours", 1);
    stage.wait_addresses(&[("ours", "1.2.3.4"), ("plain", ""), ("other", "")]);
    stage.wait_route("1.2.3.4/32", &[1]);
    let state = stage.speakers[0].state().expect("n1 answers");
    let services = &state["speaker"]["services"];
    assert_eq!(services[1]["service"], "default/ours", "{services}");
    assert_eq!(services[2]["reason"], "otherClass", "{services}");
}

#[test]
#[ignore = "needs root: tests/run runs it"]
fn of_two_holders_of_one_address_the_older_keeps_it_and_the_other_is_told() {
    let stage = Stage::empty(Through::Tls);
    stage.configure(PEERS_AND_POOL);
    // Somebody restored the objects of two clusters into one.
    for name in ["older", "younger"] {
        stage.service(name, json!({}));
        stage.write_status(name, &["1.2.3.6"]);
    }
    let mut stage = stage;
    stage.start_all();
    stage.wait_addresses(&[("older", "1.2.3.6"), ("younger", "1.2.3.4")]);
    let note = stage.wait_told("younger", "ClearAssignment");
    assert!(
        note.contains("1.2.3.6") && note.contains("default/older"),
        "{note}"
    );
    stage.wait_told("younger", "IPAllocated");
    let told = stage.events("Service", "older");
    assert_eq!(told, [], "nothing happened to the older one");
}

#[test]
#[ignore = "needs root: tests/run runs it"]
fn a_pair_of_addresses_is_announced_over_sessions_of_each_family() {
    let dual = PEERS_AND_POOL.replace("1.2.3.4-1.2.3.8", "1.2.3.4-1.2.3.8\n  - 2001:db8:1::4/126");
    let mut stage = Stage::with(Through::Tls, &dual);
    stage.service(
        "prefer",
        json!({"spec": {"ipFamilyPolicy": "PreferDualStack"}}),
    );
    stage.wait_addresses(&[("prefer", "1.2.3.4,2001:db8:1::4")]);
    let six_first = json!({"spec": {
        "ipFamilyPolicy": "RequireDualStack",
        "ipFamilies": ["IPv6", "IPv4"],
    }});
    stage.service("require", six_first);
    stage.wait_addresses(&[
        ("prefer", "1.2.3.4,2001:db8:1::4"),
        ("require", "2001:db8:1::5,1.2.3.5"),
    ]);

    // Both routers are reached by IPv4: that half is announced, the other says why not.
    stage.pod("prefer", 1);
    stage.wait_route("1.2.3.4/32", &[1]);
    wait::until("n1 has no session for the IPv6 address", || {
        let state = stage.speakers[0].state()?;
        let prefer = &state["speaker"]["services"][0];
        wait::check(
            prefer["addresses"][1]["address"] == "2001:db8:1::4"
                && prefer["addresses"][1]["reason"] == "noSessionForFamily",
            prefer,
        )
    });
    let from = stage.now();
    stage.configure(&dual.replace(
        "address-pools:",
        "- {peer-address: \"ROUTER6\", peer-asn: 65559, my-asn: 65559}\naddress-pools:",
    ));
    let by_six = stage.at6(&[1]);
    stage.world.frr.wait_route("2001:db8:1::4/128", &by_six);
    let path = stage.world.frr.paths("2001:db8:1::4/128").remove(0);
    assert_eq!(path.next_hops[0], by_six[0], "{path:?}");
    stage.speakers[0].wait_metrics(&[
        "metallb_bgp_session_up{peer=\"[fd00:19::2]:179\"} 1",
        "metallb_speaker_announced{service=\"default/prefer\",protocol=\"bgp\",node=\"n1\",ip=\"2001:db8:1::4\"} 1",
    ]);
    let wanted = crate::stage::announced("2001:db8:1::4/128", &by_six);
    stage.assert_heard(from, wanted);
}

#[test]
#[ignore = "needs root: tests/run runs it"]
fn orphans_are_moved_by_the_annotation_which_is_removed_or_by_the_configuration() {
    let stage = Stage::set();
    for (name, address) in [("one", "1.2.3.4"), ("two", "1.2.3.5")] {
        stage.service(name, json!({}));
        stage.wait_reason(name, "InPool");
        assert_eq!(stage.addresses()[name], address);
    }
    let shrunk = PEERS_AND_POOL.replace("1.2.3.4-1.2.3.8", "1.2.3.6-1.2.3.8");
    stage.configure(&shrunk);
    for name in ["one", "two"] {
        stage.wait_reason(name, "Orphaned");
        let note = stage.wait_told(name, "AddressOrphaned");
        assert!(note.contains("loods.io/reassign"), "{note}");
    }
    let leader = &stage.allocators[stage.leader()];
    leader.wait_metrics(&["loods_allocator_services{reason=\"Orphaned\"} 2"]);

    stage.change_service("one", annotated("loods.io/reassign", "true"));
    stage.wait_addresses(&[("one", "1.2.3.6"), ("two", "1.2.3.5")]);
    stage.wait_reason("one", "InPool");
    wait::until("our annotations are gone from it", || {
        let annotations = stage.object("one")["metadata"]["annotations"].clone();
        let left = annotations.as_object().into_iter().flatten();
        let left: Vec<_> = left
            .filter(|(key, _)| key.starts_with("loods.io/"))
            .collect();
        wait::check(left.is_empty(), left)
    });

    stage.configure(&format!("on-removed-pool: reassign\n{shrunk}"));
    stage.wait_addresses(&[("one", "1.2.3.6"), ("two", "1.2.3.7")]);
    stage.wait_reason("two", "InPool");
}
