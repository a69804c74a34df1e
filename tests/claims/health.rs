//! How volumes fare, as their claims are told.

use crate::stage::Stage;
use crate::support::wait;
use loods::storage::heketi::loods::HealthState;

#[test]
#[ignore = "real control plane: tests/run claims"]
fn claims_are_told_how_their_volumes_fare_once() {
    let mut stage = Stage::empty();
    stage.heketi.as_loods(true);
    for controller in &mut stage.controllers {
        controller.flags = vec!["--health-every".into(), "1".into()];
    }
    stage.controllers[0].start();
    stage.secret();
    stage.class();
    let class = "gluster-heketi-external";
    stage.claim("good", class, serde_json::json!({}));
    stage.claim("bad", class, serde_json::json!({}));
    let good = stage.wait_bound("good");
    let volume = stage.wait_bound("bad");
    let name = volume["metadata"]["name"]
        .as_str()
        .expect("a name")
        .to_owned();
    let id = volume["spec"]["csi"]["volumeHandle"]
        .as_str()
        .expect("an id")
        .to_owned();

    let reason = "bricks do not serve on gfs2; the others do";
    stage.heketi.fares(&id, HealthState::Degraded, reason);
    let note = stage.wait_told("bad", "VolumeDegraded", reason);
    assert!(note.starts_with(&format!("volume {name}: ")), "{note}");
    stage.wait_noted(&name, Some("degraded"));

    // A new controller tells nothing twice, and that all is well again.
    stage.restart();
    let lost = "bricks do not serve on gfs1, gfs2";
    stage.heketi.fares(&id, HealthState::Inaccessible, lost);
    stage.wait_told("bad", "VolumeInaccessible", lost);
    stage.heketi.fares(&id, HealthState::Healthy, "");
    stage.wait_told("bad", "VolumeHealthy", "all bricks serve again");
    stage.wait_noted(&name, None);
    let reasons = |claim: &str| -> Vec<String> {
        let events = stage.events(claim).into_iter().map(|(reason, _)| reason);
        events
            .filter(|reason| reason.starts_with("Volume"))
            .collect()
    };
    let mut told = reasons("bad");
    told.sort();
    assert_eq!(
        told,
        ["VolumeDegraded", "VolumeHealthy", "VolumeInaccessible"]
    );
    assert_eq!(reasons("good"), [""; 0]);
    assert_eq!(
        good["metadata"]["annotations"]["gluster.loods.io/health"],
        serde_json::Value::Null
    );

    // It goes as any other.
    stage.delete_claim("bad");
    stage.delete_claim("good");
    stage.wait_nothing_left();
}

impl Stage {
    #[track_caller]
    fn wait_noted(&self, volume: &str, word: Option<&str>) {
        wait::until(&format!("{volume} says {word:?}"), || {
            let volumes = self.read_volumes();
            let found = volumes.iter().find(|it| it["metadata"]["name"] == volume);
            let is = found
                .and_then(|it| it["metadata"]["annotations"]["gluster.loods.io/health"].as_str());
            wait::check(is == word, format!("{is:?}"))
        });
    }
}
