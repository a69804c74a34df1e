//! What the controller shows: `/metrics`, `/healthz`, `/readyz`.

use std::sync::{Arc, Mutex, PoisonError};

use hyper::StatusCode;

use crate::admin::{Answer, Ask, Route};
use crate::k8s::Counters;
use crate::observe::exposition::{CONTENT_TYPE, Kind, Page};
use crate::observe::process;
use crate::observe::readiness::Readiness;
use crate::storage::provision::Tally;

/// A word, how many there are, and how many of them fail.
type Sizes = [(&'static str, usize, usize); 2];

/// What the desk showed last.
#[derive(Debug, Default)]
pub(super) struct Figures(Mutex<Seen>);

#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    leads: bool,
    tally: Tally,
    sizes: Sizes,
    flying: usize,
}

impl Figures {
    pub(super) fn set(&self, leads: bool, tally: Tally, sizes: Sizes, flying: usize) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Seen {
            leads,
            tally,
            sizes,
            flying,
        };
    }

    fn read(&self) -> Seen {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) fn route(readiness: Readiness, figures: Arc<Figures>, counters: Arc<Counters>) -> Route {
    Arc::new(move |ask: Ask| {
        let answer = match ask.path.as_str() {
            // The answer itself is the proof: the runtime still runs tasks.
            "/healthz" => Answer::text("ok\n"),
            "/readyz" => match readiness.check() {
                Ok(()) => Answer::text("ready\n"),
                Err(missing) => Answer::refuse(
                    StatusCode::SERVICE_UNAVAILABLE,
                    format!("not ready: {}\n", missing.join(", ")),
                ),
            },
            "/metrics" => Answer {
                content_type: CONTENT_TYPE,
                ..Answer::text(metrics(&figures.read(), &counters))
            },
            _ => Answer::refuse(StatusCode::NOT_FOUND, "/metrics, /healthz or /readyz\n"),
        };
        Box::pin(std::future::ready(answer))
    })
}

fn metrics(seen: &Seen, counters: &Counters) -> String {
    let mut page = Page::default();
    page.single(
        "loods_storage_leader_bool",
        Kind::Gauge,
        "1 = this process leads.",
        u8::from(seen.leads),
    );
    page.family(
        "loods_storage_objects",
        Kind::Gauge,
        "Claims and PersistentVolumes that concern this controller.",
    );
    for (kind, all, _) in seen.sizes {
        page.sample("loods_storage_objects", &[("kind", kind)], all);
    }
    page.family(
        "loods_storage_failing",
        Kind::Gauge,
        "Claims and PersistentVolumes whose last step failed.",
    );
    for (kind, _, failing) in seen.sizes {
        page.sample("loods_storage_failing", &[("kind", kind)], failing);
    }
    page.single(
        "loods_storage_steps_in_flight",
        Kind::Gauge,
        "Steps on their way.",
        seen.flying,
    );
    for (name, help, count) in [
        (
            "loods_storage_provisioned_total",
            "PersistentVolumes made.",
            seen.tally.provisioned,
        ),
        (
            "loods_storage_deleted_total",
            "Volumes deleted.",
            seen.tally.deleted,
        ),
        (
            "loods_storage_resized_total",
            "Volumes grown.",
            seen.tally.resized,
        ),
        (
            "loods_storage_failures_total",
            "Steps that failed.",
            seen.tally.failed,
        ),
        (
            "loods_k8s_updates_total",
            "Objects that a list or a watch brought.",
            counters.updates.count(),
        ),
        (
            "loods_k8s_update_errors_total",
            "Lists and watches that failed, each try.",
            counters.update_errors.count(),
        ),
        (
            "loods_k8s_undecodable_total",
            "Objects skipped because they did not decode.",
            counters.undecodable.count(),
        ),
        (
            "loods_k8s_lists_total",
            "Full lists taken, the first ones included.",
            counters.lists.count(),
        ),
        (
            "loods_k8s_events_total",
            "Kubernetes Events written.",
            counters.events.count(),
        ),
        (
            "loods_k8s_events_dropped_total",
            "Kubernetes Events dropped.",
            counters.events_dropped.count(),
        ),
        (
            "loods_k8s_lease_renewals_total",
            "Lease renewals that the server took.",
            counters.lease_renewals.count(),
        ),
        (
            "loods_k8s_lease_errors_total",
            "Reads and writes of the Lease that failed.",
            counters.lease_errors.count(),
        ),
    ] {
        page.single(name, Kind::Counter, help, count);
    }
    process::write(&mut page);
    page.into_text()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn pages() {
        let (readiness, figures) = (Readiness::default(), Arc::new(Figures::default()));
        readiness.expect("claims listed");
        figures.set(
            true,
            Tally::default(),
            [("claim", 3, 1), ("volume", 2, 0)],
            1,
        );
        let route = route(readiness.clone(), figures, Arc::default());
        let ask = |path: &str| {
            route(Ask {
                put: false,
                path: path.into(),
                body: String::new(),
            })
        };
        assert_eq!(ask("/healthz").await.status, 200);
        assert_eq!(ask("/readyz").await.body, "not ready: claims listed\n");
        readiness.set("claims listed", true);
        assert_eq!(ask("/readyz").await.status, 200);
        let metrics = ask("/metrics").await.body;
        assert!(
            metrics.contains("loods_storage_failing{kind=\"claim\"} 1\n"),
            "{metrics}"
        );
        assert!(metrics.contains("loods_storage_leader_bool 1\n"));
        assert_eq!(ask("/").await.status, 404);
    }
}
