//! Ways to stop answering.

use tokio::sync::MutexGuard;
use tokio_util::sync::CancellationToken;

use super::server::Server;

/// The state of a server that stops answering.
#[derive(Default)]
pub(super) struct Hangs {
    /// Held by the request that is worked on, if there may be only one.
    turn: tokio::sync::Mutex<()>,
    /// Cancelled once the server reads nothing more.
    pub(super) deaf: CancellationToken,
}

impl Server {
    /// Waits until no other request is worked on, if there may be only one.
    pub(super) async fn turn(&self) -> Option<MutexGuard<'_, ()>> {
        match self.flags.has("single") {
            true => Some(self.hangs.turn.lock().await),
            false => None,
        }
    }
}

/// Closes standard output, as far as its reader can tell.
pub(super) fn close_output() -> anyhow::Result<()> {
    let nothing = std::fs::File::create("/dev/null")?;
    Ok(rustix::stdio::dup2_stdout(nothing)?)
}
