//! Writes a server's standard input.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use mainstay_protocol::edit::splice_into;
use parking_lot::Mutex;
use tokio::net::unix::pipe;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::link::Link;
use crate::request::{Fate, Lost, Outgoing};
use crate::transport::{Boxed, Call, OwnExchange, Transport, TransportAbilities};

/// The sending end of the pipe, shared by all calls.
#[derive(Debug)]
pub(crate) struct PipeWriter {
    shared: Arc<Shared>,
    unread_bytes_max: usize,
}

/// Writes the rest of messages that the pipe did not take at once.
pub(super) struct Leftover {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    full: Notify,
}

#[derive(Debug)]
struct State {
    /// None after the pipe was closed.
    pipe: Option<pipe::Sender>,
    unsent: BytesMut,
    /// Bytes that the pipe has taken.
    written: u64,
}

/// Time to read the last answers of a server whose input is closed. A server that has ended closes
/// its output too, which the reader notices long before.
const LAST_ANSWERS: Duration = Duration::from_millis(500);
/// A larger buffer is released once it is empty.
const KEPT_BYTES_MAX: usize = 64 << 10;

/// The abilities of pipes.
pub(crate) const ABILITIES: TransportAbilities = TransportAbilities {
    name: "stdio",
    calls_apart: false,
    ending_cancels: false,
    mirrors_arguments: false,
    speaks_modern: true,
};

// === impl PipeWriter ===

impl PipeWriter {
    pub(super) fn new(input: OwnedFd, unread_bytes_max: usize) -> io::Result<(Self, Leftover)> {
        let pipe = pipe::Sender::from_owned_fd(input)?;
        let state = State { pipe: Some(pipe), unsent: BytesMut::new(), written: 0 };
        let shared = Arc::new(Shared { state: Mutex::new(state), full: Notify::new() });
        Ok((Self { shared: shared.clone(), unread_bytes_max }, Leftover { shared }))
    }

    /// Writes a request under the link's own id.
    fn write(&self, request: &Outgoing<'_>, id: &[u8]) -> Result<(), Lost> {
        let mut state = self.shared.state.lock();
        if state.unsent.len() > self.unread_bytes_max {
            return Err(Lost::new("the server does not read its input", Fate::Refused, false));
        }
        let from = state.unsent.len();
        splice_into(request.message.bytes(), &mut request.edits(id), &mut state.unsent);
        self.end_line(&mut state, from).map_err(|reason| Lost::new(reason, Fate::Unsent, true))
    }

    /// Sends a notification or an answer. Dropped if the server does not read its input.
    fn write_bytes(&self, message: &[u8]) {
        let mut state = self.shared.state.lock();
        if state.unsent.len() <= self.unread_bytes_max {
            let from = state.unsent.len();
            state.unsent.extend_from_slice(message);
            // The reader notices a closed pipe and ends the link.
            let _ = self.end_line(&mut state, from);
        }
    }

    /// Closes the pipe, which asks the server to end.
    fn close(&self) {
        let mut state = self.shared.state.lock();
        state.pipe = None;
        state.unsent = BytesMut::new();
        self.shared.full.notify_one();
    }

    /// Makes one line of the text from `from` on, and writes as much as the pipe takes.
    fn end_line(&self, state: &mut State, from: usize) -> Result<(), String> {
        // In JSON, line ends can only be white space.
        let mut line = &mut state.unsent[from..];
        while let Some(at) = memchr::memchr2(b'\n', b'\r', line) {
            line[at] = b' ';
            line = &mut line[at + 1..];
        }
        state.unsent.extend_from_slice(b"\n");
        // Older messages are unsent: the task is already waiting for room in the pipe.
        if from > 0 {
            return Ok(());
        }
        match state.flush() {
            Ok(true) => Ok(()),
            Ok(false) => {
                self.shared.full.notify_one();
                Ok(())
            }
            Err(error) => {
                // A message that can't be written must not look like a queue to join.
                state.pipe = None;
                state.unsent = BytesMut::new();
                self.shared.full.notify_one();
                Err(format!("the server closed its input: {error}"))
            }
        }
    }
}

impl Transport<Link> for PipeWriter {
    fn abilities(&self) -> &'static TransportAbilities {
        &ABILITIES
    }

    fn call(&self, call: &Call<'_>) -> Result<Option<Box<dyn OwnExchange<Link>>>, Lost> {
        self.write(call.request, call.id_text).map(|()| None)
    }

    fn send(&self, _: &Arc<Link>, message: Bytes) {
        self.write_bytes(&message);
    }

    fn deliver<'a>(&'a self, _: &'a Arc<Link>, message: Bytes) -> Boxed<'a, ()> {
        self.write_bytes(&message);
        Box::pin(std::future::ready(()))
    }

    fn has_been_read(&self) -> bool {
        let state = self.shared.state.lock();
        let in_pipe = state.pipe.as_ref().map(rustix::io::ioctl_fionread);
        state.unsent.is_empty() && matches!(in_pipe, None | Some(Ok(0) | Err(_)))
    }

    fn input_stuck_at(&self) -> Option<u64> {
        let state = self.shared.state.lock();
        (!state.unsent.is_empty()).then_some(state.written)
    }

    fn hang_up(&self) {
        self.close();
    }

    /// Does nothing: the host ends the process, and the end of its output ends the tasks.
    fn goodbye(&self) -> Boxed<'_, ()> {
        Box::pin(std::future::ready(()))
    }
}

// === impl Leftover ===

impl Leftover {
    pub(super) async fn run(self, link: Weak<Link>, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.shared.full.notified() => {}
            }
            if let Err(reason) = self.drain(&stop).await {
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = tokio::time::sleep(LAST_ANSWERS) => {}
                }
                if let Some(link) = link.upgrade() {
                    link.close(&reason);
                }
                return;
            }
        }
    }

    async fn drain(&self, stop: &CancellationToken) -> Result<(), String> {
        loop {
            // The pipe must not stay locked while we wait, so readiness is awaited on a duplicate.
            let wait = {
                let mut state = self.shared.state.lock();
                match state.flush() {
                    Ok(true) => return Ok(()),
                    Ok(false) => state.duplicate().map_err(|error| error.to_string())?,
                    Err(error) => return Err(format!("the server closed its input: {error}")),
                }
            };
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                ready = wait.writable() => ready.map_err(|error| error.to_string())?,
            }
        }
    }
}

// === impl State ===

impl State {
    /// Writes as much as the pipe takes. Returns whether everything is written.
    fn flush(&mut self) -> io::Result<bool> {
        let Some(pipe) = &self.pipe else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        while !self.unsent.is_empty() {
            match pipe.try_write(&self.unsent) {
                Ok(written) => {
                    self.unsent.advance(written);
                    self.written += written as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if self.unsent.capacity() > KEPT_BYTES_MAX {
            self.unsent = BytesMut::new();
        } else {
            self.unsent.clear();
        }
        Ok(true)
    }

    fn duplicate(&self) -> io::Result<pipe::Sender> {
        use std::os::fd::AsFd;
        let pipe = self.pipe.as_ref().ok_or(io::ErrorKind::BrokenPipe)?;
        pipe::Sender::from_owned_fd(pipe.as_fd().try_clone_to_owned()?)
    }
}
