//! The article's own objects, from Pending to deleted.

use crate::stage::{Stage, finalizers};
use crate::support::wait;
use crate::world::storage;
use serde_json::json;

#[test]
#[ignore = "real control plane: tests/run claims"]
fn the_articles_claim_is_bound_to_a_volume_of_heketis() {
    let stage = Stage::of_the_article();
    stage.world.plane.create(&storage("pvc.yaml"));
    let volume = stage.wait_bound("website-uploads");
    let claim = stage.read_claim("website-uploads").unwrap();

    // kubectl get pvc website-uploads
    let uid = claim["metadata"]["uid"].as_str().unwrap();
    assert_eq!(claim["spec"]["volumeName"], format!("pvc-{uid}"));
    assert_eq!(claim["status"]["capacity"]["storage"], "2Gi");
    assert_eq!(claim["status"]["accessModes"], json!(["ReadWriteMany"]));
    for key in ["volume", "volume.beta"] {
        let key = format!("{key}.kubernetes.io/storage-provisioner");
        assert_eq!(claim["metadata"]["annotations"][&key], "gluster.loods.io");
    }

    // kubectl get pv pvc-…
    let held = stage.heketi.volumes();
    assert_eq!(held.len(), 1);
    let spec = &volume["spec"];
    assert_eq!(spec["capacity"]["storage"], "2Gi");
    assert_eq!(spec["accessModes"], json!(["ReadWriteMany"]));
    assert_eq!(spec["persistentVolumeReclaimPolicy"], "Delete");
    assert_eq!(spec["storageClassName"], "gluster-heketi-external");
    assert_eq!(volume["status"]["phase"], "Bound");
    let hosts = held[0].mount.glusterfs.hosts.join(",");
    assert_eq!(
        spec["csi"],
        json!({
            "driver": "gluster.loods.io",
            "volumeHandle": held[0].id,
            "volumeAttributes": {
                "volume": held[0].name, "hosts": hosts,
                "resturl": crate::world::heketi_url(), "restuser": "admin",
                "secretName": "heketi-secret", "secretNamespace": "kube-system",
            },
        })
    );
    let annotations = &volume["metadata"]["annotations"];
    for (key, value) in [
        ("gluster.kubernetes.io/heketi-volume-id", &*held[0].id),
        ("pv.beta.kubernetes.io/gid", "2000"),
        ("pv.kubernetes.io/provisioned-by", "gluster.loods.io"),
        ("kubernetes.io/createdby", "heketi-dynamic-provisioner"),
        ("gluster.org/type", "file"),
        (
            "Description",
            "Gluster-Internal: Dynamically provisioned PV",
        ),
    ] {
        assert_eq!(annotations[key], value, "{key}");
    }
    assert!(
        finalizers(&volume)
            .contains(&"external-provisioner.volume.kubernetes.io/finalizer".to_owned())
    );

    // heketi-cli volume info
    assert_eq!(held[0].name, format!("pvc-{uid}"));
    assert_eq!((held[0].size, held[0].gid), (2, 2000));
    assert_eq!(held[0].durability.kind, "replicate");
    assert_eq!(held[0].durability.replicate.replica, 2);

    // kubectl describe pvc website-uploads
    stage.wait_told("website-uploads", "ProvisioningSucceeded", &held[0].id);
    stage.wait_told("website-uploads", "Provisioning", "of 2 GiB");
    stage.wait_told(
        "website-uploads",
        "ExternalProvisioning",
        "\"no volume plugin matched name: kubernetes.io/glusterfs\"",
    );
    stage.wait_told("website-uploads", "SplitBrainPossible", "replicate:2");

    // Neither the key nor a token is told anywhere.
    let everything = format!(
        "{volume}{claim}{:?}{}",
        stage.events("website-uploads"),
        stage.controllers[0].log()
    );
    assert!(!everything.contains(crate::stage::KEY));
    assert!(!everything.to_lowercase().contains("bearer"));

    stage.delete_claim("website-uploads");
    stage.wait_nothing_left();
}

