//! `loods storage keeper`: mounts that outlive the node plugin.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args as ClapArgs;

use crate::cli::USAGE;
use crate::runtime::{log, signals};
use crate::storage::csi::serve::{Socket, SocketError};
use crate::storage::node::keeper::Keeper;
use crate::storage::node::keeper::program::Program;
use crate::storage::node::place::Places;

/// Hold the FUSE processes of a node's volumes, so that an upgrade of the node plugin ends none.
#[derive(Debug, ClapArgs)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// The socket that the node plugin calls
    #[arg(long, value_name = "PATH", default_value = super::KEEPER)]
    socket: PathBuf,
    /// The kubelet's directory; mounts are made below it alone
    #[arg(long, value_name = "DIR", default_value = super::KUBELET)]
    kubelet_dir: PathBuf,
    /// The program that mounts
    #[arg(long, value_name = "PROGRAM", default_value = "mount.glusterfs")]
    mount_program: PathBuf,
    /// Run the program of the host, not of this image: in the mount namespace of
    /// process 1 (the pod needs hostPID)
    #[arg(long)]
    host: bool,
    /// Where the log of each volume's process goes, as the program sees it
    #[arg(
        long,
        value_name = "DIR",
        default_value = "/var/lib/kubelet/plugins/gluster.loods.io/log"
    )]
    log_dir: PathBuf,
    /// error, warn, info, debug or trace
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    log_level: String,
    /// How log lines look
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "text")]
    log_format: log::Format,
}

const AFTER_HELP: &str = "\
When it ends, the volumes of this node's pods end with it: run it in a DaemonSet with the
update strategy OnDelete, and replace it on a drained node.";

/// Runs until told to stop.
pub fn run(args: Args) -> ExitCode {
    if let Err(error) = log::start(&args.log_level, args.log_format) {
        eprintln!("error: --log-level {error}");
        return ExitCode::from(USAGE);
    }
    let keeper = Keeper {
        program: Program {
            path: args.mount_program,
            namespace: args.host.then(|| "/proc/1/ns/mnt".into()),
            logs: args.log_dir,
        },
        places: Places::below(args.kubelet_dir),
    };
    super::block_on(async move {
        let stop = signals::stop_on_signal();
        let socket = Socket::bind(&args.socket)?;
        tracing::info!(socket = %socket.path().display(), program = %keeper.program.path.display(), host = args.host, "keeping mounts");
        keeper.serve(socket, stop).await;
        Ok::<(), SocketError>(())
    })
}
