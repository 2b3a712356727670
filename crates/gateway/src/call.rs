//! One call: to a server and back, within its deadline, answered exactly once.

mod asking;
pub(crate) mod deliver;
pub(crate) mod placement;
mod refusal;
pub(crate) mod route;
mod sending;

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use mainstay_model::{Refusal, RefusalCode};
use mainstay_pool::Permit;
use mainstay_protocol::{Edit, Id, Kind, Message, Notification, Scope, build, codes};
use mainstay_session::CallTime;
use mainstay_telemetry::{Attempt, CorrelationId, Dropped, ErrorCode, Method, Outcome, events};
use mainstay_upstream::{Exchange, Fate, Incoming, Lost};
use tokio::time::{Instant, Sleep, sleep_until, timeout_at};

use self::deliver::ANSWER_GRACE;
use self::route::Route;
use self::sending::{Acquiring, NotSent};
use crate::gateway::Gateway;
use crate::session::levels::LogLevel;
use crate::session::{Control, Session};
use crate::stream::EventStream;

/// A call under way. It outlives the client's connection: a legacy client that went away has not
/// cancelled (2025-11-25 basic/transports, sending messages).
pub(crate) struct Call {
    gateway: Arc<Gateway>,
    session: Arc<Session>,
    message: Message,
    id: Id,
    route: Route,
    token: Option<(std::ops::Range<usize>, Bytes)>,
    method: Method,
    request_id: CorrelationId,
    control: Arc<Control>,
    begun: Instant,
    time: CallTime,
    /// That of `time`.
    deadline: Instant,
    /// Set when somebody has to be woken by it.
    clock: Option<Pin<Box<Sleep>>>,
    /// Whoever waits for what comes next gives up then, and has a clock of its own for it.
    awaited_until: Option<Instant>,
    /// A permit that is waited for. It is kept when whoever drives the call is dropped and comes back, so
    /// that the call does not lose its turn.
    acquiring: Option<Acquiring>,
    exchange: Option<(Exchange, Permit)>,
    tries: u32,
    /// It was sent again after its answer was lost.
    repeated: bool,
    /// A repetition waits for this.
    repeat_at: Option<Instant>,
    /// Nothing can carry a question to the client.
    unheard: bool,
    /// What carries them, once there is a stream.
    stream: Option<Arc<EventStream>>,
    finished: bool,
    /// Of the answer, if that is a server's error.
    error_code: Option<i32>,
    /// The server missed headers, and was sent others if the second is set, too.
    amiss: bool,
    mirrored_anew: bool,
}

/// What comes out of a call, in order; `Answer` and `Cancelled` come once and last.
#[derive(Debug)]
pub(crate) enum Progress {
    /// A notification or a question for the client.
    Event {
        message: Bytes,
        /// Its number, if it is a question: one that can't be brought to the client is withdrawn.
        question: Option<u64>,
    },
    Answer(Bytes),
    /// The client took it back: it gets no answer.
    Cancelled,
}

enum Woken {
    Incoming(Incoming),
    Cancelled,
    Deadline,
}

/// A server that is ending can still take connections for a moment, and would lose the call again.
const REPEAT_AFTER: Duration = Duration::from_millis(100);
/// How often a request that never reached the server is sent again.
const TRIES_MAX: u32 = 3;

impl Call {
    pub(crate) fn new(
        gateway: Arc<Gateway>,
        session: Arc<Session>,
        (message, id): (Message, Id),
        route: Route,
        token: Option<(std::ops::Range<usize>, Bytes)>,
        request_id: CorrelationId,
    ) -> Self {
        let begun = Instant::now();
        let limits = &gateway.settings.limits;
        let time = CallTime::new(begun.into_std(), limits.call, limits.call_max);
        let deadline = time.deadline().into();
        gateway.call_begins();
        Self {
            control: session.begin(&id),
            method: Method::of(message.method()),
            gateway,
            session,
            message,
            id,
            route,
            token,
            request_id,
            begun,
            time,
            deadline,
            clock: None,
            awaited_until: None,
            acquiring: None,
            exchange: None,
            tries: 0,
            repeated: false,
            repeat_at: None,
            unheard: false,
            stream: None,
            finished: false,
            error_code: None,
            amiss: false,
            mirrored_anew: false,
        }
    }

    /// The code of the server's error that the call was answered with.
    pub(crate) fn error_code(&self) -> Option<i32> {
        self.error_code
    }

    /// What comes next. May be dropped and called again without losing anything.
    pub(crate) async fn next(&mut self) -> Progress {
        self.awaited_until = None;
        self.go_on().await
    }

    /// What comes next, if it comes by then.
    pub(crate) async fn next_by(&mut self, then: Instant) -> Option<Progress> {
        self.awaited_until = Some(then);
        timeout_at(then, self.go_on()).await.ok()
    }

