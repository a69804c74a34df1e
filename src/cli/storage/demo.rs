//! `loods storage demo`: the article's volume in half a minute.

use std::io::Read;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args as ClapArgs;
use tokio_util::sync::CancellationToken;

use super::on_one_thread;
use crate::runtime::signals;
use crate::storage::demo::{self, Error, Options};

/// See storage work in half a minute, without a cluster: three storage hosts on this machine.
///
/// Needs root and Debian's glusterfs-server, xfsprogs and attr. Each host is a
/// set of namespaces with a real glusterd; two more mount the volume. Nothing
/// outside of them is touched, and nothing stays behind, however the demo ends.
#[derive(Debug, ClapArgs)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// Do not wait for a reader; end with the story, with exit code 0 only if every step went well
    #[arg(long)]
    once: bool,
    /// Tell the story here: in namespaces that the demo has made
    #[arg(long, hide = true, value_name = "DIR")]
    stage: Option<PathBuf>,
}

const AFTER_HELP: &str = "\
Without --once the hosts stay up after the story, until Ctrl-C.

Colours on a terminal, unless NO_COLOR is set.";

/// Tells the story.
pub fn run(args: Args) -> ExitCode {
    let told = match on_one_thread(tell(args)) {
        Ok(told) => told,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    match told {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn tell(args: Args) -> Result<ExitCode, Error> {
    let Args { once, stage } = args;
    let stop = signals::stop_on_signal();
    match stage {
        Some(dir) => {
            end_with_input(stop.clone());
            demo::tell(Options { once }, &dir, stop).await?;
            Ok(ExitCode::SUCCESS)
        }
        None => match demo::run(once, stop).await? {
            status if status.success() => Ok(ExitCode::SUCCESS),
            // The one inside has said why.
            _ => Ok(ExitCode::FAILURE),
        },
    }
}

/// Whoever started us holds the other end, and lets it go when it ends.
fn end_with_input(stop: CancellationToken) {
    std::thread::spawn(move || {
        let mut input = std::io::stdin().lock();
        // Nothing comes but the end.
        while input.read(&mut [0; 64]).is_ok_and(|read| read > 0) {}
        stop.cancel();
    });
}
