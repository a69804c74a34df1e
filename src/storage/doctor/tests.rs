use std::collections::BTreeMap;

use super::*;
use crate::k8s::client::ApiError;
use crate::k8s::objects::{ClaimFact, ClassFact};
use crate::k8s::volumes::{ClassStanding, SecretFact, Told};
use crate::storage::class::{Class, SecretName};
use crate::storage::heketi::wire::{DeviceInfo, NodeInfo, StorageSize};
use crate::storage::{DRIVER, IN_TREE};

fn pending() -> ClaimFact {
    ClaimFact {
        key: ClaimKey {
            namespace: "default".into(),
            name: "website-uploads".into(),
        },
        uid: "0d1c".into(),
        resource_version: "1".into(),
        deleting: false,
        marked: false,
        gid: None,
        told: false,
        class: Some("gluster-heketi-external".into()),
        access_modes: vec!["ReadWriteMany".into()],
        request: "2Gi".into(),
        block: false,
        selector: false,
        source: None,
        volume: "".into(),
        node_chosen: false,
        bound: false,
        capacity: "".into(),
        allocated: "".into(),
        resize: "".into(),
    }
}

fn served(parameters: &[(&str, &str)]) -> ClassStanding {
    ClassStanding::Served(Box::new(ClassFact {
        name: "gluster-heketi-external".into(),
        uid: "c".into(),
        resource_version: "1".into(),
        provisioner: IN_TREE.into(),
        parameters: parameters
            .iter()
            .map(|(k, v)| ((*k).into(), (*v).into()))
            .collect(),
        reclaim_policy: "Delete".into(),
        mount_options: Vec::new(),
        waits_for_consumer: false,
    }))
}

fn understood(standing: &ClassStanding) -> Result<(Vec<Finding>, Class), Vec<Finding>> {
    judge::class(
        "gluster-heketi-external",
        standing,
        &[IN_TREE.into(), DRIVER.into()],
        None,
    )
}

fn texts(findings: &[Finding]) -> String {
    let text = |finding: &Finding| format!("{:?} {}\n", finding.mark, finding.text);
    findings.iter().map(text).collect()
}

#[test]
fn a_claim_that_nothing_can_help_says_so_itself() {
    let bound = ClaimFact {
        bound: true,
        ..pending()
    };
    let no_class = ClaimFact {
        class: None,
        ..pending()
    };
    let no_dynamic_class = ClaimFact {
        class: Some("".into()),
        ..pending()
    };
    let chosen = ClaimFact {
        volume: "mine".into(),
        ..pending()
    };
    for (claim, expected) in [
        (bound, "Good it is Bound"),
        (no_class, "Wrong it names no StorageClass"),
        (no_dynamic_class, "Wrong its StorageClass is \"\""),
        (chosen, "Wrong spec.volumeName is \"mine\""),
    ] {
        let findings = judge::claim(&claim).expect_err(expected);
        assert!(texts(&findings).starts_with(expected), "{findings:?}");
    }
    assert_eq!(judge::claim(&pending()), Ok(Vec::new()));
}

#[test]
fn a_class_is_read_as_the_controller_reads_it() {
    let absent = understood(&ClassStanding::Absent).expect_err("none");
    assert!(texts(&absent).contains("there is no StorageClass"));
    let foreign = understood(&ClassStanding::Foreign).expect_err("another's");
    assert!(texts(&foreign).contains("serves kubernetes.io/glusterfs and gluster.loods.io"));
    let wrong = understood(&served(&[
        ("resturl", "gfs1"),
        ("restuser", "user"),
        ("x", "1"),
    ]));
    let wrong = wrong.expect_err("three faults");
    assert!(
        wrong.len() >= 3 && wrong.iter().all(|finding| finding.mark == Mark::Wrong),
        "{wrong:?}"
    );

    let good = served(&[
        ("resturl", "http://gfs1:8080"),
        ("volumetype", "replicate:2"),
    ]);
    let (findings, class) = understood(&good).expect("it is right");
    assert_eq!(&*class.url, "http://gfs1:8080");
    assert!(
        texts(&findings).contains("Note StorageClass gluster-heketi-external keeps two copies")
    );
}

#[test]
fn a_claim_is_judged_as_the_controller_judges_it() {
    assert_eq!(judge::wanted(&pending()), Ok(2));
    let mut claim = pending();
    claim.block = true;
    claim.request = "2G i".into();
    assert_eq!(judge::wanted(&claim).expect_err("two faults").len(), 2);
}

#[test]
fn a_claim_that_waits_for_a_pod_is_told_so() {
    let ClassStanding::Served(mut class) = served(&[]) else {
        unreachable!("it is served")
    };
    class.waits_for_consumer = true;
    let standing = ClassStanding::Served(class);
    let finding = judge::consumer(&pending(), &standing).expect("it waits");
    assert!(finding.text.contains("WaitForFirstConsumer"));
    let mut claim = pending();
    claim.node_chosen = true;
    assert_eq!(judge::consumer(&claim, &standing), None);
}

