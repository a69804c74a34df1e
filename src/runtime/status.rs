//! What the admin server answers: asked of the owners when somebody looks.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::StatusCode;
use tokio::sync::{mpsc, oneshot, watch};

use super::Settings;
use super::configuration::Standing;
use crate::admin::{Answer, Ask, Route};
use crate::k8s::Counters;
use crate::observe::exposition::{CONTENT_TYPE, Kind, Page};
use crate::observe::histogram::Histogram;
use crate::observe::process;
use crate::observe::readiness::Readiness;
use crate::observe::views::{AllocatorView, Depth, PeerView, SpeakerView, State};
use crate::runtime::log::Level;

/// A question to the owner of some state: answer with a view of it.
pub(super) struct Question<T> {
    /// How much the view should hold.
    pub depth: Depth,
    /// Where to answer; whoever asked may have gone.
    pub answer: oneshot::Sender<T>,
}

/// An owner that does not answer within this is busy, and is left out.
const PATIENCE: Duration = Duration::from_secs(2);

/// Everything that can be asked.
pub(super) struct Sources {
    pub settings: Arc<Settings>,
    pub started: Instant,
    pub readiness: Readiness,
    pub config: watch::Receiver<Standing>,
    pub allocator: Option<mpsc::Sender<Question<AllocatorView>>>,
    pub speaker: Option<mpsc::Sender<Question<SpeakerView>>>,
    pub counters: Arc<Counters>,
    pub latency: Arc<Histogram>,
}

/// `/metrics`, `/healthz` and `/readyz`: what may be seen from outside.
pub(super) fn public(sources: Arc<Sources>) -> Route {
    Arc::new(move |ask: Ask| {
        let sources = Arc::clone(&sources);
        Box::pin(async move {
            match ask.path.as_str() {
                // The answer itself is the proof: the runtime still runs tasks.
                "/healthz" => Answer::text("ok\n"),
                "/readyz" => match sources.readiness.check() {
                    Ok(()) => Answer::text("ready\n"),
                    Err(missing) => {
                        let text = format!("not ready: {}\n", missing.join(", "));
                        Answer::refuse(StatusCode::SERVICE_UNAVAILABLE, text)
                    }
                },
                "/metrics" => Answer {
                    content_type: CONTENT_TYPE,
                    ..Answer::text(sources.metrics().await)
                },
                _ => Answer::refuse(StatusCode::NOT_FOUND, "/metrics, /healthz or /readyz\n"),
            }
        })
    })
}

/// `/state` and `/log-level`: for who is on the machine.
pub(super) fn private(sources: Arc<Sources>, level: Option<Level>) -> Route {
    Arc::new(move |ask: Ask| {
        let (sources, level) = (Arc::clone(&sources), level.clone());
        Box::pin(async move {
            match (ask.path.as_str(), ask.put, &level) {
                ("/state", false, _) => Answer::json(&sources.state().await),
                ("/log-level", false, Some(level)) => Answer::text(level.current() + "\n"),
                ("/log-level", true, Some(level)) => match level.set(&ask.body) {
                    Ok(()) => Answer::text(level.current() + "\n"),
                    Err(error) => Answer::refuse(StatusCode::BAD_REQUEST, error + "\n"),
                },
                _ => Answer::refuse(StatusCode::NOT_FOUND, "GET /state, GET or PUT /log-level\n"),
            }
        })
    })
}

impl Sources {
    async fn state(&self) -> State {
        let config = self.config.borrow().view.clone();
        State {
            version: env!("CARGO_PKG_VERSION"),
            node: self.settings.node_name.to_string(),
            uptime_seconds: self.started.elapsed().as_secs(),
            not_ready: self.readiness.check().err().unwrap_or_default(),
            config,
            allocator: ask(self.allocator.as_ref(), Depth::Whole).await,
            speaker: ask(self.speaker.as_ref(), Depth::Whole).await,
        }
    }

    async fn metrics(&self) -> String {
        let mut page = Page::default();
        let config = self.config.borrow().view.clone();
        let number = u8::from;
        page.single(
            "metallb_k8s_client_config_loaded_bool",
            Kind::Gauge,
            "1 = some configuration is in force.",
            number(config.loaded),
        );
        page.single(
            "metallb_k8s_client_config_stale_bool",
            Kind::Gauge,
            "1 = the ConfigMap says something that could not be used.",
            number(config.stale),
        );
        api_server(&mut page, &self.counters);
        if let Some(view) = ask(self.allocator.as_ref(), Depth::Figures).await {
            allocator(&mut page, &view);
        }
        if let Some(view) = ask(self.speaker.as_ref(), Depth::Figures).await {
            speaker(&mut page, &view, &self.settings.node_name);
            page.histogram(
                "loods_event_to_update_seconds",
                "From a change received from the API server to its UPDATE written.",
                &self.latency,
            );
        }
        process::write(&mut page);
        page.into_text()
    }
}

