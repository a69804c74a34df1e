//! `loods announce`: the speaker without Kubernetes. Tests and the bench drive
//! it against real routers; a person can try a peering with it.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use clap::Args as ClapArgs;
use tokio::io::{AsyncBufReadExt, BufReader, Stdin};
use tokio_util::sync::CancellationToken;

use super::{USAGE, listen_address};
use crate::admin::{self, Answer, Ask};
use crate::bgp::types::{Attributes, Community, Family, Origin, Prefix};
use crate::config::{self, Config};
use crate::observe::histogram::Histogram;
use crate::observe::views::Depth;
use crate::runtime::{log, signals};
use crate::speaker::Speakers;

/// Speak BGP without Kubernetes: announce the prefixes that come on standard input.
///
/// One command a line:
///   add PREFIX [origin=igp|incomplete] [localpref=N] [communities=A:B,...]
///   del PREFIX
///   fill COUNT FIRST-ADDRESS [attributes as for add]   COUNT host routes
///   clear COUNT FIRST-ADDRESS
///   go                                                 the table is complete: start to send
#[derive(Debug, ClapArgs)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Configuration text or ConfigMap manifest; only its peers are used
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Name of this node, for a router id where there is no IPv4 address
    #[arg(long, value_name = "NAME", default_value = "announce")]
    node_name: String,
    /// Where to serve /state
    #[arg(long, value_name = "[ADDRESS]:PORT", value_parser = listen_address)]
    state: Option<SocketAddr>,
    /// Hold UPDATEs back until the line `go`
    #[arg(long)]
    wait: bool,
    /// error, warn, info, debug or trace
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    log_level: String,
}

/// Runs until standard input ends or a signal comes.
pub fn run(args: Args) -> ExitCode {
    if let Err(error) = log::start(&args.log_level, log::Format::Text) {
        eprintln!("error: --log-level {error}");
        return ExitCode::from(USAGE);
    }
    let config = match read_config(&args.config) {
        Ok(config) => config,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    match runtime {
        Ok(runtime) => {
            let code = runtime.block_on(announce(args, &config));
            // Standard input is read on a thread of its own that may never return.
            runtime.shutdown_background();
            code
        }
        Err(error) => {
            eprintln!("error: cannot start: {error}");
            ExitCode::FAILURE
        }
    }
}

fn read_config(path: &PathBuf) -> Result<Config, String> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("error: cannot read {name}: {error}"))?;
    config::parse(&text)
        .map(|parsed| parsed.config)
        .map_err(|errors| errors.render(&name))
}

async fn announce(args: Args, config: &Config) -> ExitCode {
    let stop = signals::stop_on_signal();
    let mut speakers = Speakers::new(
        args.node_name.as_str().into(),
        Arc::new(Histogram::default()),
    );
    speakers.set_peers(&config.peers, &std::collections::BTreeMap::new());
    if !args.wait {
        speakers.open();
    }
    let speakers = Arc::new(Mutex::new(speakers));
    if let Some(address) = args.state {
        tokio::spawn(admin::serve(
            "state",
            address,
            state_route(Arc::clone(&speakers)),
            stop.clone(),
        ));
    }
    obey(BufReader::new(tokio::io::stdin()), &speakers, &stop).await;
    let stopping = speakers
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .stop("announce ends");
    stopping.await;
    ExitCode::SUCCESS
}

fn state_route(speakers: Arc<Mutex<Speakers>>) -> admin::Route {
    Arc::new(move |ask: Ask| {
        let peers = speakers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .views(Depth::Whole);
        Box::pin(async move {
            match ask.path.as_str() {
                "/state" => Answer::json(&peers),
                _ => Answer::refuse(hyper::StatusCode::NOT_FOUND, "/state\n"),
            }
        })
    })
}

async fn obey(input: BufReader<Stdin>, speakers: &Mutex<Speakers>, stop: &CancellationToken) {
    let mut lines = input.lines();
    while let Some(Ok(Some(line))) = stop.run_until_cancelled(lines.next_line()).await {
        match command(&line) {
            Ok(Some(Order::Go)) => speakers
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .open(),
            Ok(Some(Order::Routes(routes))) => {
                speakers
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .update(&routes, Instant::now());
            }
            Ok(None) => {}
            Err(error) => eprintln!("error: {line:?}: {error}"),
        }
    }
}

