//! The checks that are built in: what the dependency graph knows of a server, a service or an external.

use jiff::Timestamp;
use mainstay_admin::api::graph::{Node, NodeState};
use mainstay_model::NodeKind;
use mainstay_model::status::InstanceState;

use super::verdict::Verdict;
use crate::output::format;

/// What must be so.
pub(super) fn expected(kind: NodeKind) -> &'static str {
    match kind {
        NodeKind::Server => "it is ready, lists its tools, and none are refused",
        NodeKind::Service | NodeKind::Volume => "it is ready",
        NodeKind::External => "its probe passes",
    }
}

/// What is said of a node that serves.
pub(super) fn ready(node: &Node) -> String {
    let mut text = match node.state {
        NodeState::Watched(InstanceState::Done) => "it has ended with code 0".to_owned(),
        state => format!("it is {}", state.as_str()),
    };
    if let Some(probe) =
        node.probe.as_ref().filter(|probe| probe.outcome.as_deref() == Some("passed"))
    {
        text.push_str(&format!(", its {} probe passes", probe.kind));
    }
    let needs: Vec<_> = node.waiting_for.iter().map(|blocker| blocker.need.to_string()).collect();
    if !needs.is_empty() {
        text.push_str(&format!(" without {}", needs.join(", ")));
    }
    if let Some(breaker) = node.breaker.as_ref().filter(|breaker| !breaker.is_closed()) {
        text.push_str(&format!(", its circuit breaker is {} {}", breaker.word(), breaker.after()));
    }
    text
}

/// Why calls are refused although the node is ready. None: none are.
pub(super) fn refusing(node: &Node) -> Option<Verdict> {
    let name = &node.name;
    if let Some(breaker) = node.breaker.as_ref().filter(|breaker| breaker.refuses()) {
        let found = format!(
            "its circuit breaker is {} and refuses calls, {}",
            breaker.word(),
            breaker.after()
        );
        let hint = format!("`mainstay breaker reset {name}` closes it at once");
        return Some(Verdict::failed(found).hint(hint));
    }
    let now = Timestamp::now();
    let texts = node.refused_tools.iter().map(|refused| {
        let lasts = format::ago(&refused.since, now);
        format!("{} for {lasts}: {}", refused.subject(name), refused.reason)
    });
    let first = node.refused_tools.first()?;
    let hint = format!("`mainstay status {}` says more", first.need.name);
    Some(Verdict::failed(texts.collect::<Vec<_>>().join("; ")).hint(hint))
}

/// Why a node can't be used. None: it can.
pub(super) fn unready(node: &Node) -> Option<Verdict> {
    let name = &node.name;
    if node.stopped_by_hand {
        let hint = format!("`mainstay start {name}` starts it");
        return Some(Verdict::skipped(format!("{name} was stopped by hand")).hint(hint));
    }
    if node.state.serves() {
        return None;
    }
    let state = node.state.as_str();
    let found = match &node.reason {
        Some(reason) => format!("{name} is {state}: {reason}"),
        None => format!("{name} is {state}"),
    };
    if node.state == NodeState::Watched(InstanceState::Held) {
        let end = node.waiting_for.iter().find(|blocker| blocker.ends_by_hand());
        let verdict = Verdict::skipped(found);
        return Some(match end {
            Some(blocker) => {
                verdict.hint(format!("`mainstay start {}` starts it", blocker.at_the_end().0.name))
            }
            None => verdict,
        });
    }
    let has_output = matches!(
        node.state,
        NodeState::Watched(
            InstanceState::Failed | InstanceState::CrashLooping | InstanceState::BackingOff
        )
    );
    let hint = match (node.kind, has_output) {
        (NodeKind::Server | NodeKind::Service, true) => {
            format!("`mainstay logs {name}` shows what it wrote")
        }
        _ => format!("`mainstay status {name}` says more"),
    };
    Some(Verdict::failed(found).hint(hint))
}
