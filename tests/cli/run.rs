//! `loods run`, as far as it gets without a cluster.

use crate::{Scratch, loods};

#[test]
fn a_speaker_without_a_node_name_is_told_where_to_write_it() {
    for role in [&["run"][..], &["run", "--role", "speaker"]] {
        let called = loods(role, "");
        assert_eq!(called.code, Some(2), "{called:?}");
        assert!(
            called.errors.contains("--node-name") && called.errors.contains("LOODS_NODE_NAME"),
            "{called:?}"
        );
    }
}

#[test]
fn a_wrong_value_is_named_with_its_flag_and_what_would_do() {
    for (arguments, named) in [
        (
            &["run", "--listen", "7472"][..],
            &["--listen", "'7472'", ":7472"][..],
        ),
        (
            &["run", "--role", "router"],
            &["--role", "router", "allocator", "speaker"],
        ),
        (
            &["run", "--log-level", "loods=lowd"],
            &["--log-level", "loods=lowd", "debug"],
        ),
        (&["run", "--node-nam", "n1"], &["--node-nam", "--help"]),
    ] {
        let called = loods(arguments, "");
        assert_eq!(called.code, Some(2), "{called:?}");
        assert_eq!(called.output, "", "{called:?}");
        for word in named {
            assert!(called.errors.contains(word), "{word}: {called:?}");
        }
    }
}

#[test]
fn without_a_cluster_it_ends_at_once_and_says_what_it_looked_for() {
    let kubeconfig = Scratch::new("kubeconfig", "apiVersion: v1\nkind: Config\n");
    let called = loods(
        &[
            "run",
            "--role",
            "allocator",
            "--kubeconfig",
            kubeconfig.path(),
        ],
        "",
    );
    assert_eq!(called.code, Some(1), "{called:?}");
    assert!(called.errors.contains(kubeconfig.path()), "{called:?}");
    let called = loods(
        &["run", "--role", "allocator", "--kubeconfig", "no/such/file"],
        "",
    );
    assert_eq!(called.code, Some(1), "{called:?}");
    assert!(called.errors.contains("no/such/file"), "{called:?}");
}
