//! `loods storage adopt`: volumes of a lost Heketi come under management.

use std::fmt::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args as ClapArgs;

use super::{key, on_one_thread};
use crate::cli::USAGE;
use crate::k8s::connect;
use crate::k8s::volumes::Calls;
use crate::page::columns;
use crate::storage::adopt::{Row, hints, is_of_gluster, wish};
use crate::storage::class::quantity;
use crate::storage::controller::{claims, volumes};
use crate::storage::heketi::client::{Credentials, Heketi, Limits, Trust};
use crate::storage::heketi::loods::{Adopt, HealthState};

/// Take volumes that a lost Heketi made, or people, under the manager's management.
///
/// glusterd still has them; PersistentVolumes tell the ids, sizes and groups
/// that Heketi knew. Without --apply nothing is changed, and what would be is
/// shown. Files and bricks stay where they are.
#[derive(Debug, ClapArgs)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// Names in Gluster; without one, all volumes that the manager's hosts have and that are not its own
    #[arg(value_name = "VOLUME")]
    names: Vec<String>,
    /// The manager, http://HOST:PORT or https://…
    #[arg(long, value_name = "URL")]
    manager: String,
    /// File with its admin key; without it, no token is sent
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// Certificates that a manager with https may be signed by, in PEM; else those of this host
    #[arg(long, value_name = "FILE")]
    heketi_ca: Option<PathBuf>,
    /// Do it
    #[arg(long)]
    apply: bool,
    /// Then also put the manager's own bricks in the place of old ones, one by one, each when all of
    /// its volume is healed; a run that was cut short goes on
    #[arg(long, requires = "apply")]
    replace_bricks: bool,
    /// The id that clients know the one VOLUME by
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// Size of the one VOLUME, such as 10Gi
    #[arg(long, value_name = "SIZE")]
    size: Option<String>,
    /// Group that the files of the one VOLUME have
    #[arg(long, value_name = "NUMBER")]
    gid: Option<u32>,
    /// One JSON array, for scripts
    #[arg(long)]
    json: bool,
    /// How to reach the API server; else $KUBECONFIG, ~/.kube/config or the service account
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Look at no PersistentVolumes: sizes come from the bricks' file systems then
    #[arg(long, conflicts_with = "kubeconfig")]
    without_kubernetes: bool,
}

const AFTER_HELP: &str = "\
First: run loods storage agent on each storage host, and give the hosts to the manager under the names
that their bricks have (a Heketi topology file does both; see docs/storage.md).
An adopted volume is shown, mounted, watched and deleted as any other. Its old bricks can be replaced by
the manager's own, one by one; before that it does not grow, and has no snapshots.
Only the manager's --allow and its hosts may mount it afterwards.
Exit codes: 0 = done, or nothing hinders it; 1 = something is refused; 2 = wrong command line, or
the manager or the API server does not answer";

/// glusterd answers before the process of a new brick serves: on a busy host it
/// may come so much later.
const STARTS: Duration = Duration::from_secs(30);

/// A brick that was replaced may be healed for so long.
const HEALED: Duration = Duration::from_secs(24 * 3600);
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// Looks, does, prints.
pub fn run(args: &Args) -> ExitCode {
    let rows = said(args).and_then(|said| on_one_thread(rows(args, &said)).unwrap_or_else(Err));
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
            let refused = rows.iter().any(|row| !row.stranger.refused.is_empty());
            ExitCode::from(u8::from(refused))
        }
    }
}

/// What the command line tells of the volume.
fn said(args: &Args) -> Result<Adopt, String> {
    let size = match &args.size {
        None => None,
        Some(text) => {
            let gib = quantity::bytes(text).map(quantity::gib);
            let gib = gib.and_then(|gib| i64::try_from(gib).ok());
            Some(gib.ok_or_else(|| format!("--size {text:?} is no size; write for example 10Gi"))?)
        }
    };
    let said = Adopt {
        volume: String::new(),
        id: args.id.clone(),
        size,
        gid: args.gid.map(Into::into),
    };
    if said != Adopt::default() && args.names.len() != 1 {
        return Err("--id, --size and --gid are of one volume: name it".into());
    }
    Ok(said)
}