fn api_server(page: &mut Page, counters: &Counters) {
    let figures = [
        (
            "metallb_k8s_client_updates_total",
            "Objects that a list or a watch brought.",
            &counters.updates,
        ),
        (
            "metallb_k8s_client_update_errors_total",
            "Lists and watches that failed, each try.",
            &counters.update_errors,
        ),
        (
            "loods_k8s_undecodable_total",
            "Objects skipped because they did not decode.",
            &counters.undecodable,
        ),
        (
            "loods_k8s_lists_total",
            "Full lists taken, the first ones included.",
            &counters.lists,
        ),
        (
            "loods_k8s_regressions_total",
            "Times the server's resourceVersion went backwards.",
            &counters.regressions,
        ),
        (
            "loods_k8s_patches_total",
            "Status patches that the server took.",
            &counters.patches,
        ),
        (
            "loods_k8s_patch_conflicts_total",
            "Status patches refused since the Service had changed.",
            &counters.patch_conflicts,
        ),
        (
            "loods_k8s_patch_errors_total",
            "Status patches that failed otherwise.",
            &counters.patch_errors,
        ),
        (
            "loods_k8s_events_total",
            "Kubernetes Events written.",
            &counters.events,
        ),
        (
            "loods_k8s_events_dropped_total",
            "Kubernetes Events dropped.",
            &counters.events_dropped,
        ),
        (
            "loods_k8s_lease_renewals_total",
            "Lease renewals that the server took.",
            &counters.lease_renewals,
        ),
        (
            "loods_k8s_lease_errors_total",
            "Reads and writes of the Lease that failed.",
            &counters.lease_errors,
        ),
    ];
    for (name, help, counter) in figures {
        page.single(name, Kind::Counter, help, counter.count());
    }
}

fn allocator(page: &mut Page, view: &AllocatorView) {
    page.single(
        "loods_allocator_leads",
        Kind::Gauge,
        "1 = this process holds the Lease.",
        u8::from(view.leads),
    );
    if !view.leads {
        return;
    }
    page.family(
        "metallb_allocator_addresses_total",
        Kind::Gauge,
        "Addresses that a pool can give out.",
    );
    for pool in &view.pools {
        page.sample(
            "metallb_allocator_addresses_total",
            &[("pool", &pool.name)],
            pool.total,
        );
    }
    page.family(
        "metallb_allocator_addresses_in_use_total",
        Kind::Gauge,
        "Addresses of a pool that are given out.",
    );
    for pool in &view.pools {
        page.sample(
            "metallb_allocator_addresses_in_use_total",
            &[("pool", &pool.name)],
            pool.in_use,
        );
    }
    page.family(
        "metallb_allocator_services_allocated_total",
        Kind::Gauge,
        "Services that hold addresses of a pool.",
    );
    for pool in &view.pools {
        page.sample(
            "metallb_allocator_services_allocated_total",
            &[("pool", &pool.name)],
            pool.services,
        );
    }
    counted(
        page,
        "loods_allocator_services",
        "Services by reason: InPool, Orphaned, poolIsLayer2, or why they have no address.",
        view.services.iter().map(|s| s.reason.as_str()),
    );
}

fn speaker(page: &mut Page, view: &SpeakerView, node: &str) {
    page.family(
        "metallb_speaker_announced",
        Kind::Gauge,
        "1 = this node announces the address.",
    );
    for service in &view.services {
        for address in service
            .addresses
            .iter()
            .filter(|address| !address.announced.is_empty())
        {
            let labels = [
                ("service", &*service.service),
                ("protocol", "bgp"),
                ("node", node),
                ("ip", &*address.address),
            ];
            page.sample("metallb_speaker_announced", &labels, 1);
        }
    }
    let refused = view
        .services
        .iter()
        .flat_map(|service| &service.addresses)
        .filter_map(|address| address.reason);
    counted(
        page,
        "loods_speaker_not_announced",
        "Addresses that this node does not announce, by reason.",
        refused,
    );
    type Figure = fn(&PeerView) -> u64;
    let figures: [(&str, Kind, &str, Figure); 6] = [
        (
            "metallb_bgp_session_up",
            Kind::Gauge,
            "1 = Established.",
            |p| u64::from(p.established_seconds.is_some()),
        ),
        (
            "metallb_bgp_updates_total",
            Kind::Counter,
            "UPDATEs sent, withdrawals included.",
            |p| p.updates_sent,
        ),
        (
            "metallb_bgp_announced_prefixes_total",
            Kind::Gauge,
            "Prefixes that the peer was sent.",
            |p| p.advertised as u64,
        ),
        (
            "metallb_bgp_pending_prefixes_total",
            Kind::Gauge,
            "Prefixes that the peer should have.",
            |p| p.wanted as u64,
        ),
        (
            "loods_bgp_received_prefixes_total",
            Kind::Counter,
            "Prefixes that the peer sent, counted and dropped.",
            |p| p.prefixes_received,
        ),
        (
            "loods_bgp_update_faults_total",
            Kind::Counter,
            "UPDATEs that the peer sent with faults that cost no session (RFC 7606).",
            |p| p.update_faults,
        ),
    ];
    for (name, kind, help, figure) in figures {
        page.family(name, kind, help);
        for peer in &view.peers {
            page.sample(name, &[("peer", &peer.peer)], figure(peer));
        }
    }
}

fn counted<'a>(page: &mut Page, name: &str, help: &str, reasons: impl Iterator<Item = &'a str>) {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for reason in reasons {
        *counts.entry(reason).or_default() += 1;
    }
    page.family(name, Kind::Gauge, help);
    for (reason, count) in counts {
        page.sample(name, &[("reason", reason)], count);
    }
}

async fn ask<T>(owner: Option<&mpsc::Sender<Question<T>>>, depth: Depth) -> Option<T> {
    let (answer, answered) = oneshot::channel();
    owner?.try_send(Question { depth, answer }).ok()?;
    tokio::time::timeout(PATIENCE, answered).await.ok()?.ok()
}
