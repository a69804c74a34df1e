//! `loods storage migrate`: PVs of the removed plugin become CSI PVs.

use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args as ClapArgs;

use super::on_one_thread;
use crate::cli::USAGE;
use crate::k8s::connect;
use crate::k8s::volumes::Calls;
use crate::page::columns;
use crate::storage::controller::{claims, volumes};
use crate::storage::migrate::{Migration, Options, Row, Saves};

/// Turn PersistentVolumes of the removed GlusterFS plugin into CSI ones, in place.
///
/// Claims stay, with their uid. Without --apply nothing is changed, and what
/// would be done is shown.
#[derive(Debug, ClapArgs)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// The PersistentVolumes; without one, all that have spec.glusterfs or were begun
    #[arg(value_name = "VOLUME")]
    names: Vec<Box<str>>,
    /// Do it
    #[arg(long)]
    apply: bool,
    /// Directory where each old PersistentVolume is written down before it is deleted; keep it
    /// until all is done: a run that was cut short is taken up from there
    #[arg(long, value_name = "DIR", default_value = "loods-migrate")]
    save: PathBuf,
    /// Storage hosts, for PersistentVolumes whose Endpoints are gone
    #[arg(long, value_name = "HOST", value_delimiter = ',')]
    hosts: Vec<Box<str>>,
    /// Also change what running pods use; they keep their old mount until they are restarted
    #[arg(long)]
    running_pods: bool,
    /// Do at most so many steps of each; the next run goes on
    #[arg(long, value_name = "N", default_value_t = usize::MAX, hide_default_value = true)]
    steps: usize,
    /// One JSON array, for scripts
    #[arg(long)]
    json: bool,
    /// How to reach the API server; else $KUBECONFIG, ~/.kube/config or the service account
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
}

const AFTER_HELP: &str = "\
Steps: save, retain, delete, release (its finalizers), create, bind (wait), policy.
Between delete and bind the claim shows Lost, with an Event that sounds worse than it is: the volume
is never touched. It runs with your rights; manifests/optional/storage-migrate.yaml has the least.
Exit codes: 0 = done, or nothing hinders it; 1 = something is refused; 2 = wrong command line, or
the API server does not answer";

/// Looks, does, prints.
pub fn run(args: Args) -> ExitCode {
    let rows = on_one_thread(rows(&args)).unwrap_or_else(Err);
    match rows {
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(USAGE)
        }
        Ok(rows) => {
            match args.json {
                true => println!("{:#}", serde_json::json!(rows)),
                false => print!("{}", table(&rows, args.apply)),
            }
            ExitCode::from(u8::from(rows.iter().any(|row| !row.refused.is_empty())))
        }
    }
}

async fn rows(args: &Args) -> Result<Vec<Row>, String> {
    let client = connect(args.kubeconfig.as_deref(), "migrate").await;
    let migration = Migration {
        calls: Calls {
            client: client.map_err(|error| error.to_string())?,
            claims: claims(),
            volumes: volumes(),
        },
        saves: Saves(args.save.clone()),
        options: Options {
            hosts: args.hosts.clone(),
            pods_may_run: args.running_pods,
            most: args.steps,
        },
    };
    let names = match args.names.is_empty() {
        true => migration.names().await?,
        false => args.names.clone(),
    };
    let mut rows = Vec::new();
    for name in names {
        rows.push(migration.migrate(&name, args.apply).await);
    }
    Ok(rows)
}

fn table(rows: &[Row], apply: bool) -> String {
    if rows.is_empty() {
        return "there is no PersistentVolume of the removed plugin\n".into();
    }
    let mut cells = vec![["VOLUME", "CLAIM", "GLUSTER", "HOSTS", "DONE", "LEFT"].map(String::from)];
    let dash = |text: String| if text.is_empty() { "-".into() } else { text };
    cells.extend(rows.iter().map(|row| {
        [
            row.volume.to_string(),
            row.claim.to_string(),
            row.gluster.to_string(),
            row.hosts.join(","),
            row.done.join(","),
            row.left.join(","),
        ]
        .map(dash)
    }));
    let mut text = columns(&cells, 2);
    for row in rows {
        if !row.refused.is_empty() {
            let _ = writeln!(text, "{}: refused: {}", row.volume, row.refused);
        } else if !row.pods.is_empty() {
            let _ = writeln!(
                text,
                "{}: restart these pods: {}",
                row.volume,
                row.pods.join(", ")
            );
        }
    }
    if !apply && rows.iter().any(|row| !row.left.is_empty()) {
        text.push_str("nothing was changed; --apply does it\n");
    }
    text
}
