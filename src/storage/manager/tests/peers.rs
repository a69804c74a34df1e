//! glusterds that join, and that have joined by halves.

use std::collections::BTreeMap;
use std::time::Duration;

use super::acts::{self, add_node, ensure, replicated};
use super::faults::three;
use super::hosts::{Hosts, Volume};
use super::life::{Life, check};

#[tokio::test(start_paused = true)]
async fn nodes_that_come_at_one_time_become_peers() {
    let hosts = Hosts::new(3, 40);
    let life = Life::settled(&hosts).await;
    let cluster = acts::cluster(&life).await;
    assert!(cluster.is_some());
    let (one, two, three) =
        tokio::join!(add_node(&life, 1), add_node(&life, 2), add_node(&life, 3));
    assert!(
        one.worked() && two.worked() && three.worked(),
        "{one:?} {two:?} {three:?}"
    );
    let pools: std::collections::BTreeSet<u32> =
        hosts.world().hosts.values().map(|host| host.pool).collect();
    assert_eq!(pools.len(), 1);
    // A host of another cluster is not taken.
    let other = Hosts::new(1, 40);
    if let Some(node) = &mut other.world().hosts.get_mut("gfs1") {
        node.node = Some(Default::default());
    }
    let life = Life::settled(&other).await;
    let refused = add_node(&life, 1).await;
    assert!(refused.refused().1.contains("already"), "{refused:?}");
}

#[tokio::test(start_paused = true)]
async fn a_removal_goes_by_a_glusterd_that_has_joined_with_all() {
    let half = |hosts: &Hosts, names: &[&str]| {
        for (name, host) in &mut hosts.world().hosts {
            host.half = names.contains(&name.as_str());
        }
    };
    for stuck in [["gfs1", "gfs2"], ["gfs2", "gfs3"], ["gfs3", "gfs1"]] {
        let (hosts, life) = three().await;
        let made = ensure(&life, replicated("vol", 2, 2)).await;
        // Nothing has told the manager yet that they do not count any more.
        half(&hosts, &stuck);
        // Its last look was in the midst of it, when none had joined.
        for agent in ["gfs1", "gfs2", "gfs3"] {
            life.manager.state().set_peers(agent, 1);
        }
        let gone = acts::remove(&life, "/volumes", Some(made.id())).await;
        assert!(gone.worked(), "{stuck:?}: {gone:?}");
        check(&hosts, &life, "removed by the third");
    }
    let (hosts, life) = three().await;
    let made = ensure(&life, replicated("vol", 2, 2)).await;
    half(&hosts, &["gfs1", "gfs2", "gfs3"]);
    let refused = acts::remove(&life, "/volumes", Some(made.id())).await;
    let (status, text) = refused.refused();
    assert!(
        status == 500 && text.contains("gluster pool list"),
        "{text}"
    );
    half(&hosts, &[]);
    let gone = acts::remove(&life, "/volumes", Some(made.id())).await;
    assert!(gone.worked(), "{gone:?}");
    check(&hosts, &life, "removed when they had joined");
}

#[tokio::test(start_paused = true)]
async fn a_volume_that_a_glusterd_brings_back_is_removed_once_more() {
    let (hosts, life) = three().await;
    let made = ensure(&life, replicated("vol", 2, 2)).await;
    let pool = hosts.world().hosts["gfs1"].pool;
    let volumes = hosts.world().pools[&pool].clone();
    let left_out = |volumes: &BTreeMap<String, Volume>| {
        let mut world = hosts.world();
        let host = world.hosts.get_mut("gfs2").expect("it is there");
        host.left_out.clone_from(volumes);
    };
    left_out(&volumes);
    let comes_back = async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!(
            hosts.world().pools[&pool].len(),
            0,
            "the others have removed it"
        );
        left_out(&BTreeMap::new());
        hosts.world().pools.insert(pool, volumes.clone());
    };
    let removing = acts::remove(&life, "/volumes", Some(made.id()));
    let (gone, ()) = tokio::join!(removing, comes_back);
    assert!(gone.worked(), "{gone:?}");
    assert_eq!(hosts.world().pools[&pool].len(), 0);
    check(&hosts, &life, "removed twice");

    // One that never lets go of it: the client is told, and nothing is forgotten.
    let made = ensure(&life, replicated("kept", 2, 2)).await;
    let volumes = hosts.world().pools[&pool].clone();
    left_out(&volumes);
    let refused = acts::remove(&life, "/volumes", Some(made.id())).await;
    let (status, text) = refused.refused();
    assert!(status == 500 && text.contains("still has it"), "{text}");
    left_out(&BTreeMap::new());
    let gone = acts::remove(&life, "/volumes", Some(made.id())).await;
    assert!(gone.worked(), "{gone:?}");
    check(&hosts, &life, "removed in the end");
}

#[tokio::test(start_paused = true)]
async fn a_volume_whose_options_a_glusterd_has_not_heard_of_is_removed_all_the_same() {
    let (hosts, life) = three().await;
    let made = ensure(&life, replicated("vol", 2, 2)).await;
    let pool = hosts.world().hosts["gfs1"].pool;
    for volume in hosts
        .world()
        .pools
        .get_mut(&pool)
        .expect("it is there")
        .values_mut()
    {
        volume.options.clear();
    }
    let gone = acts::remove(&life, "/volumes", Some(made.id())).await;
    assert!(gone.worked(), "{gone:?}");
    assert_eq!(hosts.world().pools[&pool].len(), 0);
    check(&hosts, &life, "removed");
}
