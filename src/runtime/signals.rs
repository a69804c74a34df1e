//! SIGTERM and SIGINT: the first asks to stop, the second ends the process at once.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// A token that is cancelled by the first SIGTERM or SIGINT. The second one
/// ends the process with exit code 1.
pub fn stop_on_signal() -> CancellationToken {
    let stop = CancellationToken::new();
    let token = stop.clone();
    tokio::spawn(async move {
        let (Ok(mut term), Ok(mut int)) = (
            signal(SignalKind::terminate()),
            signal(SignalKind::interrupt()),
        ) else {
            // Without handlers the signals still do what the kernel does by itself.
            tracing::warn!("cannot handle signals: a stop will be abrupt");
            return;
        };
        for first in [true, false] {
            tokio::select! {
                _ = term.recv() => {}
                _ = int.recv() => {}
            }
            if first {
                tracing::info!("stopping");
                token.cancel();
            } else {
                tracing::warn!("second signal: ending at once");
                std::process::exit(1);
            }
        }
    });
    stop
}
