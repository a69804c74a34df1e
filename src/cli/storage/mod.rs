//! `loods storage`: the parts of shared storage, one subcommand each.

mod adopt;
mod agent;
mod certificates;
mod controller;
mod demo;
mod doctor;
mod keeper;
mod key;
mod manager;
mod migrate;
mod node;

use std::process::ExitCode;

use clap::{Args as ClapArgs, Subcommand};

/// Where the mount keeper listens.
const KEEPER: &str = "/var/lib/kubelet/plugins/gluster.loods.io/keeper.sock";
/// The kubelet's directory.
const KUBELET: &str = "/var/lib/kubelet";

/// Shared storage: GlusterFS volumes for claims.
#[derive(Debug, ClapArgs)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// See it work in half a minute, without a cluster: three storage hosts on this machine (root).
    Demo(demo::Args),
    /// Make a volume for every claim of a served StorageClass; run two, one is active.
    Controller(Box<controller::Args>),
    /// Say in words why a PersistentVolumeClaim is Pending.
    Doctor(doctor::Args),
    /// Turn PersistentVolumes of the removed GlusterFS plugin into CSI ones, in place.
    Migrate(migrate::Args),
    /// Take volumes that a lost Heketi made, or people, under the manager's management.
    Adopt(adopt::Args),
    /// Mount volumes for the pods of one node: a CSI plugin that registers itself with the kubelet.
    Node(node::Args),
    /// Run on a storage host, as root: makes bricks and calls gluster, for the manager alone.
    Agent(agent::Args),
    /// Make the certificates of the manager and of each storage host's agent.
    Certificates(certificates::Args),
    /// Make volumes on storage hosts, behind Heketi's REST API; needs an agent on each host.
    Manager(manager::Args),
    /// Hold the FUSE processes of a node's volumes, so that an upgrade of the node plugin ends none.
    Keeper(keeper::Args),
}

/// Runs the part that was asked for.
pub fn run(args: Args) -> ExitCode {
    match args.command {
        Command::Demo(args) => demo::run(args),
        Command::Controller(args) => controller::run(*args),
        Command::Agent(args) => agent::run(args),
        Command::Certificates(args) => certificates::run(&args),
        Command::Manager(args) => manager::run(args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Migrate(args) => migrate::run(args),
        Command::Adopt(args) => adopt::run(&args),
        Command::Node(args) => node::run(args),
        Command::Keeper(args) => keeper::run(args),
    }
}

/// Runs one part to its end. Its error is told in the log, which has begun.
fn block_on<E: std::fmt::Display>(work: impl Future<Output = Result<(), E>>) -> ExitCode {
    let done = on_one_thread(async { work.await.map_err(|error| error.to_string()) });
    match done.unwrap_or_else(Err) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs something to its end on this thread.
fn on_one_thread<T>(work: impl Future<Output = T>) -> Result<T, String> {
    // Fails only where a provider is there already, which serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("cannot start: {error}"))?;
    let done = runtime.block_on(work);
    // A thread may wait for a file system that does not answer: it is left behind.
    runtime.shutdown_background();
    Ok(done)
}
