//! The socket between the daemon and the helper.

use std::io::{self, IoSlice, IoSliceMut, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::plan::{Cause, Failure, Plan};

/// The helper's end.
pub(super) struct Answer(UnixStream);

/// The daemon's end, before the helper runs.
pub(in crate::process) struct Offer {
    pub(in crate::process) channel: Channel,
    /// The helper's standard input.
    pub(in crate::process) helper_end: OwnedFd,
    /// The server's standard input, as the daemon's end of the pipe.
    pub(in crate::process) input: OwnedFd,
}

/// The daemon's end.
#[derive(Debug)]
pub(in crate::process) struct Channel {
    socket: tokio::net::UnixStream,
}

/// A plan is a command line, which the kernel bounds by about two megabytes.
const PLAN_BYTES_MAX: usize = 16 << 20;
/// A failure names a path or a user.
const FAILURE_BYTES_MAX: u64 = 64 << 10;

// === the daemon's end ===

impl Offer {
    /// Makes the socket and the server's standard input. Must be called within a runtime.
    pub(in crate::process) fn new() -> io::Result<Self> {
        let (ours, theirs) = UnixStream::pair()?;
        let (from, input) = io::pipe()?;
        // A byte always fits into a new socket.
        send_with(ours.as_fd(), &[0], from.as_fd())?;
        ours.set_nonblocking(true)?;
        let socket = tokio::net::UnixStream::from_std(ours)?;
        let channel = Channel { socket };
        Ok(Self { channel, helper_end: theirs.into(), input: input.into() })
    }
}

impl Channel {
    /// Sends the helper its plan and waits until the helper has become the program, or has died.
    ///
    /// # Errors
    ///
    /// When the helper reports that it failed.
    pub(in crate::process) async fn settle(mut self, plan: &Plan) -> Result<(), Failure> {
        let failed = |error| Failure::Start { path: plan.program(), cause: Cause::of(&error) };
        let plan = serde_json::to_vec(plan).map_err(|error| failed(io::Error::other(error)))?;
        let length = u32::try_from(plan.len()).map_err(|error| failed(io::Error::other(error)))?;
        // A helper that dies before it has read all leaves nothing to say here: its exit tells.
        if self.socket.write_all(&length.to_le_bytes()).await.is_err()
            || self.socket.write_all(&plan).await.is_err()
        {
            return Ok(());
        }
        let mut report = Vec::new();
        let read = self.socket.take(FAILURE_BYTES_MAX).read_to_end(&mut report).await;
        match (read, serde_json::from_slice(&report)) {
            (Ok(_), Ok(failure)) => Err(failure),
            _ => Ok(()),
        }
    }
}

fn send_with(socket: BorrowedFd<'_>, bytes: &[u8], descriptor: BorrowedFd<'_>) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let descriptors = [descriptor];
    control.push(SendAncillaryMessage::ScmRights(&descriptors));
    sendmsg(socket, &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL)?;
    Ok(())
}

// === the helper's end ===

/// Takes the plan, and puts the server's standard input where the socket was.
pub(super) fn accept() -> io::Result<(Answer, Plan)> {
    // Closed when the program is loaded, which is how the daemon hears of success.
    let mut socket = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    let input = receive_with(socket.as_fd(), &mut [0])?;
    let mut length = [0; 4];
    socket.read_exact(&mut length)?;
    let length = u32::from_le_bytes(length) as usize;
    if length > PLAN_BYTES_MAX {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut plan = vec![0; length];
    socket.read_exact(&mut plan)?;
    let plan = serde_json::from_slice(&plan)?;
    rustix::stdio::dup2_stdin(&input)?;
    Ok((Answer(socket), plan))
}

fn receive_with(socket: BorrowedFd<'_>, bytes: &mut [u8]) -> io::Result<OwnedFd> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let expected = bytes.len();
    let mut pieces = [IoSliceMut::new(bytes)];
    let received =
        recvmsg(socket, &mut pieces, &mut control, RecvFlags::WAITALL | RecvFlags::CMSG_CLOEXEC)?;
    let descriptor = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    });
    match descriptor {
        Some(descriptor) if received.bytes == expected => Ok(descriptor),
        _ => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

impl Answer {
    pub(super) fn report(&mut self, failure: &Failure) -> io::Result<()> {
        self.0.write_all(&serde_json::to_vec(failure)?)
    }
}

/// Writes to the standard error of the server.
pub(super) fn say(text: &str) {
    let _ = writeln!(io::stderr(), "mainstay exec: {text}");
}
