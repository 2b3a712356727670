//! Listens of 2026-07-28 go on, whatever becomes of the daemon.
//!
//! A listen that was acknowledged once is *standing*: when its stream ends it is asked for again,
//! with the client's own message and so under the same subscription id. The client hears nothing
//! of that, except that whatever it listens for may have changed meanwhile.

use std::time::{Duration, Instant};

use bytes::Bytes;
use mainstay_protocol::list::ListKind;
use mainstay_protocol::subscriptions::{self, Filter};
use mainstay_protocol::{Id, Kind, Message};

use super::call::Call;
use super::{Effect, Purpose, RETRY_FIRST, RETRY_MAX, Shim, outcome};

/// What is known of a listen that was acknowledged.
#[derive(Debug)]
pub(super) struct Standing {
    /// What the client was told that it will hear of.
    granted: Filter,
    /// What to tell it when the stream is there again: all of that may have changed.
    notices: Vec<Bytes>,
    /// Since when the stream is open; none while it is not.
    since: Option<Instant>,
    /// Before the next attempt.
    wait: Duration,
    /// When that is.
    at: Option<Instant>,
    /// Until when less than was granted is not taken for all.
    whole_until: Option<Instant>,
    /// It has been ended in good order soon after it began.
    was_short: bool,
}

/// A stream that always ends sooner is not meant to last.
const STEADY_AFTER: Duration = Duration::from_secs(2);
/// The longest pause that a refusal can ask for.
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// How long servers may take to come back with a daemon that was restarted.
const WHOLE_MAX: Duration = Duration::from_secs(30);
/// Resources of one listen that are told of; a client with more has to look itself.
const NOTICES_MAX: usize = 4096;

// === impl Standing ===

impl Standing {
    fn new(now: Instant, listen: &Id, ack: &Message) -> Self {
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
    fn is_whole(&mut self, now: Instant, ack: &Message) -> bool {
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
    fn falls(&mut self, now: Instant) {
        if self.was_steady(now) {
            self.wait = Duration::ZERO;
        }
        self.since = None;
        self.at = Some(now + self.wait);
        self.wait = (self.wait * 2).clamp(RETRY_FIRST, RETRY_MAX);
    }

    fn was_steady(&self, now: Instant) -> bool {
        self.since.is_some_and(|since| since + STEADY_AFTER <= now)
    }

    /// Whether an answer in good order is the end. A daemon that is being restarted ends its
    /// listens so, too, but not twice in a row.
    fn is_over(&mut self, now: Instant) -> bool {
        let is_short = !self.was_steady(now);
        let was_short = std::mem::replace(&mut self.was_short, is_short);
        is_short && was_short
    }
}

// === impl Shim ===

impl Shim {
    /// A listen is honoured: what the client gets to hear of it.
    pub(super) fn acknowledged(&mut self, now: Instant, exchange: u64, ack: &Message) {
        let call = match self.under_way.get_mut(&exchange).map(|of| &mut of.purpose) {
            Some(Purpose::Call(call)) if call.is_listen() => call,
            _ => return self.say(ack.bytes().clone()),
        };
        let Some(standing) = &mut call.standing else {
            call.standing = Some(Box::new(Standing::new(now, &call.id, ack)));
            return self.say(ack.bytes().clone());
        };
        if !standing.is_whole(now, ack) {
            standing.wait = standing.wait.max(RETRY_FIRST);
            return self.listen_later(now, exchange);
        }
        standing.since = Some(now);
        for notice in standing.notices.clone() {
            self.say(notice);
        }
    }

    /// Gives a stream up, to ask for it again after a while.
    fn listen_later(&mut self, now: Instant, exchange: u64) {
        self.effects.push(Effect::Abandon(exchange));
        if let Some(call) = self.take_call(exchange) {
            self.listen_fell(now, call);
        }
    }

    /// A standing listen was answered, which is its end or not.
    pub(super) fn listen_answered(&mut self, now: Instant, mut call: Call, answer: &Message) {
        let Some(standing) = &mut call.standing else { return };
        let pause = match answer.kind() {
            Kind::Result if !standing.is_over(now) => Some(Duration::ZERO),
            Kind::Error if outcome::is_stopping(answer) => Some(RETRY_FIRST),
            Kind::Error => outcome::retry_after(answer).map(|pause| pause.min(PAUSE_MAX)),
            _ => None,
        };
        match pause {
            Some(pause) => {
                standing.wait = standing.wait.max(pause);
                self.listen_fell(now, call);
            }
            None => self.say(call.answer(answer)),
        }
    }

    /// The stream of a standing listen is gone.
    pub(super) fn listen_fell(&mut self, now: Instant, mut call: Call) {
        let Some(standing) = &mut call.standing else { return };
        standing.falls(now);
        call.waits_until = None;
        self.fallen.push(call);
    }

    /// Asks for the streams again whose time has come.
    pub(super) fn listen_again(&mut self, now: Instant) {
        if !self.passes() {
            return;
        }
        let is_due = |call: &mut Call| call.falls_due().is_none_or(|at| at <= now);
        let due: Vec<_> = self.fallen.extract_if(.., is_due).collect();
        for call in due {
            self.send_call(call);
        }
    }

    /// The daemon is there: whoever waits need not wait longer.
    pub(super) fn wake_fallen(&mut self, now: Instant) {
        for call in &mut self.fallen {
            if let Some(standing) = &mut call.standing {
                standing.at = Some(now);
            }
        }
    }
}

// === impl Call ===

impl Call {
    /// When the stream of a listen that lost it is to be asked for again.
    pub(super) fn falls_due(&self) -> Option<Instant> {
        self.standing.as_ref()?.at
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
