//! How a node asks its keeper.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::net::UnixStream;

use super::protocol::{self, Answer, Kind, Question};

/// How long an answer may take: longer than the keeper gives its program, twice.
const PATIENCE: Duration = Duration::from_secs(200);

/// Where the keeper is.
#[derive(Clone, Debug)]
pub struct KeeperClient {
    socket: PathBuf,
}

/// Why the keeper did not do it.
#[derive(Debug, thiserror::Error)]
pub enum KeeperError {
    /// Nobody answers.
    #[error(
        "the mount keeper at {} does not answer: {source}; is the pod of DaemonSet loods-storage-keeper running on this node?",
        socket.display()
    )]
    Unreachable {
        /// Where it was looked for.
        socket: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// It answered with a failure.
    #[error("{message}")]
    Failed {
        /// What kind.
        kind: Kind,
        /// In its own words.
        message: String,
    },
}

impl KeeperClient {
    /// A client of the keeper at `socket`.
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        Self {
            socket: socket.into(),
        }
    }

    /// Asks one question. A failure that the keeper tells is an error here.
    pub async fn ask(&self, question: &Question) -> Result<Answer, KeeperError> {
        let asked = tokio::time::timeout(PATIENCE, ask(&self.socket, question)).await;
        match asked.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
            Ok(Answer::Failed { kind, message }) => Err(KeeperError::Failed { kind, message }),
            Ok(answer) => Ok(answer),
            Err(source) => Err(KeeperError::Unreachable {
                socket: self.socket.clone(),
                source,
            }),
        }
    }
}

async fn ask(socket: &Path, question: &Question) -> io::Result<Answer> {
    let mut stream = UnixStream::connect(socket).await?;
    protocol::send(&mut stream, question).await?;
    protocol::receive(&mut stream).await
}
