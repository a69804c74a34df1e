//! `loods demo`: the article in fifteen seconds.

use std::process::ExitCode;

use clap::Args as ClapArgs;

use super::USAGE;
use crate::demo;
use crate::runtime::log;

/// See it work in fifteen seconds: three nodes and a router in one process, no root, no cluster.
///
/// Each step changes something (a Service, a pod, the configuration, a node)
/// and shows what `kubectl get svc` and the router have to say. The sessions are
/// real, on loopback: 127.0.0.101 to .103 to the router at 127.0.0.1.
#[derive(Debug, ClapArgs)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// Do not wait for a reader; end with the story, with exit code 0 only if every table was right
    #[arg(long)]
    once: bool,
    /// Port of the demo's router on 127.0.0.1
    #[arg(long, value_name = "PORT", default_value_t = 11790, value_parser = clap::value_parser!(u16).range(1..))]
    port: u16,
    /// Log of the daemons, to standard error: error, warn, info, debug or trace
    #[arg(long, value_name = "LEVEL", default_value = "off")]
    log_level: String,
}

const AFTER_HELP: &str = "\
Without --once everything stays up after the story, until Ctrl-C:
  curl -s 127.0.0.101:7473/state          what node1 announces, and why not more

Colours on a terminal, unless NO_COLOR is set.";

/// Tells the story.
pub fn run(args: &Args) -> ExitCode {
    let level = match log::start(&args.log_level, log::Format::Text) {
        Ok(level) => level,
        Err(error) => {
            eprintln!("error: --log-level {error}");
            return ExitCode::from(USAGE);
        }
    };
    let options = demo::Options {
        once: args.once,
        port: args.port,
    };
    match demo::run(options, level) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
