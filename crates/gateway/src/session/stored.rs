//! The state of a session that outlives the daemon.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};

use mainstay_model::ServerId;
use mainstay_session::{LogLevel, Serial};

use super::Session;
use super::restoring::Restoring;

/// Bound of the subscriptions of a session, and of the bytes of their URIs. The session and the
/// store hold them as long as the session lasts.
pub(super) const SUBSCRIPTIONS_MAX: usize = 1000;
const SUBSCRIPTIONS_BYTES_MAX: usize = 64 << 10;

impl Session {
    /// Marks the session as stored, last used at a time in seconds since 1970.
    pub(crate) fn store_as(&mut self, serial: Serial, used_at: u64) {
        self.serial = Some(serial);
        self.use_stored_at = AtomicU64::new(used_at);
    }

    /// Sets what the session had in an earlier daemon. `all` are the servers of its endpoint.
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

    /// Returns the number of the session in the store, if it is stored.
    pub(crate) fn serial(&self) -> Option<Serial> {
        self.serial.filter(|_| !self.state.lock().has_one_stream)
    }

    /// Notes a use at `used_at`, if the last noted one is at least `interval` seconds earlier.
    /// Returns the number under which to store it.
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

    /// Returns the servers at which the session is not restored yet.
    pub(crate) fn servers_to_restore(&self) -> BTreeSet<ServerId> {
        self.restoring.as_ref().map(Restoring::servers).unwrap_or_default()
    }

    pub(crate) fn mark_restored_at(&self, server: ServerId) {
        if let Some(restoring) = &self.restoring {
            restoring.done(server);
        }
    }

    /// Waits until a server has the log level and the subscriptions that the session had in an
    /// earlier daemon.
    pub(crate) async fn wait_until_restored_at(&self, server: ServerId) {
        if let Some(restoring) = &self.restoring {
            restoring.wait(server).await;
        }
    }

    /// Whether the session may add this subscription to those it has.
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
