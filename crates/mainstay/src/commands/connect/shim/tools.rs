//! Knowledge about tools, from the lists that passed through.

use std::borrow::Cow;
use std::collections::HashMap;

use http::HeaderMap;
use mainstay_admin::client;
use mainstay_protocol::list::{ListKind, ListPage};
use mainstay_protocol::mirror::MirroredArguments;
use mainstay_protocol::{Message, Method};

/// Facts about tools by name. Tools without any are left out.
#[derive(Debug, Default)]
pub(super) struct Tools(HashMap<Box<str>, Known>);

#[derive(Debug)]
struct Known {
    /// Whether calling the tool twice has the effect of calling it once, as it declares.
    may_retry: bool,
    /// Arguments that are repeated in headers.
    mirrors: MirroredArguments,
}

/// Most tools remembered.
const TOOLS_MAX: usize = 50_000;

// === impl Tools ===

impl Tools {
    /// Learns from a page of `tools/list`. Returns the cursor of the next page.
    pub(super) fn listed(&mut self, result: &str) -> Option<String> {
        let page = ListPage::parse(result, ListKind::Tools).ok()?;
        for tool in &page.items {
            self.0.remove(&*tool.key);
            let may_retry = tool.hints.may_retry();
            // Invalid declarations of a tool mean that no argument is repeated.
            let mirrors = MirroredArguments::of_tool(tool.raw).unwrap_or_default();
            let says_something = may_retry || !mirrors.is_empty();
            if says_something && self.0.len() < TOOLS_MAX {
                self.0.insert(tool.key.clone().into(), Known { may_retry, mirrors });
            }
        }
        page.next_cursor.map(Cow::into_owned)
    }

    /// Whether a tool may be called again when the outcome of the first call is unknown.
    pub(super) fn may_retry(&self, tool: &str) -> bool {
        self.0.get(tool).is_some_and(|known| known.may_retry)
    }

    /// The headers of a message of 2026-07-28.
    pub(super) fn headers(&self, message: &Message) -> HeaderMap {
        let params = message.params().unwrap_or_default();
        let tool = params.name.as_ref().filter(|_| message.method() == Method::ToolsCall.as_str());
        let known = tool.and_then(|name| self.0.get(&*name.text()?));
        client::headers(message, known.map(|known| &known.mirrors))
    }
}
