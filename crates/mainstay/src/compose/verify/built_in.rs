//! The checks that are built in: what the dependency graph knows of a server, a service or an external.

use mainstay_admin::api::graph::{Node, NodeState};
use mainstay_model::NodeKind;
use mainstay_model::status::InstanceState;

use super::verdict::Verdict;

/// What must be so.
pub(super) fn expected(kind: NodeKind) -> &'static str {
    match kind {
        NodeKind::Server => "it is ready and lists its tools",
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
    text
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
