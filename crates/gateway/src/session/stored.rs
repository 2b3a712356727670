//! What of a session outlives the daemon, and what one of an earlier daemon begins with.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};

use mainstay_model::ServerId;
use mainstay_session::{LogLevel, Serial};

use super::Session;
use super::restoring::Restoring;

/// Subscriptions of a session, and the bytes of their URIs: they are held for as long as it lasts, here
/// and in the store.
const SUBSCRIPTIONS_MAX: usize = 1000;
const SUBSCRIPTIONS_BYTES_MAX: usize = 64 << 10;

impl Session {
    /// From now on the store knows it, as last in use at a time in seconds since 1970.
    pub(crate) fn store_as(&mut self, serial: Serial, used_at: u64) {
        self.serial = Some(serial);
        self.use_stored_at = AtomicU64::new(used_at);
    }

    /// FirstOutput with what it had in an earlier daemon; `all` are the servers of its endpoint.
    pub(crate) fn restore_state(
        &mut self,
        log_level: Option<LogLevel>,
        subscriptions: BTreeSet<(ServerId, Box<str>)>,
        all: impl Iterator<Item = ServerId>,
    ) {
        let servers: BTreeSet<ServerId> = match log_level {
            Some(_) => all.collect(),
            None => subscriptions.iter().map(|(server, _)| *server).collect(),
        };
        self.restoring = (!servers.is_empty()).then(|| Restoring::new(servers));
        let state = self.state.get_mut();
        state.log_level = log_level;
        state.subscriptions = subscriptions;
    }

    /// What the store knows it by, if it is stored.
    pub(crate) fn serial(&self) -> Option<Serial> {
        self.serial.filter(|_| !self.state.lock().has_one_stream)
    }

    /// Accepts note of a use, if the last that was noted is at least `interval` seconds before it.
    pub(crate) fn note_use(&self, used_at: u64, interval: u64) -> Option<Serial> {
        let serial = self.serial()?;
        let noted = self.use_stored_at.load(Ordering::Relaxed);
        if used_at < noted.saturating_add(interval) {
            return None;
        }
        self.use_stored_at.store(used_at, Ordering::Relaxed);
        Some(serial)
    }

    pub(crate) fn is_restoring(&self) -> bool {
        self.restoring.is_some()
    }

    /// Servers that don't know yet what it had asked for.
    pub(crate) fn servers_to_restore(&self) -> BTreeSet<ServerId> {
        self.restoring.as_ref().map(Restoring::servers).unwrap_or_default()
    }

    pub(crate) fn mark_restored_at(&self, server: ServerId) {
        if let Some(restoring) = &self.restoring {
            restoring.done(server);
        }
    }

    /// Waits until a server knows what it had asked for in an earlier daemon.
    pub(crate) async fn wait_until_restored_at(&self, server: ServerId) {
        if let Some(restoring) = &self.restoring {
            restoring.wait(server).await;
        }
    }

    /// Whether it may have this subscription, beside those it has.
    pub(crate) fn may_subscribe(&self, uri: &str) -> bool {
        let state = self.state.lock();
        let bytes: usize = state.subscriptions.iter().map(|(_, uri)| uri.len()).sum();
        let has = state.subscriptions.iter().any(|(_, other)| **other == *uri);
        has || state.subscriptions.len() < SUBSCRIPTIONS_MAX
            && bytes + uri.len() <= SUBSCRIPTIONS_BYTES_MAX
    }

    pub(crate) fn is_subscribed(&self, server: ServerId, uri: &str) -> bool {
        self.state.lock().subscriptions.contains(&(server, uri.into()))
    }

    pub(crate) fn subscriptions_at(&self, server: ServerId) -> Vec<Box<str>> {
        let state = self.state.lock();
        let own = state.subscriptions.iter().filter(|(of, _)| *of == server);
        own.map(|(_, uri)| uri.clone()).collect()
    }
}
