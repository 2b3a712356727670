//! One call: to a server and back, within its deadline, with exactly one response.
//!
//! [`Attempt`] is the way to a server and back, [`CallState`] decides what may happen next, and
//! [`delivery`] brings the output to the client. [`Call`] joins the first two: it knows nothing of
//! HTTP, and outlives the HTTP request that it came with.

pub(crate) mod delivery;

mod attempt;
mod deadline_timer;
mod losses;
mod record;
mod refusal;
mod validate;

#[cfg(test)]
mod tests;

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use mainstay_model::settings::{CallLimits, ToolTerms};
use mainstay_model::{BudgetExceeded, MemoryKind, Name, Refusal};
use mainstay_pool::AttemptEnd;
use mainstay_protocol::{Edit, Id, Message, Notification, Scope, build, codes, edit};
use mainstay_session::{CallDecision, CallEvent, CallState, CallTerms, CallTime, LogLevel};
use mainstay_telemetry as telemetry;
use mainstay_telemetry::{CorrelationId, Dropped, ServerMetrics, events};
use mainstay_upstream::Incoming;
use tokio::time::{Instant, timeout_at};

use self::attempt::{Attempt, NotSent, SendContext};
use self::deadline_timer::DeadlineTimer;
use self::record::CallRecord;
use crate::endpoint::route::{ProgressToken, Route};
use crate::session::Session;
use crate::session::control::CallControl;
use crate::session::questions::{self, NotAsked, QUESTION_GRACE};
use crate::sessions::Sessions;
use crate::stream::EventStream;

/// A call in flight. It outlives the client's connection: a legacy client that disconnects has not
/// cancelled (2025-11-25 basic/transports, sending messages).
pub(crate) struct Call {
    sessions: Arc<Sessions>,
    session: Arc<Session>,
    id: Id,
    control: Arc<CallControl>,
    state: CallState,
    /// What is set for the tool or the server. `None`: nothing, and the gateway's settings hold.
    terms: Option<Arc<ToolTerms>>,
    /// Whether the arguments are still to be checked.
    is_unchecked: bool,
    attempt: Attempt,
    record: CallRecord,
    timer: DeadlineTimer,
    /// The stream that carries questions to the client, once there is one.
    stream: Option<Arc<EventStream>>,
    /// Code of the response, if that is an error of the server.
    error_code: Option<i32>,
}

/// Output of a call, in order. `Answer` and `Cancelled` come once and last.
#[derive(Debug)]
pub(crate) enum Progress {
    /// A notification or a question for the client.
    Event {
        message: Bytes,
        /// Number of the question, if it is one. A question that can't be brought to the client is
        /// withdrawn.
        question: Option<u64>,
    },
    Answer(Bytes),
    /// The client cancelled the call, which gets no response.
    Cancelled,
}

enum Wake {
    Incoming(Incoming),
    Cancelled,
    Deadline,
}

impl Call {
    pub(crate) fn new(
        sessions: Arc<Sessions>,
        session: Arc<Session>,
        (message, id): (Message, Id),
        route: Route,
        token: Option<ProgressToken>,
        request_id: CorrelationId,
    ) -> Self {
        let record = CallRecord::open(message.method(), request_id);
        let settings = sessions.serving.settings();
        let limits = &settings.limits;
        let set = route.pool.tool_terms(route.tool.as_deref());
        let (call, call_max) = match &set {
            None => (limits.call, limits.call_max),
            Some(set) => {
                let limits = set.call_limits(limits);
                (limits.call, limits.call_max)
            }
        };
        let time = CallTime::new(record.begun.into_std(), call, call_max);
        let may_retry = set.as_ref().and_then(|set| set.retry).unwrap_or(route.may_retry);
        drop(settings);
        let is_stateful = session.revision.rules().stateful_methods;
        let terms = CallTerms {
            may_retry,
            can_ask: is_stateful,
            has_mirrors: route.tool.is_some() && !is_stateful,
        };
        sessions.serving.begin_call();
        Self {
            control: session.begin_call(&id),
            sessions,
            session,
            id,
            state: CallState::new(terms, time),
            is_unchecked: set.as_ref().is_some_and(|set| set.validates()),
            terms: set,
            attempt: Attempt::new(message, route, token),
            record,
            timer: DeadlineTimer::default(),
            stream: None,
            error_code: None,
        }
    }

