//! Identity and Node over their socket: what works, what may be repeated, what
//! is refused with which code, and a mount that dies at each step.

use std::fs;
use std::sync::Arc;

use loods::storage::csi::v1::volume_capability::access_mode::Mode;
use loods::storage::csi::v1::volume_capability::{AccessType, BlockVolume};
use loods::storage::csi::v1::{
    GetPluginCapabilitiesRequest, GetPluginInfoRequest, NodeGetCapabilitiesRequest,
    NodeGetInfoRequest, NodeGetVolumeHealthRequest, NodeGetVolumeStatsRequest, ProbeRequest,
};
use loods::storage::node::keeper::protocol::Kind;
use tonic::{Code, Status};

use crate::scene::{Scene, capability, context, text};

#[track_caller]
fn refused<T: std::fmt::Debug>(answer: Result<T, Status>, code: Code, words: &str) {
    let status = answer.expect_err(words);
    assert_eq!(status.code(), code, "{status}");
    assert!(status.message().contains(words), "{status}");
}

#[tokio::test]
async fn who_it_is_and_what_it_can() {
    let scene = Scene::new().await;
    let mut identity = scene.identity().await;
    let info = identity.get_plugin_info(GetPluginInfoRequest {}).await;
    assert_eq!(info.expect("told").into_inner().name, "gluster.loods.io");
    let can = identity
        .get_plugin_capabilities(GetPluginCapabilitiesRequest {})
        .await;
    let can = can.expect("told").into_inner().capabilities;
    assert_eq!(can.len(), 2, "online expansion, and a Controller: {can:?}");

    let mut node = scene.node().await;
    let info = node.node_get_info(NodeGetInfoRequest {}).await;
    assert_eq!(info.expect("told").into_inner().node_id, "n1");
    let can = node.node_get_capabilities(NodeGetCapabilitiesRequest {});
    let can = can.await.expect("told").into_inner().capabilities;
    assert_eq!(can.len(), 4, "{can:?}");
}

#[tokio::test]
async fn ready_is_told_once_the_kubelet_took_it() {
    let scene = Scene::new().await;
    let mut identity = scene.identity().await;
    for taken in [false, true] {
        let condition = loods::storage::node::registration::REGISTERED;
        scene.readiness.set(condition, taken);
        let told = identity.probe(ProbeRequest {}).await.expect("told");
        let ready = told.into_inner().ready.map(|flag| flag.value);
        assert_eq!(ready, Some(taken));
    }
}

#[tokio::test]
async fn a_volume_from_stage_to_unstage_with_every_call_twice() {
    let scene = Scene::new().await;
    let mut node = scene.node().await;
    for calls in [&["mount globalmount"][..], &[]] {
        node.node_stage_volume(scene.stage_request())
            .await
            .expect("staged");
        assert_eq!(scene.mounts.calls(), calls);
    }
    for calls in [&["bind a"][..], &[]] {
        node.node_publish_volume(scene.publish_request("a"))
            .await
            .expect("published");
        assert_eq!(scene.mounts.calls(), calls);
    }
    assert!(
        !scene
            .mounts
            .at(&scene.target("a"))
            .expect("mounted")
            .read_only
    );

    let asked = NodeGetVolumeStatsRequest {
        volume_id: "volume-1".into(),
        volume_path: text(&scene.target("a")),
        staging_target_path: String::new(),
    };
    let usage = node
        .node_get_volume_stats(asked)
        .await
        .expect("told")
        .into_inner()
        .usage;
    let figures: Vec<_> = usage
        .iter()
        .map(|of| (of.unit, of.total, of.used, of.available))
        .collect();
    assert_eq!(figures, [(1, 100, 40, 60), (2, 10, 3, 7)]);

    for calls in [&["unmount a"][..], &[]] {
        node.node_unpublish_volume(scene.unpublish_request("a"))
            .await
            .expect("unpublished");
        assert_eq!(scene.mounts.calls(), calls);
        assert!(!scene.target("a").exists(), "the directory is gone too");
    }
    for calls in [&["unmount globalmount"][..], &[]] {
        node.node_unstage_volume(scene.unstage_request())
            .await
            .expect("unstaged");
        assert_eq!(scene.mounts.calls(), calls);
    }
    let records = fs::read_dir(scene.dir.join("staged")).expect("a directory");
    assert_eq!(records.count(), 0, "nothing is remembered");
}

