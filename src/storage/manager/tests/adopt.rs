//! Volumes that somebody else made.

use serde_json::{Value, json};

use super::acts::{self, ensure, replicated};
use super::faults::three;
use super::hosts::{Hosts, Luck, Volume};
use super::life::{Done, Life, check};

/// As a Heketi made it, on hosts 1 and 2.
fn put(hosts: &Hosts, name: &str, options: &[(&str, &str)]) {
    let brick = |n: u32| {
        let id = format!("{n}").repeat(32);
        let path = format!("/var/lib/heketi/mounts/vg_a/brick_{id}/brick");
        (format!("10.0.0.{n}"), path)
    };
    let volume = Volume {
        state: "Started",
        replica: 2,
        bricks: vec![brick(1), brick(2)],
        options: options
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect(),
        ..Volume::default()
    };
    let mut world = hosts.world();
    let pool = world.hosts["gfs1"].pool;
    world
        .pools
        .entry(pool)
        .or_default()
        .insert(name.into(), volume);
}

async fn adopt(life: &Life, wish: Value) -> Done {
    life.run("POST", "/loods/v1/adopt", wish).await
}

/// All strangers, or the one that is asked for.
async fn strangers(life: &Life, wish: Value) -> Vec<Value> {
    let done = life.run("POST", "/loods/v1/strangers", wish).await;
    let Done::Answered(mut list) = done else {
        panic!("{done:?}");
    };
    let list = list["strangers"].take();
    list.as_array().expect("a list").clone()
}

const OLD: &str = "vol_0123456789abcdef0123456789abcdef";

#[tokio::test(start_paused = true)]
async fn a_volume_of_a_lost_heketi_becomes_ours_and_its_bricks_too() {
    let (hosts, life) = three().await;
    put(&hosts, OLD, &[("performance.cache-size", "64MB")]);
    life.look().await;
    assert_eq!(life.id_of(OLD), None);
    let found = strangers(&life, json!({"volume": ""})).await;
    assert_eq!(found.len(), 1);
    assert_eq!(
        (&found[0]["name"], &found[0]["size"]),
        (&json!(OLD), &json!(5))
    );
    assert_eq!(found[0]["allowed"], "*");
    let wish = json!({"volume": OLD, "size": 4, "gid": 2005});
    assert_eq!(strangers(&life, wish.clone()).await[0]["size"], 4);
    check(&hosts, &life, "looking changes nothing");

    let done = adopt(&life, wish.clone()).await;
    let id = done.id();
    assert_eq!(id, OLD.trim_start_matches("vol_"));
    // A repeated request finds it done.
    assert_eq!(adopt(&life, wish).await, done);
    life.look().await;
    check(&hosts, &life, "adopted");
    assert_eq!(
        strangers(&life, json!({"volume": ""})).await,
        [Value::Null; 0]
    );
    let Done::Answered(info) = life.show(&format!("/volumes/{id}")).await else {
        panic!("it is there");
    };
    assert_eq!((&info["size"], &info["gid"]), (&json!(4), &json!(2005)));
    assert_eq!(info["bricks"][1]["id"], "2".repeat(32));
    let allow = {
        let world = hosts.world();
        let mut volumes = world.volumes();
        let found = volumes.find(|(name, _)| *name == OLD);
        found.expect("it is there").1.options["auth.allow"].clone()
    };
    assert!(allow.contains("10.0.0.3"), "{allow}");

    // Nothing can be done with its bricks before they are ours.
    for refused in [
        acts::grow_to(&life, OLD, 5).await,
        acts::snapshot(&life, "s", OLD).await,
    ] {
        let (status, text) = refused.refused();
        assert!(status == 500 && text.contains("--replace-bricks"), "{text}");
    }
    for brick in ["1", "2"] {
        let at = format!("/loods/v1/bricks/{}/replace", brick.repeat(32));
        let replaced = life.run("POST", &at, json!({})).await;
        assert!(replaced.worked(), "{replaced:?}");
        check(&hosts, &life, "a brick is ours");
    }
    assert!(acts::grow_to(&life, OLD, 5).await.worked());
    assert!(acts::snapshot(&life, "s", OLD).await.worked());

    // The next manager knows it as this one does.
    let before = life.knows();
    let life = Life::settled(&hosts).await;
    assert_eq!(life.knows(), before);
    check(&hosts, &life, "after a restart");
}

