//! How the figures in docs/performance.md are made: see there, and `bench/run`.
//!
//! One process starts a real control plane in network namespaces of its own,
//! runs Loods against it, and looks at both ends with one clock: at the API
//! server through a bare watch, and at the router, which is a part of this
//! process and time-stamps every prefix. So the floor and Loods are measured
//! in one run, event by event.

mod api;
mod figures;
mod fleet;
mod measures;
mod proc;
mod router;
mod support;
mod table;
mod world;

use std::fs::File;
use std::path::PathBuf;

use clap::Parser;
use nix::sched::{CloneFlags, setns};

use crate::figures::Report;
use crate::measures::Extent;
use crate::support::lab::Lab;
use crate::world::World;

/// Measures Loods against a real control plane; needs root. Start it by `bench/run`.
#[derive(Debug, Parser)]
struct Arguments {
    /// The program under measure
    #[arg(long, value_name = "FILE")]
    loods: PathBuf,
    /// Where every sample goes, one figure a line, in JSON
    #[arg(long, value_name = "FILE")]
    raw: PathBuf,
    /// Fewer flips and no 10,000 Services: some two minutes
    #[arg(long)]
    quick: bool,
    /// Only the table of 100,000 prefixes, which needs no control plane
    #[arg(long)]
    table: bool,
    /// Only what depends on the number of Services
    #[arg(long)]
    sizes: bool,
}

fn main() {
    let arguments = Arguments::parse();
    let extent = if arguments.quick {
        Extent {
            rounds: 1,
            sizes: vec![30, 1000],
            flips: 50,
            repeats: 5,
        }
    } else {
        Extent {
            rounds: 3,
            sizes: vec![30, 1000, 10_000],
            flips: 200,
            repeats: 20,
        }
    };
    rustls::crypto::ring::default_provider()
        .install_default()
        .expect("no other provider was installed");
    let loods = arguments
        .loods
        .canonicalize()
        .expect("--loods names a program");
    let mut report = Report::new(&arguments.raw);
    let lab = Lab::new();
    // Left before the laboratory goes, since that ends whatever lives in it.
    let _inside = Inside::enter(&lab);
    table::measure(
        &mut report,
        &loods,
        lab.dir(),
        if arguments.quick { 3 } else { 10 },
    );
    if !arguments.table {
        report.progress("starting the control plane");
        let mut world = World::start(&lab);
        if !arguments.sizes {
            measures::creation(&mut report, &world, &loods, &extent);
        }
        measures::sizes(&mut report, &mut world, &loods, &extent);
    }
    report.finish();
}

/// This process in the namespace where the control plane will be, so that
/// nothing stands between them. Threads that start later follow; the first
/// one leaves when this is dropped.
struct Inside {
    outside: File,
}

impl Inside {
    fn enter(lab: &Lab) -> Self {
        let outside = File::open("/proc/self/ns/net").expect("every process has a namespace");
        let tag = lab
            .dir()
            .file_name()
            .expect("a laboratory has a name")
            .to_string_lossy();
        let path = format!("/run/netns/{tag}-core");
        let inside = File::open(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        setns(inside, CloneFlags::CLONE_NEWNET).expect("root may enter a namespace");
        Self { outside }
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        if let Err(error) = setns(&self.outside, CloneFlags::CLONE_NEWNET) {
            eprintln!("cannot leave the laboratory: {error}");
        }
    }
}
