//! One TCP connection of a session: what was read and is no whole message yet,
//! and what waits to be written.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::bgp::wire::{self, DecodeContext};

/// Octets read at a time.
const CHUNK: usize = 16 << 10;
/// How long a connection that is being closed may take for its last message.
const FAREWELL: Duration = Duration::from_secs(1);
/// What an idle connection keeps of a buffer that was needed once, in octets.
const IDLE_BUFFER: usize = 64 << 10;

/// See the head of this module.
pub(crate) struct Connection {
    pub stream: TcpStream,
    pub input: Vec<u8>,
    pub output: Vec<u8>,
    /// How much of `output` is written.
    written: usize,
    pub context: DecodeContext,
    pub limit: usize,
}

impl Connection {
    /// Nothing is agreed on yet.
    pub fn new(stream: TcpStream) -> Self {
        Self {
            stream,
            input: Vec::new(),
            output: Vec::new(),
            written: 0,
            context: DecodeContext::default(),
            limit: wire::MESSAGE_LIMIT,
        }
    }

    /// How many octets wait to be written.
    pub fn waiting(&self) -> usize {
        self.output.len() - self.written
    }

    /// Writes once or more, until everything is written or the socket is full;
    /// whether it took anything.
    pub fn write(&mut self) -> io::Result<bool> {
        let mut wrote = false;
        while self.written < self.output.len() {
            match self.stream.try_write(&self.output[self.written..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    self.written += count;
                    wrote = true;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(wrote),
                Err(error) => return Err(error),
            }
        }
        self.written = 0;
        self.output.clear();
        // A first table leaves a large buffer behind; changes need little.
        self.output.shrink_to(IDLE_BUFFER);
        Ok(wrote)
    }

    /// Reads once. `None`: there was nothing after all.
    pub fn read(&mut self) -> io::Result<Option<usize>> {
        let mut chunk = [0; CHUNK];
        match self.stream.try_read(&mut chunk) {
            Ok(count) => {
                self.input.extend_from_slice(&chunk[..count]);
                Ok(Some(count))
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Writes what is left, says that no more comes, and reads until the peer
    /// has closed too: to close with octets unread would be a reset, and a
    /// reset can overtake the NOTIFICATION.
    pub async fn farewell(self) {
        let rest = self.output.get(self.written..).unwrap_or_default().to_vec();
        let mut stream = self.stream;
        let _ = tokio::time::timeout(FAREWELL, async move {
            stream.write_all(&rest).await?;
            stream.shutdown().await?;
            let mut chunk = [0; 1024];
            while stream.read(&mut chunk).await? > 0 {}
            io::Result::Ok(())
        })
        .await;
    }
}