#[tokio::test]
async fn who_only_reads_cannot_write_and_loses_no_other_option() {
    let scene = Scene::new().await;
    let mut node = scene.node().await;
    node.node_stage_volume(scene.stage_request())
        .await
        .expect("staged");
    let mut asked = scene.publish_request("a");
    asked.readonly = true;
    node.node_publish_volume(asked.clone())
        .await
        .expect("published");
    let mount = scene.mounts.at(&scene.target("a")).expect("mounted");
    assert!(mount.read_only && mount.options == ["nosuid"], "{mount:?}");

    // A plugin that ended between its two steps left it writable.
    for mount in &mut scene.mounts.lock().mounts {
        mount.read_only = false;
    }
    node.node_publish_volume(asked.clone())
        .await
        .expect("published");
    assert!(
        scene
            .mounts
            .at(&scene.target("a"))
            .expect("mounted")
            .read_only
    );

    asked.readonly = false;
    let more = node.node_publish_volume(asked).await;
    refused(more, Code::AlreadyExists, "read-only already");
}

#[tokio::test]
async fn a_volume_for_readers_is_mounted_read_only_at_once() {
    let scene = Scene::new().await;
    let mut node = scene.node().await;
    let readers = Some(capability(Mode::MultiNodeReaderOnly));
    let mut stage = scene.stage_request();
    stage.volume_capability = readers.clone();
    node.node_stage_volume(stage).await.expect("staged");
    assert!(
        scene
            .mounts
            .at(&scene.staging())
            .expect("mounted")
            .read_only
    );
    let mut publish = scene.publish_request("a");
    publish.volume_capability = readers;
    node.node_publish_volume(publish).await.expect("published");
    assert!(
        scene
            .mounts
            .at(&scene.target("a"))
            .expect("mounted")
            .read_only
    );
}

#[tokio::test]
async fn one_pod_alone_means_one_place() {
    let scene = Scene::new().await;
    let mut node = scene.node().await;
    node.node_stage_volume(scene.stage_request())
        .await
        .expect("staged");
    let publish = |pod| {
        let mut asked = scene.publish_request(pod);
        asked.volume_capability = Some(capability(Mode::SingleNodeSingleWriter));
        asked
    };
    node.node_publish_volume(publish("a"))
        .await
        .expect("published");
    node.node_publish_volume(publish("a")).await.expect("again");
    let second = node.node_publish_volume(publish("b")).await;
    refused(second, Code::FailedPrecondition, "ReadWriteOncePod");
    node.node_unpublish_volume(scene.unpublish_request("a"))
        .await
        .expect("unpublished");
    node.node_publish_volume(publish("b"))
        .await
        .expect("the place is free");
}

