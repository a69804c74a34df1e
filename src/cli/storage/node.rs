//! `loods storage node`: the CSI plugin of one node.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args as ClapArgs;
use clap::builder::{OsStringValueParser, TypedValueParser};
use futures::FutureExt;
use hyper::StatusCode;
use tokio_util::sync::CancellationToken;

use crate::admin::{self, Answer, Ask, Route};
use crate::cli::{USAGE, listen_address};
use crate::observe::exposition::{self, Page};
use crate::observe::process;
use crate::observe::readiness::Readiness;
use crate::runtime::{log, signals};
use crate::storage::node;

/// Mount volumes for the pods of one node: a CSI plugin that registers itself with the kubelet.
#[derive(Debug, ClapArgs)]
pub struct Args {
    /// Name of the Node
    #[arg(long, env = "LOODS_NODE_NAME", value_name = "NAME")]
    node_name: String,
    /// The socket that the kubelet calls; what is staged is remembered beside it
    #[arg(
        long,
        value_name = "PATH",
        default_value = "/var/lib/kubelet/plugins/gluster.loods.io/csi.sock"
    )]
    socket: PathBuf,
    /// The socket of the mount keeper
    #[arg(long, value_name = "PATH", default_value = super::KEEPER)]
    keeper: PathBuf,
    /// The kubelet's directory; mounts are made below it alone
    #[arg(long, value_name = "DIR", default_value = super::KUBELET)]
    kubelet_dir: PathBuf,
    /// Where the kubelet looks for plugins; empty: it is not told
    #[arg(
        long,
        value_name = "DIR",
        default_value = "/var/lib/kubelet/plugins_registry",
        // Clap's own for paths takes no empty one.
        value_parser = OsStringValueParser::new().map(PathBuf::from)
    )]
    registry: PathBuf,
    /// Mount again what died, and heal it in running containers (the pod needs hostPID)
    #[arg(long)]
    heal: bool,
    /// Where to serve /metrics, /healthz and /readyz
    #[arg(long, value_name = "[ADDRESS]:PORT", value_parser = listen_address)]
    listen: Option<SocketAddr>,
    /// error, warn, info, debug or trace
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    log_level: String,
    /// How log lines look
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "text")]
    log_format: log::Format,
}

/// Runs until told to stop.
pub fn run(args: Args) -> ExitCode {
    if let Err(error) = log::start(&args.log_level, args.log_format) {
        eprintln!("error: --log-level {error}");
        return ExitCode::from(USAGE);
    }
    let state = args.socket.parent().unwrap_or(Path::new("/")).to_owned();
    let settings = node::Settings {
        node: args.node_name,
        socket: args.socket,
        keeper: args.keeper,
        kubelet: args.kubelet_dir,
        registry: Some(args.registry).filter(|dir| !dir.as_os_str().is_empty()),
        state,
        heal: args.heal,
    };
    super::block_on(async move {
        let stop = signals::stop_on_signal();
        let readiness = Readiness::default();
        let shown = CancellationToken::new();
        let _served = shown.clone().drop_guard();
        if let Some(listen) = args.listen {
            let route = route(readiness.clone());
            tokio::spawn(admin::serve("metrics", listen, route, shown));
        }
        node::run(settings, readiness, stop).await
    })
}

fn route(readiness: Readiness) -> Route {
    Arc::new(move |ask: Ask| {
        let readiness = readiness.clone();
        async move {
            match &*ask.path {
                "/healthz" => Answer::text("ok\n"),
                "/readyz" => match readiness.check() {
                    Ok(()) => Answer::text("ok\n"),
                    Err(missing) => Answer::refuse(
                        StatusCode::SERVICE_UNAVAILABLE,
                        format!("not ready: {}\n", missing.join(", ")),
                    ),
                },
                "/metrics" => {
                    let mut page = Page::default();
                    process::write(&mut page);
                    Answer {
                        content_type: exposition::CONTENT_TYPE,
                        ..Answer::text(page.into_text())
                    }
                }
                _ => Answer::refuse(StatusCode::NOT_FOUND, "/healthz, /readyz, /metrics\n"),
            }
        }
        .boxed()
    })
}
