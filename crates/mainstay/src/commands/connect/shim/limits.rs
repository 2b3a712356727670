//! Deadlines and bounds of the shim.

use std::time::Duration;

/// Longest wait of the first request for a daemon.
pub(super) const START_MAX: Duration = Duration::from_secs(5);
/// Longest wait of a request for a daemon that was reached before.
pub(super) const AWAY_MAX: Duration = Duration::from_secs(30);
/// Longest time that calls in flight continue after the client left.
pub(super) const CLOSING_MAX: Duration = Duration::from_secs(5);
pub(super) const RETRY_FIRST: Duration = Duration::from_millis(100);
pub(super) const RETRY_MAX: Duration = Duration::from_secs(2);
/// Time without a failure after which the first retry is made at once.
pub(super) const CALM_AFTER: Duration = Duration::from_secs(10);
/// Shortest pause between two openings of the stream.
pub(super) const STREAM_PAUSE: Duration = Duration::from_secs(1);
/// Deadline of a `ping`, which a daemon answers from memory.
pub(super) const KNOCK: Duration = Duration::from_secs(5);
/// Deadline of `initialize`, which may wait for a server's start (30 s by default).
pub(super) const HANDSHAKE: Duration = Duration::from_secs(60);
/// Deadline for the head of a response. The gateway answers or opens a stream within 10 s.
pub(super) const HEAD: Duration = Duration::from_secs(120);
/// Most exchanges at once, each with its own connection: half of the files that a process may
/// commonly open.
pub(super) const UNDER_WAY_MAX: usize = 512;
/// Most requests that wait for the daemon; more are refused. The client's input is still read, so
/// that it can cancel and answer.
pub(super) const HELD_MAX: usize = 2048;
/// Most notifications that wait; more are dropped, since none is vital.
pub(super) const NOTES_HELD_MAX: usize = 256;
