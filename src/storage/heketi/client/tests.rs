use super::*;

#[test]
fn another_user_than_admin_is_refused_before_anything_is_sent() {
    let error = Credentials::new("user", b"userkey-lab").expect_err("it cannot read back");
    assert!(
        error.is_final() && error.to_string().contains("restuser: admin"),
        "{error}"
    );
    assert!(!error.to_string().contains("lab"), "{error}");
    assert!(Credentials::new("admin", b"").is_err());
}

#[test]
fn nothing_that_holds_a_key_shows_it() {
    let credentials = Credentials::new("admin", b"adminkey-lab").expect("good");
    let heketi = Heketi::new(
        "http://gfs1:8080/",
        Some(credentials.clone()),
        &Trust::Host,
        Limits::default(),
    );
    let shown = format!("{credentials:?} {:?}", heketi.expect("good"));
    assert!(!shown.contains("lab"), "{shown}");
}

#[test]
fn what_cannot_be_asked_is_told_at_once() {
    for url in [
        "gfs1:8080",
        "ftp://gfs1",
        "http://",
        "http://a:b@gfs1:8080",
        "http://gfs1:99999",
    ] {
        let error = Heketi::new(url, None, &Trust::Host, Limits::default()).expect_err(url);
        assert!(
            error.is_final() && error.to_string().contains(url),
            "{error}"
        );
    }
    let error = Trust::pem("ConfigMap a/b", b"-----BEGIN").expect_err("no certificate");
    assert!(
        error
            .to_string()
            .starts_with("CA of Heketi, ConfigMap a/b: "),
        "{error}"
    );
    assert!(Trust::file(std::path::Path::new("/nonexistent/ca.pem")).is_err());
}

#[test]
fn what_heketi_would_paste_into_a_shell_is_not_sent() {
    let good = VolumeCreate {
        name: "pvc-1".into(),
        size: 1,
        glustervolumeoptions: vec!["client.ssl on".into(), "user.heketi.arbiter true".into()],
        ..VolumeCreate::default()
    };
    assert_eq!(judge(&good), Ok(()));
    for option in [
        "a",
        "a $(reboot)",
        "a b; reboot",
        "A b",
        "a b c",
        "",
        "a `b`",
        "a b\nc",
        "a -b",
    ] {
        let bad = VolumeCreate {
            glustervolumeoptions: vec![option.into()],
            ..good.clone()
        };
        assert!(judge(&bad).expect_err(option).is_final());
    }
    for name in ["", "a b", "-a", "a/b", "a;b", "ä", &"a".repeat(256)] {
        let bad = VolumeCreate {
            name: name.into(),
            ..good.clone()
        };
        assert!(judge(&bad).expect_err(name).is_final());
    }
    assert!(judge(&VolumeCreate { size: 0, ..good }).is_err());
}

/// Whoever spawns these on a runtime of several threads needs it.
#[test]
fn every_method_can_go_to_another_thread() {
    fn check<T: Send>(_: T) {}
    let heketi =
        Heketi::new("http://gfs1:8080", None, &Trust::Host, Limits::default()).expect("good");
    let create = VolumeCreate::default();
    check(heketi.hello());
    check(heketi.ensure_volume(&create));
    check(heketi.clone_volume(&create, Source::Volume("1".into())));
    check(heketi.volume("1"));
    check(heketi.find_by_name("a"));
    check(heketi.volumes());
    check(heketi.delete_volume("1"));
    check(heketi.expand_to("1", 2));
    check(heketi.snapshot("a", "1"));
    check(heketi.snapshots());
    check(heketi.delete_snapshot("1"));
    check(heketi.health("1"));
    check(heketi.capacity());
}