    /// Returns the code of the server's error that the call was answered with.
    pub(crate) fn error_code(&self) -> Option<i32> {
        self.error_code
    }

    /// Returns the session of the call, and the client's id for it.
    pub(crate) fn session_and_id(&self) -> (&Arc<Session>, &Id) {
        (&self.session, &self.id)
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.state.is_over()
    }

    /// Waits for the next output. May be dropped and called again without losing anything.
    pub(crate) async fn next(&mut self) -> Progress {
        self.timer.awaited_until = None;
        self.drive().await
    }

    /// Waits for the next output until `then`.
    pub(crate) async fn next_by(&mut self, then: Instant) -> Option<Progress> {
        self.timer.awaited_until = Some(then);
        timeout_at(then, self.drive()).await.ok()
    }

    /// Notes that the client can only get the response from now on: questions are refused at once.
    pub(crate) fn client_is_gone(&mut self) {
        self.on_client_event(CallEvent::ClientGone);
    }

    /// Notes that nobody has read the stream for [`QUESTION_GRACE`]: open questions are refused.
    pub(crate) fn client_is_away(&mut self) {
        self.attempt.set_heard(false);
        self.on_client_event(CallEvent::ClientAway);
    }

    /// Notes that a client that was away reads the stream again.
    pub(crate) fn client_is_back(&mut self) {
        self.attempt.set_heard(true);
    }

    /// Sets the stream on which the client is asked questions, as long as it reads the stream.
    pub(crate) fn set_stream(&mut self, stream: Arc<EventStream>) {
        self.stream = Some(stream);
    }

    /// Returns the refusal that takes the place of a response for which there is no memory.
    pub(crate) fn answer_refusal(&self, exceeded: &BudgetExceeded) -> Bytes {
        let refusal = refusal::over_budget(exceeded, self.server());
        let refusal = self.record.refused(&self.attempt.route.pool, refusal);
        build::error(Some(&self.id), &refusal.to_json())
    }

    /// Counts a notification that was dropped because the client reads too slowly.
    pub(crate) fn notification_dropped(&self) {
        let reason = Dropped::SlowClient;
        events::NotificationDropped { method: "", reason }.emit(self.metrics());
    }

    /// Refuses a question that could not be brought to the client, which reads too slowly.
    pub(crate) fn withdraw_question(&mut self, question: u64) {
        let why = NotAsked::SlowClient;
        questions::count_not_asked("", why, self.metrics());
        self.session.refuse_question(question, why);
        self.questions_closed();
    }

    /// Runs the call to its end, by its deadline at the latest, and discards its output.
    pub(crate) async fn finish_detached(mut self) {
        self.client_is_gone();
        self.attempt.set_heard(false);
        while let Progress::Event { .. } = self.next().await {}
    }

    async fn drive(&mut self) -> Progress {
        loop {
            while !self.attempt.is_under_way() {
                if let Some(progress) = self.send().await {
                    return progress;
                }
            }
            let progress = match self.wait().await {
                Wake::Incoming(incoming) => self.on_incoming(incoming),
                Wake::Cancelled => Some(self.cancel()),
                Wake::Deadline => self.on_deadline(),
            };
            if let Some(progress) = progress {
                return progress;
            }
        }
    }

    /// Begins an attempt. None: it is under way, or has failed and may be repeated. What is checked before a call
    /// reaches a server, in this order: its arguments, then the rest in [`Attempt::send`].
    async fn send(&mut self) -> Option<Progress> {
        if self.is_unchecked
            && let Some(answer) = self.check_arguments().await
        {
            return Some(answer);
        }
        let context = SendContext {
            session: &self.session,
            control: &self.control,
            deadline: self.state.deadline().into(),
            list_wait: self.sessions.serving.settings().limits.list,
            terms: self.terms.as_deref(),
        };
        match self.attempt.send(&context).await {
            Ok(()) => {
                self.on(CallEvent::Sent);
                None
            }
            Err(NotSent::Lost(lost)) => {
                self.on(CallEvent::Sent);
                self.on_lost(&lost)
            }
            Err(NotSent::Refused(refusal)) => {
                self.on(CallEvent::Refused);
                Some(self.refuse(refusal, telemetry::Outcome::Refused))
            }
            Err(NotSent::Cancelled) => Some(self.cancel()),
        }
    }

