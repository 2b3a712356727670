//! What is known of a listen that was acknowledged once.

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
    /// Change notifications to send when the stream is back: everything listened for may have
    /// changed.
    pub(super) notices: Vec<Bytes>,
    /// Since when the stream is open; none while it is not.
    pub(super) since: Option<Instant>,
    /// Wait before the next attempt.
    pub(super) wait: Duration,
    /// When that is.
    pub(super) at: Option<Instant>,
    /// Until when an acknowledgement of less than `granted` is not accepted.
    whole_until: Option<Instant>,
    /// The last stream was ended in good order soon after it began.
    was_short: bool,
}

/// A stream that always ends sooner is not meant to last.
const STEADY_AFTER: Duration = Duration::from_secs(2);
/// How long servers may take to come back with a daemon that was restarted.
const WHOLE_MAX: Duration = Duration::from_secs(30);
/// Resources of one listen that are told of; a client with more has to look itself.
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

    /// Whether an acknowledgement is of as much as the first one was. Servers that are not there
    /// yet can't be listened to; after a while they are not waited for any more.
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

    /// The stream has come to an end; it is asked for again after a while, the first time at once.
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

    /// Whether an answer in good order is the end. A daemon that is being restarted ends its
    /// listens so, too, but not twice in a row.
    pub(super) fn is_over(&mut self, now: Instant) -> bool {
        let is_short = !self.was_steady(now);
        let was_short = std::mem::replace(&mut self.was_short, is_short);
        is_short && was_short
    }
}

/// What an acknowledgement promises.
fn granted(ack: &Message) -> Filter {
    let params = ack.params().unwrap_or_default();
    let filter = params.notifications.and_then(|field| Filter::parse(field.raw).ok());
    filter.unwrap_or_default()
}

/// What a listen may have missed.
fn notices(listen: &Id, granted: &Filter) -> Vec<Bytes> {
    let lists = ListKind::ALL.into_iter().filter(|kind| granted.wants(*kind));
    let lists = lists.filter_map(|kind| subscriptions::list_changed(listen, kind));
    let uris = granted.uris.iter().take(NOTICES_MAX);
    lists.chain(uris.map(|uri| subscriptions::resource_updated(listen, uri))).collect()
}
