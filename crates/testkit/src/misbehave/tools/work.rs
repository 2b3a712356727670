//! A tool that must be carried out alone, as those are that write plain files.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::call::Call;
use crate::misbehave::server::Server;

/// A call that is being worked on.
struct Working(Arc<Server>);

/// Works on, whatever is cancelled, and then echoes, or is silent.
pub(super) async fn work(call: Call) {
    let working = Working::begin(&call.server);
    tokio::time::sleep(Duration::from_millis(call.number("ms", 100))).await;
    drop(working);
    if !(call.arguments["silent"] == true && call.cancelled.is_cancelled()) {
        call.echo().await;
    }
}

// === impl Working ===

impl Working {
    fn begin(server: &Arc<Server>) -> Self {
        if server.working.fetch_add(1, Ordering::AcqRel) > 0 {
            server.count("worked at once");
        }
        Self(server.clone())
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        self.0.working.fetch_sub(1, Ordering::AcqRel);
    }
}
