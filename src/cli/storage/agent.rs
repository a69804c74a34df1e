//! `loods storage agent`: bricks and `gluster` on one storage host.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args as ClapArgs;

use super::on_one_thread;
use crate::cli::{USAGE, listen_address};
use crate::runtime::{log, signals};
use crate::storage::agent::{Agent, Settings, server, tls};

/// Run on a storage host, as root: makes bricks and calls gluster, for the manager alone.
///
/// It mounts the bricks of this host before it listens. glusterd must start
/// after that: have its unit ordered after the agent's, or let the agent start
/// it with --start-glusterd.
#[derive(Debug, ClapArgs)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// Where the manager finds it
    #[arg(long, value_name = "[ADDRESS]:PORT", default_value = ":24100", value_parser = listen_address)]
    listen: SocketAddr,
    /// Its own directory: which node and which devices this host is to the manager
    #[arg(long, value_name = "DIR", default_value = "/var/lib/loods/agent")]
    state: PathBuf,
    /// ca.pem, cert.pem and key.pem; only a certificate of that authority for manager.loods.io is let in
    #[arg(long, value_name = "DIR", required_unless_present = "attach")]
    tls: Option<PathBuf>,
    /// Devices may lie below this directory; may be given several times
    #[arg(long, value_name = "DIR", default_value = "/srv")]
    allow: Vec<PathBuf>,
    /// Start glusterd when it does not run, once the bricks are mounted
    #[arg(long)]
    start_glusterd: bool,
    /// Mount the bricks of this host, and end: for a unit that glusterd's is ordered after
    #[arg(long)]
    attach: bool,
    /// error, warn, info, debug or trace
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    log_level: String,
    /// How log lines look
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "text")]
    log_format: log::Format,
}

const AFTER_HELP: &str = "\
With systemd, in the unit of the agent:
  [Unit]
  Before=glusterd.service
  RequiresMountsFor=/srv/gluster
  [Service]
  ExecStartPre=/usr/local/bin/loods storage agent --attach
  ExecStart=/usr/local/bin/loods storage agent --tls /etc/loods/tls

It needs glusterfs-server, xfsprogs, attr and util-linux on the host.";

/// Runs the agent.
pub fn run(args: Args) -> ExitCode {
    if let Err(error) = log::start(&args.log_level, args.log_format) {
        eprintln!("error: --log-level {error}");
        return ExitCode::from(USAGE);
    }
    let ended = on_one_thread(serve(args)).unwrap_or_else(Err);
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(args: Args) -> Result<(), String> {
    let stop = signals::stop_on_signal();
    let agent = Agent::open(Settings {
        state: args.state,
        allow: args.allow,
    });
    let agent = Arc::new(agent.map_err(|failure| failure.to_string())?);
    // Read before anything is done, so that a wrong option changes nothing.
    let config = args.tls.as_deref().map(tls::server).transpose();
    let config = config.map_err(|error| error.to_string())?;
    let late = agent.attach().await;
    tracing::info!(volumes = late.len(), "the bricks of this host are mounted");
    if args.attach {
        return Ok(());
    }
    let Some(config) = config else {
        return Err("--tls is missing".into());
    };
    let listener = server::bind(args.listen)
        .await
        .map_err(|error| error.to_string())?;
    if let Err(failure) = agent.settle(&late, args.start_glusterd).await {
        // What the manager asks then fails, with glusterd's own words.
        tracing::error!(%failure, "glusterd is not as it should be");
    }
    tracing::info!(address = %args.listen, "serving the manager");
    server::serve(listener, config, agent, stop).await;
    Ok(())
}
