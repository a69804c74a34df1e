use std::collections::BTreeMap;

use proptest::prelude::*;

use super::claim::{Asked, judge};
use super::*;
use crate::k8s::objects::DataSource;
use crate::storage::{DRIVER, IN_TREE};

fn map<'a>(given: &[(&'a str, &'a str)]) -> BTreeMap<&'a str, &'a str> {
    given.iter().copied().collect()
}

/// With a URL, which nearly every class has.
fn read(given: &[(&str, &str)]) -> Result<Class, Faults> {
    let mut parameters = map(given);
    parameters.entry("resturl").or_insert("http://gfs1:8080");
    Class::read(IN_TREE, &parameters, None)
}

const ARTICLE: [(&str, &str); 5] = [
    ("resturl", "http://gfs1:8080"),
    ("restuser", "admin"),
    ("secretName", "heketi-secret"),
    ("secretNamespace", "kube-system"),
    ("volumetype", "replicate:2"),
];

#[test]
fn the_articles_class() {
    let class = read(&ARTICLE).unwrap();
    assert_eq!(&*class.url, "http://gfs1:8080");
    let Auth::Secret(secret) = &class.auth else {
        panic!("{:?}", class.auth)
    };
    assert_eq!(secret.to_string(), "kube-system/heketi-secret");
    assert_eq!(class.durability.kind, "replicate");
    assert_eq!(class.durability.replicate.replica, 2);
    assert!(class.may_split());
    assert_eq!(class.gids, (2000, 2147483647));
    let sent = serde_json::to_value(class.volume("pvc-1", 2, 2000)).unwrap();
    assert_eq!(
        sent,
        serde_json::json!({
            "size": 2, "name": "pvc-1", "gid": 2000,
            "durability": {"type": "replicate", "replicate": {"replica": 2}, "disperse": {}},
            "snapshot": {"enable": true, "factor": 1.0},
        })
    );
}

#[test]
fn defaults_and_every_key_in_any_letters() {
    let plain = read(&[]).unwrap();
    assert_eq!(plain.auth, Auth::None);
    assert_eq!(plain.durability.replicate.replica, 3);
    assert!(!plain.may_split());
    assert_eq!(&*plain.endpoint_prefix, "glusterfs-dynamic");
    assert_eq!(
        (plain.snapshot_factor, plain.name_prefix.is_none()),
        (1.0, true)
    );

    let all = read(&[
        ("RestURL", "https://heketi.example:8443/base/"),
        ("RESTAUTHENABLED", "True"),
        ("RestUser", "admin"),
        ("RestUserKey", "hush"),
        (
            "ClusterID",
            "89b1df9e1234366034a7bdd1a7410cb4, 00b1df9e1234366034a7bdd1a7410cb4",
        ),
        ("GIDMIN", "3000"),
        ("gidmax", "3001"),
        ("VolumeType", "disperse:4:2"),
        (
            "VolumeOptions",
            "client.ssl on, user.heketi.device-tag-match tier!=slow",
        ),
        ("VolumeNamePrefix", "dept-dev"),
        ("SnapFactor", "1.5"),
        ("CustomEpNamePrefix", "dbstorage"),
    ]);
    // The map of `read` has a second resturl in small letters.
    assert!(
        all.unwrap_err()
            .to_string()
            .contains("resturl is given twice")
    );
    let all = Class::read(
        IN_TREE,
        &map(&[
            ("RestURL", "https://heketi.example:8443/base/"),
            ("RESTAUTHENABLED", "True"),
            ("RestUserKey", "hush"),
            (
                "ClusterID",
                "89b1df9e1234366034a7bdd1a7410cb4, 00b1df9e1234366034a7bdd1a7410cb4",
            ),
            ("GIDMIN", "3000"),
            ("gidmax", "3001"),
            ("VolumeType", "disperse:4:2"),
            (
                "VolumeOptions",
                "client.ssl on, user.heketi.device-tag-match tier!=slow",
            ),
            ("VolumeNamePrefix", "dept-dev"),
            ("SnapFactor", "1.5"),
            ("CustomEpNamePrefix", "dbstorage"),
            ("csi.storage.k8s.io/pvc/name", "of a sidecar"),
        ]),
        None,
    )
    .unwrap();
    assert_eq!(&*all.url, "https://heketi.example:8443/base");
    assert_eq!(all.auth, Auth::Key(Key::new("hush")));
    assert!(!format!("{all:?}").contains("hush"));
    assert_eq!(all.clusters.len(), 2);
    assert_eq!(all.gids, (3000, 3001));
    assert_eq!(
        all.options,
        ["client.ssl on", "user.heketi.device-tag-match tier!=slow"]
    );
    assert_eq!(all.name_prefix.as_deref(), Some("dept-dev"));
    assert_eq!(all.snapshot_factor, 1.5);
    assert_eq!(&*all.endpoint_prefix, "dbstorage");
}

