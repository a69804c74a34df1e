//! A migration against a model API server: every call may be lost before or
//! after its effect, the run may end after any step, and begins anew.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn old_volume(policy: &str) -> Value {
    json!({
        "metadata": {"name": "pv", "uid": "u-old", "finalizers": ["kubernetes.io/pv-protection"],
            "annotations": {
                "pv.kubernetes.io/provisioned-by": "kubernetes.io/glusterfs",
                "gluster.kubernetes.io/heketi-volume-id": "0123",
                "pv.beta.kubernetes.io/gid": "2001"}},
        "spec": {"capacity": {"storage": "2Gi"}, "accessModes": ["ReadWriteMany"],
            "storageClassName": "c", "persistentVolumeReclaimPolicy": policy,
            "claimRef": {"namespace": "shop", "name": "web", "uid": "claim-uid", "resourceVersion": "7"},
            "glusterfs": {"endpoints": "e", "path": "/vol_0123", "readOnly": true}},
        "status": {"phase": "Bound"},
    })
}

/// The cluster and the directory of saves.
#[derive(Clone, Debug)]
struct Model {
    saved: Option<Old>,
    volume: Option<Value>,
}

impl Model {
    fn seen(&self) -> Seen {
        Seen {
            saved: self.saved.clone(),
            volume: self.volume.clone(),
            claim: Some("claim-uid".into()),
            ..Seen::default()
        }
    }

    fn carry_out(&mut self, step: Step) {
        let old = Old::read(old_volume("Delete")).unwrap();
        let volume = &mut self.volume;
        match step {
            Step::Save => self.saved = Some(Old::read(volume.clone().unwrap()).unwrap()),
            Step::Retain => {
                volume.as_mut().unwrap()["spec"]["persistentVolumeReclaimPolicy"] = "Retain".into();
            }
            Step::Delete => {
                let volume = volume.as_mut().unwrap();
                assert!(self.saved.is_some(), "deleted before it is written down");
                assert_eq!(volume["spec"]["persistentVolumeReclaimPolicy"], "Retain");
                volume["metadata"]["deletionTimestamp"] = "now".into();
            }
            Step::Release => *volume = None,
            Step::Create => {
                let mut new = old.successor(&["h1".into(), "h2".into()], None);
                new["metadata"]["uid"] = "u-new".into();
                new["status"]["phase"] = "Pending".into();
                *volume = Some(new);
            }
            Step::Bind => volume.as_mut().unwrap()["status"]["phase"] = "Bound".into(),
            Step::Policy => {
                let policy = &self.saved.as_ref().unwrap().policy;
                volume.as_mut().unwrap()["spec"]["persistentVolumeReclaimPolicy"] =
                    (**policy).into();
            }
        }
    }
}

proptest! {
    #[test]
    fn cut_short_anywhere_it_goes_on(luck in proptest::collection::vec(any::<bool>(), 0..20)) {
        let mut model = Model { saved: None, volume: Some(old_volume("Delete")) };
        let mut luck = luck.into_iter();
        let mut done = Vec::new();
        for _ in 0..40 {
            match next(&model.seen()) {
                Next::Do(step) => if luck.next().unwrap_or(true) {
                    model.carry_out(step);
                    done.push(step);
                },
                Next::Done => break,
                Next::Refuse(text) => panic!("{text}: {model:?}"),
            }
        }
        prop_assert_eq!(done, Step::ALL.to_vec());
        let volume = model.volume.unwrap();
        prop_assert_eq!(&volume["spec"]["persistentVolumeReclaimPolicy"], "Delete");
    }
}

#[test]
fn the_successor_is_like_it_but_for_its_source() {
    let old = Old::read(old_volume("Delete")).unwrap();
    let new = old.successor(&["h1".into(), "h2".into()], None);
    let (meta, spec) = (&new["metadata"], &new["spec"]);
    assert_eq!(
        meta["annotations"]["pv.kubernetes.io/provisioned-by"],
        "gluster.loods.io"
    );
    assert_eq!(meta["annotations"]["pv.beta.kubernetes.io/gid"], "2001");
    assert_eq!(meta["annotations"][MIGRATED], "u-old");
    assert_eq!(
        spec["claimRef"],
        json!({"namespace": "shop", "name": "web", "uid": "claim-uid"})
    );
    assert_eq!(
        spec["csi"],
        json!({"driver": "gluster.loods.io", "volumeHandle": "0123", "readOnly": true,
            "volumeAttributes": {"volume": "vol_0123", "hosts": "h1,h2"}})
    );
    assert_eq!(spec["glusterfs"], Value::Null);
    assert_eq!(spec["persistentVolumeReclaimPolicy"], "Retain");
    // One that a person made is never ours to delete.
    let mut by_hand = old_volume("Delete");
    by_hand["metadata"]["annotations"] = json!({});
    let new = Old::read(by_hand).unwrap().successor(&["h1".into()], None);
    assert_eq!(new["metadata"]["annotations"], json!({MIGRATED: "u-old"}));
    assert_eq!(new["metadata"]["finalizers"], Value::Null);
    assert_eq!(new["spec"]["csi"]["volumeHandle"], "vol_0123");
}

#[test]
fn what_is_refused() {
    let whole = Model {
        saved: None,
        volume: Some(old_volume("Delete")),
    };
    let saved = Some(Old::read(old_volume("Delete")).unwrap());
    let mut other = old_volume("Delete");
    other["metadata"]["uid"] = "u-other".into();
    let mut foreign = other.clone();
    foreign["spec"]["glusterfs"] = Value::Null;
    let mut dying = old_volume("Delete");
    dying["metadata"]["deletionTimestamp"] = "now".into();
    let seen = |change: &dyn Fn(&mut Seen)| {
        let mut seen = whole.seen();
        change(&mut seen);
        match next(&seen) {
            Next::Refuse(text) => text,
            other => format!("{other:?}"),
        }
    };
    for (text, words) in [
        (seen(&|seen| seen.claim = None), "shop/web is gone"),
        (seen(&|seen| seen.claim = Some("x".into())), "another one"),
        (
            seen(&|seen| seen.pods = vec!["web-0".into()]),
            "--running-pods",
        ),
        (seen(&|seen| seen.volume = None), "no save of one"),
        (seen(&|seen| seen.volume = Some(dying.clone())), "cut short"),
        (
            seen(&|seen| (seen.saved, seen.volume) = (saved.clone(), Some(other.clone()))),
            "the save is of another",
        ),
        (
            seen(&|seen| (seen.saved, seen.volume) = (saved.clone(), Some(foreign.clone()))),
            "is not what was made",
        ),
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    let mut told = whole.seen();
    (told.pods, told.pods_may_run) = (vec!["web-0".into()], true);
    assert_eq!(next(&told), Next::Do(Step::Save));
}

#[test]
fn a_save_is_read_back_and_is_no_other() {
    let dir = std::env::temp_dir().join(format!("loods-saves-{}", std::process::id()));
    let saves = Saves(dir.clone());
    assert_eq!(saves.names(), Ok(Vec::new()));
    let old = Old::read(old_volume("Delete")).unwrap();
    saves.write(&old).unwrap();
    assert_eq!(saves.read("pv"), Ok(Some(old)));
    assert_eq!(saves.names(), Ok(vec!["pv".into()]));
    assert_eq!(saves.read("x"), Ok(None));
    std::fs::copy(dir.join("pv.yaml"), dir.join("x.yaml")).unwrap();
    assert!(
        saves
            .read("x")
            .unwrap_err()
            .contains("of PersistentVolume pv")
    );
    std::fs::remove_dir_all(dir).unwrap();
}
