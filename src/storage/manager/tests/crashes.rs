//! Every operation, with each call going wrong in each way.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt;

use super::acts::{ALL, Act};
use super::hosts::{Hosts, Luck};
use super::life::{Done, Known, Life, check};

const LUCKS: [Luck; 8] = [
    Luck::Slow,
    Luck::DiesDuring,
    Luck::DiesBefore,
    Luck::DiesAfter,
    Luck::Refused,
    Luck::Unsent,
    Luck::Lost,
    Luck::Late,
];

/// Everything that was known before and is not meant by the operation.
#[track_caller]
fn check_kept(act: Act, before: &Known, now: &Known, told: &str) {
    for (id, host) in &before.nodes {
        let goes = act == Act::RemoveNode && host == "10.0.0.3";
        assert!(
            goes || now.nodes.get(id) == Some(host),
            "{told}: node {host}"
        );
    }
    for (id, device) in &before.devices {
        let goes = act == Act::RemoveDevice && device.1 == "/srv/more";
        assert!(
            goes || now.devices.get(id) == Some(device),
            "{told}: {device:?}"
        );
    }
    for (id, name) in &before.volumes {
        let goes = act == Act::Remove && name == "vol";
        assert!(goes || now.volumes.get(id) == Some(name), "{told}: {name}");
        assert!(
            goes || matches!(act, Act::Drain | Act::DrainToDirectory)
                || now.bricks[id] == before.bricks[id],
            "{told}: bricks of {name}"
        );
    }
    for (id, name) in &before.snapshots {
        let goes = act == Act::DropSnapshot && name == "nightly";
        assert!(
            goes || now.snapshots.get(id) == Some(name),
            "{told}: {name}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_call_goes_wrong_nothing_leaks_and_the_next_manager_ends_it() {
    // All that fail are told, not the first alone: they show what they have in common.
    let mut failures = Vec::new();
    for act in ALL {
        let hosts = Hosts::new(3, 40);
        let life = Life::settled(&hosts).await;
        act.prepare(&life).await;
        check(&hosts, &life, &format!("{act:?} prepared"));
        let before = life.knows();
        let prepared = hosts.world().clone();
        for luck in LUCKS {
            // A stop or a delete that ends minutes later finds a volume in use.
            if act == Act::Remove && matches!(luck, Luck::Slow | Luck::DiesDuring) {
                continue;
            }
            for at in 0.. {
                *hosts.world() = prepared.clone();
                let case = one(act, &hosts, &before, luck, at);
                match AssertUnwindSafe(case).catch_unwind().await {
                    Ok(true) => {}
                    Ok(false) => {
                        assert!(at > 0, "{act:?} asks nobody");
                        break;
                    }
                    Err(_) => failures.push(format!("{act:?}, call {at} {luck:?}")),
                }
                assert!(at < 100, "{act:?} never ends");
            }
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

/// Answers whether the operation came as far as to that call.
async fn one(act: Act, hosts: &Arc<Hosts>, before: &Known, luck: Luck, at: usize) -> bool {
    let told = format!("{act:?}, call {at} {luck:?}");
    let life = Life::settled(hosts).await;
    let mut lucks = vec![Luck::Good; at];
    lucks.push(luck);
    life.line.shall(lucks);
    let done = act.carry_out(&life).await;
    let reached = life.line.left() == 0;
    assert_eq!(done == Done::Died, life.line.is_dead(), "{told}");
    // What a living manager does about it by itself.
    if done != Done::Died {
        life.line.shall([]);
        life.look().await;
        hosts.end_slow();
        life.look().await;
        life.look().await;
        check(hosts, &life, &told);
        check_kept(act, before, &life.knows(), &told);
        if done.worked() {
            act.check_done(&life, &told);
        }
    }
    let shown = life.knows();
    let life = Life::settled(hosts).await;
    hosts.end_slow();
    life.look().await;
    life.look().await;
    check(hosts, &life, &told);
    check_kept(act, before, &life.knows(), &told);
    if done != Done::Died {
        assert_eq!(life.knows(), shown, "{told}: the next one knows the same");
    }
    if done.worked() {
        act.check_done(&life, &told);
    }
    let again = act.carry_out(&life).await;
    assert!(again.worked(), "{told}: {again:?}");
    act.check_done(&life, &told);
    check(hosts, &life, &told);
    check_kept(act, before, &life.knows(), &told);
    let last = life.knows();
    let life = Life::settled(hosts).await;
    assert_eq!(life.knows(), last, "{told}");
    check(hosts, &life, &told);
    reached
}
