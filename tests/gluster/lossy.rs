//! Calls and answers that are lost, late or doubled between our client and the
//! manager: never a second volume, and nothing left.

use crate::line::{Fault, LATE, Line};
use crate::scene::{Scene, wanted};
use crate::support::wait;
use loods::storage::heketi::client::{Heketi, Limits};
use loods::storage::heketi::error::HeketiError;
use std::time::Duration;

/// Again and again, as the controller does.
#[track_caller]
fn insist<T: Send>(
    scene: &Scene,
    line: &Line,
    attempt: impl AsyncFn(Heketi) -> Result<T, HeketiError> + Send + Sync,
) -> T {
    let limits = Limits {
        call: LATE / 2,
        ..Limits::default()
    };
    wait::until_within(Duration::from_secs(60), "it is done", || {
        let done = scene.ask_at(&line.url, limits, &attempt);
        done.map_err(|error| format!("{error}; {:?}", line.calls()))
    })
}

#[test]
#[ignore = "needs root and glusterfs-server: tests/run gluster"]
fn whatever_is_lost_on_the_way_there_is_one_volume_and_then_none() {
    let scene = Scene::set();
    for fault in [
        Fault::LoseRequest,
        Fault::LoseAnswer,
        Fault::Delay,
        Fault::Repeat,
    ] {
        let name = format!("over-{fault:?}").to_lowercase();
        let manager = scene.gluster.address();
        let line = Line::lay(scene.lab.core(), manager, fault);
        let create = wanted(&name, 1);
        let made = insist(&scene, &line, async |heketi| {
            heketi.ensure_volume(&create).await
        });
        let all = scene.ask(async |heketi| heketi.volumes().await);
        assert_eq!(all.expect("a list"), std::slice::from_ref(&made));
        let listed = scene.gluster.servers[2].shell("gluster volume list");
        assert_eq!(listed, Ok(format!("{name}\n")));

        let grown = insist(&scene, &line, async |heketi| {
            heketi.expand_to(&made.id, 2).await
        });
        assert_eq!(grown.size, 2, "{fault:?}");
        let taken = insist(&scene, &line, async |heketi| {
            heketi.snapshot("once", &made.id).await
        });
        let all = scene.ask(async |heketi| heketi.snapshots().await);
        assert_eq!(all.expect("a list"), std::slice::from_ref(&taken));
        insist(&scene, &line, async |heketi| {
            heketi.delete_snapshot(&taken.id).await
        });
        insist(&scene, &line, async |heketi| {
            heketi.delete_volume(&made.id).await
        });
        scene.wait_nothing_left();
        // Each of them went wrong once.
        for kind in [
            "POST /volumes",
            "GET /queue/ID",
            "POST /volumes/ID/expand",
            "POST /loods/v1/snapshots",
            "DELETE /loods/v1/snapshots/ID",
            "DELETE /volumes/ID",
        ] {
            let calls = line.calls();
            assert!(calls.contains_key(kind), "{kind}: {calls:?}");
        }
    }
}
