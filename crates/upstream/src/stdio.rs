//! Servers over standard input and output: one message a line.
//!
//! Many calls share the pipe. Whoever has a message writes it at once, together with whatever
//! others have left meanwhile; only when the pipe is full does a task take over.

mod reader;
mod writer;

use std::sync::Arc;

use tokio::process::{ChildStdin, ChildStdout};
use tokio_util::sync::CancellationToken;

pub(crate) use self::writer::Writer;
use crate::link::{Link, LinkLimits, Transport};
use crate::listener::Listener;

/// Opens a link over a process's pipes. Its tasks end when the output ends or `stop` is cancelled.
///
/// # Errors
/// When the pipes can't be used without blocking.
pub fn open(
    stdin: ChildStdin,
    stdout: ChildStdout,
    limits: LinkLimits,
    listener: Arc<dyn Listener>,
    stop: CancellationToken,
) -> std::io::Result<Arc<Link>> {
    let (writer, leftover) = Writer::new(stdin, limits.unread_bytes_max)?;
    let link = Arc::new(Link::new(listener, Transport::Stdio(writer)));
    tokio::spawn(leftover.run(Arc::downgrade(&link), stop.clone()));
    tokio::spawn(reader::run(Arc::downgrade(&link), stdout, limits.message_bytes_max, stop));
    Ok(link)
}
