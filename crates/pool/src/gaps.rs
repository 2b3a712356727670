//! Gaps in a server's lists: logged once per run, and shown in the status.

use mainstay_protocol::Era;
use mainstay_protocol::list::ListKind;
use mainstay_telemetry::events::ListIncomplete;
use mainstay_upstream::facts::Facts;

use crate::pool::Pool;

impl Pool {
    /// Logs which lists are incomplete. Skips gaps that `before` already had, unless this is a `new_run`.
    pub(crate) fn log_gaps(&self, before: Option<&Facts>, now: &Facts, new_run: bool) {
        let known: Vec<_> = match before {
            Some(before) if !new_run => before.lists.gaps().collect(),
            _ => Vec::new(),
        };
        for (kind, gaps) in now.lists.gaps().filter(|gaps| !known.contains(gaps)) {
            let (server, list) = (&self.spec.name, kind.method().as_str());
            ListIncomplete { server, list, gaps: &gaps.to_string() }.emit(&self.metrics);
        }
    }

    /// A remark for the status, as the rest of a sentence about the server.
    pub(crate) fn note(&self) -> Option<String> {
        // Most servers support older clients only, so that needs no remark.
        let closed = self.unsupported_reason(Era::Legacy);
        let facts = self.primary_facts();
        let gaps = facts.iter().flat_map(|facts| facts.lists.gaps());
        let gaps = gaps.map(|(kind, gaps)| format!("offers its {} {gaps}", plural(kind)));
        let all: Vec<String> = closed.into_iter().chain(gaps).collect();
        (!all.is_empty()).then(|| all.join("; "))
    }
}

fn plural(kind: ListKind) -> &'static str {
    match kind {
        ListKind::Tools => "tools",
        ListKind::Resources => "resources",
        ListKind::ResourceTemplates => "resource templates",
        ListKind::Prompts => "prompts",
    }
}