    async fn go_on(&mut self) -> Progress {
        loop {
            if self.exchange.is_none() {
                match self.send().await {
                    Ok(()) => {}
                    Err(NotSent::Refused(refusal)) => return self.refuse(refusal),
                    Err(NotSent::Cancelled) => {
                        self.done(Outcome::Cancelled);
                        return Progress::Cancelled;
                    }
                }
            }
            match self.wait().await {
                Woken::Incoming(incoming) => {
                    if let Some(progress) = self.on_incoming(incoming) {
                        return progress;
                    }
                }
                Woken::Cancelled => {
                    self.withdraw("the client cancelled", Attempt::Withdrawn);
                    self.done(Outcome::Cancelled);
                    return Progress::Cancelled;
                }
                Woken::Deadline => {
                    self.withdraw("the deadline of the call has passed", Attempt::TimedOut);
                    return self.too_late();
                }
            }
        }
    }

    async fn wait(&mut self) -> Woken {
        poll_fn(|cx| {
            if self.time.is_paused() && self.control.take_answered() {
                self.go_on_if_answered();
            }
            if let Some((exchange, _)) = &mut self.exchange
                && let Poll::Ready(incoming) = exchange.poll_next(cx)
            {
                return Poll::Ready(Woken::Incoming(incoming));
            }
            if self.control.poll_cancelled(cx) {
                return Poll::Ready(Woken::Cancelled);
            }
            self.poll_deadline(cx).map(|()| Woken::Deadline)
        })
        .await
    }

    fn poll_deadline(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        // Nearly every call is answered before: a clock would be set and stopped for nothing.
        if self.awaited_until.is_some_and(|until| until < self.deadline) {
            return Poll::Pending;
        }
        let deadline = self.deadline;
        let clock = self.clock.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        // The last open question was answered.
        if deadline < clock.deadline() {
            clock.as_mut().reset(deadline);
        }
        loop {
            ready!(clock.as_mut().poll(cx));
            if Instant::now() >= deadline {
                return Poll::Ready(());
            }
            // Progress has moved the deadline meanwhile.
            clock.as_mut().reset(deadline);
        }
    }

    fn on_incoming(&mut self, incoming: Incoming) -> Option<Progress> {
        match incoming {
            Incoming::Answer(answer) if self.was_amiss(&answer) => {
                self.end_attempt(Attempt::Answered);
                None
            }
            Incoming::Answer(answer) => Some(self.answer(&answer)),
            Incoming::Notification(notification) => self.notify(&notification),
            Incoming::Question(question) => self.ask(&question),
            Incoming::Lost(lost) => {
                let (_, permit) = self.exchange.take()?;
                self.on_lost(&lost, permit).map(|refusal| self.refuse(refusal))
            }
        }
    }

    /// Whether the server says that headers don't repeat what its tool wants repeated: the list the
    /// tool was known from is no longer true, and the call is tried once more with a new one
    /// (2026-07-28 basic/transports/streamable-http, Custom Headers from Tool Parameters).
    fn was_amiss(&mut self, answer: &Message) -> bool {
        let mirrors = self.route.tool.is_some() && !self.session.revision.rules().stateful_methods;
        mirrors
            && answer.error_code() == Some(codes::HEADER_MISMATCH)
            && !std::mem::replace(&mut self.amiss, true)
    }

    fn answer(&mut self, answer: &Message) -> Progress {
        self.error_code = answer.error_code();
        let outcome = match answer.kind() {
            Kind::Error => Outcome::Error,
            _ if self.method == Method::ToolsCall && answer.is_tool_error() => Outcome::ToolError,
            _ => Outcome::Ok,
        };
        let bytes = match (&self.route.renamed, answer.id_span()) {
            // Errors to requests that could not be read have no id of ours.
            (_, None) => build::error(Some(&self.id), answer.body().unwrap_or("null")),
            (None, Some(_)) => answer.with_id(self.id.as_bytes()),
            (Some((own, published)), Some(_)) => {
                answer.with_id_and_uris(self.id.as_bytes(), own, published)
            }
        };
        self.end_attempt(Attempt::Answered);
        self.done(outcome);
        Progress::Answer(bytes)
    }

    fn notify(&mut self, notification: &Message) -> Option<Progress> {
        let message = match notification.scope() {
            Scope::Progress(_) => {
                self.time.progress(std::time::Instant::now());
                self.deadline = self.time.deadline().into();
                let (_, token) = self.token.as_ref()?;
                let span = notification.params().ok()?.progress_token?.span;
                mainstay_protocol::edit::splice(notification.bytes(), &mut [Edit::new(span, token)])
            }
            // A listen has its own way: no call has one.
            Scope::Subscription(_) => return None,
            Scope::Call if notification.method() == Notification::Cancelled.as_str() => {
                let asker = self.exchange.as_ref()?.0.asker();
                let taken_back = self.session.question_taken_back(&asker, notification)?;
                self.go_on_if_answered();
                taken_back
            }
            Scope::Call | Scope::Server => {
                if notification.method() == "notifications/message" {
                    let params = notification.params().ok();
                    let level = params.and_then(|params| LogLevel::parse(params.level?.raw));
                    if !self.session.wants_log(level) {
                        return None;
                    }
                }
                notification.bytes().clone()
            }
        };
        Some(Progress::Event { message, question: None })
    }

