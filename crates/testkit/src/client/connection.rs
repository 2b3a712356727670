//! A TCP connection on which anything can be sent, and HTTP answers can be read.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Longer than any head a test expects.
const HEAD_BYTES_MAX: usize = 256 << 10;

/// Idle connections of a client.
pub(super) type Idle = Arc<Mutex<Vec<Connection>>>;

#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    /// Bytes that were read and not parsed yet.
    ahead: Vec<u8>,
    deadline: Duration,
}

// === impl Connection ===

impl Connection {
    pub(super) async fn open(host: &str, deadline: Duration) -> anyhow::Result<Self> {
        let opened = timeout(deadline, TcpStream::connect(host)).await;
        let stream = opened.context("connecting took too long")?.context("connecting")?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, ahead: Vec::new(), deadline })
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// When the other side is gone or does not read in time.
    pub async fn send(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        let sent = timeout(self.deadline, self.stream.write_all(bytes)).await;
        Ok(sent.context("the other side does not read")??)
    }

    /// Sends bytes in pieces with pauses between them.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub async fn send_slowly(
        &mut self,
        bytes: &[u8],
        piece: usize,
        pause: Duration,
    ) -> anyhow::Result<()> {
        for piece in bytes.chunks(piece.max(1)) {
            self.send(piece).await?;
            tokio::time::sleep(pause).await;
        }
        Ok(())
    }

    /// Closes the sending side and goes on reading.
    ///
    /// # Errors
    ///
    /// When the connection is gone.
    pub async fn half_close(&mut self) -> anyhow::Result<()> {
        Ok(self.stream.shutdown().await?)
    }

    /// Whether the other side has neither closed the connection nor sent unexpected bytes.
    pub(super) fn is_open(&self) -> bool {
        let mut byte = [0];
        let read = self.stream.try_read(&mut byte);
        self.ahead.is_empty()
            && read.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
    }

    /// Reads everything until the other side closes.
    ///
    /// # Errors
    ///
    /// When it does not close in time.
    pub async fn read_to_end(mut self) -> anyhow::Result<Vec<u8>> {
        while self.fill().await? {}
        Ok(self.ahead)
    }

    /// Takes a line of the body without its end.
    pub(super) async fn line(&mut self) -> anyhow::Result<String> {
        loop {
            if let Some(end) = self.ahead.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = self.ahead.drain(..=end).collect();
                return Ok(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
            if !self.fill().await? {
                bail!("the connection ended in the middle of a line");
            }
        }
    }

    /// Takes at most `most` bytes; none at the end.
    pub(super) async fn some(&mut self, most: usize) -> anyhow::Result<Vec<u8>> {
        if self.ahead.is_empty() && !self.fill().await? {
            return Ok(Vec::new());
        }
        let taken = most.min(self.ahead.len());
        Ok(self.ahead.drain(..taken).collect())
    }

    /// The head of an answer, up to its empty line.
    pub(super) async fn head(&mut self) -> anyhow::Result<String> {
        loop {
            if let Some(end) = self.ahead.windows(4).position(|four| four == b"\r\n\r\n") {
                let head: Vec<u8> = self.ahead.drain(..end + 4).collect();
                return Ok(String::from_utf8_lossy(&head).into_owned());
            }
            if self.ahead.len() > HEAD_BYTES_MAX {
                bail!("the head has no end");
            }
            if !self.fill().await? {
                bail!("the connection was closed before an answer");
            }
        }
    }

    /// Reads the available bytes. Returns false at the end.
    async fn fill(&mut self) -> anyhow::Result<bool> {
        self.ahead.reserve(64 << 10);
        let read = timeout(self.deadline, self.stream.read_buf(&mut self.ahead)).await;
        Ok(read.context("nothing came in time")?? > 0)
    }
}
