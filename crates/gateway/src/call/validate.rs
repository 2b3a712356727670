//! Checks the arguments of a call before anything reaches a server.

use mainstay_model::{Refusal, RefusalCode};
use mainstay_session::CallEvent;
use mainstay_session::validation::{self, Excess};
use mainstay_telemetry as telemetry;

use super::{Call, Progress};

impl Call {
    /// Checks the arguments, once. Returns the answer to a call that is refused.
    pub(super) fn check_arguments(&mut self) -> Option<Progress> {
        self.is_unchecked = false;
        let excess = {
            let terms = self.terms.as_ref()?;
            let params = self.attempt.message().params().ok()?;
            let arguments = params.arguments.as_ref().map_or("{}", |arguments| arguments.raw);
            validation::excess(arguments, &terms.limits)?
        };
        let refusal = limit_exceeded(&excess).server(self.server());
        self.on(CallEvent::Refused);
        Some(self.refuse(refusal, telemetry::Outcome::Refused))
    }
}

/// Returns the refusal for a call with an argument that exceeds a limit.
fn limit_exceeded(excess: &Excess) -> Refusal {
    let Excess { measure, path, max, .. } = excess;
    Refusal::new(RefusalCode::LimitExceeded, excess.to_string())
        .limit(format!("validate.{}.{path}: {max}", measure.as_str()))
        .hint("send less in one call, or raise the limit in the rule for this tool; nothing reached the server")
}