    /// None: try again. Otherwise what to tell the client.
    fn on_lost(&mut self, lost: &Lost, permit: Permit) -> Option<Refusal> {
        permit.finish(&self.route.pool, Attempt::Lost);
        let may_retry = match lost.fate {
            Fate::Unsent => self.tries < TRIES_MAX,
            Fate::Unknown => self.route.may_repeat && !std::mem::replace(&mut self.repeated, true),
            Fate::Refused | Fate::Oversized => false,
        };
        if may_retry {
            if lost.fate == Fate::Unknown {
                self.repeat_at = Some(Instant::now() + REPEAT_AFTER);
            }
            // One that is not repeated counts as the refusal that it ends with.
            self.route.pool.server_metrics.failed(ErrorCode::Transport);
            return None;
        }
        let pool = &self.route.pool;
        Some(refusal::of_loss(lost, &pool.spec.name, &self.gateway.settings.limits))
    }

    fn too_late(&mut self) -> Progress {
        let limits = &self.gateway.settings.limits;
        let refusal = refusal::too_late(self.begun.elapsed(), &self.route.pool.spec.name, limits);
        self.refuse_as(refusal, Outcome::Timeout)
    }

    fn refuse(&mut self, refusal: Refusal) -> Progress {
        let outcome = match refusal.code {
            RefusalCode::OutcomeUnknown => Outcome::Lost,
            _ => Outcome::Refused,
        };
        self.refuse_as(refusal, outcome)
    }

    fn refuse_as(&mut self, mut refusal: Refusal, outcome: Outcome) -> Progress {
        self.route.pool.server_metrics.failed(refusal.code.into());
        refusal.data.request_id = Some(self.request_id.to_string());
        tracing::info!(
            target: "mainstay",
            request_id = %self.request_id, server = %self.route.pool.spec.name,
            method = self.method.as_str(), code = refusal.code.name(), reason = %refusal.message,
            "call refused"
        );
        self.done(outcome);
        Progress::Answer(build::error(Some(&self.id), &refusal.to_json()))
    }

    /// Ends the attempt that is under way, and tells the server so.
    fn withdraw(&mut self, reason: &str, attempt: Attempt) {
        if let Some((exchange, permit)) = self.exchange.take() {
            exchange.cancel(reason);
            permit.finish(&self.route.pool, attempt);
        }
    }

    /// The attempt that is under way has ended by itself.
    fn end_attempt(&mut self, attempt: Attempt) {
        if let Some((_, permit)) = self.exchange.take() {
            permit.finish(&self.route.pool, attempt);
        }
    }

    fn done(&mut self, outcome: Outcome) {
        if std::mem::replace(&mut self.finished, true) {
            return;
        }
        self.session.finish(&self.control);
        let took = self.begun.elapsed();
        let metrics = &self.route.pool.server_metrics;
        metrics.finished(self.method, outcome, took);
        if let Some(tool) = &self.route.tool {
            metrics.tool(tool, took);
        }
    }

    /// A notification had to be left out because the client reads too slowly.
    pub(crate) fn dropped(&self) {
        let reason = Dropped::SlowClient;
        events::NotificationDropped { method: "", reason }.emit(&self.route.pool.server_metrics);
    }

    /// From here on the client can only be answered: whoever wants to ask it hears that at once
    /// instead of waiting for nobody.
    pub(crate) fn set_unheard(&mut self) {
        self.unheard = true;
    }

    /// The session it belongs to, and the client's id for it.
    pub(crate) fn asked_by(&self) -> (&Arc<Session>, &Id) {
        (&self.session, &self.id)
    }

    /// The client is asked on this stream, as long as it reads it.
    pub(crate) fn set_stream(&mut self, stream: Arc<EventStream>) {
        self.stream = Some(stream);
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.finished
    }

    /// Ends by itself at the latest by the deadline; what it says is lost.
    pub(crate) async fn finish_unheard(mut self) {
        self.set_unheard();
        while let Progress::Event { .. } = self.next().await {}
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.withdraw("nobody waits for the answer any more", Attempt::Withdrawn);
        self.done(Outcome::Cancelled);
        // Not before: a drain ends streams as soon as there are no calls, and with them answers
        // that are not in them yet.
        self.gateway.call_ends();
    }
}
