//! `loods storage manager`: volumes behind Heketi's REST API.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args as ClapArgs;

use super::key;
use crate::cli::{USAGE, listen_address};
use crate::runtime::{log, signals};
use crate::storage::agent::client::Client;
use crate::storage::heketi::token::{Key, Keys};
use crate::storage::manager::{self, Settings};

/// Make volumes on storage hosts, behind Heketi's REST API; needs an agent on each host.
///
/// A StorageClass names it by `resturl`, as it would name a Heketi. Heketi's
/// own clients work too. It keeps nothing by itself: records lie with the
/// volumes, in glusterd, and beside the bricks.
#[derive(Debug, ClapArgs)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// Where Heketi's REST API is served
    #[arg(long, value_name = "[ADDRESS]:PORT", default_value = ":8080", value_parser = listen_address)]
    listen: SocketAddr,
    /// Agents to ask at the start, with commas between them
    #[arg(
        long,
        value_name = "HOST[:PORT]",
        value_delimiter = ',',
        required = true
    )]
    agents: Vec<Box<str>>,
    /// ca.pem, cert.pem and key.pem, as `loods storage certificates` makes them for the manager
    #[arg(long, value_name = "DIR")]
    tls: PathBuf,
    /// The key of user `admin`: what a StorageClass's Secret holds
    #[arg(long, value_name = "FILE", required_unless_present = "no_auth")]
    key_file: Option<PathBuf>,
    /// Serve everybody who can reach the port
    #[arg(long, conflicts_with = "key_file")]
    no_auth: bool,
    /// Addresses that may mount volumes besides the storage hosts: the cluster's nodes
    #[arg(long, value_name = "ADDRESS", value_delimiter = ',')]
    allow: Vec<Box<str>>,
    /// A Heketi topology file to load; directories as devices
    #[arg(long, value_name = "FILE")]
    topology: Option<PathBuf>,
    /// Where to serve /metrics, /healthz and /readyz, without a key
    #[arg(long, value_name = "[ADDRESS]:PORT", value_parser = listen_address)]
    metrics: Option<SocketAddr>,
    /// error, warn, info, debug or trace
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    log_level: String,
    /// How log lines look
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "text")]
    log_format: log::Format,
}

const AFTER_HELP: &str = "\
Example:
  loods storage certificates --out tls gfs1 gfs2 gfs3
  loods storage manager --agents gfs1,gfs2,gfs3 --tls tls/manager --key-file key --topology topology.json";

/// Runs until told to stop.
pub fn run(args: Args) -> ExitCode {
    if let Err(error) = log::start(&args.log_level, args.log_format) {
        eprintln!("error: --log-level {error}");
        return ExitCode::from(USAGE);
    }
    let keys = match args.key_file.as_deref().map(read_key).transpose() {
        Ok(keys) => keys,
        Err(why) => {
            eprintln!("error: {why}");
            return ExitCode::from(USAGE);
        }
    };
    let agents = match Client::new(&args.tls) {
        Ok(agents) => agents,
        Err(error) => {
            eprintln!("error: --tls: {error}");
            return ExitCode::from(USAGE);
        }
    };
    let settings = Settings {
        listen: args.listen,
        agents: args.agents,
        keys,
        allow: args.allow,
        topology: args.topology,
        metrics: args.metrics,
    };
    super::block_on(async {
        let stop = signals::stop_on_signal();
        manager::run(settings, Arc::new(agents), stop).await
    })
}

/// Who may ask with the key in this file.
fn read_key(path: &Path) -> Result<Keys, String> {
    let of_file = |error: String| format!("--key-file {}: {error}", path.display());
    let key = key::read(path).map_err(of_file)?;
    let admin = Key::new(&key).map_err(|error| of_file(error.to_string()))?;
    Ok(Keys { admin, user: None })
}
