use super::*;
use crate::k8s::fake::{Reply, server};
use crate::k8s::objects::ClaimKey;

const CLAIMS: Claims = Claims {
    driver: "d.example",
    mark: "d.example/mark",
};
const VOLUMES: Volumes = Volumes {
    driver: "d.example",
    finalizer: "d.example/hold",
};

fn calls(replies: Vec<Reply>) -> (Calls, crate::k8s::fake::Asked) {
    let (client, asked) = server(replies);
    let calls = Calls {
        client,
        claims: CLAIMS,
        volumes: VOLUMES,
    };
    (calls, asked)
}

fn reference() -> ClaimRef {
    ClaimRef {
        key: ClaimKey {
            namespace: "shop".into(),
            name: "web".into(),
        },
        uid: "u1".into(),
    }
}

const PV: &str = r#"{"metadata":{"name":"pvc-u1","uid":"v1","resourceVersion":"7","finalizers":["x","d.example/hold"],
 "annotations":{"pv.beta.kubernetes.io/gid":"2001","pv.kubernetes.io/provisioned-by":"d.example"}},
 "spec":{"capacity":{"storage":"2Gi"},"storageClassName":"c","persistentVolumeReclaimPolicy":"Delete",
  "claimRef":{"namespace":"shop","name":"web","uid":"u1"},
  "csi":{"driver":"d.example","volumeHandle":"h","volumeAttributes":{"volume":"pvc-u1"}}},
 "status":{"phase":"Pending"}}"#;

#[tokio::test]
async fn a_volume_is_made_and_read_back() {
    let (calls, asked) = calls(vec![
        Reply::ok(PV),
        Reply::ok(PV),
        Reply::refused(404),
        Reply::ok(r#"{"metadata":{"name":"x"},"spec":{"nfs":{}}}"#),
        Reply::refused(403),
    ]);
    let write = VolumeWrite {
        name: "pvc-u1".into(),
        annotations: [("a".into(), "b".into())].into(),
        capacity: "2Gi".into(),
        access_modes: vec!["ReadWriteMany".into()],
        reclaim_policy: "Delete".into(),
        class: "c".into(),
        mount_options: vec!["ro".into()],
        claim: reference(),
        handle: "h".into(),
        attributes: [("volume".into(), "pvc-u1".into())].into(),
    };
    let made = calls.create_volume(&write).await.unwrap();
    assert!(made.held && !made.deleting);
    assert_eq!(
        (made.gid, &*made.capacity, &*made.phase),
        (Some(2001), "2Gi", "Pending")
    );
    assert_eq!(made.claim, Some(reference()));
    assert_eq!(
        calls.volume("pvc-u1").await.unwrap(),
        Standing::Known(Box::new(made))
    );
    assert_eq!(calls.volume("x").await.unwrap(), Standing::Free);
    assert_eq!(calls.volume("x").await.unwrap(), Standing::Foreign);
    assert_eq!(calls.volume("x").await.unwrap_err().code(), Some(403));
    let (line, body) = asked.all().remove(0);
    assert_eq!(line, "POST /api/v1/persistentvolumes?fieldManager=loods");
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["metadata"]["finalizers"], json!(["d.example/hold"]));
    assert_eq!(body["spec"]["claimRef"]["uid"], "u1");
    assert_eq!(body["spec"]["csi"]["driver"], "d.example");
}

#[tokio::test]
async fn patches_name_the_uid_and_touch_nothing_else() {
    let pvc = r#"{"metadata":{"name":"web","namespace":"shop","uid":"u1"}}"#;
    let (calls, asked) = calls(
        std::iter::repeat_n(Reply::ok(pvc), 6)
            .chain(std::iter::repeat_n(Reply::ok(PV), 6))
            .collect(),
    );
    for change in [
        ClaimChange::Mark(2001),
        ClaimChange::Unmark,
        ClaimChange::Resizing("3Gi"),
        ClaimChange::Infeasible,
        ClaimChange::Resized("3Gi"),
        ClaimChange::NodeNotNeeded,
    ] {
        calls.patch_claim(&reference(), change).await.unwrap();
    }
    let Ok(Standing::Known(volume)) = calls.volume("pvc-u1").await else {
        panic!("it is there")
    };
    for change in [
        VolumeChange::Hold,
        VolumeChange::Release,
        VolumeChange::Capacity("3Gi"),
        VolumeChange::Health(Some("degraded")),
        VolumeChange::Health(None),
    ] {
        calls.patch_volume(&volume, change).await.unwrap();
    }
    let all = asked.all();
    for (line, body) in all.iter().filter(|(line, _)| line.starts_with("PATCH")) {
        let body: Value = serde_json::from_str(body).unwrap();
        assert_eq!(
            body["metadata"]["uid"],
            if line.contains("claims") { "u1" } else { "v1" },
            "{line}"
        );
        assert_eq!(
            body.get("status").is_some(),
            line.contains("/status?"),
            "{line}"
        );
    }
    assert!(
        all[1]
            .1
            .contains(r#""$deleteFromPrimitiveList/finalizers":["d.example/mark"]"#)
    );
    assert!(all[0].1.contains(r#""gluster.loods.io/gid":"2001""#));
    assert!(all[1].1.contains(r#""gluster.loods.io/gid":null"#));
    assert!(all[4].1.contains(r#""$patch":"delete""#));
    let bodies = all.iter().map(|(_, body)| body);
    let health: Vec<&String> = bodies.filter(|body| body.contains("/health")).collect();
    assert!(health[0].contains(r#""gluster.loods.io/health":"degraded""#));
    assert!(health[1].contains(r#""gluster.loods.io/health":null"#));
}

#[tokio::test]
async fn a_secret_is_read_and_never_shown() {
    let secret = r#"{"type":"kubernetes.io/glusterfs","data":{"key":"aHVzaA=="}}"#;
    let (calls, asked) = calls(vec![
        Reply::ok(secret),
        Reply::ok(r#"{"data":{"key":"%%"}}"#),
    ]);
    let read = calls.secret("kube-system", "heketi-secret").await.unwrap();
    assert_eq!(read.entries["key"], b"hush");
    assert!(!format!("{read:?}").contains("hush"));
    let error = calls.secret("n", "s").await.unwrap_err();
    assert!(!error.to_string().contains("%%"), "{error}");
    assert_eq!(
        asked.all()[0].0,
        "GET /api/v1/namespaces/kube-system/secrets/heketi-secret"
    );
}

#[test]
fn another_object_of_the_same_name() {
    let refused = |code, message: &str| ApiError::Refused {
        asked: "x".into(),
        code,
        reason: "R".into(),
        message: message.into(),
        retry_after: None,
    };
    assert!(is_another(&refused(409, "")));
    assert!(is_another(&refused(
        422,
        "metadata.uid: Invalid value: field is immutable"
    )));
    assert!(!is_another(&refused(422, "spec: Forbidden")));
    assert!(!is_another(&refused(404, "")));
}