async fn rows(args: &Args, said: &Adopt) -> Result<Vec<Row>, String> {
    let heketi = manager(args)?;
    let known = match args.without_kubernetes {
        true => Vec::new(),
        false => persistent_volumes(args).await?,
    };
    let hints = hints(&known);
    let strangers = heketi.strangers().await;
    let strangers = strangers.map_err(|error| error.to_string())?;
    let managed = heketi.volumes().await;
    let managed = managed.map_err(|error| error.to_string())?;
    let mut rows = Vec::new();
    for name in &args.names {
        if strangers.iter().any(|stranger| stranger.name == *name) {
            continue;
        }
        // Asked for once more, it is done.
        rows.push(match managed.iter().find(|volume| volume.name == *name) {
            Some(volume) => Row::adopted_before(volume),
            None => Row::refused(
                name,
                "no host of the manager has a volume of this name".into(),
            ),
        });
    }
    for mut stranger in strangers {
        if !args.names.is_empty() && !args.names.contains(&stranger.name) {
            continue;
        }
        let hint = hints.get(&*stranger.name);
        let wish = wish(&stranger.name, said, hint);
        // Judged once more with all that is known.
        let told = heketi.stranger(&wish).await;
        if let Some(told) = told.map_err(|error| error.to_string())? {
            stranger = told;
        }
        let mut row = Row {
            stranger,
            persistent_volume: hint.map_or("".into(), |hint| hint.persistent_volume.clone()),
            ..Row::default()
        };
        if args.apply && row.stranger.refused.is_empty() {
            match heketi.adopt(&wish).await {
                Ok(_) => row.adopted = true,
                Err(error) => row.stranger.refused = error.to_string(),
            }
        }
        rows.push(row);
    }
    if args.replace_bricks {
        replace_bricks(&heketi, &args.names, &mut rows).await?;
    }
    Ok(rows)
}

/// In all volumes of the manager's, or in those that are named.
async fn replace_bricks(
    heketi: &Heketi,
    names: &[String],
    rows: &mut Vec<Row>,
) -> Result<(), String> {
    let volumes = heketi.volumes().await.map_err(|error| error.to_string())?;
    for volume in volumes {
        if !names.is_empty() && !names.contains(&volume.name) {
            continue;
        }
        let old = volume.bricks.iter().filter(|brick| brick.device.is_empty());
        let old: Vec<&str> = old.map(|brick| &*brick.id).collect();
        if old.is_empty() {
            continue;
        }
        if !rows
            .iter()
            .any(|row| row.stranger.name == volume.name && row.adopted)
        {
            rows.push(Row::adopted_before(&volume));
        }
        let row = rows
            .iter_mut()
            .find(|row| row.stranger.name == volume.name && row.adopted);
        let row = row.ok_or("there is no row for it")?;
        for brick in old {
            let starts = if row.replaced > 0 {
                STARTS
            } else {
                Duration::ZERO
            };
            let done = replace(heketi, &volume.id, brick, starts).await;
            match done {
                Ok(()) => row.replaced += 1,
                Err(why) => {
                    row.stranger.refused = why;
                    break;
                }
            }
        }
    }
    Ok(())
}

