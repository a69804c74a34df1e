//! Faults that are no bad luck: strangers' volumes, hosts that are away, hosts
//! that forgot, and what a client is told.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::acts::{self, DIRECTORY, add_device, add_node, ensure, grow_to, replicated, snapshot};
use super::hosts::{Hosts, Luck, Volume};
use super::life::{Done, Life, check};
use crate::storage::agent::api::Request;

/// Three hosts with a device of 40 GiB each.
pub(super) async fn three() -> (std::sync::Arc<Hosts>, Life) {
    let hosts = Hosts::new(3, 40);
    let life = Life::settled(&hosts).await;
    for n in 1..=3 {
        assert!(add_node(&life, n).await.worked());
        assert!(add_device(&life, n, DIRECTORY).await.worked());
    }
    life.look().await;
    (hosts, life)
}

fn stranger() -> Volume {
    Volume {
        state: "Started",
        replica: 1,
        bricks: vec![("10.0.0.1".into(), "/data/theirs".into())],
        ..Volume::default()
    }
}

fn pool(hosts: &Hosts) -> u32 {
    hosts.world().hosts["gfs1"].pool
}

#[tokio::test(start_paused = true)]
async fn a_volume_of_somebody_else_is_neither_shown_nor_touched() {
    let (hosts, life) = three().await;
    let pool = pool(&hosts);
    let volumes = |hosts: &Hosts| hosts.world().pools[&pool].clone();
    if let Some(all) = hosts.world().pools.get_mut(&pool) {
        all.insert("theirs".into(), stranger());
    }
    life.look().await;
    assert_eq!(life.knows().volumes, BTreeMap::new());
    // The name is taken: and what failed takes nothing of theirs back.
    let refused = ensure(&life, replicated("theirs", 2, 2)).await;
    let (status, text) = refused.refused();
    assert!(status == 500 && text.contains("already exists"), "{text}");
    life.look().await;
    assert_eq!(
        format!("{:?}", volumes(&hosts)["theirs"]),
        format!("{:?}", stranger())
    );
    check(&hosts, &life, "beside a stranger's");

    // Deleted by hand and made anew by somebody: not ours to delete.
    let made = ensure(&life, replicated("ours", 2, 2)).await;
    if let Some(all) = hosts.world().pools.get_mut(&pool) {
        all.insert("ours".into(), stranger());
    }
    let gone = acts::remove(&life, "/volumes", Some(made.id())).await;
    assert!(gone.worked(), "{gone:?}");
    assert_eq!(volumes(&hosts)["ours"].state, "Started");
}

