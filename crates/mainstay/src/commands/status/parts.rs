//! Pieces that several pages of `mainstay status` have.

use std::time::Duration;

use jiff::Timestamp;
use mainstay_admin::api::breakers::{CircuitBreaker, RefusedTools};
use mainstay_admin::api::graph::{Graph, Node, NodeState, Probe};
use mainstay_admin::api::servers::Server;
use mainstay_model::{Name, Need};

use crate::commands::trouble::{self, Part};
use crate::output::table::Cell;
use crate::output::{Output, format};

/// Text that fits into the terminal. Lines that follow another are indented below it.
pub(super) fn wrapped(text: &str, out: &Output) -> String {
    format::wrap(text, out.columns(), 4)
}

pub(super) fn state_cell(state: impl Into<NodeState>) -> Cell {
    let state = state.into();
    Cell::from(state.as_str()).look(trouble::look(state))
}

/// `ready for 3 min`.
pub(super) fn state_text(
    state: impl Into<NodeState>,
    since: &str,
    now: Timestamp,
    out: &Output,
) -> String {
    let state = state.into();
    let word = out.paint(trouble::look(state), state.as_str());
    format!("{word} for {}", format::ago(since, now))
}

/// Labels with what is said about each, in two columns.
pub(super) fn facts(facts: &[(&str, String)], out: &Output) -> Vec<String> {
    let width = facts.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let line = |(name, fact): &(&str, String)| format::beside(name, width + 2, fact, out.columns());
    facts.iter().map(line).collect()
}

pub(super) fn needs(needs: &[Need]) -> String {
    let needs: Vec<_> = needs.iter().map(Need::to_string).collect();
    if needs.is_empty() { "nothing".to_owned() } else { needs.join(", ") }
}

/// Who needs something: servers, services, and tools of servers.
pub(super) fn needed_by(need: &Need, graph: &Graph) -> String {
    let by = |node: &Node| {
        let itself = node.needs.contains(need).then(|| node.as_need().to_string());
        let patterns: Vec<_> = node.tools_that_need(need).collect();
        let tools = (!patterns.is_empty())
            .then(|| format!("tools {} of {}", patterns.join(", "), node.name));
        itself.into_iter().chain(tools)
    };
    let all: Vec<_> = graph.nodes.iter().flat_map(by).collect();
    if all.is_empty() { "nothing".to_owned() } else { all.join("; ") }
}

/// A circuit breaker that is not closed, or whose last result was a failure.
pub(super) fn breaker(
    own: Option<&CircuitBreaker>,
    now: Timestamp,
) -> Option<(&'static str, String)> {
    let own = own.filter(|own| !own.is_closed() || own.failures > 0)?;
    let lasts = format::ago(&own.since, now);
    let text = match own.is_closed() {
        false => format!("{} for {lasts}, {}", own.word(), own.after()),
        true => {
            let word = if own.enabled { "closed" } else { "off" };
            let times = format!("{} of {} failures in a row", own.failures, own.failures_max);
            match (&own.last_error, own.last_error_ago_ms) {
                (Some(error), Some(ago)) => {
                    let ago = format::duration(Duration::from_millis(ago));
                    format!("{word}, {times}, the last {ago} ago: {error}")
                }
                _ => format!("{word}, {times}"),
            }
        }
    };
    Some(("breaker", format::harmless(&text)))
}

/// What is said of a circuit breaker that is not closed.
pub(in crate::commands) fn breaker_trouble(own: &CircuitBreaker) -> Option<String> {
    let text = || format!("the circuit breaker of {} is {} {}", own.name, own.word(), own.after());
    (!own.is_closed()).then(text)
}

/// What is said of the tools of a server that are refused because something is down that they need.
pub(in crate::commands) fn refused_tools(
    server: &Name,
    refused: &[RefusedTools],
    now: Timestamp,
) -> Vec<String> {
    let text = |refused: &RefusedTools| {
        let lasts = format::ago(&refused.since, now);
        format!("{} for {lasts}: {}", refused.subject(server), refused.reason)
    };
    refused.iter().map(text).collect()
}

/// What a probe checks, and what its newest check found.
pub(super) fn probe(probe: &Probe, now: Timestamp) -> String {
    let kind = &probe.kind;
    let (Some(outcome), Some(at)) = (&probe.outcome, &probe.at) else {
        return format!("{kind}, not checked yet");
    };
    let mut text = format!("{kind}, {outcome} {} ago", format::ago(at, now));
    if probe.failures > 1 {
        text.push_str(&format!(", {} failures in a row", probe.failures));
    }
    if let Some(detail) = &probe.detail {
        text.push_str(&format!(": {}", format::first_line(detail)));
    }
    text
}

/// Why something is not ready, after an empty line.
pub(super) fn trouble(part: &Part<'_>, now: Timestamp, out: &Output) -> Option<String> {
    Some(wrapped(&format!("\n{}", part.trouble(now)?), out))
}

/// Which clients can't use a server although it is ready, after an empty line.
pub(super) fn note(server: &Server, out: &Output) -> Option<String> {
    let note = format::harmless(server.note.as_deref()?);
    Some(wrapped(&format!("\n{} is {}, and {note}", server.name, server.state.as_str()), out))
}

/// Memory that was read. `-`: something runs, and its memory was not read yet.
pub(super) fn memory(bytes: u64, something_runs: bool) -> String {
    match bytes {
        0 if something_runs => "-".to_owned(),
        bytes => format::bytes(bytes),
    }
}