#[tokio::test(start_paused = true)]
async fn whatever_goes_wrong_it_is_a_strangers_or_ours() {
    for luck in [
        Luck::Refused,
        Luck::Unsent,
        Luck::Lost,
        Luck::Late,
        Luck::Slow,
        Luck::DiesDuring,
        Luck::DiesBefore,
        Luck::DiesAfter,
    ] {
        for turn in 0..8 {
            let (hosts, life) = three().await;
            put(&hosts, OLD, &[("user.heketi.id", &"5".repeat(32))]);
            let good = std::iter::repeat_n(Luck::Good, turn);
            life.line.shall(good.chain([luck]));
            let wish = json!({"volume": OLD});
            let told = format!("{luck:?} at call {turn}");
            let first = adopt(&life, wish.clone()).await;
            let life = match first {
                Done::Died => Life::settled(&hosts).await,
                _ => life,
            };
            life.line.shall([]);
            hosts.end_slow();
            life.look().await;
            check(&hosts, &life, &told);
            let done = adopt(&life, wish).await;
            assert_eq!(done.id(), "5".repeat(32), "{told}: {first:?}");
            life.look().await;
            check(&hosts, &life, &told);
            let gone = acts::remove(&life, "/volumes", Some(done.id())).await;
            assert!(gone.worked(), "{told}: {gone:?}");
            life.look().await;
            check(&hosts, &life, &told);
            assert_eq!(hosts.world().volumes().count(), 0, "{told}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn ids_and_names_are_nobody_elses() {
    let (hosts, life) = three().await;
    let made = ensure(&life, replicated("mine", 2, 2)).await;
    let own = made.id();
    put(&hosts, "one", &[("user.heketi.id", &own)]);
    put(&hosts, "half", &[("user.loods.id", "x")]);
    let (status, text) = {
        let refused = adopt(&life, json!({"volume": "one"})).await;
        let (status, text) = refused.refused();
        (status, text.to_owned())
    };
    assert!(
        status == 500 && text.contains("which volume mine has"),
        "{text}"
    );
    let found = strangers(&life, json!({"volume": "one"})).await;
    assert!(found[0]["refused"].as_str().expect("text").contains("--id"));
    let wish = json!({"volume": "one", "id": "6".repeat(32)});
    assert_eq!(adopt(&life, wish).await.id(), "6".repeat(32));
    for (wish, status, words) in [
        (
            json!({"volume": "half"}),
            500,
            "mend it by gluster volume set",
        ),
        (
            json!({"volume": "none"}),
            500,
            "no glusterd has a volume none",
        ),
        (json!({"volume": "--all"}), 400, "volume"),
        (json!({"volume": ""}), 400, "volume"),
    ] {
        let refused = adopt(&life, wish).await;
        let (is, text) = refused.refused();
        assert!(is == status && text.contains(words), "{is} {text}");
    }
}

/// As `gluster volume reset` does it.
fn reset(hosts: &Hosts, name: &str) {
    let mut world = hosts.world();
    let volumes = world.pools.values_mut();
    let found = volumes.filter_map(|volumes| volumes.get_mut(name));
    found.for_each(|volume| volume.options.clear());
}

fn copies(hosts: &Hosts) -> usize {
    let world = hosts.world();
    let devices = world.hosts.values().flat_map(|host| host.devices.values());
    devices.map(|device| device.copies.len()).sum()
}

#[tokio::test(start_paused = true)]
async fn a_record_that_is_taken_away_is_written_anew_with_its_snapshots() {
    let (hosts, life) = three().await;
    let made = ensure(&life, replicated("vol", 2, 2)).await;
    assert!(acts::snapshot(&life, "nightly", "vol").await.worked());
    let before = life.knows();
    reset(&hosts, "vol");
    // The first writes it, the second sees it.
    life.look().await;
    life.look().await;
    assert_eq!(life.knows(), before);
    check(&hosts, &life, "written anew");
    assert_eq!(copies(&hosts), 2);

    // Nobody knew it: it is a stranger's until it is adopted, and keeps its copies.
    reset(&hosts, "vol");
    let life = Life::settled(&hosts).await;
    assert_eq!(life.id_of("vol"), None);
    assert_eq!(copies(&hosts), 2);
    let wish = json!({"volume": "vol", "id": made.id(), "size": 2, "gid": 2000});
    assert_eq!(adopt(&life, wish).await.id(), made.id());
    life.look().await;
    check(&hosts, &life, "ours again");
    assert!(acts::grow_to(&life, "vol", 3).await.worked());
}