#[test]
fn a_secret_is_judged_and_never_shown() {
    let name = SecretName {
        namespace: "kube-system".into(),
        name: "heketi-secret".into(),
    };
    let of = |kind: &str, key: &str| {
        let entries: BTreeMap<Box<str>, Vec<u8>> = [("key".into(), key.as_bytes().to_vec())].into();
        let (findings, key) = judge::secret(
            &name,
            &Ok(SecretFact {
                kind: kind.into(),
                entries,
            }),
        );
        (texts(&findings), key)
    };
    let (text, key) = of(IN_TREE, "hush");
    assert!(
        text.starts_with("Good") && key.as_deref() == Some(b"hush"),
        "{text}"
    );
    let (text, key) = of("Opaque", "hush");
    assert!(
        text.starts_with("Wrong cannot get secret of type") && key.is_none(),
        "{text}"
    );
    let (text, _) = of(IN_TREE, "hush\n");
    assert!(
        text.contains("line end") && !text.contains("hush"),
        "{text}"
    );

    let refused = |code| {
        let error = ApiError::Refused {
            asked: "GET …".into(),
            code,
            reason: "".into(),
            message: "".into(),
            retry_after: None,
        };
        texts(&judge::secret(&name, &Err(error)).0)
    };
    assert!(refused(404).starts_with("Wrong there is no Secret kube-system/heketi-secret"));
    assert!(refused(403).starts_with("Note Secret kube-system/heketi-secret may not be read"));
}

#[test]
fn events_tell_whether_a_controller_of_ours_is_there() {
    let event = |by: &str, message: &str| Told {
        by: by.into(),
        reason: "ProvisioningFailed".into(),
        message: message.into(),
        count: 4,
        last: "2025-11-23T10:00:00Z".into(),
        warning: true,
    };
    let theirs = event(
        "persistentvolume-controller",
        "no volume plugin matched name: kubernetes.io/glusterfs",
    );
    let text = texts(&judge::told(&pending(), std::slice::from_ref(&theirs)));
    assert!(
        text.contains("Wrong no controller of Loods has touched"),
        "{text}"
    );
    assert!(
        text.contains("Note the Warning") && text.contains("can be ignored"),
        "{text}"
    );
    let ours = event("loods-storage", "failed to provision volume: No space");
    let text = texts(&judge::told(&pending(), &[theirs, ours]));
    assert!(!text.contains("Wrong"), "{text}");
    assert!(
        text.contains("(4x, by loods-storage): ProvisioningFailed failed to provision"),
        "{text}"
    );
}

fn node(state: &str, free: &[u64]) -> NodeInfo {
    let device = |free: &u64| DeviceInfo {
        state: "online".into(),
        storage: StorageSize {
            total: 500 << 20,
            free: free << 20,
            used: 0,
        },
        ..DeviceInfo::default()
    };
    NodeInfo {
        id: "abc".into(),
        state: state.into(),
        devices: free.iter().map(device).collect(),
        ..NodeInfo::default()
    }
}

#[test]
fn room_is_counted_by_node_and_device() {
    let class = |kind: &str| {
        let standing = served(&[("resturl", "http://gfs1:8080"), ("volumetype", kind)]);
        understood(&standing).expect("it is right").1
    };
    let judged =
        |kind: &str, gib, nodes: &[NodeInfo]| texts(&space::judge(&class(kind), gib, nodes));
    let two = [node("online", &[3, 10]), node("online", &[10])];
    assert!(
        judged("replicate:2", 10, &two)
            .starts_with("Good room: replicate needs 10.0 GiB on 2 nodes, and 2 have")
    );
    assert!(
        judged("replicate:3", 1, &two)
            .starts_with("Wrong no room: replicate needs bricks on 3 nodes, and 2 have")
    );
    let text = judged("replicate:2", 12, &two);
    assert!(text.starts_with("Note little room"), "{text}");
    assert!(
        text.contains("10.0 GiB free on the device with most, of 2"),
        "{text}"
    );
    let one_off = [node("offline", &[100]), node("online", &[100])];
    assert!(judged("replicate:2", 1, &one_off).starts_with("Wrong no room"));
    // Two parts of data and one that may be lost: each brick is half.
    let three = [
        node("online", &[5]),
        node("online", &[5]),
        node("online", &[5]),
    ];
    assert!(
        judged("disperse:2:1", 10, &three)
            .starts_with("Good room: disperse needs 5.0 GiB on 3 nodes")
    );
    assert!(judged("replicate:2", 1, &[]).starts_with("Wrong Heketi has no nodes"));
}
