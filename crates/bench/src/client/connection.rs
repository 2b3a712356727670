//! An HTTP/1.1 connection with one exchange at a time.

use std::io;
use std::net::SocketAddr;

use memchr::memmem;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::response::{Body, Head, next_chunk};

/// The largest answer taken; the largest ever asked for is 10 MB of text.
const ANSWER_BYTES_MAX: usize = 64 << 20;
const READ_BYTES: usize = 16 << 10;

#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    /// Bytes received and not yet used; the first `used` of them belong to the last answer.
    buffer: Vec<u8>,
    used: usize,
    /// The last body where it had to be put together from chunks.
    assembled: Vec<u8>,
}

/// A response. Its body borrows from the connection.
#[derive(Debug)]
pub(crate) struct Answer<'a> {
    pub(crate) status: u16,
    pub(crate) session: Option<String>,
    pub(crate) body: &'a [u8],
}

// === impl Connection ===

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(READ_BYTES), used: 0, assembled: Vec::new() })
    }

    /// Sends a request and reads its whole response.
    ///
    /// # Errors
    ///
    /// I/O errors of the connection; `InvalidData` for a response that is too large or not HTTP;
    /// `UnexpectedEof` when the other side closes early. The connection can't be used afterwards.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> io::Result<Answer<'_>> {
        let head = self.head(request).await?;
        let begin = head.length;
        let body = match head.body {
            Body::Length(length) => {
                if length > ANSWER_BYTES_MAX {
                    return Err(too_large());
                }
                while self.buffer.len() < begin + length {
                    self.fill().await?;
                }
                self.used = begin + length;
                &self.buffer[begin..begin + length]
            }
            Body::Chunked => {
                self.used = self.assemble(begin).await?;
                &self.assembled
            }
        };
        Ok(Answer { status: head.status, session: head.session, body })
    }

    /// Sends one request and reads the head of its answer, whose body may have no end: its status.
    ///
    /// # Errors
    /// As [`exchange`](Self::exchange).
    pub(crate) async fn begin(&mut self, request: &[u8]) -> io::Result<u16> {
        Ok(self.head(request).await?.status)
    }

    /// Reads the body that [`begin`](Self::begin) left until a text has come so often, and discards it.
    ///
    /// # Errors
    /// As [`exchange`](Self::exchange).
    pub(crate) async fn read_texts(&mut self, text: &[u8], mut count: usize) -> io::Result<()> {
        loop {
            let found = memmem::find_iter(&self.buffer, text);
            let ends: Vec<usize> = found.map(|at| at + text.len()).take(count).collect();
            count -= ends.len();
            self.buffer.drain(..ends.last().copied().unwrap_or(0));
            if count == 0 {
                return Ok(());
            }
            self.fill().await?;
        }
    }

    async fn head(&mut self, request: &[u8]) -> io::Result<Head> {
        self.buffer.drain(..self.used);
        self.used = 0;
        self.stream.write_all(request).await?;
        loop {
            if let Some(head) = Head::parse(&self.buffer)? {
                return Ok(head);
            }
            self.fill().await?;
        }
    }

    /// Puts the chunks from `at` on together; gives the position after the last.
    async fn assemble(&mut self, mut at: usize) -> io::Result<usize> {
        self.assembled.clear();
        loop {
            let Some((data, end)) = next_chunk(&self.buffer, at)? else {
                self.fill().await?;
                continue;
            };
            if data.is_empty() {
                return Ok(end);
            }
            if self.assembled.len() + data.len() > ANSWER_BYTES_MAX {
                return Err(too_large());
            }
            self.assembled.extend_from_slice(&self.buffer[data]);
            at = end;
        }
    }

    async fn fill(&mut self) -> io::Result<()> {
        self.buffer.reserve(READ_BYTES);
        match self.stream.read_buf(&mut self.buffer).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

fn too_large() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the answer is too large")
}
