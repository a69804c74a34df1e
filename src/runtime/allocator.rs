//! The allocator's half: follows the Lease, and while it leads decides who
//! holds which address.
//!
//! A term begins with a new watch of Services. Its first list is a consistent
//! read, so the [`Decider`] is built from what stands in the API server and
//! not from what an earlier term remembered; and nothing that comes after it
//! is older than it. When the server's history goes backwards all the same, the
//! term is begun anew: a version that memory knows may never come again.

mod view;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::Settings;
use super::configuration::Standing;
use super::status::Question;
use super::wiring::{FACTS, RETRY};
use crate::config::Config;
use crate::facts::{Event, ServiceFact, ServiceKey};
use crate::k8s::events::{EventSink, Notice, Regarding};
use crate::k8s::lease::LeaderState;
use crate::k8s::objects::Services;
use crate::k8s::patch::{self, Outcome, Report, Writer};
use crate::k8s::{self, Client, Counters, lastgood};
use crate::lb::decide::{self, Decider};
use crate::lb::event::EventKind;
use crate::observe::views::AllocatorView;

/// Facts applied before decisions are taken once for all of them.
const TOGETHER: usize = 1024;
/// The last good text is kept after so long, whatever still waits to be written.
const KEEP_AT_LATEST: Duration = Duration::from_secs(30);

type ServiceEvent = Event<ServiceFact, ServiceKey>;

/// What the task is given.
pub(super) struct Inputs {
    pub settings: Arc<Settings>,
    pub client: Client,
    pub counters: Arc<Counters>,
    pub leader: watch::Receiver<LeaderState>,
    pub config: watch::Receiver<Standing>,
    pub questions: mpsc::Receiver<Question<AllocatorView>>,
    pub events: EventSink,
}

/// Follows and leads in turn until `stop`. Answers whether the Lease may be
/// given up at once: no write of ours can land any more.
pub(super) async fn run(mut inputs: Inputs, stop: CancellationToken) -> bool {
    // The fault that was last said in an Event.
    let mut told = None;
    loop {
        let leads = inputs.leader.borrow_and_update().clone();
        let configured = inputs.config.borrow_and_update().config.clone();
        if let (LeaderState::Leading { term, .. }, Some(config)) = (&leads, configured) {
            tracing::info!(term, "leading");
            if let Ended::Stopped { landed } =
                lead(&mut inputs, &mut told, *term, config, &stop).await
            {
                return landed;
            }
            tracing::info!(term, "no longer leading");
            continue;
        }
        if matches!(leads, LeaderState::Leading { .. }) {
            // A new cluster whose first text is wrong: nobody else would say so.
            tell(&inputs, &mut told);
        }
        tokio::select! {
            biased;
            () = stop.cancelled() => return true,
            Some(question) = inputs.questions.recv() => {
                let _ = question.answer.send(AllocatorView { holder: holder(&leads), ..AllocatorView::default() });
            }
            Ok(()) = inputs.leader.changed() => {}
            Ok(()) = inputs.config.changed() => {}
        }
    }
}

/// Why a term ended.
enum Ended {
    /// The Lease is not ours any more.
    Over,
    /// The daemon stops. `landed`: no write is on its way.
    Stopped { landed: bool },
}

/// One term.
async fn lead(
    inputs: &mut Inputs,
    told: &mut Option<Arc<str>>,
    term: u64,
    config: Arc<Config>,
    stop: &CancellationToken,
) -> Ended {
    // Dropped at the end of the term: the watch and the writer end with it.
    let mut tasks = JoinSet::new();
    let mut facts = watch_services(inputs, &mut tasks);
    let services = tokio::select! {
        services = first_list(&mut facts) => services,
        () = no_longer(&mut inputs.leader, term) => return Ended::Over,
        () = stop.cancelled() => return Ended::Stopped { landed: true },
    };
    let Some(services) = services else {
        return Ended::Over;
    };
    let mut term = Term::begin(inputs, term, config, services, &mut tasks);
    let mut buffer = Vec::with_capacity(TOGETHER);
    loop {
        tell(inputs, told);
        term.hand_out(inputs);
        term.keep(inputs);
        tokio::select! {
            biased;
            () = stop.cancelled() => {
                return Ended::Stopped { landed: term.finish().await };
            }
            () = no_longer(&mut inputs.leader, term.number) => return Ended::Over,
            Some(question) = inputs.questions.recv() => {
                let _ = question.answer.send(view::of(&term.decider));
            }
            Ok(()) = inputs.config.changed() => term.reconfigure(inputs),
            Some(report) = term.reports.recv() => term.heed(report),
            count = facts.recv_many(&mut buffer, TOGETHER) => {
                if count == 0 {
                    return Ended::Over;
                }
                buffer.drain(..).for_each(|event| term.decider.handle(event));
            }
        }
    }
}

