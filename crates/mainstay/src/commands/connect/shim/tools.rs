//! What the lists of tools that passed by say about calling them.

use std::collections::HashSet;

use http::{HeaderMap, HeaderName, HeaderValue};
use mainstay_protocol::list::{ListKind, ListPage};
use mainstay_protocol::{Message, headers};

/// What is known of tools by their names.
#[derive(Debug, Default)]
pub(super) struct Tools {
    /// To call them twice is the same as once, as they promise.
    repeatable: HashSet<Box<str>>,
}

/// Far more than any client can make use of.
const TOOLS_MAX: usize = 50_000;

// === impl Tools ===

impl Tools {
    /// A page of `tools/list` came; where the next one begins, if there is one.
    pub(super) fn listed(&mut self, result: &str) -> Option<String> {
        let page = ListPage::parse(result, ListKind::Tools).ok()?;
        for tool in &page.items {
            self.repeatable.remove(&*tool.key);
            if tool.hints.may_repeat() && self.repeatable.len() < TOOLS_MAX {
                self.repeatable.insert(tool.key.clone().into());
            }
        }
        page.next_cursor.map(std::borrow::Cow::into_owned)
    }

    /// Whether a tool may be called again when nobody knows what became of the first call.
    pub(super) fn may_repeat(&self, tool: &str) -> bool {
        self.repeatable.contains(tool)
    }

    /// What a message of 2026-07-28 carries beside its body.
    pub(super) fn headers(&self, message: &Message) -> HeaderMap {
        let mut all = HeaderMap::new();
        for (name, value) in headers::of_request(message) {
            // What no header can carry is missing, and the daemon says so.
            if let Ok(value) = HeaderValue::from_str(&value) {
                all.insert(HeaderName::from_static(name), value);
            }
        }
        all
    }
}
