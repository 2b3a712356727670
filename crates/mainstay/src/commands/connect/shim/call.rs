//! A request of the client, from its line to its answer.

use std::time::Instant;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use mainstay_protocol::headers::{self, encode_value};
use mainstay_protocol::{Id, Kind, Message, Method, build};

/// How often a request is lost before it is given up.
pub(super) const LOSSES_MAX: u8 = 3;

#[derive(Debug)]
pub(super) struct Call {
    pub(super) message: Message,
    pub(super) id: Id,
    method: Option<Method>,
    /// From 2026-07-28 on: it says all there is to know, and belongs to no session.
    pub(super) is_modern: bool,
    /// To carry it out twice is the same as once.
    pub(super) is_repeatable: bool,
    pub(super) is_cancelled: bool,
    pub(super) sent_once: bool,
    pub(super) losses: u8,
    /// What the daemon said when it was on its way out: nothing has been done yet.
    turned_away: Option<String>,
    /// How long it waits for a daemon, once it has had to.
    pub(super) waits_until: Option<Instant>,
}

// === impl Call ===

impl Call {
    /// None for what is no request.
    pub(super) fn new(message: Message) -> Option<Self> {
        let id = message.id().filter(|_| message.kind() == Kind::Request)?;
        let method = Method::parse(message.method());
        let is_modern = message.params().is_ok_and(|params| params.meta.protocol_version.is_some());
        Some(Self {
            id,
            method,
            is_modern,
            is_repeatable: method.is_some_and(is_repeatable),
            is_cancelled: false,
            sent_once: false,
            losses: 0,
            turned_away: None,
            waits_until: None,
            message,
        })
    }

    pub(super) fn is_initialize(&self) -> bool {
        self.method == Some(Method::Initialize) && !self.is_modern
    }

    /// A stream that lasts until the client takes it back.
    pub(super) fn is_listen(&self) -> bool {
        self.method == Some(Method::SubscriptionsListen)
    }

    pub(super) fn method(&self) -> Option<Method> {
        self.method
    }

    /// What it is about, as 2026-07-28 has it beside the body.
    pub(super) fn modern_headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let Ok(params) = self.message.params() else { return headers };
        let name = match self.method.and_then(Method::name_member) {
            Some("name") => params.name,
            Some("uri") => params.uri,
            _ => None,
        };
        let text = |field: Option<mainstay_protocol::Field<'_>>| {
            field.and_then(|field| field.text().map(std::borrow::Cow::into_owned))
        };
        for (header, value) in [
            (headers::PROTOCOL_VERSION, text(params.meta.protocol_version)),
            (headers::METHOD, Some(self.message.method().to_owned())),
            (headers::NAME, text(name).map(|name| encode_value(&name).into_owned())),
        ] {
            // What no header can carry is missing, and the daemon says so.
            if let Some(value) = value.and_then(|value| HeaderValue::from_str(&value).ok()) {
                headers.insert(HeaderName::from_static(header), value);
            }
        }
        headers
    }

    /// The answer, under the id of the request whatever it came under: its exchange says whose
    /// it is.
    pub(super) fn answer(&self, answer: &Message) -> Bytes {
        match answer.id() {
            Some(id) if id == self.id => answer.bytes().clone(),
            Some(_) => answer.with_id(self.id.as_bytes()),
            None => build::error(Some(&self.id), answer.body().unwrap_or("{}")),
        }
    }

    /// The daemon has refused it because it is stopping.
    pub(super) fn note_refusal(&mut self, answer: &Message) {
        self.turned_away = answer.body().map(str::to_owned);
    }

    /// The answer when nobody was there for too long, in the daemon's words if it said why.
    pub(super) fn waited_in_vain(&self, error: &str) -> Bytes {
        self.refusal(self.turned_away.as_deref().unwrap_or(error))
    }

    /// An `error` member as the answer.
    pub(super) fn refusal(&self, error: &str) -> Bytes {
        build::error(Some(&self.id), error)
    }
}

/// Reads, and what sets something to a value. A tool may do anything.
fn is_repeatable(method: Method) -> bool {
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