/// While this process leads.
struct Term {
    number: u64,
    decider: Decider,
    writer: Writer,
    reports: mpsc::Receiver<Report>,
    /// When the configuration was last looked at.
    configured: Instant,
    /// The text to be kept as the last good one.
    kept: watch::Sender<Option<Arc<str>>>,
    /// Tells the writer to end.
    end: CancellationToken,
    /// The writer has ended.
    ended: CancellationToken,
}

impl Term {
    fn begin(
        inputs: &Inputs,
        number: u64,
        config: Arc<Config>,
        services: Vec<ServiceFact>,
        tasks: &mut JoinSet<()>,
    ) -> Self {
        let began = Instant::now();
        let count = services.len();
        let previous = inputs.config.borrow().previous.clone();
        let settings = decide::Settings {
            lb_class: inputs.settings.lb_class.clone(),
        };
        let decider = Decider::build(settings, config, previous.as_deref(), services);
        tracing::info!(services = count, took = ?began.elapsed(), "every Service is listed");
        let writer = Writer::new();
        let (sender, reports) = mpsc::channel(FACTS);
        let (writing, client, leader) =
            (writer.clone(), inputs.client.clone(), inputs.leader.clone());
        let options = patch::Options::new(Arc::clone(&inputs.counters));
        let (end, ended) = (CancellationToken::new(), CancellationToken::new());
        let (ending, over) = (end.clone(), ended.clone().drop_guard());
        tasks.spawn(async move {
            writing.run(client, options, leader, sender, ending).await;
            drop(over);
        });
        let (kept, keeping) = watch::channel(None);
        tasks.spawn(keep_last_good(
            inputs.client.clone(),
            Arc::clone(&inputs.settings.namespace),
            keeping,
        ));
        Self {
            number,
            decider,
            writer,
            reports,
            configured: Instant::now(),
            kept,
            end,
            ended,
        }
    }

    /// Hands on what was decided.
    fn hand_out(&mut self, inputs: &Inputs) {
        let outcome = self.decider.take();
        for write in outcome.writes {
            let stands = self.decider.condition_stands(&write.key);
            tracing::debug!(service = %write.key, ingress = ?write.ingress, condition = ?write.condition, "status to be written");
            self.writer.submit(write, stands, self.number);
        }
        for event in outcome.events {
            match event.kind {
                EventKind::Normal => {
                    tracing::info!(service = %event.service, "{}: {}", event.reason, event.note)
                }
                EventKind::Warning => {
                    tracing::warn!(service = %event.service, "{}: {}", event.reason, event.note)
                }
            }
            inputs.events.publish(event);
        }
    }

    fn heed(&mut self, report: Report) {
        let key = &report.key;
        match report.outcome {
            Outcome::Written { resource_version } => {
                self.decider.written(key, &report.uid, &resource_version);
            }
            // The watch brings the newer object, and with it a new decision.
            Outcome::Conflict | Outcome::Gone => self.decider.failed(key, &report.uid, true),
            Outcome::Invalid(why) => {
                tracing::error!(service = %key, "the API server refuses the status: {why}");
                // The same again would be refused again: another object decides.
                self.decider.failed(key, &report.uid, true);
            }
            // The writer tries these again by itself, and says so in the log.
            Outcome::Forbidden(_) | Outcome::Unavailable(_) => {}
        }
    }

    /// Lets the writes that are under way land, before the Lease is given up:
    /// the next leader must find them in its first list. Whether they did.
    async fn finish(&self) -> bool {
        self.end.cancel();
        self.ended.cancelled().await;
        let flying = self.writer.flying();
        if flying > 0 {
            tracing::warn!(
                flying,
                "statuses are still being written: the Lease is not released, it runs out by itself"
            );
        }
        flying == 0
    }

