//! Servers over standard input and output: each message is a line.
//!
//! Many calls share the pipe. Each writes its message at once, together with messages that others
//! left in the meantime. A task takes over only when the pipe is full.

mod reader;
#[cfg(test)]
mod tests;
mod writer;

use std::os::fd::OwnedFd;
use std::sync::Arc;

use tokio::net::unix::pipe;
use tokio_util::sync::CancellationToken;

pub(crate) use self::writer::ABILITIES;
use self::writer::PipeWriter;
use crate::link::{Link, LinkLimits};
use crate::listener::Listener;

/// Opens a link over a process's pipes: its standard input and its standard output. Its tasks end when the output ends or `stop` is cancelled.
///
/// # Errors
/// When the pipes can't be used without blocking.
pub fn open(
    input: OwnedFd,
    output: OwnedFd,
    limits: LinkLimits,
    listener: Arc<dyn Listener>,
    stop: CancellationToken,
) -> std::io::Result<Arc<Link>> {
    let (writer, leftover) = PipeWriter::new(input, limits.unread_bytes_max)?;
    let output = pipe::Receiver::from_owned_fd(output)?;
    let link = Arc::new(Link::new(limits, listener, Arc::new(writer)));
    tokio::spawn(leftover.run(Arc::downgrade(&link), stop.clone()));
    tokio::spawn(reader::run(Arc::downgrade(&link), output, limits, stop));
    Ok(link)
}