#[test]
fn without_authentication_user_key_and_secret_are_blanked() {
    for word in ["false", "no", "1", ""] {
        let class = read(&[
            ("restauthenabled", word),
            ("restuser", "user"),
            ("restuserkey", "k"),
            ("secretName", "s"),
        ]);
        assert_eq!(class.unwrap().auth, Auth::None, "{word}");
    }
}

#[test]
fn a_secret_wins_over_a_key() {
    let class = read(&[
        ("restuserkey", "k"),
        ("secretName", "s"),
        ("secretNamespace", "n"),
    ]);
    assert!(matches!(class.unwrap().auth, Auth::Secret(_)));
}

#[test]
fn volume_types() {
    for (text, kind, numbers) in [
        ("", "replicate", (3, 0, 0)),
        ("none", "none", (0, 0, 0)),
        ("replicate", "replicate", (3, 0, 0)),
        ("replicate:0", "replicate", (2, 0, 0)),
        ("replicate:2", "replicate", (2, 0, 0)),
        ("replicate:3", "replicate", (3, 0, 0)),
        ("disperse:2:1", "disperse", (0, 2, 1)),
        ("disperse:8:4", "disperse", (0, 8, 4)),
    ] {
        let durability = read(&[("volumetype", text)]).unwrap().durability;
        assert_eq!(durability.kind, kind, "{text}");
        let Durability {
            replicate,
            disperse,
            ..
        } = durability;
        assert_eq!(
            (replicate.replica, disperse.data, disperse.redundancy),
            numbers,
            "{text}"
        );
    }
    let arbiter = read(&[
        ("volumetype", "replicate:2"),
        ("volumeoptions", "user.heketi.arbiter true"),
    ]);
    assert!(!arbiter.unwrap().may_split());
}

#[test]
fn a_class_of_our_own_may_leave_the_url_to_the_controller() {
    let none = map(&[]);
    let class = Class::read(DRIVER, &none, Some("http://manager:8080")).unwrap();
    assert_eq!(&*class.url, "http://manager:8080");
    let faults = Class::read(DRIVER, &none, None).unwrap_err();
    assert!(faults.to_string().contains("--manager URL"), "{faults}");
    let faults = Class::read(IN_TREE, &none, Some("http://manager:8080")).unwrap_err();
    assert_eq!(
        faults.to_string(),
        "StorageClass for provisioner kubernetes.io/glusterfs must contain 'resturl' parameter: the address of Heketi, for example http://gfs1:8080"
    );
}

/// Key, value, and words that the fault must have; its field is the key.
const WRONG: [(&str, &str, &str); 54] = [
    ("resturl", "gfs1:8080", "begin with http://"),
    ("resturl", "/hello", "begin with http://"),
    ("resturl", "ftp://gfs1", "begin with http://"),
    ("resturl", "http://", "not a URL"),
    ("resturl", "http://a b", "not a URL"),
    ("resturl", "http://gfs1:http", "port"),
    ("resturl", "http://gfs1:99999", "port"),
    ("resturl", "http://admin:hush@gfs1", "has a user in it"),
    ("resturl", "http://gfs1/?a=b", "query"),
    ("restuser", "user", "401 Administrator access required"),
    ("restuser", "Admin", "only admin"),
    (
        "secretName",
        "s",
        "either both set or both empty: secretName is \"s\"",
    ),
    (
        "secretNamespace",
        "n",
        "either both set or both empty: secretNamespace is \"n\"",
    ),
    ("clusterid", "c1", "32 hexadecimal digits"),
    (
        "clusterid",
        "89b1df9e1234366034a7bdd1a7410cb4,",
        "32 hexadecimal digits",
    ),
    ("gidMin", "", "invalid gidMin value \"\""),
    ("gidMin", "x", "invalid gidMin value \"x\""),
    ("gidMin", "1999", "gidMin must be >= 2000: it is 1999"),
    ("gidMin", "2147483648", "gidMin must be <= 2147483647"),
    ("gidMax", "-1", "gidMax must be >= 2000"),
    ("gidMax", "1e4", "invalid gidMax value"),
    ("gidMax", "9999999999999999999999", "invalid gidMax value"),
    (
        "volumetype",
        "raid5",
        "error parsing value for option 'volumetype'",
    ),
    (
        "volumetype",
        "none:1",
        "error parsing value for option 'volumetype'",
    ),
    ("volumetype", "Replicate:2", "replicate:N"),
    ("volumetype", "replicate:", "error parsing volumeType"),
    (
        "volumetype",
        "replicate:two",
        "error parsing volumeType \"replicate:two\"",
    ),
    (
        "volumetype",
        "replicate:-1",
        "negative values are not allowed",
    ),
    ("volumetype", "replicate:1", "one copy is no replica"),
    (
        "volumetype",
        "replicate:4",
        "4 copies are more than Heketi makes",
    ),
    ("volumetype", "replicate:2:1", "error parsing value"),
    (
        "volumetype",
        "disperse",
        "must have data:redundancy count set for disperse volumes",
    ),
    (
        "volumetype",
        "disperse:4",
        "must have data:redundancy count set",
    ),
    ("volumetype", "disperse:4:x", "error parsing volumeType"),
    (
        "volumetype",
        "disperse:-4:2",
        "negative values are not allowed",
    ),
    ("volumetype", "disperse:3:1", "write disperse:2:1"),
    ("volumeoptions", "client.ssl", "'client.ssl on'"),
    (
        "volumeoptions",
        "client.ssl on,",
        "one key, a blank and one value",
    ),
    ("volumeoptions", "a b c", "one key, a blank and one value"),
    ("volumeoptions", "client.ssl on;reboot", "shell line"),
    ("volumeoptions", "client.ssl $(reboot)", "shell line"),
    ("volumeoptions", "client.ssl `reboot`", "shell line"),
    ("volumeoptions", "client.ssl a|b", "shell line"),
    ("volumeoptions", "client.ssl a>b", "shell line"),
    ("volumeoptions", "client.ssl 'on'", "shell line"),
    ("volumeoptions", "client.ssl --xml", "begins with neither"),
    ("volumeoptions", "auth.allow *", "begins with neither"),
    ("volumeoptions", "-x on", "begins with a letter"),
    ("volumeoptions", "Client.ssl on", "small letters"),
    (
        "volumenameprefix",
        "a_b",
        "should not contain '_' in its value",
    ),
    ("volumenameprefix", "a.b", "letters, digits and '-'"),
    ("volumenameprefix", "-a", "begin with a letter or digit"),
    (
        "snapfactor",
        "x",
        "failed to convert snapfactor \"x\" to float",
    ),
    ("snapfactor", "0.9", "the value must be between 1 to 100"),
];

