//! What the user typed, and which part of the library answers it.

mod announce;
mod check;
mod demo;

mod run;
#[cfg(feature = "storage")]
mod storage;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Exit code for a wrong command line, as clap uses it.
const USAGE: u8 = 2;

/// Load balancers for Kubernetes on your own network.
///
/// Loods gives every Service of type LoadBalancer an address from your pools,
/// and tells your routers over BGP which nodes serve it. It reads MetalLB's
/// ConfigMap and annotations as they are.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100, after_help = AFTER_HELP)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
Examples:
  loods demo                              see it work, without root and without a cluster
  loods check config.yaml                 read a ConfigMap as the daemon would; say what is wrong, and where
  loods run --kubeconfig ~/.kube/config --node-name n1
                                          both roles in one process, outside of a cluster
  curl -s 127.0.0.1:7473/state            what the daemon holds, and why something is not announced";

#[derive(Debug, Subcommand)]
enum Command {
    /// See it work in fifteen seconds: three nodes and a router in one process, no root, no cluster.
    Demo(demo::Args),
    /// Run the daemon: give out addresses, announce them, or both.
    Run(Box<run::Args>),
    /// Read configuration files as the daemon would, and say what is wrong in them.
    Check(check::Args),
    /// Shared storage: GlusterFS volumes for claims.
    #[cfg(feature = "storage")]
    Storage(storage::Args),
    /// Speak BGP without Kubernetes: announce the prefixes that come on standard input.
    #[command(hide = true)]
    Announce(announce::Args),
}

/// Runs the command that the user typed.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() {
                ExitCode::from(USAGE)
            } else {
                ExitCode::SUCCESS
            };
        }
    };
    match cli.command {
        Command::Demo(args) => demo::run(&args),
        Command::Run(args) => run::run(*args),
        Command::Check(args) => check::run(&args),
        #[cfg(feature = "storage")]
        Command::Storage(args) => storage::run(args),
        Command::Announce(args) => announce::run(args),
    }
}

/// An address to listen on: `ADDRESS:PORT`, or `:PORT` for all addresses.
fn listen_address(text: &str) -> Result<std::net::SocketAddr, String> {
    let whole = if text.starts_with(':') {
        format!("[::]{text}")
    } else {
        text.to_owned()
    };
    whole.parse().map_err(|_| {
        format!("'{text}' is neither ADDRESS:PORT nor :PORT, for example 127.0.0.1:7473 or :7472")
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_port_alone_means_all_addresses() {
        assert_eq!(
            listen_address(":7472"),
            Ok("[::]:7472".parse().expect("an address"))
        );
        assert!(
            listen_address("7472")
                .expect_err("no colon")
                .contains("'7472'")
        );
    }
}
