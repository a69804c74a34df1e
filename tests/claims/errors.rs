//! What goes wrong is said at the claim, with the mend.

use crate::stage::Stage;
use crate::support::heketi::Fault;
use crate::support::wait;
use serde_json::json;

#[test]
#[ignore = "real control plane: tests/run claims"]
fn a_secret_of_another_type_is_refused_by_name_until_it_is_right() {
    let stage = Stage::set();
    stage.class_with("web", json!({}));
    stage.claim("web", "web", json!({}));
    stage.wait_told(
        "web",
        "ProvisioningFailed",
        "Secret kube-system/heketi-secret is not there",
    );
    let secret = |kind: &str, key: &str| {
        json!({
            "apiVersion": "v1", "kind": "Secret", "type": kind,
            "metadata": {"name": "heketi-secret", "namespace": "kube-system"},
            "stringData": {"key": key},
        })
        .to_string()
    };
    stage.world.plane.create(&secret("Opaque", "hush-hush"));
    let note = stage.wait_told(
        "web",
        "ProvisioningFailed",
        "cannot get secret of type kubernetes.io/glusterfs",
    );
    assert!(!note.contains("hush-hush"), "{note}");
    assert_eq!(stage.heketi.lines(), [""; 0], "Heketi was asked nothing");
    let delete = ["delete", "secret", "-n", "kube-system", "heketi-secret"];
    stage.world.plane.kubectl(&delete);
    stage
        .world
        .plane
        .create(&secret("kubernetes.io/glusterfs", "hush-hush"));
    let note = stage.wait_told(
        "web",
        "ProvisioningFailed",
        "the key in the Secret is not the admin key",
    );
    assert!(!note.contains("hush-hush"), "{note}");
    stage.world.plane.kubectl(&delete);
    stage.secret();
    // No finalizer held it meanwhile: Heketi had not answered.
    stage.wait_bound("web");
    assert_eq!(stage.heketi.volumes().len(), 1);
}

#[test]
#[ignore = "real control plane: tests/run claims"]
fn a_secret_that_the_role_does_not_name_cannot_be_read() {
    let stage = Stage::set();
    stage.class_with("web", json!({"parameters": {"secretName": "another"}}));
    stage.claim("web", "web", json!({}));
    let note = stage.wait_told(
        "web",
        "ProvisioningFailed",
        "may not be read by this controller",
    );
    assert!(
        note.contains("Role loods-storage-secrets of namespace kube-system"),
        "{note}"
    );
}

#[test]
#[ignore = "real control plane: tests/run claims"]
fn all_that_is_wrong_with_class_and_claim_is_told_at_once() {
    let stage = Stage::set();
    stage.secret();
    stage.class_with(
        "wrong",
        json!({"parameters": {"restuser": "user", "volumetype": "raid5", "nonsense": "1"}}),
    );
    stage.claim(
        "web",
        "wrong",
        json!({"spec": {"volumeMode": "Block", "selector": {"matchLabels": {"a": "b"}}}}),
    );
    let note = stage.wait_told("web", "ProvisioningFailed", "restuser \"user\": only admin");
    for words in [
        "invalid option \"nonsense\" for volume plugin kubernetes.io/glusterfs",
        "error parsing value for option 'volumetype'",
        "claim Selector is not supported",
        "does not support block volume",
    ] {
        assert!(note.contains(words), "{words} in {note}");
    }
    // A class cannot be changed, but made anew.
    stage.delete_class("wrong");
    stage.class_with("wrong", json!({}));
    stage.claim("fine", "wrong", json!({}));
    stage.wait_bound("fine");
    assert_eq!(stage.heketi.volumes().len(), 1);
    stage.delete_claim("web");
}

#[test]
#[ignore = "real control plane: tests/run claims"]
fn a_claim_with_a_wrong_heketi_can_be_deleted_at_once() {
    let stage = Stage::set();
    stage.secret();
    stage.class_with(
        "web",
        json!({"parameters": {"resturl": "http://198.19.0.1:9"}}),
    );
    stage.claim("web", "web", json!({}));
    stage.wait_told("web", "ProvisioningFailed", "cannot reach Heketi");
    stage.delete_class("web");
    stage.delete_claim("web");
    stage.wait_nothing_left();
}

#[test]
#[ignore = "real control plane: tests/run claims"]
fn no_space_is_told_and_a_lost_answer_is_not_even_noticed() {
    let stage = Stage::set();
    stage.secret();
    stage.class_with("web", json!({}));
    let huge = json!({"spec": {"resources": {"requests": {"storage": "100Ti"}}}});
    stage.claim("huge", "web", huge);
    stage.wait_told("huge", "ProvisioningFailed", "No space");
    // It was marked when Heketi was asked; it need not wait for anything.
    stage.delete_claim("huge");
    wait::until("it is gone", || {
        wait::check(stage.read_claims().is_empty(), stage.read_claims())
    });
    stage.heketi.fault("POST /volumes", Fault::LoseAnswer);
    stage.claim("web", "web", json!({}));
    let volume = stage.wait_bound("web");
    assert_eq!(stage.heketi.faults_left(), 0);
    assert_eq!(stage.heketi.volumes().len(), 1);
    // An operation that Heketi ends badly.
    let name = volume["metadata"]["name"].as_str().unwrap();
    let handle = volume["spec"]["csi"]["volumeHandle"].as_str().unwrap();
    stage.heketi.fault(
        &format!("DELETE /volumes/{handle}"),
        Fault::Fail("brick is busy"),
    );
    stage.delete_claim("web");
    stage.wait_told(name, "VolumeFailedDelete", "brick is busy");
    stage.wait_nothing_left();
}

#[test]
#[ignore = "real control plane: tests/run claims"]
fn a_volume_that_cannot_grow_says_so_and_its_claim_may_go_back() {
    let stage = Stage::set();
    stage.secret();
    stage.class_with("web", json!({}));
    stage.claim("web", "web", json!({}));
    stage.wait_bound("web");
    let ask = |size: &str| {
        stage.patch_claim(
            "web",
            json!({"spec": {"resources": {"requests": {"storage": size}}}}),
        );
    };
    ask("100Ti");
    stage.wait_told("web", "VolumeResizeFailed", "No space");
    ask("3Gi");
    wait::until("it has 3Gi", || {
        let claim = stage.read_claim("web")?;
        wait::check(
            claim["status"]["capacity"]["storage"] == "3Gi",
            &claim["status"],
        )
    });
    assert_eq!(stage.heketi.volumes()[0].size, 3);
}
