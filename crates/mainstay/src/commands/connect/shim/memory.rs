//! Remembers the client's messages that a new session must receive again.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::HeaderValue;
use mainstay_protocol::capabilities::ServerCapabilities;
use mainstay_protocol::initialize::InitializeResult;
use mainstay_protocol::{Kind, Message, Method, Notification, build};

use super::call::Call;

#[derive(Debug)]
pub(super) struct Memory {
    pub(super) initialize: Bytes,
    pub(super) initialized: Option<Bytes>,
    level: Option<Bytes>,
    /// Keyed by the JSON text of the URI.
    subscriptions: BTreeMap<Box<str>, Bytes>,
    /// The capabilities that the client was told: which lists can change.
    declared: ServerCapabilities,
}

/// Most subscriptions remembered. The rest is lost with the session.
const SUBSCRIPTIONS_MAX: usize = 4096;

// === impl Memory ===

impl Memory {
    /// Remembers a handshake. None if the server refused it.
    pub(super) fn new(initialize: &Call, answer: &Message) -> Option<Self> {
        let result = handshake(answer)?;
        let declared = result.capabilities.map(|of| ServerCapabilities::from_json(of.raw));
        Some(Self {
            initialize: initialize.message.bytes().clone(),
            initialized: None,
            level: None,
            subscriptions: BTreeMap::new(),
            declared: declared.unwrap_or_default(),
        })
    }

    /// Remembers a successful request that sets state in the session.
    pub(super) fn note(&mut self, call: &Call) {
        let bytes = call.message.bytes();
        match call.method() {
            Some(Method::LoggingSetLevel) => self.level = Some(bytes.clone()),
            Some(method @ (Method::ResourcesSubscribe | Method::ResourcesUnsubscribe)) => {
                let Some(uri) = call.message.params().ok().and_then(|params| params.uri) else {
                    return;
                };
                if method == Method::ResourcesUnsubscribe {
                    self.subscriptions.remove(uri.raw);
                } else if self.subscriptions.len() < SUBSCRIPTIONS_MAX {
                    self.subscriptions.insert(uri.raw.into(), bytes.clone());
                }
            }
            _ => {}
        }
    }

    /// The messages to send to a new session after `initialized`.
    pub(super) fn replay(&self) -> Vec<Bytes> {
        self.level.iter().chain(self.subscriptions.values()).cloned().collect()
    }

    /// The notifications to send to the client when a new session is ready: anything may have
    /// changed in between.
    pub(super) fn notices(&self) -> Vec<Bytes> {
        let lists = [
            (self.declared.tools_list_changed, Notification::ToolsListChanged),
            (self.declared.resources_list_changed, Notification::ResourcesListChanged),
            (self.declared.prompts_list_changed, Notification::PromptsListChanged),
        ];
        let lists = lists.into_iter().filter(|(declared, _)| *declared);
        let lists = lists.map(|(_, changed)| build::notification(changed.as_str(), None));
        let updates = self.subscriptions.keys().map(|uri| {
            let params = format!(r#"{{"uri":{uri}}}"#);
            build::notification(Notification::ResourcesUpdated.as_str(), Some(&params))
        });
        lists.chain(updates).collect()
    }
}

/// The revision in an answer to `initialize`.
pub(super) fn revision(answer: &Message) -> Option<HeaderValue> {
    HeaderValue::from_str(&handshake(answer)?.protocol_version.text()?).ok()
}

fn handshake(answer: &Message) -> Option<InitializeResult<'_>> {
    let result = answer.body().filter(|_| answer.kind() == Kind::Result)?;
    InitializeResult::parse(result).ok()
}