#[test]
#[ignore = "real control plane: tests/run claims"]
fn a_claim_grows_as_far_as_the_size_that_it_asks_for() {
    let stage = Stage::set();
    stage.secret();
    stage.class_with("growing", json!({}));
    stage.claim("web", "growing", json!({}));
    let volume = stage.wait_bound("web");
    let size = json!({"spec": {"resources": {"requests": {"storage": "3500M"}}}});
    stage.patch_claim("web", size);
    let claim = wait::until("the claim has 4Gi", || {
        let claim = stage.read_claim("web")?;
        wait::check(
            claim["status"]["capacity"]["storage"] == "4Gi",
            &claim["status"],
        )?;
        Ok(claim)
    });
    let conditions = claim["status"]["conditions"].as_array();
    assert!(conditions.is_none_or(Vec::is_empty), "{claim}");
    assert_eq!(claim["status"]["allocatedResources"]["storage"], "4Gi");
    assert_eq!(claim["status"].get("allocatedResourceStatuses"), None);
    let annotation = "volume.kubernetes.io/node-expansion-not-required";
    assert!(claim["metadata"]["annotations"][annotation].is_string());
    let name = volume["metadata"]["name"].as_str().unwrap();
    let volume = stage.wait_bound("web");
    assert_eq!(volume["metadata"]["name"], name);
    assert_eq!(volume["spec"]["capacity"]["storage"], "4Gi");
    assert_eq!(stage.heketi.volumes()[0].size, 4);
    let note = stage.wait_told("web", "VolumeResizeSuccessful", "4Gi");
    assert!(note.contains("at once"), "{note}");
}

#[test]
#[ignore = "real control plane: tests/run claims"]
fn the_class_goes_first_and_the_claim_is_deleted_all_the_same() {
    let stage = Stage::of_the_article();
    stage.world.plane.create(&storage("pvc.yaml"));
    stage.wait_bound("website-uploads");
    stage.delete_class("gluster-heketi-external");
    stage.delete_claim("website-uploads");
    stage.wait_nothing_left();
}

#[test]
#[ignore = "real control plane: tests/run claims"]
fn what_is_to_be_kept_is_kept() {
    let stage = Stage::set();
    stage.secret();
    stage.class_with(
        "keeping",
        json!({"reclaimPolicy": "Retain", "mountOptions": ["log-level=WARNING"]}),
    );
    stage.claim("web", "keeping", json!({}));
    let volume = stage.wait_bound("web");
    assert_eq!(volume["spec"]["mountOptions"], json!(["log-level=WARNING"]));
    let name = volume["metadata"]["name"].as_str().unwrap().to_owned();
    // Our finalizer would keep the PV, and nothing else would be done for it.
    let ours = "external-provisioner.volume.kubernetes.io/finalizer";
    wait::until("our finalizer is gone", || {
        let now = stage.wait_bound("web");
        wait::check(
            !finalizers(&now).contains(&ours.to_owned()),
            finalizers(&now),
        )
    });
    stage.delete_claim("web");
    wait::until("the PV is Released", || {
        let all = stage.read_volumes();
        wait::check(
            all.len() == 1 && all[0]["status"]["phase"] == "Released",
            all,
        )
    });
    assert_eq!(stage.heketi.volumes().len(), 1);
    // On second thought it may go.
    let policy = json!({"spec": {"persistentVolumeReclaimPolicy": "Delete"}});
    stage.patch_volume(&name, policy);
    stage.wait_nothing_left();
}

#[test]
#[ignore = "real control plane: tests/run claims"]
fn a_claim_that_waits_for_its_consumer_is_served_when_a_node_is_chosen() {
    let stage = Stage::set();
    stage.secret();
    stage.class_with("late", json!({"volumeBindingMode": "WaitForFirstConsumer"}));
    stage.class_with("soon", json!({}));
    stage.claim("late", "late", json!({}));
    // A later claim is served, and nothing lies between.
    stage.claim("soon", "soon", json!({}));
    stage.wait_bound("soon");
    assert_eq!(stage.heketi.volumes().len(), 1);
    assert_eq!(
        stage.read_claim("late").unwrap()["status"]["phase"],
        "Pending"
    );
    // As the scheduler does it.
    stage.patch_claim(
        "late",
        json!({"metadata": {"annotations": {"volume.kubernetes.io/selected-node": "n1"}}}),
    );
    stage.wait_bound("late");
}
