//! How the end of an attempt counts. `docs/breakers.md` has the same as a table.

use mainstay_model::Fate;
use mainstay_supervisor::breaker::{BreakerFailure, FailureKind, Position, Verdict};
use mainstay_supervisor::probe::Outcome;
use mainstay_telemetry as telemetry;
use mainstay_upstream::Lost;

/// How an attempt to get an answer ended.
#[derive(Debug, Clone, Copy)]
pub enum AttemptEnd<'a> {
    /// The server answered, with a result or an error.
    Answered,
    /// The same, with this HTTP status, 500 to 599: it says of itself that it failed.
    AnsweredAs(u16),
    /// The request could not be handed over: the link was closed already, or takes no more.
    NotTaken,
    /// The request was sent, and no answer will come.
    Lost(&'a Lost),
    /// The same, and the call is sent again: what becomes of the call then is what counts.
    Repeated,
    /// The deadline passed while the server worked on it.
    TimedOut,
    /// The deadline passed while the server waited for the client's answer to a question.
    Unanswered,
    /// The client or the daemon took the call back.
    Withdrawn,
}

// === impl AttemptEnd ===

impl AttemptEnd<'_> {
    /// The outcome for the metrics.
    pub fn label(self) -> telemetry::Attempt {
        match self {
            Self::Answered | Self::AnsweredAs(_) => telemetry::Attempt::Answered,
            Self::NotTaken | Self::Lost(_) | Self::Repeated => telemetry::Attempt::Lost,
            Self::TimedOut | Self::Unanswered => telemetry::Attempt::TimedOut,
            Self::Withdrawn => telemetry::Attempt::Withdrawn,
        }
    }

    /// What the end says about the server.
    pub fn verdict(self) -> Verdict {
        match self {
            Self::Answered => Verdict::Success,
            Self::AnsweredAs(status) => {
                let reason = format!("it answered HTTP {status}");
                Verdict::Failure(BreakerFailure::new(FailureKind::Http(status), reason))
            }
            Self::Lost(lost) => verdict_of(lost),
            Self::TimedOut => {
                let reason = "it did not answer a call by its deadline";
                Verdict::Failure(BreakerFailure::new(FailureKind::Deadline, reason))
            }
            // A link that is closed was lost with the calls that were in flight then, which have reported it.
            Self::NotTaken | Self::Repeated | Self::Unanswered | Self::Withdrawn => {
                Verdict::Neither
            }
        }
    }
}

/// What a lost answer says about the server.
fn verdict_of(lost: &Lost) -> Verdict {
    let kind = match (lost.status, lost.fate) {
        (Some(status @ 500..=599), _) => FailureKind::Http(status),
        // The caller's mistake, or that of whoever has configured the server; too many requests.
        (Some(300..=499), _) => return Verdict::Neither,
        // Limits of Mainstay's own, or a fault of one tool's output: the server works.
        (
            _,
            Fate::Refused
            | Fate::Unusable
            | Fate::NoDescriptor
            | Fate::Oversized
            | Fate::TooDeep
            | Fate::OverBudget(_),
        ) => return Verdict::Neither,
        (_, Fate::Unsent | Fate::Unknown) => FailureKind::Lost,
    };
    Verdict::Failure(BreakerFailure::new(kind, lost.reason.as_str()))
}

/// What the result of a check says about its target.
pub(super) fn verdict_of_check(outcome: &Outcome) -> Verdict {
    match outcome {
        Outcome::Passed => Verdict::Success,
        Outcome::Unfit(failure) | Outcome::Silent(failure) => {
            Verdict::Failure(BreakerFailure::new(FailureKind::Check, failure.reason.as_str()))
        }
    }
}

/// The label of a position in metrics and answers.
pub fn label(position: Position) -> telemetry::Breaker {
    match position {
        Position::Closed => telemetry::Breaker::Closed,
        Position::HalfOpen => telemetry::Breaker::HalfOpen,
        Position::Open => telemetry::Breaker::Open,
    }
}

#[cfg(test)]
mod tests {
    use mainstay_model::Fate;
    use mainstay_supervisor::breaker::{FailureKind, Verdict};
    use mainstay_upstream::Lost;

    use super::{AttemptEnd, verdict_of};

    fn lost(fate: Fate, status: Option<u16>) -> Lost {
        let (reason, link_dead, retry_after) = ("x".to_owned(), false, None);
        Lost { reason, fate, link_dead, status, retry_after }
    }

    fn kind(verdict: Verdict) -> Option<FailureKind> {
        match verdict {
            Verdict::Failure(failure) => Some(failure.kind),
            Verdict::Success | Verdict::Neither => None,
        }
    }

    #[test]
    fn what_counts_is_what_the_documentation_says() {
        for (fate, status, expected) in [
            (Fate::Unknown, None, Some(FailureKind::Lost)),
            (Fate::Unsent, None, Some(FailureKind::Lost)),
            (Fate::Unusable, None, None),
            // It accepted the request and gave no answer, or something that is none.
            (Fate::Unknown, Some(202), Some(FailureKind::Lost)),
            (Fate::Unknown, Some(200), Some(FailureKind::Lost)),
            (Fate::Unknown, Some(500), Some(FailureKind::Http(500))),
            (Fate::Unknown, Some(502), Some(FailureKind::Http(502))),
            (Fate::Refused, Some(503), Some(FailureKind::Http(503))),
            (Fate::Refused, Some(401), None),
            (Fate::Refused, Some(404), None),
            (Fate::Refused, Some(429), None),
            (Fate::Refused, Some(302), None),
            (Fate::Refused, None, None),
            (Fate::NoDescriptor, None, None),
            (Fate::Oversized, None, None),
            (Fate::TooDeep, None, None),
        ] {
            let lost = lost(fate, status);
            assert_eq!(kind(verdict_of(&lost)), expected, "{lost:?}");
            assert_ne!(verdict_of(&lost), Verdict::Success);
        }
        assert_eq!(AttemptEnd::Answered.verdict(), Verdict::Success);
        let failed = AttemptEnd::AnsweredAs(503).verdict();
        assert_eq!(kind(failed), Some(FailureKind::Http(503)));
        assert_eq!(kind(AttemptEnd::TimedOut.verdict()), Some(FailureKind::Deadline));
        let nothing = [
            AttemptEnd::NotTaken,
            AttemptEnd::Repeated,
            AttemptEnd::Unanswered,
            AttemptEnd::Withdrawn,
        ];
        for end in nothing {
            assert_eq!(end.verdict(), Verdict::Neither, "{end:?}");
        }
    }
}
