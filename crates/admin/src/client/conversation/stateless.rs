//! Requests of 2026-07-28: each says in `_meta` who asks, and headers repeat of it what others on
//! the way want to know.

use std::collections::BTreeMap;

use http::{HeaderMap, HeaderName, HeaderValue};
use mainstay_protocol::discover::{self, ServerEra};
use mainstay_protocol::headers::for_request;
use mainstay_protocol::list::{ListKind, ListPage};
use mainstay_protocol::mirror::MirroredArguments;
use mainstay_protocol::{Message, Method};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::CallError;
use crate::client::ClientError;

/// What goes with every request of a conversation.
#[derive(Debug)]
pub(super) struct Stateless {
    /// Members of `_meta`, with their JSON.
    meta: Members,
    /// What tools want repeated as headers, by their names.
    mirrors: BTreeMap<String, MirroredArguments>,
}

type Members = BTreeMap<String, Box<RawValue>>;

#[derive(Deserialize)]
struct OwnParams {
    #[serde(rename = "_meta")]
    meta: Members,
}

const LOG_LEVEL: &str = "io.modelcontextprotocol/logLevel";
/// The lowest: what is shown is chosen by whoever reads.
const LEVEL: &str = "\"debug\"";

// === impl Stateless ===

impl Stateless {
    pub(super) fn new(name: &str, version: &str) -> Self {
        let own = serde_json::from_str(&discover::params(name, version));
        let OwnParams { meta } = own.unwrap_or(OwnParams { meta: Members::new() });
        Self { meta, mirrors: BTreeMap::new() }
    }

    /// Asks for log messages with every request.
    pub(super) fn hear_messages(&mut self) {
        if let Ok(level) = RawValue::from_string(LEVEL.to_owned()) {
            self.meta.insert(LOG_LEVEL.to_owned(), level);
        }
    }

    /// `params` with what they have to say of us.
    pub(super) fn params(&self, params: Option<&str>) -> Result<String, CallError> {
        let unexpected = ClientError::Unexpected;
        let mut all: Members = serde_json::from_str(params.unwrap_or("{}")).map_err(unexpected)?;
        let mut meta: Members = match all.get("_meta") {
            Some(meta) => serde_json::from_str(meta.get()).map_err(unexpected)?,
            None => Members::new(),
        };
        meta.extend(self.meta.iter().map(|(name, value)| (name.clone(), value.clone())));
        let meta = serde_json::value::to_raw_value(&meta).map_err(unexpected)?;
        all.insert("_meta".to_owned(), meta);
        Ok(serde_json::to_string(&all).map_err(unexpected)?)
    }

    pub(super) fn headers(&self, message: &Message) -> HeaderMap {
        let params = message.params().unwrap_or_default();
        let tool = params.name.as_ref().filter(|_| message.method() == Method::ToolsCall.as_str());
        headers(message, tool.and_then(|name| self.mirrors.get(&*name.text()?)))
    }

    /// Notes what tools want repeated, when they are listed.
    pub(super) fn learn(&mut self, method: &str, result: &[u8]) {
        if method != Method::ToolsList.as_str() {
            return;
        }
        let text = std::str::from_utf8(result).unwrap_or_default();
        let Ok(page) = ListPage::parse(text, ListKind::Tools) else { return };
        for tool in page.items {
            // Of one that asks for the impossible nothing is repeated.
            let mirrors = MirroredArguments::of_tool(tool.raw).unwrap_or_default();
            self.mirrors.insert(tool.key.into_owned(), mirrors);
        }
    }
}

/// What the headers of a request of 2026-07-28 repeat of its body; `mirrors` is what the tool that it
/// calls wants repeated of its arguments.
pub fn headers(message: &Message, mirrors: Option<&MirroredArguments>) -> HeaderMap {
    let mut all = HeaderMap::new();
    let mut add = |name: &str, value: &str| {
        // What no header can carry is missing, and whoever checks it says so.
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(value)) {
            all.insert(name, value);
        }
    };
    for (name, value) in for_request(message) {
        add(name, &value);
    }
    let params = message.params().unwrap_or_default();
    let arguments = params.arguments.as_ref().map(|arguments| arguments.raw);
    for (name, value) in mirrors.map(|mirrors| mirrors.headers(arguments)).unwrap_or_default() {
        add(name, &value);
    }
    all
}

/// Whether the answer to `server/discover` names a revision that is spoken here.
pub(super) fn check(found: &[u8]) -> Result<(), CallError> {
    match discover::classify(Ok(found)) {
        ServerEra::Modern(_) => Ok(()),
        ServerEra::Legacy => Err(CallError::NoRevision),
    }
}
