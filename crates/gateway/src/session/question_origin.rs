//! Where the questions to a client come from.

use std::sync::Arc;

use mainstay_model::Charge;
use mainstay_session::Question;
use mainstay_upstream::Asker;

use super::control::CallControl;

/// The server that asked a question, and the call that waits for the answer.
#[derive(Debug)]
pub(super) struct QuestionOrigin {
    pub(super) server: Asker,
    pub(super) call: Option<Arc<CallControl>>,
    /// The memory of the question while it is open.
    pub(super) _charge: Charge,
}

/// Answers questions with an error, since their client is gone.
pub(super) fn refuse_unanswered(questions: Vec<Question<QuestionOrigin>>) {
    for question in questions {
        question.asker.server.refuse(&question.id, "the client that was asked has gone away");
    }
}
