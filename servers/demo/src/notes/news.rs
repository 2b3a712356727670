//! Telling the client what changed, in the way of its revision.

use std::collections::BTreeSet;

use parking_lot::Mutex;
use rmcp::model::ResourceUpdatedNotificationParam;
use rmcp::service::SubscriptionContext;
use tokio::sync::broadcast;

use crate::wire::{Context, is_modern};

/// More addresses than there can be notes.
const WATCHED_MAX: usize = 2_000;

#[derive(Debug, Clone)]
enum Change {
    List,
    Resource(String),
}

/// What one client wants to hear of.
pub(super) struct News {
    watched: Mutex<BTreeSet<String>>,
    listeners: broadcast::Sender<Change>,
}

// === impl News ===

impl Default for News {
    fn default() -> Self {
        // A listener 64 changes behind skips some: a change only says "look again".
        Self { watched: Mutex::default(), listeners: broadcast::channel(64).0 }
    }
}

impl News {
    pub(super) fn watch(&self, uri: String) -> Result<(), String> {
        let mut watched = self.watched.lock();
        if watched.len() >= WATCHED_MAX {
            return Err(format!("{WATCHED_MAX} subscriptions are the most one client can have"));
        }
        watched.insert(uri);
        Ok(())
    }

    pub(super) fn forget(&self, uri: &str) {
        self.watched.lock().remove(uri);
    }

    /// The list of notes is another one now.
    pub(super) async fn list_changed(&self, context: &Context) {
        if is_modern(context) {
            let _ = self.listeners.send(Change::List);
        } else {
            // A client that is gone needs no news.
            let _ = context.peer.notify_resource_list_changed().await;
        }
    }

    /// One resource reads differently now.
    pub(super) async fn updated(&self, context: &Context, uri: &str) {
        if is_modern(context) {
            let _ = self.listeners.send(Change::Resource(uri.to_owned()));
        } else if self.watched.lock().contains(uri) {
            let update = ResourceUpdatedNotificationParam::new(uri);
            let _ = context.peer.notify_resource_updated(update).await;
        }
    }

    /// Passes changes to one listener until its client closes it. What the listener did not
    /// ask for is refused by its sink and dropped here.
    pub(super) async fn listen(&self, context: &SubscriptionContext) {
        let mut changes = self.listeners.subscribe();
        loop {
            let change = tokio::select! {
                () = context.cancelled() => return,
                change = changes.recv() => change,
            };
            let _ = match change {
                Ok(Change::List) => context.sink().notify_resource_list_changed().await,
                Ok(Change::Resource(uri)) => context.sink().notify_resource_updated(uri).await,
                Err(broadcast::error::RecvError::Lagged(_)) => continue,
                Err(broadcast::error::RecvError::Closed) => return,
            };
        }
    }
}