/// One brick, when its volume is healed. A brick that was put in just before
/// `starts` to serve in that time.
async fn replace(
    heketi: &Heketi,
    volume: &str,
    brick: &str,
    starts: Duration,
) -> Result<(), String> {
    let start = Instant::now();
    loop {
        let health = heketi.health(volume).await;
        let health = health.map_err(|error| error.to_string())?;
        let health = health.ok_or("the volume is gone")?;
        if health.state == HealthState::Healthy {
            break;
        }
        // A brick that does not serve, or a split-brain, is not mended by waiting.
        let waited = start.elapsed();
        let mut bricks = health.bricks.iter();
        let waits = bricks.all(|brick| (brick.online || waited < starts) && brick.split_brain == 0);
        if !waits || waited > HEALED {
            return Err(format!(
                "brick {brick} is not replaced: {}; run this again when that is mended",
                health.reason
            ));
        }
        eprintln!("volume {volume}: {}", health.reason);
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    let replaced = heketi.replace_brick(volume, brick).await;
    replaced.map(drop).map_err(|error| error.to_string())
}

fn manager(args: &Args) -> Result<Heketi, String> {
    let key = args.key_file.as_deref().map(|file| {
        let key = key::read(file).map_err(|why| format!("--key-file {}: {why}", file.display()))?;
        Credentials::new("admin", &key).map_err(|error| format!("--key-file: {error}"))
    });
    let trust = args.heketi_ca.as_deref().map(Trust::file).transpose();
    let trust = trust
        .map_err(|error| error.to_string())?
        .unwrap_or_default();
    Heketi::new(&args.manager, key.transpose()?, &trust, Limits::default())
        .map_err(|error| format!("--manager: {error}"))
}

async fn persistent_volumes(args: &Args) -> Result<Vec<serde_json::Value>, String> {
    let words = |error: &dyn std::fmt::Display| {
        format!("{error}; --without-kubernetes looks at no PersistentVolumes")
    };
    let client = connect(args.kubeconfig.as_deref(), "adopt").await;
    let calls = Calls {
        client: client.map_err(|error| words(&error))?,
        claims: claims(),
        volumes: volumes(),
    };
    let found = calls.volumes_where(is_of_gluster).await;
    found.map_err(|error| words(&error))
}

fn table(rows: &[Row], apply: bool) -> String {
    if rows.is_empty() {
        return "all volumes of the manager's hosts are its own\n".into();
    }
    let head = [
        "VOLUME",
        "ID",
        "SIZE",
        "GID",
        "BRICKS",
        "PERSISTENTVOLUME",
        "STATE",
    ];
    let mut cells = vec![head.map(String::from)];
    let dash = |text: String| if text.is_empty() { "-".into() } else { text };
    cells.extend(rows.iter().map(|row| {
        let stranger = &row.stranger;
        let told = stranger.refused.is_empty();
        [
            stranger.name.clone(),
            stranger.id.clone(),
            if told {
                format!("{}Gi", stranger.size)
            } else {
                String::new()
            },
            if stranger.gid > 0 {
                stranger.gid.to_string()
            } else {
                String::new()
            },
            hosts(&stranger.bricks),
            row.persistent_volume.to_string(),
            match (row.adopted, told) {
                (true, _) if row.replaced > 0 => {
                    format!("adopted, {} bricks replaced", row.replaced)
                }
                (true, _) => "adopted".into(),
                (_, true) => "can be adopted".into(),
                (_, false) => "refused".into(),
            },
        ]
        .map(dash)
    }));
    let mut text = columns(&cells, 2);
    for row in rows {
        let (name, why) = (&row.stranger.name, &row.stranger.refused);
        if !why.is_empty() {
            let _ = writeln!(text, "{name}: refused: {why}");
        } else if !apply {
            let (now, then) = (&row.stranger.allowed, &row.stranger.allow);
            let _ = writeln!(text, "{name}: may be mounted by {now} now, by {then} then");
        }
    }
    if !apply && rows.iter().any(|row| row.stranger.refused.is_empty()) {
        text.push_str("nothing was changed; --apply does it\n");
    }
    text
}

/// The hosts of bricks, each once.
fn hosts(bricks: &[String]) -> String {
    let mut hosts: Vec<&str> = Vec::new();
    for brick in bricks {
        let host = brick.split_once(":/").map_or(&**brick, |(host, _)| host);
        if !hosts.contains(&host) {
            hosts.push(host);
        }
    }
    hosts.join(",")
}
