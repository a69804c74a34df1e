//! How long a claim takes where nothing but ourselves is slow: the stand-in
//! makes a volume at once, and answers as was recorded.

use crate::stage::Stage;
use std::time::{Duration, Instant};

#[test]
#[ignore = "real control plane: tests/run claims"]
fn a_claim_is_bound_within_a_second() {
    let stage = Stage::of_the_article();
    let mut took: Vec<Duration> = (0..15)
        .map(|n| {
            let name = format!("timed-{n}");
            let start = Instant::now();
            stage.claim(&name, "gluster-heketi-external", serde_json::json!({}));
            stage.wait_bound(&name);
            start.elapsed()
        })
        .collect();
    took.sort();
    let (median, worst) = (took[took.len() / 2], took[took.len() - 1]);
    println!(
        "claim -> Bound, 15 times, stand-in: median {:.2} s, worst {:.2} s",
        median.as_secs_f64(),
        worst.as_secs_f64()
    );
    assert!(median < Duration::from_secs(1), "{took:?}");
}
