//! `loods storage`: the parts of shared storage, one subcommand each.

mod doctor;

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
    /// Say in words why a PersistentVolumeClaim is Pending.
    Doctor(doctor::Args),
}

/// Runs the part that was asked for.
pub fn run(args: Args) -> ExitCode {
    match args.command {
        Command::Doctor(args) => doctor::run(&args),
    }
}
