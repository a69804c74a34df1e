//! Wires the daemon, in reading order: client, configuration, allocator,
//! speaker, admin server, signals. No policy here.
//!
//! ```text
//!  ConfigMap watch --> configuration --watch<Standing>--+--------------+
//!                                                       v              v
//!  Services watch (leader only) ----------------> allocator        speaker <-- Services, slices,
//!       Lease <--> leader or not ------------------^   |              |        own Node watches
//!                                                      v              v
//!                                              Writer: status     sessions: UPDATE
//!                                                 Events             Events
//! ```
//!
//! Allocator and speaker share no channel of their own, also when both run in
//! this process: the Service's status in the API server connects them.

mod allocator;
mod configuration;
pub mod log;
mod proxy;
pub mod signals;
mod speaker;
mod status;
mod wiring;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt;
use tokio::task::JoinError;
use tokio_util::sync::CancellationToken;

use crate::k8s::{self, files::Files};
use crate::observe::histogram::Histogram;
use log::Level;
use wiring::Wiring;

/// A clean stop takes no longer than this.
const STOP_LIMIT: Duration = Duration::from_millis(1900);
/// With the files that are written last, no longer than this.
const WHOLE_STOP_LIMIT: Duration = Duration::from_secs(2);

/// What the user asked for.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Run the allocator.
    pub allocates: bool,
    /// Run the speaker.
    pub speaks: bool,
    /// The Node that the speaker speaks for.
    pub node_name: Arc<str>,
    /// Namespace of the ConfigMap, the Lease and the last good configuration.
    pub namespace: Arc<str>,
    /// Name of the ConfigMap.
    pub config_name: Arc<str>,
    /// The loadBalancerClass served; `None`: Services without one.
    pub lb_class: Option<Box<str>>,
    /// Where /metrics, /healthz and /readyz are served, if at all.
    pub listen: Option<SocketAddr>,
    /// Where /state and /log-level are served, if at all.
    pub state: Option<SocketAddr>,
    /// Announce from nodes with the exclude label too.
    pub ignore_exclude_lb: bool,
    /// Dial from this address to peers of its family that name no source-address.
    pub source: Option<IpAddr>,
    /// Nobody else allocates from this API: it leads without a Lease.
    pub alone: bool,
}

/// Where objects come from, and where statuses go.
#[derive(Clone, Debug)]
pub enum Source {
    /// An API server: by this kubeconfig file, or by the pod's service account.
    Cluster(Option<PathBuf>),
    /// A directory of YAML files.
    Files(PathBuf),
}

