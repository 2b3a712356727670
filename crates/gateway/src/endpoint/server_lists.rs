//! What one server lists for clients of one era.

use std::collections::HashSet;
use std::sync::Arc;

use mainstay_model::{Name, ServerId};
use mainstay_protocol::list::ListKind;
use mainstay_session::catalogue::Source;
use mainstay_upstream::facts::Facts;

/// The latest lists of one server for clients of one era.
pub(super) struct ServerLists<'a> {
    pub(super) server: ServerId,
    pub(super) name: &'a Name,
    /// Position of the server in the configuration of the endpoint.
    pub(super) place: usize,
    pub(super) facts: Arc<Facts>,
}

// === impl ServerLists ===

impl ServerLists<'_> {
    /// Whether this list has an item that the other lacks.
    pub(super) fn lists_beyond(&self, other: &ServerLists<'_>, kind: ListKind) -> bool {
        let others = other.facts.lists.of(kind);
        let known: HashSet<_> = others.iter().map(|item| &item.key).collect();
        self.facts.lists.of(kind).iter().any(|item| !known.contains(&item.key))
    }

    /// Returns the server with its items.
    pub(super) fn sources(
        &self,
        kind: ListKind,
    ) -> (ServerId, &str, impl Iterator<Item = Source<'_>>) {
        let sources = self.facts.lists.of(kind).iter().map(|item| {
            let merged = item.merged();
            let (raw, key_span) = merged.unwrap_or((&item.raw, &item.key_span));
            Source {
                raw,
                key: &item.key,
                key_span: key_span.clone(),
                may_retry: item.hints.may_retry(),
                is_left_out: merged.is_none(),
            }
        });
        (self.server, self.name.as_str(), sources)
    }
}
