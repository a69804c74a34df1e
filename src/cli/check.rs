//! `loods check`: the daemon's own reading of a configuration, without a daemon.

use std::io::Read;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args as ClapArgs, ValueEnum};

use super::USAGE;
use crate::config::{check, manifest};

/// The largest file that is read, in octets; a ConfigMap holds at most one mebibyte.
const LIMIT: u64 = 16 << 20;

/// Read configuration files as the daemon would, and say what is wrong in them.
///
/// A file is a ConfigMap manifest, several documents with ConfigMaps among them,
/// or the bare text. All errors of all files are shown at once.
#[derive(Debug, ClapArgs)]
#[command(
    after_help = "Exit codes: 0 = every file is good, 1 = one is not, 2 = wrong command line or unreadable file"
)]
pub struct Args {
    /// Files to read; - is standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Key of the ConfigMap that holds the configuration
    #[arg(long, value_name = "KEY", default_value = manifest::KEY)]
    key: String,
    /// How to print what was found
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "text")]
    output: Output,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For people, as a compiler would
    Text,
    /// One JSON object, for scripts
    Json,
}

/// Reads, judges, prints.
pub fn run(args: &Args) -> ExitCode {
    let mut files = Vec::new();
    for path in &args.files {
        let name = path.display().to_string();
        match read(path) {
            Ok(bytes) => files.push((name, bytes)),
            Err(error) => {
                eprintln!("error: cannot read {name}: {error}");
                return ExitCode::from(USAGE);
            }
        }
    }
    let checked = check::check(
        files
            .iter()
            .map(|(name, bytes)| (name.as_str(), bytes.as_slice())),
        &args.key,
    );
    match args.output {
        Output::Text => print!("{checked}"),
        Output::Json => match serde_json::to_string_pretty(&checked) {
            Ok(json) => println!("{json}"),
            Err(error) => eprintln!("error: {error}"),
        },
    }
    if checked.ok {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn read(path: &PathBuf) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if path.as_os_str() == "-" {
        std::io::stdin().take(LIMIT).read_to_end(&mut bytes)?;
    } else {
        std::fs::File::open(path)?
            .take(LIMIT)
            .read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}
