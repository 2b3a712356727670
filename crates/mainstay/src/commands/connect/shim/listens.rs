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
use super::{Purpose, RETRY_FIRST, RETRY_MAX, Shim, outcome};

/// What is known of a listen that was acknowledged.
#[derive(Debug)]
pub(super) struct Standing {
    /// What to tell the client when the stream is there again: all that it listens for, as far as
    /// that was granted.
    notices: Vec<Bytes>,
    /// Since when the stream is open; none while it is not.
    since: Option<Instant>,
    /// Before the next attempt.
    wait: Duration,
    /// When that is.
    at: Option<Instant>,
    /// It has been ended in good order soon after it began.
    was_short: bool,
}

/// A stream that always ends sooner is not meant to last.
const STEADY_AFTER: Duration = Duration::from_secs(2);
/// The longest pause that a refusal can ask for.
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// Resources of one listen that are told of; a client with more has to look itself.
const NOTICES_MAX: usize = 4096;

// === impl Standing ===

impl Standing {
    fn new(now: Instant, listen: &Id, acknowledged: &Message) -> Self {
        let notices = notices(listen, acknowledged);
        let wait = Duration::ZERO;
        Self { notices, since: Some(now), wait, at: None, was_short: false }
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
        let said = match &mut call.standing {
            Some(standing) => {
                standing.since = Some(now);
                standing.notices.clone()
            }
            None => {
                call.standing = Some(Standing::new(now, &call.id, ack));
                vec![ack.bytes().clone()]
            }
        };
        for message in said {
            self.say(message);
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

/// What a listen may have missed.
fn notices(listen: &Id, acknowledged: &Message) -> Vec<Bytes> {
    let params = acknowledged.params().unwrap_or_default();
    let granted = params.notifications.and_then(|field| Filter::read(field.raw).ok());
    let granted = granted.unwrap_or_default();
    let lists = ListKind::ALL.into_iter().filter(|kind| granted.wants(*kind));
    let lists = lists.filter_map(|kind| subscriptions::list_changed(listen, kind));
    let uris = granted.uris.iter().take(NOTICES_MAX);
    lists.chain(uris.map(|uri| subscriptions::resource_updated(listen, uri))).collect()
}
