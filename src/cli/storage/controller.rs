//! `loods storage controller`: volumes for claims.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args as ClapArgs;

use super::{block_on, key};
use crate::cli::{USAGE, listen_address};
use crate::k8s;
use crate::runtime::{log, signals};
use crate::storage::class::{USER, judge_url};
use crate::storage::controller::{self, Csi, PROVISIONERS, Settings};
use crate::storage::heketi::client::{Credentials, Heketi, Limits, Trust};

/// Make a volume for every claim of a served StorageClass; run two, one is active.
#[derive(Debug, ClapArgs)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// Serve StorageClasses of this provisioner; may be repeated
    #[arg(long, value_name = "NAME", default_values = PROVISIONERS)]
    provisioner: Vec<Box<str>>,
    /// The manager (or Heketi) of classes of gluster.loods.io that name no resturl
    #[arg(long, value_name = "URL", value_parser = url)]
    manager: Option<Box<str>>,
    /// PEM file of the authorities that may sign the certificate of an https resturl;
    /// without it, the host's
    #[arg(long, value_name = "FILE")]
    heketi_ca: Option<PathBuf>,
    /// Namespace of the Lease
    #[arg(
        long,
        env = "LOODS_NAMESPACE",
        value_name = "NAME",
        default_value = "loods-storage"
    )]
    namespace: Box<str>,
    /// What this process calls itself in the Lease and in Events
    #[arg(
        long,
        env = "LOODS_POD_NAME",
        value_name = "NAME",
        default_value = "loods-storage"
    )]
    pod_name: Box<str>,
    /// How many steps may be on their way at one time; a Heketi takes 8
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u8).range(1..=64))]
    in_flight: u8,
    /// Look at the health of all volumes so often, and tell of a change in an Event of the
    /// claim; 0: never. Only the manager of Loods tells of health, an old Heketi does not
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u32).range(..=86400))]
    health_every: u32,
    /// Where to serve /metrics, /healthz and /readyz
    #[arg(long, value_name = "[ADDRESS]:PORT", value_parser = listen_address, default_value = ":7474")]
    listen: SocketAddr,
    /// Also serve the CSI Controller service at this unix socket, for sidecars or tools of your
    /// own; its volumes are those of --manager
    #[arg(long, value_name = "PATH", requires = "manager")]
    csi_socket: Option<PathBuf>,
    /// File with the admin key of --manager, for --csi-socket; without it, no token is sent
    #[arg(long, value_name = "FILE", requires = "csi_socket")]
    csi_key_file: Option<PathBuf>,
    /// Kubeconfig file; without it, the service account of the pod
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// error, warn, info, debug or trace, or a filter such as info,loods::storage=debug
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    log_level: String,
    /// How log lines look
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "text")]
    log_format: log::Format,
}

const AFTER_HELP: &str = "\
SIGTERM ends it within two seconds; what is on its way then, the next one finishes.
kubectl describe pvc tells what became of a claim, and why.

Claims need no CSI Controller: --csi-socket is for those who make volumes without claims (Nomad, a
sidecar of another cluster). It answers in every replica, leader or not, and one socket serves one
manager. Do not point csi-provisioner at it for the classes that are served here.";

fn url(text: &str) -> Result<Box<str>, String> {
    judge_url(text).map_err(|trouble| format!("{trouble}; write for example http://manager:8080"))
}

/// What --csi-socket asks for.
fn csi(args: &Args, trust: &Trust) -> Result<Option<Csi>, String> {
    let (Some(socket), Some(manager)) = (&args.csi_socket, &args.manager) else {
        return Ok(None);
    };
    let credentials = match &args.csi_key_file {
        None => None,
        Some(path) => Some(
            key::read(path)
                .and_then(|key| Credentials::new(USER, &key).map_err(|error| error.to_string()))
                .map_err(|error| format!("--csi-key-file {}: {error}", path.display()))?,
        ),
    };
    let heketi = Heketi::new(manager, credentials, trust, Limits::default());
    Ok(Some(Csi {
        socket: socket.clone(),
        heketi: heketi.map_err(|error| format!("--manager: {error}"))?,
    }))
}

/// Runs until told to stop.
pub fn run(args: Args) -> ExitCode {
    if let Err(error) = log::start(&args.log_level, args.log_format) {
        eprintln!("error: --log-level {error}");
        return ExitCode::from(USAGE);
    }
    // Fails only where a provider is there already, which serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let trust = match args
        .heketi_ca
        .as_deref()
        .map_or(Ok(Trust::Host), Trust::file)
    {
        Ok(trust) => trust,
        Err(error) => {
            eprintln!("error: --heketi-ca: {error}");
            return ExitCode::from(USAGE);
        }
    };
    let csi = match csi(&args, &trust) {
        Ok(csi) => csi,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::from(USAGE);
        }
    };
    let settings = Settings {
        namespace: args.namespace,
        instance: args.pod_name,
        provisioners: args.provisioner,
        manager: args.manager,
        trust,
        in_flight: args.in_flight.into(),
        health: (args.health_every > 0).then(|| Duration::from_secs(args.health_every.into())),
        listen: args.listen,
        csi,
    };
    block_on(async {
        let stop = signals::stop_on_signal();
        let client = k8s::connect(args.kubeconfig.as_deref(), "storage-controller")
            .await
            .map_err(|error| error.to_string())?;
        controller::run(settings, client, stop)
            .await
            .map_err(|error| error.to_string())
    })
}