#[test]
fn every_wrong_value_is_told_with_its_key() {
    for (key, value, words) in WRONG {
        let faults = read(&[(key, value)]).expect_err(value);
        let all: Vec<_> = faults.iter().collect();
        let [fault] = all[..] else {
            panic!("{key}: {value}: {faults:?}")
        };
        assert!(fault.text.contains(words), "{key}: {value}: {}", fault.text);
        let partner = matches!(key, "secretName" | "secretNamespace");
        assert!(*fault.field == *key || partner, "{key}: {}", fault.field);
    }
}

#[test]
fn more_wrong_values() {
    for (given, words) in [
        (
            vec![("gidMin", "3000"), ("gidMax", "2999")],
            "must have gidMax value >= gidMin: gidMax is 2999, gidMin is 3000",
        ),
        (vec![("snapfactor", "NaN")], "between 1 to 100"),
        (vec![("snapfactor", "101")], "between 1 to 100"),
        (
            vec![("customepnameprefix", "a23456789012345678901234567")],
            "'customepnameprefix' value should be < 26 characters",
        ),
        (
            vec![(
                "volumenameprefix",
                "a2345678901234567890123456789012345678901",
            )],
            "at most 40",
        ),
        (
            vec![("secretName", "../x"), ("secretNamespace", "n")],
            "no object can be called so",
        ),
        (
            vec![("secretName", "x"), ("secretNamespace", "n/secrets/y?")],
            "no object can be called so",
        ),
        (
            vec![("replicas", "2")],
            "invalid option \"replicas\" for volume plugin kubernetes.io/glusterfs; known are resturl,",
        ),
        (vec![("thinPoolSnapFactor", "2")], "is snapfactor meant?"),
        (vec![("volume-type", "none")], "is volumetype meant?"),
        (vec![("restuserkeys", "hush")], "is restuser meant?"),
    ] {
        let faults = read(&given).expect_err(words);
        assert!(faults.to_string().contains(words), "{faults}");
        assert!(!faults.to_string().contains("hush"), "{faults}");
    }
}

#[test]
fn all_faults_are_told_at_once() {
    let faults = Class::read(
        IN_TREE,
        &map(&[
            ("restuser", "user"),
            ("gidMin", "1"),
            ("gidMax", "x"),
            ("volumetype", "raid"),
            ("volumeoptions", "a;b,c"),
            ("snapfactor", "0"),
            ("nonsense", "1"),
        ]),
        None,
    )
    .unwrap_err();
    assert_eq!(faults.iter().count(), 9, "{faults:?}");
    assert!(faults.to_string().ends_with("; and 3 more"), "{faults}");
}

