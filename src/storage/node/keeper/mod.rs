//! The mount keeper: a small process that outlives the node plugin.
//!
//! A GlusterFS mount is a process. Whoever starts it keeps it in his
//! container, and it ends with that: a driver that mounts by itself kills
//! every pod's volume when it is upgraded. So the keeper mounts, in a
//! DaemonSet of its own that is replaced only when its pods are deleted by
//! hand, and the node plugin asks it over a unix socket.
//!
//! ```text
//!   kubelet --CSI--> node --Question--> keeper --runs--> mount.glusterfs
//!                     |                   '-- glusterfs (FUSE), in the keeper's container
//!                     '-- bind mounts, unmounts, looks
//! ```
//!
//! It answers its own user alone (root: the socket's mode, and the peer's uid), mounts only
//! below the kubelet's directory, and checks each word itself.

pub mod client;
pub mod program;
pub mod protocol;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UnixStream;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::mountinfo::at;
use super::place::Places;
use super::source::Source;
use super::{mounts, system};
use crate::storage::csi::serve::Socket;
use program::{Failure, Program};
use protocol::{Answer, Kind, Question, VERSION};

/// Mounts that are made at one time; others wait.
const AT_ONCE: usize = 8;
/// How long a client may take to ask.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a keeper is made of.
#[derive(Debug)]
pub struct Keeper {
    /// What mounts.
    pub program: Program,
    /// Where mounts may be made.
    pub places: Places,
}

impl Keeper {
    /// Answers at `socket` until `stop`. What is being mounted then is left to
    /// its program, which ends by itself.
    pub async fn serve(self, socket: Socket, stop: CancellationToken) {
        let keeper = Arc::new(self);
        let permits = Arc::new(Semaphore::new(AT_ONCE));
        let owner = socket.owner();
        loop {
            let permit = stop.run_until_cancelled(Arc::clone(&permits).acquire_owned());
            let Some(Ok(permit)) = permit.await else {
                return;
            };
            let stream = match stop.run_until_cancelled(socket.accept()).await {
                None => return,
                Some(Ok(stream)) => stream,
                Some(Err(error)) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    let pause = tokio::time::sleep(Duration::from_secs(1));
                    let _ = stop.run_until_cancelled(pause).await;
                    continue;
                }
            };
            let keeper = Arc::clone(&keeper);
            tokio::spawn(async move {
                if let Err(error) = keeper.converse(stream, owner).await {
                    tracing::warn!(%error, "a conversation ended early");
                }
                drop(permit);
            });
        }
    }

    async fn converse(&self, mut stream: UnixStream, owner: u32) -> io::Result<()> {
        let asker = stream.peer_cred()?.uid();
        if asker != 0 && asker != owner {
            return Err(io::Error::other(format!(
                "user {asker} asked: only root and user {owner} may"
            )));
        }
        let question = tokio::time::timeout(PATIENCE, protocol::receive(&mut stream)).await;
        let answer = match question? {
            Ok(question) => self.answer(question).await,
            Err(error) if error.kind() == io::ErrorKind::InvalidData => failed(
                Kind::Invalid,
                format!("the question cannot be read: {error}"),
            ),
            Err(error) => return Err(error),
        };
        tokio::time::timeout(PATIENCE, protocol::send(&mut stream, &answer)).await?
    }

    /// Does what is asked.
    pub async fn answer(&self, question: Question) -> Answer {
        match question {
            Question::Hello {} => Answer::Keeper {
                version: VERSION,
                build: env!("CARGO_PKG_VERSION").into(),
            },
            Question::Mount {
                source,
                target,
                turn,
            } => match self.place(&target) {
                Ok(target) => self.mount(source, target, turn).await,
                Err(answer) => answer,
            },
            Question::Later => failed(
                Kind::Unsupported,
                format!(
                    "this keeper knows questions up to version {VERSION}: to have it replaced, drain the node and delete the pod of loods-storage-keeper on it"
                ),
            ),
        }
    }

    fn place(&self, target: &Path) -> Result<PathBuf, Answer> {
        let invalid = |error: &dyn std::fmt::Display| failed(Kind::Invalid, error.to_string());
        let text = target.to_string_lossy();
        let place = self.places.path(&text).map_err(|error| invalid(&error))?;
        self.places.plain(&place).map_err(|error| invalid(&error))?;
        Ok(place)
    }

    async fn mount(&self, source: Source, target: PathBuf, turn: usize) -> Answer {
        if let Err(refusal) = source.check() {
            return failed(Kind::Invalid, refusal.to_string());
        }
        match mounts::listed() {
            Ok(mounts) if at(&mounts, &target).is_some() => {
                return failed(
                    Kind::Invalid,
                    format!("{} is a mount already", target.display()),
                );
            }
            Ok(_) => {}
            Err(error) => return failed(Kind::Internal, format!("{}: {error}", mounts::LIST)),
        }
        let done = self.program.mount(&source, &target, turn).await;
        if let Err(failure) = done {
            // A program that was ended in the middle may have come far.
            if mounts::listed().is_ok_and(|mounts| at(&mounts, &target).is_some()) {
                let _ = system::unmount(&target, true);
            }
            let kind = match failure {
                Failure::Start { .. } => Kind::Internal,
                Failure::TimedOut { .. } => Kind::TimedOut,
                Failure::Failed { .. } => Kind::Refused,
            };
            tracing::warn!(target = %target.display(), "{failure}");
            return failed(kind, failure.to_string());
        }
        if !mounts::listed().is_ok_and(|mounts| at(&mounts, &target).is_some()) {
            return failed(
                Kind::Internal,
                format!(
                    "{} ended well, and yet nothing is mounted at {}: do keeper and program see the same {} (mountPropagation: Bidirectional)?",
                    self.program.path.display(),
                    target.display(),
                    target.display()
                ),
            );
        }
        tracing::info!(volume = source.volume, target = %target.display(), "mounted");
        Answer::Done {}
    }
}

fn failed(kind: Kind, message: String) -> Answer {
    Answer::Failed { kind, message }
}

#[cfg(test)]
mod tests;