#[tokio::test]
async fn what_a_request_lacks_is_named() {
    let scene = Scene::new().await;
    let mut node = scene.node().await;
    let invalid = Code::InvalidArgument;

    let mut asked = scene.stage_request();
    asked.volume_id.clear();
    refused(
        node.node_stage_volume(asked).await,
        invalid,
        "volume_id is missing",
    );
    let mut asked = scene.stage_request();
    asked.volume_id = "x".repeat(129);
    refused(
        node.node_stage_volume(asked).await,
        invalid,
        "CSI allows 128",
    );
    let mut asked = scene.stage_request();
    asked.staging_target_path.clear();
    refused(
        node.node_stage_volume(asked).await,
        invalid,
        "staging_target_path is missing",
    );
    let mut asked = scene.stage_request();
    asked.staging_target_path = "/etc".into();
    refused(
        node.node_stage_volume(asked).await,
        invalid,
        "staging_target_path '/etc' is not below",
    );
    let mut asked = scene.stage_request();
    asked.volume_capability = None;
    refused(
        node.node_stage_volume(asked).await,
        invalid,
        "volume_capability is missing",
    );
    let mut asked = scene.stage_request();
    asked.volume_capability.as_mut().expect("there").access_type =
        Some(AccessType::Block(BlockVolume {}));
    refused(
        node.node_stage_volume(asked).await,
        invalid,
        "volumeMode Filesystem",
    );
    let mut asked = scene.stage_request();
    asked.volume_context = context("vol;reboot");
    refused(
        node.node_stage_volume(asked).await,
        invalid,
        "volumeAttributes.volume 'vol;reboot'",
    );

    let mut asked = scene.publish_request("a");
    asked.volume_id.clear();
    refused(
        node.node_publish_volume(asked).await,
        invalid,
        "volume_id is missing",
    );
    let mut asked = scene.publish_request("a");
    asked.target_path.clear();
    refused(
        node.node_publish_volume(asked).await,
        invalid,
        "target_path is missing",
    );
    let mut asked = scene.publish_request("a");
    asked.volume_capability = None;
    refused(
        node.node_publish_volume(asked).await,
        invalid,
        "volume_capability is missing",
    );
    let mut asked = scene.publish_request("a");
    asked.staging_target_path.clear();
    let early = Code::FailedPrecondition;
    refused(
        node.node_publish_volume(asked).await,
        early,
        "stages its volumes",
    );
    let asked = scene.publish_request("a");
    refused(
        node.node_publish_volume(asked).await,
        early,
        "call NodeStageVolume first",
    );

    let mut asked = scene.unstage_request();
    asked.volume_id.clear();
    refused(
        node.node_unstage_volume(asked).await,
        invalid,
        "volume_id is missing",
    );
    let mut asked = scene.unstage_request();
    asked.staging_target_path.clear();
    refused(
        node.node_unstage_volume(asked).await,
        invalid,
        "staging_target_path is missing",
    );
    let mut asked = scene.unpublish_request("a");
    asked.volume_id.clear();
    refused(
        node.node_unpublish_volume(asked).await,
        invalid,
        "volume_id is missing",
    );
    let mut asked = scene.unpublish_request("a");
    asked.target_path.clear();
    refused(
        node.node_unpublish_volume(asked).await,
        invalid,
        "target_path is missing",
    );

    let stats = |id: &str, path: &str| NodeGetVolumeStatsRequest {
        volume_id: id.into(),
        volume_path: path.into(),
        staging_target_path: String::new(),
    };
    refused(
        node.node_get_volume_stats(stats("", "/x")).await,
        invalid,
        "volume_id is missing",
    );
    refused(
        node.node_get_volume_stats(stats("v", "")).await,
        invalid,
        "volume_path is missing",
    );
    for path in ["some/path", "/etc", &text(&scene.target("a"))] {
        refused(
            node.node_get_volume_stats(stats("v", path)).await,
            Code::NotFound,
            "volume v",
        );
    }
    assert_eq!(
        scene.mounts.calls(),
        [""; 0],
        "nothing was mounted for any of them"
    );
}

#[tokio::test]
async fn another_volume_or_other_options_at_the_same_place_are_refused() {
    let scene = Scene::new().await;
    let mut node = scene.node().await;
    node.node_stage_volume(scene.stage_request())
        .await
        .expect("staged");
    let mut asked = scene.stage_request();
    asked.volume_id = "volume-2".into();
    refused(
        node.node_stage_volume(asked).await,
        Code::AlreadyExists,
        "another volume",
    );
    let mut asked = scene.stage_request();
    asked.volume_capability = Some(capability(Mode::MultiNodeReaderOnly));
    refused(
        node.node_stage_volume(asked).await,
        Code::AlreadyExists,
        "other options",
    );

    // Also where this plugin remembers nothing: Gluster says what is mounted.
    fs::remove_dir_all(scene.dir.join("staged")).expect("removed");
    let mut asked = scene.stage_request();
    asked.volume_context = context("vol_2");
    refused(
        node.node_stage_volume(asked).await,
        Code::AlreadyExists,
        "another volume",
    );
    node.node_stage_volume(scene.stage_request())
        .await
        .expect("it is this one");
}

