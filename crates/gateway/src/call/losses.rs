//! What follows when the answer of a call will not come: another attempt, or the end of the call.

use mainstay_model::RefusalCode;
use mainstay_pool::{AttemptEnd, RetryWish};
use mainstay_session::{CallDecision, CallEnd, CallEvent};
use mainstay_telemetry as telemetry;
use mainstay_upstream::Lost;

use super::{Call, Progress, refusal};

impl Call {
    /// Handles a lost answer. None: the call is sent again when the retry budget of the server has a place for it.
    ///
    /// Breakers count the call and not its attempts, so only the last of them. The trial of a breaker is one request,
    /// and not sent again.
    pub(super) fn on_lost(&mut self, lost: &Lost) -> Option<Progress> {
        let was_suspended = self.state.is_suspended();
        let event = CallEvent::Lost { fate: lost.fate, retry_after: lost.retry_after };
        let spent = match self.on(event) {
            CallDecision::Retry { .. } if self.attempt.is_trial() => {
                self.on(CallEvent::NotRepeated);
                None
            }
            CallDecision::Retry { pause_max, at_least } => {
                if was_suspended {
                    self.session.refuse_questions_of(&self.control);
                }
                let wish = RetryWish { pause_max, at_least, deadline: self.state.deadline() };
                match self.attempt.route.pool.take_retry(&wish) {
                    Ok(place) => {
                        self.record.retrying(&self.attempt.route.pool, lost, &place);
                        self.attempt.end(AttemptEnd::Repeated);
                        self.attempt.send_again(place);
                        return None;
                    }
                    Err(spent) => {
                        self.on(CallEvent::NotRepeated);
                        Some(spent)
                    }
                }
            }
            _ => None,
        };
        self.attempt.end(AttemptEnd::Lost(lost));
        let settings = self.sessions.serving.settings();
        let limits = &settings.limits;
        let refusal = refusal::lost_call(lost, self.server(), limits);
        let refusal = refusal::after_retries(refusal, self.state.retries(), spent);
        let outcome = match refusal.code {
            RefusalCode::OutcomeUnknown => telemetry::Outcome::Lost,
            _ => telemetry::Outcome::Refused,
        };
        Some(self.refuse(refusal, outcome))
    }

    pub(super) fn on_deadline(&mut self) -> Option<Progress> {
        let end = match self.state.is_suspended() {
            true => AttemptEnd::Unanswered,
            false => AttemptEnd::TimedOut,
        };
        let CallDecision::Finish(CallEnd::TimedOut) = self.on(CallEvent::Deadline) else {
            return None;
        };
        self.attempt.withdraw("the deadline of the call has passed", end);
        let (took, waited) = (self.record.begun.elapsed(), self.attempt.waited);
        let is_at_most = self.state.is_at_most();
        let refusal = self.call_limits(|limits| {
            refusal::deadline_exceeded(took, waited, self.server(), limits, is_at_most)
        });
        Some(self.refuse(refusal, telemetry::Outcome::Timeout))
    }
}
