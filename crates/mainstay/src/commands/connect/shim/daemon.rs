//! Handles messages of the daemon, and the ends of exchanges.

use std::time::Instant;

use mainstay_protocol::{Kind, Message, Method, Notification};

use super::call::{self, Call};
use super::effect::End;
use super::limits::RETRY_FIRST;
use super::outcome;
use super::state::{Listening, Phase, Purpose, Shim};

// === impl Shim ===

impl Shim {
    pub(super) fn came(&mut self, now: Instant, exchange: u64, message: &Message) {
        if message.is_answer() {
            match self.under_way.get(&exchange).map(|of| &of.purpose) {
                Some(Purpose::Call(_)) => self.call_answered(now, exchange, message),
                Some(Purpose::Knock) => {
                    self.under_way.remove(&exchange);
                    self.knock_answered(now, message);
                }
                Some(&Purpose::LookUp { page }) => self.page_came(now, exchange, page, message),
                Some(Purpose::Reopen) => {
                    self.under_way.remove(&exchange);
                    self.reopened(now, message);
                }
                Some(Purpose::Greet) if message.kind() == Kind::Error => {
                    tracing::warn!(
                        error = message.body(),
                        "the new session refused a message of the old one"
                    );
                }
                _ => {}
            }
        } else if message.kind() == Kind::Request {
            if let Some(question) = self.questions.asked(message, exchange, self.session.generation)
            {
                self.say(question);
            }
        } else if Notification::parse(message.method())
            == Some(Notification::SubscriptionsAcknowledged)
        {
            self.acknowledged(now, exchange, message);
        } else {
            let renamed = self.questions.renamed(message);
            self.say(renamed.unwrap_or_else(|| message.bytes().clone()));
        }
    }

    pub(super) fn call_answered(&mut self, now: Instant, exchange: u64, answer: &Message) {
        if let Some(call) = self.take_call(exchange) {
            self.take_back(exchange);
            self.answered(now, call, answer);
        }
    }

    fn answered(&mut self, now: Instant, mut call: Call, answer: &Message) {
        if call.is_initialize() {
            return self.opened(now, call, answer);
        }
        if call.standing.is_some() {
            return self.listen_answered(now, call, answer);
        }
        if Self::wants_lookup(&call, answer) && !call.is_cancelled {
            return self.look_up(call);
        }
        let has_time = call.waits_until.is_none_or(|until| now < until);
        if outcome::is_stopping(answer) && has_time && !call.is_cancelled {
            call.note_refusal(answer);
            self.hold(now, call);
            if self.passes() {
                // An attempt at once would find the daemon still stopping.
                self.retry.wait = self.retry.wait.max(RETRY_FIRST);
                self.away_for_a_while(now);
            }
            return;
        }
        self.calm();
        if answer.kind() == Kind::Result {
            self.learn(&call, answer);
        }
        self.say(call.answer(answer));
    }

    /// Learns from a request that succeeded: subscriptions, log level, tools.
    fn learn(&mut self, call: &Call, answer: &Message) {
        if call.method() == Some(Method::ToolsList) {
            let _ = self.tools.listed(answer.body().unwrap_or_default());
        }
        if let Some(memory) = &mut self.memory {
            memory.note(call);
        }
    }

    fn knock_answered(&mut self, now: Instant, answer: &Message) {
        if outcome::is_stopping(answer) {
            self.retry.wait = self.retry.wait.max(RETRY_FIRST);
            self.away_for_a_while(now);
        } else {
            self.found(now);
        }
    }

