//! `loods storage`: the parts of shared storage, one subcommand each.

mod agent;
mod certificates;

use std::process::ExitCode;

use clap::{Args as ClapArgs, Subcommand};

/// Shared storage: GlusterFS volumes for claims.
#[derive(Debug, ClapArgs)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run on a storage host, as root: makes bricks and calls gluster, for the manager alone.
    Agent(agent::Args),
    /// Make the certificates of the manager and of each storage host's agent.
    Certificates(certificates::Args),
}

/// Runs the part that was asked for.
pub fn run(args: Args) -> ExitCode {
    match args.command {
        Command::Agent(args) => agent::run(args),
        Command::Certificates(args) => certificates::run(&args),
    }
}
