//! Opens and closes the stream for messages outside of calls.

use std::time::Instant;

use super::effect::Effect;
use super::limits::STREAM_PAUSE;
use super::state::{Listening, Phase, Purpose, Shim};

// === impl Shim ===

impl Shim {
    /// Opens the stream if it is wanted and due.
    pub(super) fn listen(&mut self, now: Instant) {
        let is_time = self.stream.not_before.is_none_or(|at| at <= now);
        if self.phase == Phase::Open && self.stream.state == Listening::Wanted && is_time {
            let exchange = self.begin(Purpose::Listen);
            self.stream.state = Listening::On(exchange);
            self.stream.not_before = Some(now + STREAM_PAUSE);
            let after = self.stream.after.clone();
            self.effects.push(Effect::Listen { exchange, headers: self.session.headers(), after });
        }
    }

    pub(super) fn stop_listening(&mut self) {
        if let Listening::On(exchange) = self.stream.state {
            self.under_way.remove(&exchange);
            self.effects.push(Effect::Abandon(exchange));
        }
        self.stream.state = Listening::Off;
        self.stream.after = None;
        self.stream.not_before = None;
    }
}
