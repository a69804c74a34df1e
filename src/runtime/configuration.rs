//! The configuration in force, from the ConfigMap to everybody who needs it.

use std::sync::Arc;

use futures::future::BoxFuture;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::config::{Config, Keeper, Seen};
use crate::facts::Event;
use crate::k8s::objects::ConfigFact;
use crate::observe::readiness::Readiness;
use crate::observe::views::ConfigView;

/// The condition of readiness that this half brings.
pub(super) const LOADED: &str = "a configuration is in force";

/// What holds now. Has no Debug: the text holds passwords.
#[derive(Clone, Default)]
pub(super) struct Standing {
    /// The configuration in force.
    pub config: Option<Arc<Config>>,
    /// The one that was in force before it.
    pub previous: Option<Arc<Config>>,
    /// The text in force.
    pub text: Option<Arc<str>>,
    /// `metadata.uid` of the ConfigMap, as last seen.
    pub uid: Box<str>,
    /// Why what the ConfigMap says is not in force.
    pub fault: Option<Arc<str>>,
    /// For `/state`.
    pub view: ConfigView,
}

/// Reads the copy that the leader keeps of the last good text; answers when
/// the API server did.
pub(super) type ReadLastGood = Box<dyn Fn() -> BoxFuture<'static, Option<Arc<str>>> + Send + Sync>;

/// Follows the ConfigMap until `stop`.
pub(super) async fn run(
    name: String,
    mut watched: mpsc::Receiver<Event<ConfigFact, ()>>,
    last_good: ReadLastGood,
    standing: watch::Sender<Standing>,
    readiness: Readiness,
    stop: CancellationToken,
) {
    // Read before anything is judged: what was in force before this process
    // started tells how an address of a pool that is gone was announced.
    let Some(copy) = stop.run_until_cancelled(last_good()).await else {
        return;
    };
    let mut keeper = Keeper::new();
    let mut sight = Sight::default();
    while let Some(Some(event)) = stop.run_until_cancelled(watched.recv()).await {
        let Some(now) = sight.see(event) else {
            continue;
        };
        let change = keeper.look(&now, copy.as_ref());
        if change.config.is_some() {
            tracing::info!("configuration in force, from {}", source(&keeper, &name));
            for note in keeper.notes() {
                tracing::warn!("configuration: {note}");
            }
            readiness.set(LOADED, true);
        }
        if let Some(fault) = &change.fault {
            let then = if keeper.config().is_some() {
                "the last good one stays in force"
            } else {
                "nothing is in force"
            };
            tracing::error!("configuration: {then}: {fault}");
        }
        standing.send_replace(look(&keeper, &sight, &name));
    }
}

/// What the watch has shown of the ConfigMap.
#[derive(Default)]
struct Sight {
    uid: Box<str>,
    /// It was in the list that is being read.
    listed: bool,
}

impl Sight {
    /// What the ConfigMap says after an event, if that event tells.
    fn see(&mut self, event: Event<ConfigFact, ()>) -> Option<Seen> {
        match event {
            Event::Rewound => None,
            Event::Begin => {
                self.listed = false;
                None
            }
            Event::Apply(fact) => {
                self.listed = true;
                self.uid = fact.uid;
                Some(
                    fact.text
                        .map_or(Seen::NoKey, |text| Seen::Text(text.into())),
                )
            }
            Event::End if self.listed => None,
            Event::End | Event::Delete(..) => Some(Seen::Missing),
        }
    }
}

fn look(keeper: &Keeper, sight: &Sight, name: &str) -> Standing {
    Standing {
        uid: sight.uid.clone(),
        config: keeper.config().cloned(),
        previous: keeper.previous().cloned(),
        text: keeper.text().cloned(),
        fault: keeper.fault().map(Arc::from),
        view: ConfigView {
            loaded: keeper.config().is_some(),
            stale: keeper.fault().is_some(),
            source: source(keeper, name),
            error: keeper.fault().map(str::to_owned),
            notes: keeper.notes().to_vec(),
        },
    }
}

fn source(keeper: &Keeper, name: &str) -> String {
    match (keeper.config(), keeper.is_copy()) {
        (None, _) => String::new(),
        (Some(_), false) => format!("ConfigMap {name}"),
        (Some(_), true) => "ConfigMap loods-last-good, the copy of the last good text".to_owned(),
    }
}
