//! `loods run`: the daemon.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args as ClapArgs, ValueEnum};

use super::{USAGE, listen_address};
use crate::runtime::{self, Source, log};

/// Run the daemon: give out addresses, announce them, or both.
#[derive(Debug, ClapArgs)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// Which half to run; without it both run in one process
    #[arg(long, value_enum)]
    role: Option<Role>,
    /// The Node this process speaks for; the speaker needs it
    #[arg(long, env = "LOODS_NODE_NAME", value_name = "NAME")]
    node_name: Option<String>,
    /// Namespace of the ConfigMap, the Lease and the last good configuration
    #[arg(
        long,
        env = "LOODS_NAMESPACE",
        value_name = "NAME",
        default_value = "metallb-system"
    )]
    namespace: String,
    /// Name of the ConfigMap; its key `config` holds the configuration
    #[arg(long, value_name = "NAME", default_value = "config")]
    config: String,
    /// Serve only Services of this loadBalancerClass; without it, only those that have none
    #[arg(long, value_name = "CLASS")]
    lb_class: Option<String>,
    /// Where to serve /metrics, /healthz and /readyz
    #[arg(long, value_name = "[ADDRESS]:PORT", value_parser = listen_address, default_value = ":7472")]
    listen: SocketAddr,
    /// Where to serve /state and /log-level; keep it on loopback
    #[arg(long, value_name = "[ADDRESS]:PORT", value_parser = listen_address, default_value = "127.0.0.1:7473")]
    state: SocketAddr,
    /// Announce from nodes labelled node.kubernetes.io/exclude-from-external-load-balancers too
    #[arg(long)]
    ignore_exclude_lb: bool,
    /// Kubeconfig file; without it, the service account of the pod
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Take the objects from the YAML files of a directory, and no cluster at all;
    /// what is decided is kept in DIR/.status
    #[arg(long, value_name = "DIR", conflicts_with = "kubeconfig")]
    files: Option<PathBuf>,
    /// error, warn, info, debug or trace, or a filter such as info,loods::speaker=trace
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    log_level: String,
    /// How log lines look
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "text")]
    log_format: log::Format,
}

const AFTER_HELP: &str = "\
SIGTERM ends it within two seconds: not ready, Cease to every peer, Lease released.
A second one ends it at once.

While it runs:
  curl -s 127.0.0.1:7473/state                      all it holds, with the reason for all it does not do
  curl -s -X PUT -d debug 127.0.0.1:7473/log-level  more in the log, without a restart";

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Role {
    /// Gives out addresses; run two, one is active
    Allocator,
    /// Announces them; run one on every node
    Speaker,
}

/// Runs until told to stop.
pub fn run(args: Args) -> ExitCode {
    let level = match log::start(&args.log_level, args.log_format) {
        Ok(level) => level,
        Err(error) => {
            eprintln!("error: --log-level {error}");
            return ExitCode::from(USAGE);
        }
    };
    let speaks = args.role != Some(Role::Allocator);
    let mut node_name = args.node_name;
    if args.files.is_some() {
        node_name = node_name.or_else(host_name);
    }
    if speaks && node_name.is_none() {
        eprintln!(
            "error: the speaker needs --node-name or LOODS_NODE_NAME: the name of the Node it runs on"
        );
        return ExitCode::from(USAGE);
    }
    let settings = runtime::Settings {
        allocates: args.role != Some(Role::Speaker),
        speaks,
        node_name: node_name.unwrap_or_default().into(),
        namespace: args.namespace.into(),
        config_name: args.config.into(),
        lb_class: args
            .lb_class
            .filter(|class| !class.is_empty())
            .map(Into::into),
        listen: Some(args.listen),
        state: Some(args.state),
        ignore_exclude_lb: args.ignore_exclude_lb,
        source: None,
        alone: args.files.is_some(),
    };
    let source = match args.files {
        Some(dir) => Source::Files(dir),
        None => Source::Cluster(args.kubeconfig),
    };
    match runtime::run(settings, source, level) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// What this machine calls itself.
fn host_name() -> Option<String> {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}