    async fn wait(&mut self) -> Wake {
        poll_fn(|cx| {
            if self.state.is_suspended() && self.control.take_answered() {
                self.questions_closed();
            }
            if let Poll::Ready(incoming) = self.attempt.poll_next(cx) {
                return Poll::Ready(Wake::Incoming(incoming));
            }
            if self.control.poll_cancelled(cx) {
                return Poll::Ready(Wake::Cancelled);
            }
            // The server sends without a pause: the timer may never get its turn.
            if self.attempt.has_yielded() && Instant::now() >= self.state.deadline().into() {
                return Poll::Ready(Wake::Deadline);
            }
            self.timer.poll(cx, self.state.deadline().into()).map(|()| Wake::Deadline)
        })
        .await
    }

    /// The deadlines of the call, and the keys that set them.
    fn call_limits<T>(&self, read: impl FnOnce(CallLimits<'_>) -> T) -> T {
        let settings = self.sessions.serving.settings();
        let gateway = &settings.limits;
        match &self.terms {
            Some(terms) => read(terms.call_limits(gateway)),
            None => read(ToolTerms::default().call_limits(gateway)),
        }
    }

    fn metrics(&self) -> &ServerMetrics {
        &self.attempt.route.pool.server_metrics
    }

    fn server(&self) -> &Name {
        &self.attempt.route.pool.name
    }

    /// Returns the decision about an event.
    fn on(&mut self, event: CallEvent) -> CallDecision {
        self.state.on(std::time::Instant::now(), event)
    }

    fn on_incoming(&mut self, incoming: Incoming) -> Option<Progress> {
        match incoming {
            Incoming::Answer(answer) => self.on_answer(&answer),
            Incoming::Notification(notification) => self.on_notification(&notification),
            Incoming::Question(question) => self.on_question(&question),
            Incoming::Lost(lost) => self.on_lost(&lost),
        }
    }

    /// Handles a response, which ends the call. The exception is an error that says that headers
    /// don't repeat what the tool wants repeated: the list of tools is out of date, and the call is
    /// tried once more with a new list (2026-07-28 basic/transports/streamable-http, Custom Headers
    /// from Tool Parameters).
    fn on_answer(&mut self, answer: &Message) -> Option<Progress> {
        let error_code = answer.error_code();
        let header_mismatch = error_code == Some(codes::HEADER_MISMATCH);
        self.attempt.end_answered();
        if self.on(CallEvent::Answer { header_mismatch }) == CallDecision::RenewHeaders {
            self.attempt.renew_headers();
            return None;
        }
        self.error_code = error_code;
        let bytes = match (&self.attempt.route.renamed, answer.id_span()) {
            // Errors for requests that the server could not read have no id of a call.
            (_, None) => build::error(Some(&self.id), answer.body().unwrap_or("null")),
            (None, Some(_)) => answer.with_id(self.id.as_bytes()),
            (Some((own, published)), Some(_)) => {
                answer.with_id_and_uris(self.id.as_bytes(), own, published)
            }
        };
        // It takes the place of the server's message.
        let bytes = self.sessions.serving.budget.hold_over(MemoryKind::Answers, bytes);
        let outcome = self.record.outcome_of(answer);
        self.close(outcome);
        Some(Progress::Answer(bytes))
    }

    fn on_notification(&mut self, notification: &Message) -> Option<Progress> {
        let (is_progress, message) = match notification.scope() {
            Scope::Progress(_) => (true, self.with_clients_token(notification)),
            // A listen request never reaches this point: it is not a call.
            Scope::Subscription(_) => (false, None),
            Scope::Call if notification.method() == Notification::Cancelled.as_str() => {
                let taken_back = self
                    .attempt
                    .asker()
                    .and_then(|asker| self.session.cancel_question(&asker, notification));
                self.questions_closed();
                (false, taken_back)
            }
            Scope::Call | Scope::Server => {
                (false, self.is_wanted(notification).then(|| notification.bytes().clone()))
            }
        };
        let wanted = message.is_some();
        match self.on(CallEvent::Notification { is_progress, wanted }) {
            CallDecision::Forward => Some(Progress::Event { message: message?, question: None }),
            _ => None,
        }
    }

    /// Returns a progress notification with the client's own token, if the client gave one.
    fn with_clients_token(&self, notification: &Message) -> Option<Bytes> {
        let (_, token) = self.attempt.token.as_ref()?;
        let span = notification.params().ok()?.progress_token?.span;
        Some(edit::splice(notification.bytes(), &mut [Edit::new(span, token)]))
    }

    /// Whether the client wants this notification. It does not want log messages below its level.
    fn is_wanted(&self, notification: &Message) -> bool {
        if notification.method() != "notifications/message" {
            return true;
        }
        let params = notification.params().ok();
        let level = params.and_then(|params| LogLevel::parse(params.level?.raw));
        self.session.wants_log(level)
    }

    fn on_question(&mut self, question: &Message) -> Option<Progress> {
        let asker = self.attempt.asker()?;
        if self.stream.as_ref().is_some_and(|stream| stream.is_open()) {
            self.on(CallEvent::ClientBack);
        }
        let is_heard = self.session.accepts_question(question.method())
            && self.stream.as_ref().is_none_or(|stream| stream.may_be_read_within(QUESTION_GRACE));
        if self.on(CallEvent::Question { is_heard }) != CallDecision::Ask {
            self.attempt.refuse(question);
            return None;
        }
        let number = self.sessions.question_numbers.next();
        match self.session.open_question(
            number,
            Some(&self.control),
            &asker,
            question,
            self.sessions.serving.budget,
        ) {
            Ok(message) => Some(Progress::Event { message, question: Some(number) }),
            Err(why) => {
                questions::refuse_unopened(&asker, question, why, self.metrics());
                self.questions_closed();
                None
            }
        }
    }

    fn on_client_event(&mut self, event: CallEvent) {
        if self.on(event) == CallDecision::RefuseOpenQuestions {
            self.session.refuse_questions_of(&self.control);
        }
    }

    /// Notes that a question was answered, refused or cancelled.
    fn questions_closed(&mut self) {
        let open = self.session.open_questions_of(&self.control);
        self.on(CallEvent::QuestionsClosed { open });
    }

    fn cancel(&mut self) -> Progress {
        let is_sent = self.state.may_be_done();
        self.on(CallEvent::Cancelled);
        if self.control.is_stopped() {
            self.attempt.withdraw("the daemon is stopping", AttemptEnd::Withdrawn);
            let (refusal, outcome) = match is_sent {
                true => (refusal::cut_off(self.server()), telemetry::Outcome::Lost),
                false => (refusal::not_sent(self.server()), telemetry::Outcome::Refused),
            };
            return self.refuse(refusal, outcome);
        }
        self.attempt.withdraw("the client cancelled", AttemptEnd::Withdrawn);
        self.close(telemetry::Outcome::Cancelled);
        Progress::Cancelled
    }

    /// Answers the call with a refusal of the gateway.
    fn refuse(&mut self, refusal: Refusal, outcome: telemetry::Outcome) -> Progress {
        let refusal = self.record.refused(&self.attempt.route.pool, refusal);
        self.close(outcome);
        Progress::Answer(build::error(Some(&self.id), &refusal.to_json()))
    }

    fn close(&mut self, outcome: telemetry::Outcome) {
        let Route { pool, tool, .. } = &self.attempt.route;
        if self.record.close(pool, tool.as_deref(), outcome) {
            self.session.end_call(&self.control);
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let how = AttemptEnd::Withdrawn;
        self.attempt.withdraw("nobody waits for the answer any more", how);
        self.close(telemetry::Outcome::Cancelled);
        // The call counts as ended only now: a drain ends streams as soon as no calls are left, and answers
        // that are not in their streams yet would be lost.
        self.sessions.serving.end_call();
    }
}
