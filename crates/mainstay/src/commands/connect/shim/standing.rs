//! The state of a listen that was acknowledged.

use std::time::{Duration, Instant};

use bytes::Bytes;
use mainstay_protocol::list::ListKind;
use mainstay_protocol::subscriptions::{self, Filter};
use mainstay_protocol::{Id, Message};

use super::limits::{RETRY_FIRST, RETRY_MAX};

/// The state of an acknowledged listen.
#[derive(Debug)]
pub(super) struct Standing {
    /// The subscriptions that were acknowledged to the client.
    granted: Filter,
    /// Change notifications to send when the stream is back, since everything listened for may have
    /// changed.
    pub(super) notices: Vec<Bytes>,
    /// When the stream opened. None while it is closed.
    pub(super) since: Option<Instant>,
    /// Wait before the next attempt.
    pub(super) wait: Duration,
    /// When the listen is sent again.
    pub(super) at: Option<Instant>,
    /// Until when an acknowledgement of less than `granted` is refused.
    whole_until: Option<Instant>,
    /// Whether the last stream ended regularly soon after it began.
    was_short: bool,
}

/// A stream that ends sooner counts as short.
const STEADY_AFTER: Duration = Duration::from_secs(2);
/// Longest wait for servers to be back after the daemon was restarted.
const WHOLE_MAX: Duration = Duration::from_secs(30);
/// Most resources of one listen that are notified. Clients with more read them without being told.
const NOTICES_MAX: usize = 4096;

// === impl Standing ===

impl Standing {
    pub(super) fn new(now: Instant, listen: &Id, ack: &Message) -> Self {
        let granted = granted(ack);
        Self {
            notices: notices(listen, &granted),
            granted,
            since: Some(now),
            wait: Duration::ZERO,
            at: None,
            whole_until: None,
            was_short: false,
        }
    }

    /// Whether an acknowledgement grants as much as the first one. Servers that are still starting
    /// can't be listened to; their wait is bounded.
    pub(super) fn is_whole(&mut self, now: Instant, ack: &Message) -> bool {
        let (now_granted, first) = (granted(ack), &self.granted);
        let lists = ListKind::ALL.into_iter();
        let is_whole = lists.clone().all(|kind| now_granted.wants(kind) || !first.wants(kind))
            && first.uris.iter().all(|uri| now_granted.uris.contains(uri))
            && first.others.keys().all(|name| now_granted.others.contains_key(name));
        let until = *self.whole_until.get_or_insert(now + WHOLE_MAX);
        let is_enough = is_whole || until <= now;
        if is_enough {
            self.whole_until = None;
        }
        is_enough
    }

    /// Handles the end of the stream and schedules the next attempt, the first one at once.
    pub(super) fn falls(&mut self, now: Instant) {
        if self.was_steady(now) {
            self.wait = Duration::ZERO;
        }
        self.since = None;
        self.at = Some(now + self.wait);
        self.wait = (self.wait * 2).clamp(RETRY_FIRST, RETRY_MAX);
    }

    pub(super) fn was_steady(&self, now: Instant) -> bool {
        self.since.is_some_and(|since| since + STEADY_AFTER <= now)
    }

    /// Whether a regular end of the stream is final. A daemon that restarts ends its listens the
    /// same way, but not twice in a row.
    pub(super) fn is_over(&mut self, now: Instant) -> bool {
        let is_short = !self.was_steady(now);
        let was_short = std::mem::replace(&mut self.was_short, is_short);
        is_short && was_short
    }
}

/// The subscriptions that an acknowledgement grants.
fn granted(ack: &Message) -> Filter {
    let params = ack.params().unwrap_or_default();
    let filter = params.notifications.and_then(|field| Filter::parse(field.raw).ok());
    filter.unwrap_or_default()
}

/// Notifications for everything that a listen may have missed.
fn notices(listen: &Id, granted: &Filter) -> Vec<Bytes> {
    let lists = ListKind::ALL.into_iter().filter(|kind| granted.wants(*kind));
    let lists = lists.filter_map(|kind| subscriptions::list_changed(listen, kind));
    let uris = granted.uris.iter().take(NOTICES_MAX);
    lists.chain(uris.map(|uri| subscriptions::resource_updated(listen, uri))).collect()
}