    fn reconfigure(&mut self, inputs: &Inputs) {
        if let Some(config) = inputs.config.borrow().config.clone() {
            self.decider.set_config(config);
        }
        self.configured = Instant::now();
    }

    /// Has the text in force kept as the last good one, once every status that
    /// follows from it is written: until then the copy before it tells how the
    /// addresses of a pool that is gone were announced. One Service that cannot
    /// be written at all (a webhook denies it) must not keep it out for ever.
    fn keep(&self, inputs: &Inputs) {
        let written = self.writer.waiting() + self.writer.flying() == 0;
        if written || self.configured.elapsed() >= KEEP_AT_LATEST {
            let text = inputs.config.borrow().text.clone();
            self.kept.send_if_modified(|kept| {
                let newer = text.is_some() && *kept != text;
                if newer {
                    *kept = text;
                }
                newer
            });
        }
    }
}

/// Tells, once, what is wrong with a text that is not in force.
fn tell(inputs: &Inputs, told: &mut Option<Arc<str>>) {
    let standing = inputs.config.borrow();
    if *told == standing.fault {
        return;
    }
    told.clone_from(&standing.fault);
    let Some(fault) = &standing.fault else { return };
    let then = match standing.config {
        Some(_) => "the last good configuration stays in force",
        None => "no configuration is in force yet",
    };
    inputs.events.publish(Notice {
        regarding: Regarding {
            kind: "ConfigMap",
            namespace: (*inputs.settings.namespace).into(),
            name: (*inputs.settings.config_name).into(),
            uid: standing.uid.clone(),
        },
        kind: EventKind::Warning,
        reason: "ConfigStale",
        note: format!("configStale: {then}: {fault}"),
    });
}

/// Writes the newest text to the kept copy, again and again until it stands.
async fn keep_last_good(
    client: Client,
    namespace: Arc<str>,
    mut text: watch::Receiver<Option<Arc<str>>>,
) {
    let mut trouble = None;
    while text.changed().await.is_ok() {
        loop {
            let Some(newest) = text.borrow_and_update().clone() else {
                break;
            };
            match lastgood::write(&client, &namespace, &newest).await {
                Ok(()) => {
                    trouble = None;
                    break;
                }
                // Said when it changes, not at every try.
                Err(error) => {
                    if trouble.replace(error.kind()) != Some(error.kind()) {
                        tracing::error!("cannot keep a copy of the configuration yet: {error}");
                    }
                }
            }
            tokio::time::sleep(RETRY).await;
        }
    }
}

fn watch_services(inputs: &Inputs, tasks: &mut JoinSet<()>) -> mpsc::Receiver<ServiceEvent> {
    let (sender, facts) = mpsc::channel(FACTS);
    let options = k8s::watch::Options {
        spread: std::time::Duration::ZERO,
        counters: Arc::clone(&inputs.counters),
    };
    tasks.spawn(k8s::watch::run(
        inputs.client.clone(),
        Services,
        options,
        sender,
        |event| event,
    ));
    facts
}

/// The first whole list. `None`: the watch is gone.
async fn first_list(facts: &mut mpsc::Receiver<ServiceEvent>) -> Option<Vec<ServiceFact>> {
    let mut services = Vec::new();
    loop {
        match facts.recv().await? {
            // A list that failed half-way begins again.
            Event::Begin => services.clear(),
            Event::Apply(fact) => services.push(fact),
            Event::Rewound | Event::Delete(..) => {}
            Event::End => return Some(services),
        }
    }
}

/// Ends when this term does.
async fn no_longer(leader: &mut watch::Receiver<LeaderState>, number: u64) {
    let over = |state: &LeaderState| !matches!(state, LeaderState::Leading { term, .. } if *term == number);
    // A sender that is gone is an election that is over.
    let _ = leader.wait_for(over).await;
}

fn holder(state: &LeaderState) -> String {
    match state {
        LeaderState::Following { holder } => holder.as_deref().unwrap_or_default().to_owned(),
        LeaderState::Leading { .. } => String::new(),
    }
}