const FINE: Asked<'_> = Asked {
    access_modes: &[],
    request: "2Gi",
    block: false,
    selector: false,
    source: None,
};

#[test]
fn claims() {
    let source = |group: &str, kind: &str, namespace: Option<&str>| DataSource {
        group: group.into(),
        kind: kind.into(),
        namespace: namespace.map(Into::into),
        name: "x".into(),
    };
    for (group, kind) in [
        ("", "PersistentVolumeClaim"),
        ("snapshot.storage.k8s.io", "VolumeSnapshot"),
    ] {
        let source = source(group, kind, None);
        let modes = ["ReadWriteMany".into()];
        let asked = Asked {
            access_modes: &modes,
            source: Some(&source),
            ..FINE
        };
        assert_eq!(judge(asked).expect("it can be had"), 2);
    }
    let modes = |modes: &[&str]| {
        modes
            .iter()
            .map(|&mode| mode.into())
            .collect::<Vec<Box<str>>>()
    };
    for mode in [
        "ReadWriteOnce",
        "ReadOnlyMany",
        "ReadWriteMany",
        "ReadWriteOncePod",
    ] {
        for (request, gib) in [
            ("2Gi", 2),
            ("1", 1),
            ("1500M", 2),
            ("2049Mi", 3),
            ("128Ti", 131_072),
        ] {
            let asked = Asked {
                access_modes: &modes(&[mode]),
                request,
                ..FINE
            };
            assert_eq!(judge(asked), Ok(gib), "{mode} {request}");
        }
    }
    let shared = modes(&["ReadWriteMany"]);
    let fine = Asked {
        access_modes: &shared,
        ..FINE
    };
    for (asked, field, words) in [
        (FINE, "spec.accessModes", "is empty"),
        (
            Asked {
                access_modes: &modes(&["ReadWrite"]),
                ..FINE
            },
            "spec.accessModes",
            "invalid AccessModes \"ReadWrite\": only AccessModes ReadWriteOnce",
        ),
        (
            Asked {
                access_modes: &modes(&["ReadWriteOncePod", "ReadWriteMany"]),
                ..FINE
            },
            "spec.accessModes",
            "stand alone",
        ),
        (
            Asked {
                selector: true,
                ..fine
            },
            "spec.selector",
            "claim Selector is not supported",
        ),
        (
            Asked {
                block: true,
                ..fine
            },
            "spec.volumeMode",
            "does not support block volume provisioning",
        ),
        (
            Asked {
                source: Some(&source("example.com", "Populator", None)),
                ..fine
            },
            "spec.dataSource",
            "is a \"Populator\" of group \"example.com\"",
        ),
        (
            Asked {
                source: Some(&source("", "PersistentVolumeClaim", Some("other"))),
                ..fine
            },
            "spec.dataSourceRef",
            "in namespace \"other\"",
        ),
        (
            Asked {
                source: Some(&source("", "VolumeSnapshot", None)),
                ..fine
            },
            "spec.dataSource",
            "of group \"\"",
        ),
        (
            Asked {
                request: "0",
                ..fine
            },
            "spec.resources.requests.storage",
            "at least 1Gi",
        ),
        (
            Asked {
                request: "",
                ..fine
            },
            "spec.resources.requests.storage",
            "not a size",
        ),
        (
            Asked {
                request: "2GiB",
                ..fine
            },
            "spec.resources.requests.storage",
            "not a size",
        ),
        (
            Asked {
                request: "129Ti",
                ..fine
            },
            "spec.resources.requests.storage",
            "ask for less",
        ),
    ] {
        let faults = judge(asked).unwrap_err();
        let all: Vec<_> = faults.iter().collect();
        assert_eq!(all.len(), 1, "{faults}");
        assert_eq!(&*all[0].field, field);
        assert!(all[0].text.contains(words), "{faults}");
    }
    let bad = Asked {
        selector: true,
        block: true,
        request: "x",
        ..FINE
    };
    assert_eq!(judge(bad).unwrap_err().iter().count(), 4);
}

proptest! {
    #[test]
    fn no_parameters_panic(given in proptest::collection::btree_map("[a-zA-Z]{0,12}|volumetype|volumeoptions|gidMin|resturl|clusterid|volumenameprefix|snapfactor|secretName", ".{0,80}", 0..6)) {
        let _ = Class::read(IN_TREE, &given, None).map_err(|faults| faults.to_string());
    }

    #[test]
    fn an_option_that_is_taken_is_one_line_for_a_shell(option in ".{0,40}") {
        if let Ok(class) = read(&[("volumeoptions", &option)]) {
            for option in &class.options {
                prop_assert!(!option.contains(|c| ";&|<>$`\\\"'(){}[]#~?\n".contains(c)), "{}", option);
                prop_assert_eq!(option.split(' ').count(), 2);
            }
        }
    }
}
