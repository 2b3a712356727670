//! Notifications about changes, as the client's revision defines them.

use std::collections::BTreeSet;

use parking_lot::Mutex;
use rmcp::model::ResourceUpdatedNotificationParam;
use rmcp::service::SubscriptionContext;
use tokio::sync::broadcast;

use crate::wire::{Context, is_modern};

/// The maximum number of subscribed URIs; more than there can be notes.
const WATCHED_MAX: usize = 2_000;

#[derive(Debug, Clone)]
enum Change {
    List,
    Resource(String),
}

/// The subscriptions of a client.
pub(super) struct News {
    watched: Mutex<BTreeSet<String>>,
    listeners: broadcast::Sender<Change>,
}

// === impl News ===

impl Default for News {
    fn default() -> Self {
        // A listener that is 64 changes behind misses some. A change only tells it to read again.
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

    /// Announces that the list of notes has changed.
    pub(super) async fn list_changed(&self, context: &Context) {
        if is_modern(context) {
            let _ = self.listeners.send(Change::List);
        } else {
            // The client is gone.
            let _ = context.peer.notify_resource_list_changed().await;
        }
    }

    /// Announces that a resource has changed.
    pub(super) async fn updated(&self, context: &Context, uri: &str) {
        if is_modern(context) {
            let _ = self.listeners.send(Change::Resource(uri.to_owned()));
        } else if self.watched.lock().contains(uri) {
            let update = ResourceUpdatedNotificationParam::new(uri);
            let _ = context.peer.notify_resource_updated(update).await;
        }
    }

    /// Forwards changes to a listener until its client closes it. Its sink refuses changes that the
    /// listener has not subscribed to; these are dropped.
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
