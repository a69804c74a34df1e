//! The golden cases.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use expect_test::expect_file;
use loods::config::{self, Advertisement, BfdProfile, Config, Peer, Pool};

/// The cases of a folder, ordered by name. None at all is a mistake of the test.
fn cases(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/config")
        .join(folder);
    let entries = fs::read_dir(&folder).unwrap();
    let mut cases: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    cases.retain(|path| path.extension().is_some_and(|ext| ext == "yaml"));
    cases.sort();
    assert!(
        cases.len() >= 10,
        "only {} cases in {}",
        cases.len(),
        folder.display()
    );
    cases
}

#[test]
fn accepted() {
    for case in cases("accept") {
        let text = fs::read_to_string(&case).unwrap();
        let parsed = match config::parse(&text) {
            Ok(parsed) => parsed,
            Err(errors) => panic!("{}", errors.render(&case.display().to_string())),
        };
        let mut shown = show(&parsed.config);
        for note in &parsed.notes {
            writeln!(shown, "\n{}", note.render("note", "config").trim_end()).unwrap();
        }
        expect_file![case.with_extension("txt")].assert_eq(&shown);
    }
}

#[test]
fn refused() {
    for case in cases("reject") {
        let text = fs::read_to_string(&case).unwrap();
        let errors = match config::parse(&text) {
            Ok(parsed) => panic!("{} is accepted: {:#?}", case.display(), parsed.config),
            Err(errors) => errors,
        };
        expect_file![case.with_extension("txt")].assert_eq(&errors.render("config"));
    }
}

/// Every field of the model: one that is added has to be added here.
fn show(config: &Config) -> String {
    let Config {
        peers,
        pools,
        bfd_profiles,
        origin,
        on_removed_pool,
    } = config;
    let mut out = String::new();
    writeln!(
        out,
        "origin {origin:?}, on-removed-pool {on_removed_pool:?}"
    )
    .unwrap();
    for peer in peers {
        let Peer {
            my_asn,
            peer_asn,
            address,
            zone,
            port,
            source,
            hold_time,
            keepalive_time,
            router_id,
            node_selectors,
            password,
            bfd_profile,
            ebgp_multihop,
        } = &**peer;
        writeln!(out, "\npeer {address} zone {zone:?} port {port}").unwrap();
        writeln!(
            out,
            "  AS {my_asn} to AS {peer_asn}, router id {router_id:?}, source {source:?}"
        )
        .unwrap();
        writeln!(
            out,
            "  hold {hold_time:?}, keepalive {keepalive_time:?}, multihop {ebgp_multihop:?}"
        )
        .unwrap();
        // Golden cases have no secrets.
        let password = password.as_ref().map(|password| &password.0);
        writeln!(out, "  password {password:?}, bfd {bfd_profile:?}").unwrap();
        for selector in node_selectors {
            writeln!(out, "  nodes {:?}", selector.terms).unwrap();
        }
    }
    for pool in pools {
        let Pool {
            name,
            protocol,
            ranges,
            avoid_buggy_ips,
            auto_assign,
            advertisements,
        } = &**pool;
        writeln!(
            out,
            "\npool {name:?} {protocol:?} avoid-buggy {avoid_buggy_ips} auto {auto_assign}"
        )
        .unwrap();
        for range in ranges {
            writeln!(out, "  {} to {}", range.bounds.start(), range.bounds.end()).unwrap();
        }
        for Advertisement {
            aggregation_length,
            aggregation_length_v6,
            local_pref,
            communities,
        } in advertisements
        {
            write!(
                out,
                "  as /{aggregation_length} /{aggregation_length_v6} local-pref {local_pref:?}"
            )
            .unwrap();
            let communities: Vec<_> = communities.iter().map(ToString::to_string).collect();
            writeln!(out, " communities {}", communities.join(" ")).unwrap();
        }
    }
    for (name, profile) in bfd_profiles {
        let BfdProfile {
            receive_interval,
            transmit_interval,
            detect_multiplier,
            echo_interval,
            echo_mode,
            passive_mode,
            minimum_ttl,
        } = profile;
        writeln!(
            out,
            "\nbfd {name:?} receive {receive_interval:?} transmit {transmit_interval:?}"
        )
        .unwrap();
        writeln!(
            out,
            "  multiplier {detect_multiplier:?} ttl {minimum_ttl:?}"
        )
        .unwrap();
        writeln!(
            out,
            "  echo {echo_mode} {echo_interval:?} passive {passive_mode}"
        )
        .unwrap();
    }
    out
}
