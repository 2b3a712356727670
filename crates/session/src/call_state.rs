//! What may still happen in a call, decided without a socket, a task or a clock.
//!
//! A call is a conversation of three: the client that asked, the server that works on it, and the gateway
//! between them. The driver reports each event and carries out the one decision that it gets back.
//!
//! ```text
//!            Sent                Question, asked
//! Resting ─────────▶ UnderWay ─────────────────────▶ Suspended
//!    ▲                 │   ▲                             │
//!    └─ Lost, again ───┘   └── QuestionsClosed, none ────┘
//!
//! any state ── Answer, Lost, NotRepeated, Refused, Cancelled, Deadline ──▶ Over
//! ```
//!
//! A suspended call depends on nobody's HTTP request: it lasts until the question is answered, until its
//! client is gone, or until its deadline.

use std::time::{Duration, Instant};

use mainstay_model::Fate;

use crate::CallTime;

#[cfg(test)]
mod schedules;
#[cfg(test)]
mod tests;

/// What is known of a call before it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallTerms {
    /// The call may be sent again after its answer was lost: it only reads or is idempotent, or a rule allows it.
    pub may_retry: bool,
    /// The client can be asked while the call runs.
    pub can_ask: bool,
    /// The call repeats arguments as headers, which are made from a list that may be out of date.
    pub has_mirrors: bool,
}

/// One call, from its first attempt to its end.
#[derive(Debug)]
pub struct CallState {
    terms: CallTerms,
    time: CallTime,
    state: State,
    audience: Audience,
    /// How often the request was sent again after its answer was lost, or is to be.
    retries: u32,
    /// What became of the last attempt that was lost.
    lost: Option<Fate>,
    /// The server may have carried the request out, whatever becomes of it now.
    may_be_done: bool,
    /// The server refused the headers once: they have been made anew.
    has_new_headers: bool,
}

/// What happens to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallEvent {
    /// The request is on its way to an instance.
    Sent,
    /// The server sends a notification. `wanted`: the client has asked for such ones.
    Notification { is_progress: bool, wanted: bool },
    /// The server asks the client. `is_heard`: the client can be asked this, and may be listening.
    Question { is_heard: bool },
    /// Questions were answered, taken back or refused; so many are still open.
    QuestionsClosed { open: usize },
    /// The server answers. `header_mismatch`: with the error that says that its headers are wrong.
    Answer { header_mismatch: bool },
    /// The answer of this attempt will never come. `retry_after`: how long the server wants to be left alone.
    Lost { fate: Fate, retry_after: Option<Duration> },
    /// The retry that was decided on has no place in the retry budget before the deadline.
    NotRepeated,
    /// No instance takes the call.
    Refused,
    /// Nobody has read the stream of the call for longer than a client needs to come back.
    ClientAway,
    /// Somebody reads the stream of the call again.
    ClientBack,
    /// Nothing can carry a message to the client any more, except perhaps the answer.
    ClientGone,
    /// The client takes the call back.
    Cancelled,
    /// The deadline may have passed.
    Deadline,
}

/// What is to be done about an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallDecision {
    /// Wait for what comes next.
    Wait,
    /// Bring the message to the client.
    Forward,
    /// Ask the client. The server's time stands still from now on.
    Ask,
    /// Answer the question in the client's place.
    RefuseQuestion,
    /// Answer all open questions in the client's place.
    RefuseOpenQuestions,
    /// Send the request again when the retry budget has a place for it, after a random part of `pause_max`, and
    /// not before `at_least` has passed.
    Retry { pause_max: Duration, at_least: Duration },
    /// Fetch the server's list, make the headers from it, and send the request again.
    RenewHeaders,
    /// The call is over. This comes exactly once.
    Finish(CallEnd),
}

/// How a call ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallEnd {
    Answered,
    /// The answer is lost, and the call may not be sent again.
    Lost(Fate),
    Refused,
    TimedOut,
    Cancelled,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// No attempt is under way.
    Resting,
    /// A server works on the call.
    UnderWay,
    /// A server waits for the client's answer.
    Suspended,
    Over,
}

/// Who hears what the server says before its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Audience {
    Present,
    /// Nobody reads now; what is kept reaches a client that comes back.
    Away,
    /// Nobody ever will.
    Gone,
}

/// How often a request is sent again at most, whatever the reasons. More seldom helps, and each is load.
pub const RETRIES_MAX: u32 = 3;

/// The pause before the first retry is a random part of this; it doubles with each further one. A server that is
/// ending can still accept connections for a moment, and would lose the call again.
const PAUSE_MIN: Duration = Duration::from_millis(100);

/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(2);

// === impl CallState ===

impl CallState {
    /// A call that begins now and has not been sent.
    pub fn new(terms: CallTerms, time: CallTime) -> Self {
        Self {
            terms,
            time,
            state: State::Resting,
            audience: Audience::Present,
            retries: 0,
            lost: None,
            may_be_done: false,
            has_new_headers: false,
        }
    }

    /// When the call is over, as far as is known now.
    pub fn deadline(&self) -> Instant {
        self.time.deadline()
    }

    /// Whether progress has extended the deadline to the most there is.
    pub fn is_at_most(&self) -> bool {
        self.time.is_at_most()
    }

    /// How often the request was sent again, or is to be.
    pub fn retries(&self) -> u32 {
        self.retries
    }

