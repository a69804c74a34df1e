//! Pods come and go: scaling, and rollouts of pods that end in different ways.

use super::steady::{Ending, Steady, WITH_NOTICE, roll_out, spread, wait_settled};

#[test]
#[ignore = "needs root: tests/run runs it"]
fn scaling_up_and_down_loses_no_new_connection() {
    let mut steady = Steady::set();
    let row = steady.during("scaled 3 → 6 → 2 → 3", |cluster| {
        for count in [6, 2, 3] {
            let replicas = format!("--replicas={count}");
            cluster.kubectl(&["scale", "deployment/whoami", &replicas]);
            wait_settled(cluster, count);
        }
    });
    row.assert_no_new_lost();
}

#[test]
#[ignore = "needs root: tests/run runs it"]
fn a_rollout_of_pods_with_pre_stop_loses_no_new_connection() {
    let mut steady = Steady::set();
    let exits = Ending {
        pre_stop: None,
        on_term: "exit",
    };
    let drains = Ending {
        pre_stop: None,
        on_term: "drain",
    };
    // What counts is how those end that are replaced.
    let noticed = steady.during("rollout, preStop 5 s", |cluster| roll_out(cluster, exits));
    noticed.assert_no_new_lost();
    // These two are promised nothing: they are measured.
    spread(&steady.cluster);
    let exit = steady.during("rollout, ends at once on SIGTERM", |cluster| {
        roll_out(cluster, drains);
    });
    spread(&steady.cluster);
    let drain = steady.during("rollout, drains on SIGTERM", |cluster| {
        roll_out(cluster, WITH_NOTICE);
    });
    for row in [exit, drain] {
        // Were nothing lost here, the stream would see nothing.
        let lost = row.seen.lost();
        assert!(lost > 0 && lost < row.seen.due() / 2, "{}", row.seen.0);
    }
}