#[tokio::test(start_paused = true)]
async fn a_glusterd_that_forgot_its_volumes_costs_no_brick() {
    for forgetful in ["gfs1", "all"] {
        let (hosts, life) = three().await;
        assert!(ensure(&life, replicated("vol", 2, 3)).await.worked());
        life.look().await;
        let bricks = hosts.world().bricks().len();
        let before = life.knows();
        {
            let mut world = hosts.world();
            let names: Vec<String> = world.hosts.keys().cloned().collect();
            for (n, name) in names.into_iter().enumerate() {
                if name == forgetful || forgetful == "all" {
                    let alone = 90 + u32::try_from(n).expect("few");
                    world.pools.insert(alone, BTreeMap::new());
                    world.hosts.get_mut(&name).expect("it is there").pool = alone;
                }
            }
        }
        for _ in 0..3 {
            let life = Life::settled(&hosts).await;
            assert_eq!(hosts.world().bricks().len(), bricks, "{forgetful}");
            if forgetful == "all" {
                assert_eq!(life.manager.state().stranded.len(), bricks);
            } else {
                // The others are believed.
                assert_eq!(life.knows(), before);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_on_a_host_that_is_away_is_still_known() {
    let (hosts, life) = three().await;
    for n in 1..=4 {
        let made = ensure(&life, replicated(&format!("v{n}"), 2, 2)).await;
        assert!(made.worked(), "{made:?}");
    }
    let before = life.knows();
    let away = |away: bool| {
        if let Some(host) = hosts.world().hosts.get_mut("gfs2") {
            host.away = away;
        }
    };
    away(true);
    life.look().await;
    assert_eq!(life.knows(), before);
    // The next one has never seen the host; ids of bricks are in their paths.
    let next = Life::settled(&hosts).await;
    let now = next.knows();
    assert_eq!(
        (&now.volumes, &now.bricks),
        (&before.volumes, &before.bricks)
    );
    // It neither stops what it cannot remove, nor places anything there.
    let id = next.id_of("v1").expect("it is known");
    let mut on_it = Vec::new();
    for (name, volume) in hosts.world().volumes() {
        if volume.bricks.iter().any(|(host, _)| host == "10.0.0.2") {
            on_it.push(name.clone());
        }
    }
    assert!(!on_it.is_empty());
    let refused = life
        .run("DELETE", &format!("/volumes/{id}"), Value::Null)
        .await;
    assert_eq!(refused.refused().0, 500);
    next.look().await;
    let still = hosts.volume("v1").expect("it is there");
    assert_eq!(still.state, "Started");
    let three_copies = ensure(&next, replicated("wide", 2, 3)).await;
    let (_, text) = three_copies.refused();
    assert!(text.contains("No space"), "{text}");
    away(false);
    let last = Life::settled(&hosts).await;
    assert_eq!(last.knows(), before);
    check(&hosts, &last, "all back");
}

#[tokio::test(start_paused = true)]
async fn a_brick_of_a_host_that_was_away_for_its_removal_goes_when_it_is_back() {
    let (hosts, life) = three().await;
    let made = ensure(&life, replicated("vol", 2, 3)).await;
    assert!(made.worked());
    // Deleted in glusterd; then a host leaves before its brick is removed.
    life.line.asked();
    let calls = {
        let prepared = hosts.world().clone();
        let removed = acts::remove(&life, "/volumes", Some(made.id())).await;
        assert!(removed.worked());
        *hosts.world() = prepared;
        life.line.asked()
    };
    let bricks = calls
        .iter()
        .position(|(_, request)| matches!(request, Request::RemoveBrick { .. }));
    let life = Life::settled(&hosts).await;
    let mut lucks = vec![Luck::Good; bricks.expect("its bricks are removed")];
    // All three are asked, and the first once more.
    lucks.extend([Luck::Unsent, Luck::Good, Luck::Good, Luck::Unsent]);
    life.line.shall(lucks);
    let removed = acts::remove(&life, "/volumes", Some(made.id())).await;
    assert!(removed.worked(), "{removed:?}");
    assert_eq!(hosts.world().bricks().len(), 1);
    life.look().await;
    life.look().await;
    check(&hosts, &life, "swept");
}

#[tokio::test(start_paused = true)]
async fn somebody_who_stopped_a_volume_finds_it_stopped() {
    let (hosts, life) = three().await;
    assert!(ensure(&life, replicated("vol", 2, 2)).await.worked());
    hosts.change("vol", |volume| volume.state = "Stopped");
    let life = {
        drop(life);
        Life::settled(&hosts).await
    };
    assert_eq!(hosts.volume("vol").expect("there").state, "Stopped");
    assert!(life.id_of("vol").is_some());
}

#[tokio::test(start_paused = true)]
async fn refusals_leave_nothing_and_say_why() {
    let (hosts, life) = three().await;
    assert!(ensure(&life, replicated("vol", 2, 2)).await.worked());
    assert!(snapshot(&life, "nightly", "vol").await.worked());
    let id = life.id_of("vol").expect("there");
    let before = life.knows();
    let device = life.manager.state().volumes[&id].bricks[0]
        .info
        .device
        .clone();
    let with = |key: &str, value: Value| {
        let mut body = replicated("new", 2, 2);
        body[key] = value;
        body
    };
    let taken = acts::snapshot_id(&life, "nightly").expect("taken");
    let mut smaller = with("source", json!({"snapshot": taken}));
    smaller["size"] = json!(1);
    for (method, path, body, status, words) in [
        (
            "POST",
            "/volumes".to_owned(),
            replicated("vol", 2, 2),
            500,
            "already in use",
        ),
        (
            "POST",
            "/volumes".into(),
            replicated("new", 500, 2),
            500,
            "No space",
        ),
        (
            "POST",
            "/volumes".into(),
            replicated("new", 2, 4),
            400,
            "Invalid replica value",
        ),
        (
            "POST",
            "/volumes".into(),
            with("glustervolumeoptions", json!(["no.such x"])),
            500,
            "no.such",
        ),
        (
            "POST",
            "/volumes".into(),
            with("clusters", json!(["0".repeat(32)])),
            400,
            "not found",
        ),
        (
            "POST",
            "/volumes".into(),
            with("source", json!({"snapshot": "0".repeat(32)})),
            404,
            "Id not found",
        ),
        (
            "POST",
            "/volumes".into(),
            with("source", json!({"volume": "0".repeat(32)})),
            404,
            "Id not found",
        ),
        (
            "POST",
            "/volumes".into(),
            smaller,
            500,
            "ask for at least as much",
        ),
        (
            "POST",
            format!("/volumes/{id}/expand"),
            json!({"expand_size": 100}),
            500,
            "No space",
        ),
        (
            "POST",
            format!("/volumes/{id}/expand"),
            json!({"expand_size": 1, "from": 9}),
            409,
            "grown already",
        ),
        (
            "POST",
            format!("/volumes/{id}/expand"),
            json!({"expand_size": -1}),
            400,
            "no less than 1",
        ),
        (
            "DELETE",
            format!("/volumes/{id}"),
            Value::Null,
            409,
            "nightly",
        ),
        (
            "DELETE",
            format!("/devices/{device}"),
            Value::Null,
            400,
            "is not in failed state: it has bricks",
        ),
        (
            "POST",
            "/loods/v1/snapshots".into(),
            json!({"name": "a b", "volume": id}),
            400,
            "letters",
        ),
        (
            "POST",
            "/loods/v1/snapshots".into(),
            json!({"name": "x", "volume": "0".repeat(32)}),
            404,
            "Id not found",
        ),
    ] {
        let done = life.run(method, &path, body).await;
        let told = done.refused();
        assert!(
            told.0 == status && told.1.contains(words),
            "{path}: {told:?}"
        );
        life.look().await;
        check(&hosts, &life, &path);
        assert_eq!(life.knows(), before, "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn no_snapshot_is_taken_of_what_is_not_whole_or_would_be_a_whole_copy() {
    let (hosts, life) = three().await;
    assert!(ensure(&life, replicated("vol", 2, 2)).await.worked());
    let refusal = async |words: &str| {
        for body in [
            json!({"name": "n", "volume": life.id_of("vol")}),
            Value::Null,
        ] {
            let done = if body.is_null() {
                let mut body = replicated("copy", 2, 2);
                body["source"] = json!({"volume": life.id_of("vol")});
                life.run("POST", "/volumes", body).await
            } else {
                life.run("POST", "/loods/v1/snapshots", body).await
            };
            let (status, text) = done.refused();
            assert!(status == 500 && text.contains(words), "{text}");
        }
        life.look().await;
        check(&hosts, &life, words);
    };
    hosts.change("vol", |volume| {
        volume.pending.insert(volume.bricks[0].0.clone(), 3);
    });
    refusal("3 files wait to be healed").await;
    hosts.change("vol", |volume| {
        volume.pending.clear();
        volume.dead.insert(volume.bricks[1].clone());
    });
    refusal("do not serve").await;
    hosts.change("vol", |volume| {
        volume.dead.clear();
        volume.split_brain = 1;
    });
    refusal("split-brain").await;
    hosts.change("vol", |volume| volume.split_brain = 0);
    for host in hosts.world().hosts.values_mut() {
        host.devices
            .values_mut()
            .for_each(|device| device.reflink = false);
    }
    life.look().await;
    refusal("without reflink").await;
}

#[tokio::test(start_paused = true)]
async fn a_copy_has_what_was_there_and_goes_its_own_way() {
    let (hosts, life) = three().await;
    assert!(ensure(&life, replicated("vol", 2, 2)).await.worked());
    let write = |volume: &str, text: &str| {
        let places = hosts.volume(volume).expect("there").bricks;
        let mut world = hosts.world();
        for (host, path) in places {
            world.brick_at(&host, &path).expect("there").content = text.into();
        }
    };
    let read = |volume: &str| {
        let places = hosts.volume(volume).expect("there").bricks;
        let mut world = hosts.world();
        let mut all = places.iter().map(|(host, path)| {
            let brick = world.brick_at(host, path).expect("there");
            brick.content.clone()
        });
        let first = all.next().expect("a brick");
        assert!(all.all(|other| other == first), "{volume}");
        first
    };
    write("vol", "then");
    assert!(snapshot(&life, "nightly", "vol").await.worked());
    write("vol", "now");
    let mut body = replicated("restored", 3, 2);
    body["source"] = json!({"snapshot": acts::snapshot_id(&life, "nightly")});
    assert!(ensure(&life, body).await.worked());
    let mut body = replicated("cloned", 2, 2);
    body["source"] = json!({"volume": life.id_of("vol")});
    assert!(ensure(&life, body).await.worked());
    // As Heketi has it.
    let id = life.id_of("vol").expect("there");
    let cloned = life
        .run(
            "POST",
            &format!("/volumes/{id}/clone"),
            json!({"name": "heketis"}),
        )
        .await;
    assert!(cloned.worked(), "{cloned:?}");
    write("vol", "later");
    assert_eq!(
        ["restored", "cloned", "heketis", "vol"].map(read),
        ["then", "now", "now", "later"]
    );
    assert!(grow_to(&life, "restored", 5).await.worked());
    let snapshots = life.knows().snapshots;
    assert_eq!(snapshots.len(), 1, "{snapshots:?}");
    life.look().await;
    check(&hosts, &life, "copies");
}

#[tokio::test(start_paused = true)]
async fn what_works_on_a_volume_is_alone_with_it() {
    let (hosts, life) = three().await;
    assert!(ensure(&life, replicated("vol", 2, 2)).await.worked());
    let id = life.id_of("vol").expect("there");
    let (expand, one) = (format!("/volumes/{id}/expand"), json!({"expand_size": 1}));
    let (first, second) = tokio::join!(
        life.run("POST", &expand, one.clone()),
        life.run("POST", &expand, one.clone())
    );
    assert!(first.worked(), "{first:?}");
    assert_eq!(second.refused().0, 409, "{second:?}");
    // Two of one name: one volume.
    let (first, second) = tokio::join!(
        life.run("POST", "/volumes", replicated("twin", 2, 2)),
        life.run("POST", "/volumes", replicated("twin", 2, 2))
    );
    assert!(first.worked() != second.worked(), "{first:?} {second:?}");
    life.look().await;
    check(&hosts, &life, "alone");
}

#[tokio::test(start_paused = true)]
async fn a_look_in_the_midst_changes_nothing_that_is_under_way() {
    // Whenever the look begins, and however long it takes.
    for delay in 0..40 {
        let (hosts, life) = three().await;
        assert!(ensure(&life, replicated("old", 2, 2)).await.worked());
        let wait = async {
            for _ in 0..delay {
                tokio::task::yield_now().await;
            }
            life.look().await;
        };
        let gone = acts::remove(&life, "/volumes", life.id_of("old"));
        let (made, gone, ()) = tokio::join!(ensure(&life, replicated("new", 2, 2)), gone, wait);
        assert!(made.worked() && gone.worked(), "{made:?} {gone:?}");
        let shown = life.show("/volumes").await;
        assert_eq!(
            shown,
            Done::Answered(json!({"volumes": [life.id_of("new")]})),
            "{delay}"
        );
        life.look().await;
        check(&hosts, &life, &format!("looked after {delay}"));
    }
}
