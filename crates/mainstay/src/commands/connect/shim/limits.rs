//! Deadlines and bounds of the shim.

use std::time::Duration;

/// How long the first request waits for a daemon.
pub(super) const START_MAX: Duration = Duration::from_secs(5);
/// How long a request waits for a daemon that was there before.
pub(super) const AWAY_MAX: Duration = Duration::from_secs(30);
/// How long calls in flight may go on when the client has left.
pub(super) const CLOSING_MAX: Duration = Duration::from_secs(5);
pub(super) const RETRY_FIRST: Duration = Duration::from_millis(100);
pub(super) const RETRY_MAX: Duration = Duration::from_secs(2);
/// After this long without trouble the first attempt is made at once.
pub(super) const CALM_AFTER: Duration = Duration::from_secs(10);
/// Pause between two openings of the stream.
pub(super) const STREAM_PAUSE: Duration = Duration::from_secs(1);
/// A daemon answers `ping` from memory.
pub(super) const KNOCK: Duration = Duration::from_secs(5);
/// `initialize` may have to wait for a server that is starting, 30 s by default.
pub(super) const HANDSHAKE: Duration = Duration::from_secs(60);
/// Deadline for the head of an answer. The gateway answers or begins a stream after 10 s, where it
/// can.
pub(super) const HEAD: Duration = Duration::from_secs(120);
/// Exchanges at once, a connection each: half of the files that a process commonly may have open.
pub(super) const UNDER_WAY_MAX: usize = 512;
/// Requests that wait. Far above what people and agents ask at once; beyond it they are refused,
/// for as long as the client is read from it can still cancel and answer.
pub(super) const HELD_MAX: usize = 2048;
/// Most notifications that wait; more are dropped, since none is vital.
pub(super) const NOTES_HELD_MAX: usize = 256;
