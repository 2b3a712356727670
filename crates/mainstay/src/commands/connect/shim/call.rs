//! One request of the client, from its line to its answer.

use std::time::Instant;

use bytes::Bytes;
use mainstay_protocol::{Id, Kind, Message, Method, build};

use super::standing::Standing;

/// Losses after which a request is given up.
pub(super) const LOSSES_MAX: u8 = 3;

#[derive(Debug)]
pub(super) struct Call {
    pub(super) message: Message,
    pub(super) id: Id,
    method: Option<Method>,
    /// Whether the request is of 2026-07-28: complete in itself and without a session.
    pub(super) is_modern: bool,
    pub(super) is_cancelled: bool,
    pub(super) sent_once: bool,
    pub(super) losses: u8,
    /// The daemon's refusal while it was stopping. It did not carry the request out.
    turned_away: Option<String>,
    /// Until when the request waits for a daemon. None until it has to wait.
    pub(super) waits_until: Option<Instant>,
    /// Whether the tools were listed again for this call. Another listing would not improve its
    /// headers.
    pub(super) is_looked_up: bool,
    /// The state of a listen that was acknowledged.
    pub(super) standing: Option<Box<Standing>>,
}

// === impl Call ===

impl Call {
    /// Creates a call. None when the message is no request. In a session, `_meta` claims nothing.
    pub(super) fn new(message: Message, in_session: bool) -> Option<Self> {
        let id = message.id().filter(|_| message.kind() == Kind::Request)?;
        let method = Method::parse(message.method());
        let is_modern =
            matches!(method, Some(Method::ServerDiscover | Method::SubscriptionsListen))
                || !in_session && is_marked(&message);
        Some(Self {
            id,
            method,
            is_modern,
            is_cancelled: false,
            sent_once: false,
            losses: 0,
            turned_away: None,
            waits_until: None,
            is_looked_up: false,
            standing: None,
            message,
        })
    }

    pub(super) fn is_initialize(&self) -> bool {
        self.method == Some(Method::Initialize) && !self.is_modern
    }

    /// Whether the request is a ping, which only clients up to 2025-11-25 send.
    pub(super) fn is_ping(&self) -> bool {
        self.method == Some(Method::Ping) && !self.is_modern
    }

    /// Whether the request opens a stream that lasts until the client cancels it.
    pub(super) fn is_listen(&self) -> bool {
        self.method == Some(Method::SubscriptionsListen)
    }

    pub(super) fn method(&self) -> Option<Method> {
        self.method
    }

    /// The name of the tool that the request calls.
    pub(super) fn tool(&self) -> Option<String> {
        let params =
            self.message.params().ok().filter(|_| self.method == Some(Method::ToolsCall))?;
        Some(params.name?.text()?.into_owned())
    }

    /// The answer with the request's id, whatever id it came with: the exchange identifies the
    /// request.
    pub(super) fn answer(&self, answer: &Message) -> Bytes {
        match answer.id() {
            Some(id) if id == self.id => answer.bytes().clone(),
            Some(_) => answer.with_id(self.id.as_bytes()),
            None => build::error(Some(&self.id), answer.body().unwrap_or("{}")),
        }
    }

    /// Records that the daemon refused the request because it is stopping.
    pub(super) fn note_refusal(&mut self, answer: &Message) {
        self.turned_away = answer.body().map(str::to_owned);
    }

    /// The answer after too long a wait: the daemon's own refusal, if there was one, otherwise
    /// `error`.
    pub(super) fn waited_in_vain(&self, error: &str) -> Bytes {
        self.refusal(self.turned_away.as_deref().unwrap_or(error))
    }

    /// An `error` member as the answer.
    pub(super) fn refusal(&self, error: &str) -> Bytes {
        build::error(Some(&self.id), error)
    }

    /// When a listen whose stream ended is sent again.
    pub(super) fn falls_due(&self) -> Option<Instant> {
        self.standing.as_ref()?.at
    }
}

/// Whether a message carries the `_meta` of 2026-07-28.
pub(super) fn is_marked(message: &Message) -> bool {
    message.params().is_ok_and(|params| params.meta.is_modern())
}

/// Whether repeating the method has no further effect: reads, and setting something to a value. A
/// tool may have any effect.
pub(super) fn may_retry(method: Method) -> bool {
    match method {
        Method::Initialize
        | Method::Ping
        | Method::ToolsList
        | Method::ResourcesList
        | Method::ResourceTemplatesList
        | Method::ResourcesRead
        | Method::ResourcesSubscribe
        | Method::ResourcesUnsubscribe
        | Method::PromptsList
        | Method::PromptsGet
        | Method::CompletionComplete
        | Method::LoggingSetLevel
        | Method::TasksGet
        | Method::TasksResult
        | Method::TasksList
        | Method::ServerDiscover
        | Method::SubscriptionsListen => true,
        Method::ToolsCall
        | Method::SamplingCreateMessage
        | Method::ElicitationCreate
        | Method::RootsList
        | Method::TasksUpdate
        | Method::TasksCancel => false,
    }
}
