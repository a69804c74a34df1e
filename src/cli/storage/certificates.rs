//! `loods storage certificates`: who may talk to whom.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args as ClapArgs;

use crate::storage::agent::certificates;

/// Make the certificates of the manager and of each storage host's agent.
///
/// Makes an authority of their own, a pair for the manager, and a pair for each
/// host. Run again with more hosts, it makes what is missing; nothing is ever
/// overwritten.
#[derive(Debug, ClapArgs)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// Where to; keep it: ca-key.pem signs for hosts that come later
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Storage hosts, by the name or address under which the manager dials their agents
    #[arg(value_name = "HOST", required = true)]
    hosts: Vec<String>,
}

const AFTER_HELP: &str = "\
Example:
  loods storage certificates --out pki gfs1 gfs2 gfs3
  scp -r pki/gfs1 gfs1:/etc/loods/tls     # loods storage agent --tls /etc/loods/tls
                                          # loods storage manager --tls pki/manager";

/// Makes them.
pub fn run(args: &Args) -> ExitCode {
    let year = jiff::Timestamp::now()
        .to_zoned(jiff::tz::TimeZone::UTC)
        .year();
    match certificates::make(&args.out, &args.hosts, year.into()) {
        Ok(made) => {
            for place in made.made {
                println!("made {}", place.display());
            }
            for place in made.kept {
                println!("kept {}", place.display());
            }
            ExitCode::SUCCESS
        }
        Err(refused) => {
            eprintln!("error: {refused}");
            ExitCode::FAILURE
        }
    }
}
