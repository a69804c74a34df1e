//! A host that is away, perhaps for ever: its bricks move all the same.

use serde_json::{Value, json};

use super::acts::{ensure, node, replicated};
use super::faults::three;
use super::hosts::Hosts;
use super::life::{Done, Life, check};

async fn set_state(life: &Life, path: &str, state: &str) -> Done {
    let path = format!("{path}/state");
    life.run("POST", &path, json!({"state": state})).await
}

/// Takes a host away or gives it back; its bricks do not serve meanwhile.
fn away(hosts: &Hosts, n: u32, away: bool, volume: &str) {
    if let Some(host) = hosts.world().hosts.get_mut(&format!("gfs{n}")) {
        host.away = away;
    }
    let storage = format!("10.0.0.{n}");
    hosts.change(volume, |volume| {
        let bricks = volume.bricks.iter();
        let lost = bricks.filter(|(host, _)| *host == storage);
        volume.dead = lost.filter(|_| away).cloned().collect();
    });
}

/// Of the three hosts one with a brick of this volume, and that brick's id and device.
fn one_of(life: &Life, volume: &str) -> (u32, String, String) {
    let state = life.manager.state();
    let known = state.volume_named(volume).expect("it is there");
    let info = known.bricks[0].info.clone();
    drop(state);
    let mut hosts = 1..=3;
    let n = hosts.find(|n| node(life, *n).as_deref() == Some(&info.node));
    (n.expect("one of them"), info.id, info.device)
}

/// A host with a brick of a volume goes away and is given up, by its device or as a
/// whole, whose path is `of`: (node, device).
async fn given_up(of: impl Fn(&str, &str) -> String) {
    let (hosts, life) = three().await;
    assert!(ensure(&life, replicated("vol", 2, 2)).await.worked());
    let (n, _, device) = one_of(&life, "vol");
    let path = of(&node(&life, n).expect("it is known"), &device);
    away(&hosts, n, true, "vol");
    life.look().await;
    let refused = set_state(&life, &path, "failed").await;
    assert!(refused.refused().1.contains("must be offline"));
    for state in ["offline", "failed"] {
        let done = set_state(&life, &path, state).await;
        assert!(done.worked(), "{state}: {done:?}");
    }
    let Done::Answered(shown) = life.show(&path).await else {
        panic!("{path} is not shown");
    };
    assert_eq!(shown["state"], "failed");
    let known = life.manager.state().device_info(&device);
    assert_eq!(known.expect("it is known").bricks, []);
    // Its host still has what it had.
    let bricks = || {
        let world = hosts.world();
        let device = &world.hosts[&format!("gfs{n}")].devices[&device];
        device.bricks.len()
    };
    assert_eq!(bricks(), 1);
    away(&hosts, n, false, "vol");
    life.look().await;
    life.look().await;
    assert_eq!(bricks(), 0);
    check(&hosts, &life, "it is back");
    // The next manager hears it from the host.
    let next = Life::settled(&hosts).await;
    let Done::Answered(shown) = next.show(&path).await else {
        panic!("{path} is not shown");
    };
    assert_eq!(shown["state"], "failed");
}

#[tokio::test(start_paused = true)]
async fn its_device_is_emptied_and_it_hears_of_that_when_it_is_back() {
    given_up(|_, device| format!("/devices/{device}")).await;
}

#[tokio::test(start_paused = true)]
async fn a_node_is_emptied_as_a_whole() {
    given_up(|node, _| format!("/nodes/{node}")).await;
}

#[tokio::test(start_paused = true)]
async fn a_brick_that_serves_without_an_agent_stays_where_it_is() {
    let (hosts, life) = three().await;
    assert!(ensure(&life, replicated("vol", 2, 2)).await.worked());
    let (n, brick, _) = one_of(&life, "vol");
    drop(life);
    // The agent alone: its brick serves on.
    if let Some(host) = hosts.world().hosts.get_mut(&format!("gfs{n}")) {
        host.mute = true;
    }
    // A manager that has never seen the host takes the brick for a stranger's.
    let life = Life::settled(&hosts).await;
    let before = life.knows();
    let evict = format!("/bricks/to-evict/{brick}");
    let refused = life.run("POST", &evict, Value::Null).await;
    let (_, why) = refused.refused();
    assert!(
        why.contains("the agent of its host does not answer"),
        "{why}"
    );
    assert_eq!(life.knows(), before);
}
