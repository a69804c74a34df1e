//! The one task that owns the world: facts in, tasks out, outcomes back.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::sleep_until;
use tokio_util::sync::CancellationToken;

use super::LISTED;
use super::hands::Hands;
use super::page::Figures;
use crate::k8s::backoff::fraction;
use crate::k8s::events::EventSink;
use crate::k8s::lease::LeaderState;
use crate::observe::readiness::Readiness;
use crate::storage::provision::{Errand, Fact, Options, Outcome, Seen, Task, World};

/// Facts taken together before tasks are looked for.
const BATCH: usize = 256;
/// At a clean stop, steps on their way get this long. What they leave
/// unfinished the next leader finds.
const LAST_WAIT: Duration = Duration::from_secs(1);

pub(super) struct Desk {
    world: World,
    hands: Arc<Hands>,
    events: EventSink,
    readiness: Readiness,
    figures: Arc<Figures>,
    flights: JoinSet<(Task, Outcome)>,
    errands: JoinSet<(Errand, Seen)>,
    /// The term that tasks are handed out in.
    term: Option<u64>,
}

impl Desk {
    pub(super) fn new(
        options: Options,
        hands: Arc<Hands>,
        events: EventSink,
        readiness: Readiness,
        figures: Arc<Figures>,
    ) -> Self {
        Self {
            world: World::new(options),
            hands,
            events,
            readiness,
            figures,
            flights: JoinSet::new(),
            errands: JoinSet::new(),
            term: None,
        }
    }

    /// Works while `leader` says so, until `stop`.
    pub(super) async fn run(
        mut self,
        mut facts: mpsc::Receiver<Fact>,
        mut leader: watch::Receiver<LeaderState>,
        stop: CancellationToken,
    ) {
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            let term = term(&leader.borrow_and_update());
            self.lead(term).await;
            self.hand_out();
            self.show();
            let wake = [self.world.wake_at(), self.world.errand_at()];
            let wake = wake.into_iter().flatten().min();
            let wake = wake.filter(|_| self.term.is_some());
            let wake = wake.unwrap_or_else(|| Instant::now() + Duration::from_secs(3600));
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                changed = leader.changed() => if changed.is_err() { break },
                Some(ended) = self.flights.join_next() => match ended {
                    Ok((task, outcome)) => self.land(task, outcome),
                    // A fault of ours: it ends the process, by name.
                    Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
                    Err(_) => {}
                },
                Some(ended) = self.errands.join_next() => match ended {
                    Ok((errand, seen)) => self.world.errand_done(errand, seen, Instant::now()),
                    Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
                    Err(_) => {}
                },
                taken = facts.recv_many(&mut batch, BATCH) => {
                    if taken == 0 {
                        return;
                    }
                    batch.drain(..).for_each(|fact| self.world.take(fact));
                    self.readiness.set(LISTED, self.world.is_complete());
                }
                () = sleep_until(wake.into()) => {}
            }
        }
        let landed = async { while self.flights.join_next().await.is_some() {} };
        let _cut_off = tokio::time::timeout(LAST_WAIT, landed).await;
    }

    /// A lead that ended takes with it what was on its way.
    async fn lead(&mut self, term: Option<u64>) {
        if term == self.term {
            return;
        }
        self.flights.shutdown().await;
        self.errands.shutdown().await;
        self.world.begin();
        self.term = term;
    }

    fn hand_out(&mut self) {
        if self.term.is_none() {
            return;
        }
        while let Some(task) = self.world.next(Instant::now()) {
            tracing::debug!(key = ?task.key, step = task.step.name(), "begins");
            let hands = Arc::clone(&self.hands);
            self.flights.spawn(async move {
                let outcome = hands.carry_out(&task.step).await;
                (task, outcome)
            });
        }
        while let Some(errand) = self.world.errand(Instant::now()) {
            let hands = Arc::clone(&self.hands);
            self.errands.spawn(async move {
                let seen = hands.run(&errand).await;
                (errand, seen)
            });
        }
        for notice in self.world.notices() {
            tracing::info!(
                kind = notice.regarding.kind,
                namespace = &*notice.regarding.namespace,
                name = &*notice.regarding.name,
                reason = notice.reason,
                "{}",
                notice.note
            );
            self.events.publish(notice);
        }
    }

    fn land(&mut self, task: Task, outcome: Outcome) {
        if let Outcome::Failed(failure) = &outcome {
            tracing::warn!(key = ?task.key, step = task.step.name(), "{}", failure.text);
        }
        self.world.done(task, outcome, Instant::now(), fraction());
    }

    fn show(&self) {
        self.figures.set(
            self.term.is_some(),
            self.world.tally(),
            self.world.sizes(),
            self.world.flying(),
        );
    }
}

fn term(state: &LeaderState) -> Option<u64> {
    match state {
        LeaderState::Leading { term, .. }
            if state.writes_until(tokio::time::Instant::now()).is_some() =>
        {
            Some(*term)
        }
        _ => None,
    }
}
