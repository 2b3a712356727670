//! Why servers, services and externals are not ready, in sentences.

use std::time::Duration;

use jiff::Timestamp;
use mainstay_admin::api::graph::{Blocker, Node, NodeState};
use mainstay_admin::api::servers::Server;
use mainstay_admin::api::services::Service;
use mainstay_admin::api::status::DaemonStatus;
use mainstay_model::NodeKind;
use mainstay_model::status::InstanceState;

use crate::output::{Look, format};

/// What is said about a server, a service, a volume or an external.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part<'a> {
    pub(super) name: &'a str,
    pub(super) kind: NodeKind,
    pub(super) state: NodeState,
    pub(super) since: &'a str,
    pub(super) waiting_for: &'a [Blocker],
    pub(super) stopped_by_hand: bool,
    reason: Option<&'a str>,
    last_output: &'a [String],
    pub(super) retry_in_ms: Option<u64>,
}

// === impl Part ===

impl<'a> Part<'a> {
    /// The servers and services of a daemon.
    pub(super) fn all(status: &'a DaemonStatus) -> impl Iterator<Item = Self> + Clone {
        status.servers.iter().map(Self::from).chain(status.services.iter().map(Self::from))
    }

    /// Why it is not ready, or what it lacks although it is. `None`: nothing is wrong.
    pub(super) fn trouble(&self, now: Timestamp) -> Option<String> {
        let (name, state) = (self.name, self.state.as_str());
        if self.stopped_by_hand {
            let since = format::ago(self.since, now);
            return Some(format!(
                "{name} was stopped by hand {since} ago; `mainstay start {name}` starts it"
            ));
        }
        if !self.waiting_for.is_empty() {
            let blockers = self.waiting_for.iter().map(|blocker| blocked_by(blocker, now));
            let blockers = blockers.collect::<Vec<_>>().join("; ");
            return Some(format!("{name}, {state}: {blockers}"));
        }
        let reason = self.reason.filter(|_| !self.state.serves())?;
        let mut text = format!("{name}, {state}: {}", indented(reason));
        for line in self.last_output {
            text.push_str(&format!("\n    {}", indented(line)));
        }
        if let Some(millis) = self.retry_in_ms {
            let wait = format::duration(Duration::from_millis(millis));
            text.push_str(&format!("\n    next attempt in {wait}"));
        }
        let is_given_up = matches!(
            self.state,
            NodeState::Watched(InstanceState::CrashLooping | InstanceState::Failed)
        );
        if is_given_up && self.kind != NodeKind::External {
            text.push_str(&format!("\n    `mainstay start {name}` tries at once"));
        }
        Some(text)
    }

    /// `embeddings (starting)`, `search (waiting for service:db)`.
    pub(super) fn brief(&self) -> String {
        let needs: Vec<_> = self.waiting_for.iter().map(|it| it.need.to_string()).collect();
        match (self.state, &*needs) {
            (NodeState::Watched(InstanceState::Waiting), [_, ..]) => {
                format!("{} (waiting for {})", self.name, needs.join(", "))
            }
            (state, _) => format!("{} ({})", self.name, state.as_str()),
        }
    }
}

impl<'a> From<&'a Server> for Part<'a> {
    fn from(server: &'a Server) -> Self {
        Self {
            name: server.name.as_str(),
            kind: NodeKind::Server,
            state: server.state.into(),
            since: &server.since,
            waiting_for: &server.waiting_for,
            stopped_by_hand: server.stopped_by_hand,
            reason: server.reason.as_deref(),
            last_output: &server.last_output,
            retry_in_ms: server.retry_in_ms,
        }
    }
}

impl<'a> From<&'a Service> for Part<'a> {
    fn from(service: &'a Service) -> Self {
        Self {
            name: service.name.as_str(),
            kind: NodeKind::Service,
            state: service.state.into(),
            since: &service.since,
            waiting_for: &service.waiting_for,
            stopped_by_hand: service.stopped_by_hand,
            reason: service.reason.as_deref(),
            last_output: &service.last_output,
            retry_in_ms: service.retry_in_ms,
        }
    }
}

impl<'a> From<&'a Node> for Part<'a> {
    fn from(node: &'a Node) -> Self {
        Self {
            name: node.name.as_str(),
            kind: node.kind,
            state: node.state,
            since: &node.since,
            waiting_for: &node.waiting_for,
            stopped_by_hand: node.stopped_by_hand,
            reason: node.reason.as_deref(),
            last_output: &[],
            retry_in_ms: node.retry_in_ms,
        }
    }
}