/// Why the daemon ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No threads or no timer: the machine is in a bad way.
    #[error("cannot start: {0}")]
    Start(#[from] std::io::Error),
    /// No usable kubeconfig or service account.
    #[error(transparent)]
    Connect(#[from] k8s::client::ConnectError),
    /// No usable directory.
    #[error(transparent)]
    Files(#[from] k8s::files::OpenError),
    /// A part that everything rests on is gone: better a restart than half a life.
    #[error("the {0} ended by itself, and with it this process")]
    Part(&'static str),
}

/// Runs the daemon until SIGTERM or SIGINT.
pub fn run(settings: Settings, source: Source, level: Level) -> Result<(), Error> {
    block_on(async {
        let stop = signals::stop_on_signal();
        match source {
            Source::Cluster(kubeconfig) => {
                let client = k8s::connect(kubeconfig.as_deref(), settings.component()).await?;
                daemon(settings, client, Some(level), stop).await
            }
            Source::Files(dir) => {
                let files = Files::open(&dir, Arc::clone(&settings.node_name))?;
                on_files(settings, files, level, stop).await
            }
        }
    })
}

/// A daemon and its files: neither goes on without the other.
async fn on_files(
    settings: Settings,
    files: Files,
    level: Level,
    stop: CancellationToken,
) -> Result<(), Error> {
    let asked = tokio::spawn(stop.clone().cancelled_owned().map(|()| Instant::now()));
    let client = files.store().client();
    // Statuses that are written while the daemon ends are kept too.
    let ended = CancellationToken::new();
    let follow = files.run(ended.clone());
    // It waits for the disk, for which no session has the time: another thread.
    let runtime = tokio::runtime::Handle::current();
    let mut following = tokio::task::spawn_blocking(move || runtime.block_on(follow));
    let mut daemon = pin!(daemon(settings, client, Some(level), stop.clone()));
    let done = tokio::select! {
        done = &mut daemon => done,
        _ = &mut following => {
            // The panic's own message is in the log already.
            stop.cancel();
            let _ = daemon.await;
            return Err(Error::Part("files"));
        }
    };
    ended.cancel();
    let asked = asked.await.unwrap_or_else(|_| Instant::now());
    match tokio::time::timeout_at((asked + WHOLE_STOP_LIMIT).into(), following).await {
        Ok(followed) => followed.map_err(|_| Error::Part("files"))?,
        Err(_) => tracing::error!(
            "the disk takes too long: what was decided last is not kept, and addresses may move"
        ),
    }
    done
}

/// Runs one daemon, or several that share nothing but this thread.
pub fn block_on<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    // Fails only where a provider is there already, which serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    // One thread: the work is small, and handing it to another thread costs
    // more than doing it. Tasks that could keep the thread yield by themselves.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let done = runtime.block_on(work);
    runtime.shutdown_background();
    done
}

impl Settings {
    fn component(&self) -> &'static str {
        match (self.allocates, self.speaks) {
            (true, false) => "allocator",
            (false, true) => "speaker",
            _ => "both",
        }
    }
}

/// Runs one daemon on an API until `stop`. `level` is what `/log-level` changes.
/// A drop of the future is a crash: nobody is told anything.
pub async fn daemon(
    settings: Settings,
    client: k8s::Client,
    level: Option<Level>,
    stop: CancellationToken,
) -> Result<(), Error> {
    let settings = Arc::new(settings);
    tracing::info!(version = env!("CARGO_PKG_VERSION"), role = settings.component(), node = %settings.node_name, server = client.url(), "starting");

    let mut wiring = Wiring::new(settings, client, stop.clone());
    let config = wiring.configuration();
    let latency = Arc::new(Histogram::default());
    let allocator = wiring
        .settings
        .allocates
        .then(|| wiring.allocator(config.clone()));
    let speaker = wiring
        .settings
        .speaks
        .then(|| wiring.speaker(config.clone(), Arc::clone(&latency)));
    let sources = Arc::new(status::Sources {
        settings: Arc::clone(&wiring.settings),
        started: Instant::now(),
        readiness: wiring.readiness.clone(),
        config,
        allocator,
        speaker,
        counters: Arc::clone(&wiring.counters),
        latency,
    });
    let admin = CancellationToken::new();
    // Ends with this future too, however that ends.
    let _served = admin.clone().drop_guard();
    if let Some(listen) = wiring.settings.listen {
        let route = status::public(Arc::clone(&sources));
        tokio::spawn(crate::admin::serve("metrics", listen, route, admin.clone()));
    }
    if let Some(state) = wiring.settings.state {
        let route = status::private(sources, level);
        tokio::spawn(crate::admin::serve("state", state, route, admin.clone()));
    }

    // In this order: a part that ended because of the stop is no failure.
    let result = tokio::select! {
        biased;
        () = stop.cancelled() => Ok(()),
        ended = wiring.parts.join_next() => Err(Error::Part(name_of(ended))),
    };
    // Readiness goes first, then everything says its goodbye side by side.
    wiring.readiness.expect(STOPPING);
    stop.cancel();
    let goodbye = async { while wiring.parts.join_next().await.is_some() {} };
    if tokio::time::timeout(STOP_LIMIT, goodbye).await.is_err() {
        tracing::warn!("not everything ended within {STOP_LIMIT:?}");
    }
    result
}

/// Shown as "not ready: stopping".
const STOPPING: &str = "stopping";

fn name_of(ended: Option<Result<&'static str, JoinError>>) -> &'static str {
    match ended {
        Some(Ok(name)) => name,
        // The panic's own message is in the log already.
        Some(Err(_)) | None => "part that failed above",
    }
}
