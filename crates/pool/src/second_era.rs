//! Detection of a slow server's second era, before a client asks for it.
//!
//! A client that supports both eras begins with the newer one, and falls back if there is no answer within
//! seconds. The second dialect needs an instance of its own, which takes about as long to start as the first
//! one did. If that is longer than such a client waits, detection begins as soon as the primary instance is
//! ready. A quick server is only asked when the first client of the other era arrives.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mainstay_protocol::Era;

use crate::eras::{EraSupport, other};
use crate::pool::Pool;
use crate::readiness::Wait;

/// Detection of a server whose start takes longer than this does not wait for a client.
const SLOW: Duration = Duration::from_secs(1);
/// How long a detection keeps other servers from theirs. Each may start a process.
const TURN_MAX: Duration = Duration::from_secs(1);

impl Pool {
    /// Begins to find out whether the server supports the other era, too. `took` is the duration of the
    /// primary instance's start.
    pub(crate) fn detect_second_era(self: &Arc<Self>, took: Duration) {
        let era = other(self.era());
        let open = self.configured().is_none()
            && self.facts(era).is_none()
            && self.base(era).is_none()
            && self.check_era(era).is_ok();
        let known = self.findings.has_second_era(&self.name, &self.version());
        if took < SLOW || !open || known == Some(false) {
            return;
        }
        let pool = self.clone();
        self.tasks.spawn(async move {
            tokio::select! {
                () = pool.find_second_era(era) => {}
                () = pool.closing.cancelled() => {}
            }
        });
    }

    async fn find_second_era(self: &Arc<Self>, era: Era) {
        let Ok(turn) = self.list_discovery.acquire().await else { return };
        let deadline = Instant::now() + self.spec().start_deadline + TURN_MAX;
        let mut detection = std::pin::pin!(self.detect(era, Wait::Always, deadline));
        let support = match tokio::time::timeout(TURN_MAX, &mut detection).await {
            Ok(support) => support,
            // A slow server must not delay other servers.
            Err(_) => {
                drop(turn);
                detection.await
            }
        };
        let lacks = match support {
            EraSupport::Yes => false,
            EraSupport::No if self.dialects.get(era).is_refused_for_good() => true,
            EraSupport::No | EraSupport::NotYet(_) => return,
        };
        self.findings.keep_second_era(&self.name, &self.version(), !lacks);
    }

    /// What identifies the version of the server. Empty before its first run.
    fn version(&self) -> String {
        self.client_lists.known.lock().version().to_owned()
    }
}