/// What a need that is not ready does, since when and why. The end of a chain of needs says why.
fn blocked_by(blocker: &Blocker, now: Timestamp) -> String {
    let Blocker { need, state, since, cause, .. } = blocker;
    let state_of = |state: NodeState, by_hand: bool| match by_hand {
        true => "stopped by hand",
        false => state.as_str(),
    };
    let is = state_of(*state, blocker.stopped_by_hand);
    let mut text = format!("{need} is {is} for {}", format::ago(since, now));
    if let Some(cause) = cause {
        let is = state_of(cause.state, cause.stopped_by_hand);
        text.push_str(&format!(", because {} is {is}", cause.need));
    }
    let (end, _, reason) = blocker.at_the_end();
    if blocker.ends_by_hand() {
        text.push_str(&format!(" (`mainstay start {}` starts it)", end.name));
    } else if let Some(reason) = reason {
        text.push_str(&format!(": {}", indented(reason)));
    }
    text
}

/// Text of others, which may have many lines; they are indented below the name.
fn indented(text: &str) -> String {
    format::harmless(text.trim_end()).replace('\n', "\n    ")
}

/// The colour of a state.
pub(super) fn look(state: NodeState) -> Look {
    let NodeState::Watched(state) = state else { return Look::Faint };
    match state {
        InstanceState::Ready | InstanceState::Done => Look::Good,
        InstanceState::Waiting
        | InstanceState::Starting
        | InstanceState::Handshaking
        | InstanceState::Degraded
        | InstanceState::BackingOff
        | InstanceState::Draining => Look::Doubtful,
        InstanceState::CrashLooping | InstanceState::Failed | InstanceState::Unhealthy => Look::Bad,
        InstanceState::Idle | InstanceState::Stopped | InstanceState::Held => Look::Faint,
    }
}

#[cfg(test)]
mod tests {
    use mainstay_admin::api::graph::Node;
    use serde_json::{Value, json};

    use super::Part;

    fn node(name: &str, state: &str, more: &Value) -> Node {
        let mut node = json!({
            "name": name, "kind": "server", "layer": 1, "state": state, "required": false,
            "since": "2026-01-01T00:00:00Z", "needs": [], "waiting_for": [], "stopped_by_hand": false,
        });
        for (key, value) in more.as_object().unwrap() {
            node[key] = value.clone();
        }
        serde_json::from_value(node).unwrap()
    }

    fn trouble(state: &str, more: &Value) -> Option<String> {
        let now = "2026-01-01T00:02:00Z".parse().unwrap();
        Part::from(&node("search", state, more)).trouble(now)
    }

    fn blocker(need: &str, state: &str, more: &Value) -> Value {
        let mut blocker = json!({ "need": need, "state": state, "since": "2026-01-01T00:01:00Z" });
        for (key, value) in more.as_object().unwrap() {
            blocker[key] = value.clone();
        }
        json!({ "waiting_for": [blocker] })
    }

    #[test]
    fn each_kind_of_trouble_is_a_sentence_that_says_what_to_do() {
        let by_hand = json!({ "stopped_by_hand": true });
        let stopped = json!({ "state": "stopped", "need": "service:db", "stopped_by_hand": true });
        let crashed = json!({ "state": "failed", "need": "service:db", "reason": "no such file" });
        for (state, more, expected) in [
            ("ready", json!({ "reason": "old" }), None),
            (
                "failed",
                json!({ "reason": "no such\nfile\u{1b}", "retry_in_ms": 5000 }),
                Some(
                    "search, failed: no such\n    file\\u{1b}\n    next attempt in 5 s\n    `mainstay start search` tries at once",
                ),
            ),
            (
                "stopped",
                json!({ "stopped_by_hand": true }),
                Some("search was stopped by hand 2 min ago; `mainstay start search` starts it"),
            ),
            (
                "waiting",
                blocker("service:db", "crash-looping", &json!({ "reason": "exited with 1" })),
                Some("search, waiting: service:db is crash-looping for 1 min: exited with 1"),
            ),
            (
                "degraded",
                blocker("external:api", "unhealthy", &json!({})),
                Some("search, degraded: external:api is unhealthy for 1 min"),
            ),
            (
                "held",
                blocker("service:db", "stopped", &by_hand),
                Some(
                    "search, held: service:db is stopped by hand for 1 min \
                     (`mainstay start db` starts it)",
                ),
            ),
            (
                "held",
                blocker("server:api", "held", &json!({ "cause": stopped })),
                Some(
                    "search, held: server:api is held for 1 min, because service:db is stopped by \
                     hand (`mainstay start db` starts it)",
                ),
            ),
            (
                "waiting",
                blocker("server:api", "waiting", &json!({ "cause": crashed })),
                Some(
                    "search, waiting: server:api is waiting for 1 min, because service:db is \
                     failed: no such file",
                ),
            ),
        ] {
            assert_eq!(trouble(state, &more).as_deref(), expected, "{state} {more}");
        }
    }
}