    pub(super) fn ended(&mut self, now: Instant, exchange: u64, end: &End) {
        let Some(of) = self.under_way.remove(&exchange) else { return };
        self.take_back(exchange);
        if let End::Unreached(why) | End::Lost(why) = end {
            tracing::debug!(exchange, why, "an exchange failed");
        }
        match of.purpose {
            Purpose::Call(call) => match outcome::answer_in(end) {
                Some(answer) => self.answered(now, call, &answer),
                None => self.call_ended(now, call, of.generation, end),
            },
            Purpose::Note(message) => {
                let is_whole = matches!(end, End::Done | End::Refused { .. });
                let unreached = matches!(end, End::Unreached(_));
                if !is_whole {
                    self.trouble(now, of.generation, end);
                }
                if unreached && self.session.is_open && of.generation == self.session.generation {
                    self.note(message);
                }
            }
            Purpose::Greet => self.greeted(now, of.generation, end),
            Purpose::Listen => self.stream_ended(now, of.generation, end),
            Purpose::LookUp { .. } => self.looked_up(now),
            Purpose::Knock if matches!(end, End::SessionGone) => self.reopen(),
            // Any refusal of a ping proves that the daemon is there.
            Purpose::Knock if matches!(end, End::Refused { status, .. } if status.is_client_error()) =>
            {
                self.found(now);
            }
            Purpose::Reopen if matches!(end, End::Refused { .. }) => {
                self.refuse_waiting(&outcome::refused(end));
                self.away(now);
            }
            Purpose::Knock | Purpose::Reopen => self.away(now),
        }
    }

    pub(super) fn call_ended(&mut self, now: Instant, mut call: Call, generation: u64, end: &End) {
        if call.standing.is_some() && !matches!(end, End::Refused { .. }) {
            return self.listen_fell(now, call);
        }
        if let End::Refused { .. } = end {
            self.say(call.refusal(&outcome::refused(end)));
            if call.is_initialize() {
                self.phase = Phase::Fresh;
                self.flush(now);
            }
            return;
        }
        if call.is_initialize() {
            if matches!(end, End::Lost(_)) {
                call.waits_until = None;
            }
            self.hold(now, call);
            return self.away(now);
        }
        // A cancelled call needs no answer.
        if !(call.is_cancelled && matches!(end, End::Done)) {
            self.trouble(now, generation, end);
        }
        if call.is_cancelled {
            return;
        }
        if !matches!(end, End::Unreached(_)) {
            call.waits_until = None;
            call.losses += 1;
        }
        let is_known_unsent = matches!(end, End::Unreached(_) | End::SessionGone);
        if !is_known_unsent && !self.may_retry(&call) {
            self.say(call.refusal(&outcome::unknown()));
        } else if call.losses > call::LOSSES_MAX {
            self.say(call.refusal(&outcome::lost_again_and_again()));
        } else {
            self.request(now, call);
        }
    }

    /// Whether carrying the request out twice equals carrying it out once, as far as is declared.
    fn may_retry(&self, call: &Call) -> bool {
        call.method().is_some_and(call::may_retry)
            || call.tool().is_some_and(|tool| self.tools.may_retry(&tool))
    }

    pub(super) fn stream_ended(&mut self, now: Instant, generation: u64, end: &End) {
        if generation != self.session.generation {
            return;
        }
        self.stream.state = match end {
            // Something between shim and daemon failed; try again after a pause.
            End::Refused { status, .. } if status.is_server_error() => Listening::Wanted,
            // The daemon no longer knows that event: start the stream afresh, without it.
            End::Refused { .. } | End::SessionGone if self.stream.after.take().is_some() => {
                Listening::Wanted
            }
            End::NoStream | End::Refused { .. } | End::SessionGone => Listening::Never,
            End::Done | End::Unreached(_) | End::Lost(_) => Listening::Wanted,
        };
        // A stream often ends first when a daemon stops. A missing stream may be refused with 404,
        // too, so that alone does not mean that the session is gone.
        if !matches!(end, End::NoStream | End::Refused { .. }) && self.passes() {
            self.away(now);
        }
    }

    /// Checks whether the session still exists, after one of its exchanges failed.
    pub(super) fn trouble(&mut self, now: Instant, generation: u64, end: &End) {
        if generation != self.session.generation || !self.passes() {
            return;
        }
        if matches!(end, End::SessionGone) { self.reopen() } else { self.away(now) }
    }

    /// Cancels the questions of an ended exchange towards the client; the daemon sends no
    /// cancellation for them.
    pub(super) fn take_back(&mut self, exchange: u64) {
        for cancelled in self.questions.end_exchange(exchange) {
            self.say(cancelled);
        }
    }
}