enum Order {
    Go,
    Routes(Vec<(Prefix, Option<Arc<Attributes>>)>),
}

fn command(line: &str) -> Result<Option<Order>, String> {
    let mut words = line.split_whitespace();
    let verb = match words.next() {
        None => return Ok(None),
        Some("go") => return Ok(Some(Order::Go)),
        Some(verb) => verb,
    };
    let (count, first) = match verb {
        "add" | "del" => (1, words.next().ok_or("a prefix is missing")?),
        "fill" | "clear" => {
            let count: u32 = words
                .next()
                .and_then(|n| n.parse().ok())
                .ok_or("a count is missing")?;
            (count, words.next().ok_or("a first address is missing")?)
        }
        _ => return Err("write add, del, fill, clear or go".into()),
    };
    let first: Prefix = if first.contains('/') {
        first.parse().map_err(|_| format!("{first} is no prefix"))?
    } else {
        let address: IpAddr = first
            .parse()
            .map_err(|_| format!("{first} is no address"))?;
        address.into()
    };
    let attributes = match verb {
        "add" | "fill" => Some(Arc::new(attributes(words)?)),
        _ => None,
    };
    let routes = (0..count).filter_map(|n| Some((nth(&first, n)?, attributes.clone())));
    Ok(Some(Order::Routes(routes.collect())))
}

/// The n-th prefix of the same length, counted from `first`.
fn nth(first: &Prefix, n: u32) -> Option<Prefix> {
    let step = Family::of_prefix(first).bits() - first.prefix_len();
    let address = match first.network() {
        IpAddr::V4(v4) => {
            IpAddr::V4((u32::from(v4).checked_add(n.checked_shl(step.into())?)?).into())
        }
        IpAddr::V6(v6) => IpAddr::V6(
            (u128::from(v6).checked_add(u128::from(n).checked_shl(step.into())?)?).into(),
        ),
    };
    Prefix::new(address, first.prefix_len()).ok()
}

fn attributes<'a>(words: impl Iterator<Item = &'a str>) -> Result<Attributes, String> {
    let mut attributes = Attributes::default();
    for word in words {
        match word.split_once('=') {
            Some(("origin", "igp")) => attributes.origin = Origin::Igp,
            Some(("origin", "incomplete")) => attributes.origin = Origin::Incomplete,
            Some(("localpref", n)) => {
                attributes.local_pref = Some(n.parse().map_err(|_| format!("{n} is no number"))?)
            }
            Some(("communities", list)) => {
                for text in list.split(',') {
                    attributes
                        .communities
                        .insert(community(text).ok_or_else(|| format!("{text} is no community"))?);
                }
            }
            _ => {
                return Err(format!(
                    "{word} is no attribute: origin=, localpref= or communities="
                ));
            }
        }
    }
    Ok(attributes)
}

fn community(text: &str) -> Option<Community> {
    let (high, low) = text.split_once(':')?;
    let (high, low): (u16, u16) = (high.parse().ok()?, low.parse().ok()?);
    Some(Community(u32::from(high) << 16 | u32::from(low)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes(line: &str) -> Vec<(String, bool)> {
        match command(line) {
            Ok(Some(Order::Routes(routes))) => routes
                .iter()
                .map(|(p, a)| (p.to_string(), a.is_some()))
                .collect(),
            _ => Vec::new(),
        }
    }

    #[test]
    fn commands_become_routes() {
        assert_eq!(
            routes("add 1.2.3.0/24 localpref=5 communities=1:2,3:4"),
            [("1.2.3.0/24".into(), true)]
        );
        assert_eq!(routes("del 1.2.3.4"), [("1.2.3.4/32".into(), false)]);
        let filled = routes("fill 3 2001:db8::ffff");
        assert_eq!(
            filled.last().map(|(p, _)| p.as_str()),
            Some("2001:db8::1:1/128")
        );
        assert_eq!(
            routes("fill 2 255.255.255.255").len(),
            1,
            "there is no address after the last one"
        );
    }
}
