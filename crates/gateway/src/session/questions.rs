//! Questions of servers to the client of a session, and the client's answers to them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use mainstay_model::{Budget, BudgetExceeded, MemoryKind, Refusal, RefusalCode};
use mainstay_protocol::{Edit, Message, build, edit};
use mainstay_session::questions::{OPEN_BYTES_MAX, OPEN_PER_CALL_MAX, OPEN_PER_SESSION_MAX};
use mainstay_session::{Question, TooMany};
use mainstay_telemetry::{QuestionRefused, ServerMetrics, events};
use mainstay_upstream::Asker;

use super::Session;
use super::control::CallControl;
use super::question_origin::{QuestionOrigin, refuse_unanswered};

/// How long a client that lost its stream may take to resume it before its open questions are
/// refused.
pub(crate) const QUESTION_GRACE: Duration = Duration::from_secs(3);

/// Why a question is not brought to the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotAsked {
    TooMany(TooMany),
    /// The open questions of all clients take too much memory.
    OverBudget(BudgetExceeded),
    /// The client reads too slowly.
    SlowClient,
}

impl Session {
    /// Whether the client has declared that it answers this method.
    pub(crate) fn accepts_question(&self, method: &str) -> bool {
        match method {
            "sampling/createMessage" => self.capabilities.sampling,
            "elicitation/create" => {
                self.capabilities.elicitation || self.capabilities.elicitation_url
            }
            "roots/list" => self.capabilities.roots,
            _ => true,
        }
    }

    /// Opens a question of a server, of a call or of none, under `number`. Returns the message to
    /// send to the client.
    ///
    /// # Errors
    /// When too many questions are open, or too large ones.
    pub(crate) fn open_question(
        &self,
        number: u64,
        call: Option<&Arc<CallControl>>,
        asker: &Asker,
        question: &Message,
        budget: Budget,
    ) -> Result<Bytes, NotAsked> {
        let Some(id) = question.id() else { return Ok(question.bytes().clone()) };
        let now = Instant::now();
        let charge = budget
            .take(MemoryKind::Questions, question.bytes().len())
            .map_err(NotAsked::OverBudget)?;
        let asked = Question {
            asker: QuestionOrigin { server: asker.clone(), call: call.cloned(), _charge: charge },
            id: id.detached(),
            call: call.map(|control| control.call),
            bytes: question.bytes().len(),
            asked_at: now,
        };
        let mut state = self.state.lock();
        let lapsed = state.questions.close_lapsed(now);
        let taken = state.questions.ask(number, asked);
        drop(state);
        refuse_unanswered(lapsed);
        taken.map_err(NotAsked::TooMany)?;
        Ok(question.with_id(number.to_string().as_bytes()))
    }

    /// Forwards the client's answer to the server that asked. An answer to a question that is not
    /// open is ignored: its call may have ended, or an earlier daemon asked it.
    pub(crate) fn forward_answer(&self, answer: &Message) {
        let Some(number) = answer.id_number() else { return };
        let Some(question) = self.state.lock().questions.close(number) else { return };
        if let Some(call) = &question.asker.call {
            call.note_answer();
        }
        question.asker.server.answer(answer.with_id(question.id.as_bytes()));
    }

    /// Closes a question that could not be brought to the client, and answers the server with an
    /// error.
    pub(crate) fn refuse_question(&self, number: u64, why: NotAsked) {
        let question = self.state.lock().questions.close(number);
        if let Some(question) = question {
            let refusal = build::error(Some(&question.id), &refusal(why).to_json());
            question.asker.server.answer(refusal);
        }
    }

    /// Closes a question without an answer to its server, which the caller gives.
    pub(crate) fn close_question(&self, number: u64) {
        self.state.lock().questions.close(number);
    }

    /// Closes a question that its server has cancelled. Returns the notification for the client,
    /// which knows the question by the gateway's number. None: no such question is open.
    pub(crate) fn cancel_question(&self, asker: &Asker, notice: &Message) -> Option<Bytes> {
        let of = notice.params().ok()?.request_id?;
        let number = self.state.lock().questions.take_back(|question| {
            question.id.as_bytes() == of.raw.as_bytes() && question.asker.server.is_same(asker)
        })?;
        let number = number.to_string();
        let edit = Edit::new(of.span, number.as_bytes());
        Some(edit::splice(notice.bytes(), &mut [edit]))
    }

    /// Returns how many questions of a call are open.
    pub(crate) fn open_questions_of(&self, call: &CallControl) -> usize {
        self.state.lock().questions.open_in(call.call)
    }

    /// Refuses the open questions of a call in place of its client, which is gone.
    pub(crate) fn refuse_questions_of(&self, call: &CallControl) {
        let open = self.state.lock().questions.close_call(call.call);
        refuse_unanswered(open);
    }

    /// Refuses questions outside of calls that nobody will answer: those that have been open for too long,
    /// and all if the client has not read a stream for them for `grace`.
    pub(crate) fn refuse_unheard_questions(&self, now: Instant, grace: Duration) {
        let mut state = self.state.lock();
        let mut unheard = state.questions.close_lapsed(now);
        if !state.streams.may_be_read_within(grace) {
            unheard.extend(state.questions.close_outside_calls());
        }
        drop(state);
        refuse_unanswered(unheard);
    }

    /// Returns the servers that wait for an answer of this client.
    pub(crate) fn waiting_servers(&self) -> Vec<Asker> {
        let state = self.state.lock();
        let mut askers: Vec<Asker> = Vec::new();
        for asker in state.questions.iter().map(|question| &question.asker.server) {
            if !askers.iter().any(|other| other.is_same(asker)) {
                askers.push(asker.clone());
            }
        }
        askers
    }
}

/// Refuses a question that could not be opened, and counts it.
pub(crate) fn refuse_unopened(
    asker: &Asker,
    question: &Message,
    why: NotAsked,
    metrics: &ServerMetrics,
) {
    count_not_asked(question.method(), why, metrics);
    if let Some(id) = question.id() {
        asker.answer(build::error(Some(&id), &refusal(why).to_json()));
    }
}

/// Counts a question that is not brought to the client.
pub(crate) fn count_not_asked(method: &str, why: NotAsked, metrics: &ServerMetrics) {
    let reason = match why {
        NotAsked::TooMany(TooMany::InCall) => QuestionRefused::CallLimit,
        NotAsked::TooMany(TooMany::InSession) => QuestionRefused::SessionLimit,
        NotAsked::TooMany(TooMany::Bytes) | NotAsked::OverBudget(_) => QuestionRefused::BytesLimit,
        NotAsked::SlowClient => QuestionRefused::SlowClient,
    };
    events::QuestionNotAsked { method, reason }.emit(metrics);
}

fn refusal(why: NotAsked) -> Refusal {
    match why {
        NotAsked::TooMany(bound) => {
            Refusal::new(RefusalCode::LimitExceeded, format!("the client is not asked: {bound}"))
        }
        NotAsked::OverBudget(exceeded) => return exceeded.refusal(),
        NotAsked::SlowClient => Refusal::new(
            RefusalCode::LimitExceeded,
            "the client is not asked: it has not read earlier messages",
        ),
    }
    .limit(format!(
        "open questions: {OPEN_PER_CALL_MAX} a call, {OPEN_PER_SESSION_MAX} a session, \
         {OPEN_BYTES_MAX} bytes"
    ))
    .hint("ask fewer questions at once, and wait for answers")
}
