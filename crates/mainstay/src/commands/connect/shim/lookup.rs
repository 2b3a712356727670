//! Lists the tools again for calls of 2026-07-28 that were refused because of missing headers, then
//! sends these calls again.

use std::time::Instant;

use bytes::Bytes;
use mainstay_protocol::{Kind, Message, Method, build, codes};

use super::call::Call;
use super::limits::HEAD;
use super::outcome;
use super::state::{Purpose, Shim};

/// Most pages of one list.
const PAGES_MAX: u16 = 100;

// === impl Shim ===

impl Shim {
    /// Whether the refusal of a call may be cured by listing the tools.
    pub(super) fn wants_lookup(call: &Call, answer: &Message) -> bool {
        let is_new = call.is_modern && call.method() == Some(Method::ToolsCall);
        is_new && !call.is_looked_up && outcome::code(answer) == Some(codes::HEADER_MISMATCH)
    }

    /// Lists the tools, then sends the call again. One listing serves all waiting calls.
    pub(super) fn look_up(&mut self, mut call: Call) {
        call.is_looked_up = true;
        let is_under_way =
            self.under_way.values().any(|of| matches!(of.purpose, Purpose::LookUp { .. }));
        if !is_under_way {
            self.ask_for_tools(&call.message, None, 1);
        }
        self.looked_up.push(call);
    }

    /// Handles a page of the tool list.
    pub(super) fn page_came(&mut self, now: Instant, exchange: u64, page: u16, answer: &Message) {
        self.under_way.remove(&exchange);
        let result = answer.body().filter(|_| answer.kind() == Kind::Result);
        let next = result.and_then(|result| self.tools.listed(result));
        match (next, self.looked_up.first()) {
            (Some(cursor), Some(call)) if page < PAGES_MAX => {
                let like = call.message.clone();
                self.ask_for_tools(&like, Some(&cursor), page + 1);
            }
            _ => self.looked_up(now),
        }
    }

    /// Ends the listing and sends the waiting calls again. If the headers are still wrong, the
    /// daemon refuses them again.
    pub(super) fn looked_up(&mut self, now: Instant) {
        for call in std::mem::take(&mut self.looked_up) {
            self.request(now, call);
        }
    }

    fn ask_for_tools(&mut self, like: &Message, cursor: Option<&str>, page: u16) {
        let Ok(message) = Message::parse(tools_list(like, cursor)) else { return };
        let headers = self.tools.headers(&message);
        self.send(Purpose::LookUp { page }, message.into_bytes(), headers, HEAD);
    }
}

/// A `tools/list` on behalf of the client that sent `like`.
fn tools_list(like: &Message, cursor: Option<&str>) -> Bytes {
    let params = like.params().unwrap_or_default();
    let marks = [
        ("protocolVersion", &params.meta.protocol_version),
        ("clientCapabilities", &params.meta.client_capabilities),
        ("clientInfo", &params.meta.client_info),
    ];
    let marks = marks.into_iter().filter_map(|(name, field)| {
        Some(format!(r#""io.modelcontextprotocol/{name}":{}"#, field.as_ref()?.raw))
    });
    let marks = marks.collect::<Vec<_>>().join(",");
    let cursor = cursor.map(|cursor| format!(r#""cursor":{},"#, build::string(cursor)));
    let cursor = cursor.unwrap_or_default();
    let params = format!(r#"{{{cursor}"_meta":{{{marks}}}}}"#);
    build::request(0, Method::ToolsList.as_str(), Some(&params))
}
