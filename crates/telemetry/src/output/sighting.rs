//! Waits for a line with a certain text.

use mainstay_model::{InstanceId, Name};
use tokio::sync::watch;

/// Tells when an instance has written a line with the text that was looked for. Clones tell the same.
#[derive(Debug, Clone)]
pub struct Sighting(watch::Receiver<bool>);

/// A text that is looked for.
#[derive(Debug)]
pub(super) struct Wanted {
    server: Name,
    instance: InstanceId,
    text: String,
    tell: watch::Sender<bool>,
}

/// Both sides of a search.
pub(super) fn look_for(server: &Name, instance: InstanceId, text: &str) -> (Sighting, Wanted) {
    let (tell, told) = watch::channel(false);
    (Sighting(told), Wanted { server: server.clone(), instance, text: text.to_owned(), tell })
}

// === impl Sighting ===

impl Sighting {
    /// Whether the line was written.
    pub fn is_seen(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits for the line. Has no deadline, and is cancel safe.
    pub async fn seen(&self) {
        let mut told = self.0.clone();
        if told.wait_for(|is_seen| *is_seen).await.is_err() && !self.is_seen() {
            // The output is gone, so the line will never come.
            std::future::pending::<()>().await;
        }
    }
}

// === impl Wanted ===

impl Wanted {
    pub(super) fn is_awaited(&self) -> bool {
        !self.tell.is_closed()
    }

    /// Tells of a line if it is the one that is looked for. Returns whether the search is over.
    pub(super) fn is_settled_by(&self, server: &Name, instance: InstanceId, line: &str) -> bool {
        let is_it =
            self.server == *server && self.instance == instance && line.contains(&self.text);
        if is_it {
            self.tell.send_replace(true);
        }
        is_it
    }
}