#[tokio::test]
async fn a_mount_that_died_is_replaced_at_every_step() {
    let scene = Scene::new().await;
    let mut node = scene.node().await;
    let stage = scene.stage_request();
    node.node_stage_volume(stage.clone()).await.expect("staged");
    scene.mounts.kill(&scene.staging());
    node.node_stage_volume(stage).await.expect("staged anew");
    node.node_publish_volume(scene.publish_request("a"))
        .await
        .expect("published");
    scene.mounts.calls();

    scene.mounts.kill(&scene.staging());
    let asked = NodeGetVolumeHealthRequest {
        volume_id: "volume-1".into(),
        volume_publish_path: text(&scene.target("a")),
        staging_target_path: String::new(),
    };
    let health = node
        .node_get_volume_health(asked.clone())
        .await
        .expect("told");
    let health = health.into_inner().volume_health.expect("there");
    let entry = health.health_statuses.first().expect("it is dead");
    assert_eq!((entry.status, &*entry.reason), (2, "MountDied"));

    node.node_publish_volume(scene.publish_request("a"))
        .await
        .expect("published anew");
    let calls = [
        "detach globalmount",
        "mount globalmount",
        "detach a",
        "bind a",
    ];
    assert_eq!(scene.mounts.calls(), calls);
    let health = node.node_get_volume_health(asked).await.expect("told");
    let health = health.into_inner().volume_health.expect("there");
    assert_eq!(health.health_statuses, []);

    scene.mounts.kill(&scene.staging());
    node.node_unpublish_volume(scene.unpublish_request("a"))
        .await
        .expect("unpublished");
    node.node_unstage_volume(scene.unstage_request())
        .await
        .expect("unstaged");
    assert_eq!(scene.mounts.calls(), ["detach a", "detach globalmount"]);
}

#[tokio::test]
async fn a_mount_that_went_away_by_itself_is_made_again_as_it_was_staged() {
    let scene = Scene::new().await;
    let mut node = scene.node().await;
    node.node_stage_volume(scene.stage_request())
        .await
        .expect("staged");
    // auto_unmount takes a dead mount away: an empty directory is left.
    scene.mounts.lock().mounts.clear();
    let mut asked = scene.publish_request("a");
    asked.volume_capability = Some(capability(Mode::MultiNodeReaderOnly));
    node.node_publish_volume(asked).await.expect("published");
    assert!(
        !scene
            .mounts
            .at(&scene.staging())
            .expect("mounted")
            .read_only
    );
    assert!(
        scene
            .mounts
            .at(&scene.target("a"))
            .expect("mounted")
            .read_only
    );
}

#[tokio::test]
async fn storage_hosts_that_do_not_answer_are_named_before_a_container_hangs() {
    let scene = Scene::new().await;
    let mut node = scene.node().await;
    node.node_stage_volume(scene.stage_request())
        .await
        .expect("staged");
    let device = scene.mounts.at(&scene.staging()).expect("mounted").device;
    scene.mounts.lock().silent.insert(device.clone());
    let stage = node.node_stage_volume(scene.stage_request()).await;
    refused(stage, Code::Unavailable, "port 24007");
    let publish = node.node_publish_volume(scene.publish_request("a")).await;
    refused(publish, Code::Unavailable, "port 24007");
    scene.mounts.lock().silent.clear();
    node.node_publish_volume(scene.publish_request("a"))
        .await
        .expect("they answer");
}