    /// Whether the server may have carried the request out: an attempt is under way, or one was lost after it
    /// was sent.
    pub fn may_be_done(&self) -> bool {
        self.may_be_done || matches!(self.state, State::UnderWay | State::Suspended)
    }

    /// Whether the server waits for the client's answer.
    pub fn is_suspended(&self) -> bool {
        self.state == State::Suspended
    }

    /// Whether the call is over.
    pub fn is_over(&self) -> bool {
        self.state == State::Over
    }

    /// Takes note of an event and decides what to do about it. After the end there is nothing to do.
    pub fn on(&mut self, now: Instant, event: CallEvent) -> CallDecision {
        match (self.state, event) {
            (State::Over, _) => CallDecision::Wait,

            // ## Who listens, in any state
            (_, CallEvent::ClientGone) => self.audience_is(now, Audience::Gone),
            (_, CallEvent::ClientAway) if self.audience == Audience::Present => {
                self.audience_is(now, Audience::Away)
            }
            (_, CallEvent::ClientBack) if self.audience == Audience::Away => {
                self.audience_is(now, Audience::Present)
            }
            (_, CallEvent::ClientAway | CallEvent::ClientBack) => CallDecision::Wait,

            // ## Any state => Over
            (_, CallEvent::Cancelled) => self.finish(CallEnd::Cancelled),
            (_, CallEvent::Refused) => self.finish(CallEnd::Refused),
            (_, CallEvent::Deadline) if self.time.deadline() <= now => {
                self.finish(CallEnd::TimedOut)
            }
            (_, CallEvent::Deadline) => CallDecision::Wait,

            // ## Resting => UnderWay
            (State::Resting, CallEvent::Sent) => {
                self.state = State::UnderWay;
                CallDecision::Wait
            }

            // ## UnderWay | Suspended
            (_, CallEvent::Notification { is_progress, wanted }) => {
                if is_progress {
                    self.time.progress(now);
                }
                match wanted && self.audience != Audience::Gone {
                    true => CallDecision::Forward,
                    false => CallDecision::Wait,
                }
            }

            // ## UnderWay => Suspended
            (State::UnderWay | State::Suspended, CallEvent::Question { is_heard }) => {
                if !is_heard || !self.terms.can_ask || self.audience != Audience::Present {
                    return CallDecision::RefuseQuestion;
                }
                // People answer slowly: their time is not the server's.
                self.time.pause(now);
                self.state = State::Suspended;
                CallDecision::Ask
            }

            // ## Suspended => UnderWay
            (State::Suspended, CallEvent::QuestionsClosed { open: 0 }) => {
                self.resume(now);
                CallDecision::Wait
            }
            (_, CallEvent::QuestionsClosed { .. }) => CallDecision::Wait,

            // ## UnderWay | Suspended => Resting | Over
            (_, CallEvent::Answer { header_mismatch }) => {
                let tries_again =
                    header_mismatch && self.terms.has_mirrors && !self.has_new_headers;
                if !tries_again {
                    return self.finish(CallEnd::Answered);
                }
                self.has_new_headers = true;
                self.rest(now);
                CallDecision::RenewHeaders
            }
            (_, CallEvent::Lost { fate, retry_after }) => self.lost(now, fate, retry_after),
            (State::Resting, CallEvent::NotRepeated) => {
                self.retries = self.retries.saturating_sub(1);
                self.finish(CallEnd::Lost(self.lost.unwrap_or(Fate::Unknown)))
            }
            (_, CallEvent::NotRepeated) => CallDecision::Wait,

            // An attempt that is under way already, or a question of none.
            (_, CallEvent::Sent) => CallDecision::Wait,
            (State::Resting, CallEvent::Question { .. }) => CallDecision::RefuseQuestion,
        }
    }

    fn lost(&mut self, now: Instant, fate: Fate, retry_after: Option<Duration>) -> CallDecision {
        self.lost = Some(fate);
        self.may_be_done |= fate == Fate::Unknown;
        let is_safe = match fate {
            Fate::Unsent => true,
            Fate::Unknown => self.terms.may_retry,
            // Too many requests, or no service now: the server said when to come again.
            Fate::Refused => self.terms.may_retry && retry_after.is_some(),
            _ => false,
        };
        let at_least = retry_after.unwrap_or_default();
        self.rest(now);
        if !is_safe || self.retries == RETRIES_MAX || now + at_least >= self.deadline() {
            return self.finish(CallEnd::Lost(fate));
        }
        let pause_max = match (fate, self.retries) {
            // Nothing has reached the server: the connection was closed before.
            (Fate::Unsent, 0) => Duration::ZERO,
            (_, retries) => (PAUSE_MIN * (1 << retries)).min(PAUSE_MAX),
        };
        self.retries += 1;
        CallDecision::Retry { pause_max, at_least }
    }

    /// Whoever does not listen any more is not waited for.
    fn audience_is(&mut self, now: Instant, audience: Audience) -> CallDecision {
        self.audience = audience;
        if audience == Audience::Present || self.state != State::Suspended {
            return CallDecision::Wait;
        }
        self.resume(now);
        CallDecision::RefuseOpenQuestions
    }

    fn resume(&mut self, now: Instant) {
        self.time.go_on(now);
        self.state = State::UnderWay;
    }

    /// The attempt has ended, and with it what it asked.
    fn rest(&mut self, now: Instant) {
        self.time.go_on(now);
        self.state = State::Resting;
    }

    fn finish(&mut self, end: CallEnd) -> CallDecision {
        self.state = State::Over;
        CallDecision::Finish(end)
    }
}
