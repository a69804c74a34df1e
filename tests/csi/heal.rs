//! Healing: the rounds on mounts in memory; tests/csi/fuse.rs has the kernel's.

use loods::storage::node::heal;
use loods::storage::node::mountinfo::Mount;

use crate::scene::Scene;

#[tokio::test]
async fn what_died_is_mounted_again_and_covered_wherever_it_was() {
    let scene = Scene::new().await;
    let mut node = scene.node().await;
    node.node_stage_volume(scene.stage_request())
        .await
        .expect("staged");
    let mut asked = scene.publish_request("a");
    asked.readonly = true;
    node.node_publish_volume(asked).await.expect("published");
    let mount = scene.mounts.at(&scene.target("a")).expect("mounted");
    let inside = |point: &str, root: &str, source: &str| Mount {
        point: point.into(),
        root: root.into(),
        source: source.into(),
        ..mount.clone()
    };
    let container = vec![
        inside("/uploads", "/", &mount.source),
        inside("/sub", "/dir", &mount.source),
        inside("/other", "/", "10.0.0.1:/another"),
    ];
    scene.mounts.lock().elsewhere = vec![(77, container)];
    scene.mounts.calls();

    heal::round(&scene.works).await.expect("nothing to do");
    assert_eq!(scene.mounts.calls(), [""; 0]);

    scene.mounts.kill(&scene.staging());
    heal::round(&scene.works).await.expect("healed");
    let calls = [
        "detach globalmount",
        "mount globalmount",
        "cover a",
        "cover uploads",
        "cover sub",
    ];
    assert_eq!(scene.mounts.calls(), calls);
    let staged = scene.mounts.at(&scene.staging()).expect("mounted");
    let healed = scene.mounts.at(&scene.target("a")).expect("mounted");
    assert_eq!(
        (healed.device, healed.read_only),
        (staged.device.clone(), true)
    );
    let state = scene.mounts.lock().elsewhere[0].1.clone();
    assert_eq!(state[4].device, staged.device);
    assert_eq!(state[4].root, std::path::Path::new("/dir"));

    heal::round(&scene.works).await.expect("nothing is left");
    heal::round(&scene.works).await.expect("nothing is left");
    assert_eq!(scene.mounts.calls(), [""; 0]);
    let left = scene.works.records.find(&scene.staging()).expect("staged");
    assert_eq!(left.died, [""; 0], "the dead are forgotten");
}

#[tokio::test]
async fn what_was_unstaged_is_left_alone_and_what_is_silent_too() {
    let scene = Scene::new().await;
    let mut node = scene.node().await;
    node.node_stage_volume(scene.stage_request())
        .await
        .expect("staged");
    let device = scene.mounts.at(&scene.staging()).expect("mounted").device;
    scene.mounts.lock().silent.insert(device);
    scene.mounts.calls();
    heal::round(&scene.works).await.expect("it may come back");
    assert_eq!(scene.mounts.calls(), [""; 0]);
    scene.mounts.lock().silent.clear();
    node.node_unstage_volume(scene.unstage_request())
        .await
        .expect("unstaged");
    scene.mounts.calls();
    heal::round(&scene.works).await.expect("nothing is staged");
    assert_eq!(scene.mounts.calls(), [""; 0]);
}

#[tokio::test]
async fn a_keeper_that_is_away_is_told_and_the_next_round_heals() {
    let scene = Scene::new().await;
    let mut node = scene.node().await;
    node.node_stage_volume(scene.stage_request())
        .await
        .expect("staged");
    scene.mounts.lock().mounts.clear();
    scene.mounts.lock().no_keeper = true;
    let failed = heal::round(&scene.works).await.expect_err("no keeper");
    assert!(
        failed.message().contains("loods-storage-keeper"),
        "{failed}"
    );
    scene.mounts.lock().no_keeper = false;
    heal::round(&scene.works).await.expect("healed");
    assert!(scene.mounts.at(&scene.staging()).is_some());
}