#[tokio::test]
async fn each_failure_of_the_keeper_has_its_code() {
    let scene = Scene::new().await;
    let mut node = scene.node().await;
    let table = [
        (Kind::Refused, Code::Internal),
        (Kind::TimedOut, Code::DeadlineExceeded),
        (Kind::Invalid, Code::InvalidArgument),
        (Kind::Unsupported, Code::FailedPrecondition),
        (Kind::Internal, Code::Internal),
    ];
    for (kind, code) in table {
        scene.mounts.lock().refusal = Some((kind, "the log's last line".into()));
        let stage = node.node_stage_volume(scene.stage_request()).await;
        refused(stage, code, "volume vol_1: the log's last line");
    }
    scene.mounts.lock().no_keeper = true;
    let stage = node.node_stage_volume(scene.stage_request()).await;
    refused(stage, Code::Unavailable, "loods-storage-keeper");
    scene.mounts.lock().no_keeper = false;
    scene.mounts.lock().refusal = None;
    node.node_stage_volume(scene.stage_request())
        .await
        .expect("now it mounts");
}

#[tokio::test]
async fn what_is_in_use_is_not_torn_away() {
    let scene = Scene::new().await;
    let mut node = scene.node().await;
    node.node_stage_volume(scene.stage_request())
        .await
        .expect("staged");
    scene.mounts.lock().open.insert(scene.staging());
    let unstage = node.node_unstage_volume(scene.unstage_request()).await;
    refused(unstage, Code::Internal, "is in use");
    scene.mounts.lock().open.clear();
    node.node_unstage_volume(scene.unstage_request())
        .await
        .expect("unstaged");
}

#[tokio::test]
async fn a_directory_with_something_in_it_is_never_emptied() {
    let scene = Scene::new().await;
    let mut node = scene.node().await;
    let target = scene.target("a");
    fs::create_dir_all(&target).expect("a directory");
    fs::write(target.join("precious"), "x").expect("written");
    let unpublish = node
        .node_unpublish_volume(scene.unpublish_request("a"))
        .await;
    refused(unpublish, Code::Internal, "cannot remove");
    assert!(target.join("precious").exists());
}

#[tokio::test]
async fn a_second_call_for_one_place_is_aborted_and_a_caller_that_goes_away_stops_nothing() {
    let scene = Scene::new().await;
    let mut node = scene.node().await;
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    scene.mounts.lock().gate = Some(Arc::clone(&gate));
    let first = tokio::spawn({
        let (mut node, asked) = (node.clone(), scene.stage_request());
        async move { node.node_stage_volume(asked).await }
    });
    // The second is refused as soon as the first is at work.
    loop {
        let mut asked = scene.unstage_request();
        asked.volume_id = "volume-1".into();
        let second = node.node_unstage_volume(asked).await;
        match second {
            Ok(_) => tokio::task::yield_now().await,
            second => {
                refused(second, Code::Aborted, "being worked at");
                break;
            }
        }
    }
    first.abort();
    gate.add_permits(1);
    while scene.mounts.at(&scene.staging()).is_none() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn the_next_process_takes_the_sockets_over_and_knows_what_was_staged() {
    let mut first = Scene::new().await;
    let mut node = first.node().await;
    node.node_stage_volume(first.stage_request())
        .await
        .expect("staged");
    let second = Scene::at(first.dir.clone(), first.mounts.clone()).await;
    first.end().await;
    assert!(
        second.settings.socket.exists(),
        "the second's is left alone"
    );
    assert!(second.registration().exists(), "the second's is left alone");

    second.mounts.kill(&second.staging());
    let mut node = second.node().await;
    node.node_publish_volume(second.publish_request("a"))
        .await
        .expect("published");
    assert!(second.mounts.at(&second.target("a")).is_some());
    let mut second = second;
    second.end().await;
    assert!(!second.settings.socket.exists(), "the last one clears up");
}
