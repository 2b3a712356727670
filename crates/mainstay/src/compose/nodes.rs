//! The dependency graph, services and externals, as the API shows them.

use std::time::{Instant, SystemTime};

use mainstay_admin::View;
use mainstay_admin::api::graph::{Blocker, Cause, Graph, Node, NodeState, Probe};
use mainstay_admin::api::limits::Limit;
use mainstay_admin::api::servers::Server;
use mainstay_admin::api::services::Service;
use mainstay_fleet::{BlockerView, Fleet, NodeView, ProbeView, Seen};
use mainstay_gateway::Clock;
use mainstay_model::NodeKind;
use mainstay_model::resource::{LimitKind, LimitStatus};
use mainstay_model::settings::{LimitsSpec, Runtime};
use mainstay_model::status::InstanceState;
use mainstay_supervisor::probe::Outcome;

use super::{breakers, target};

/// Reads nodes for somebody who may see so much of them.
#[derive(Clone, Copy)]
pub(super) struct Nodes<'a> {
    pub(super) fleet: &'a Fleet,
    pub(super) clock: Clock,
    pub(super) view: View,
}

// === impl Nodes ===

impl Nodes<'_> {
    pub(super) fn graph(&self) -> Graph {
        Graph { nodes: self.fleet.view().into_iter().map(|node| self.node(node)).collect() }
    }

    pub(super) fn services(&self) -> Vec<Service> {
        self.fleet.services().iter().map(|service| self.service(service)).collect()
    }

    /// Adds what the graph knows of a server.
    pub(super) fn complete(&self, server: &mut Server) {
        if let Some(node) = self.fleet.view_of(server.name.as_str()) {
            server.waiting_for = self.blockers(node.blockers);
            server.needs = node.needs;
            server.stopped_by_hand = node.is_stopped_by_hand;
            server.probe = node.probe.map(|probe| self.probe(probe));
        }
    }

    fn node(&self, node: NodeView) -> Node {
        Node {
            kind: node.id.kind,
            layer: node.layer,
            state: node.state.map_or(NodeState::Unwatched, NodeState::Watched),
            since: self.date(node.since),
            required: node.is_required,
            needs: node.needs,
            waiting_for: self.blockers(node.blockers),
            stopped_by_hand: node.is_stopped_by_hand,
            reason: self.reason(node.reason, node.brief_reason),
            retry_in_ms: node.retry_at.map(left),
            pid: node.pid,
            probe: node.probe.map(|probe| self.probe(probe)),
            name: node.id.name,
            // What is known of breakers and tools is added later.
            breaker: None,
            tool_needs: Vec::new(),
            refused_tools: Vec::new(),
        }
    }

    fn service(&self, service: &mainstay_fleet::Service) -> Service {
        let status = service.status();
        let node = self.fleet.view_of(service.name.as_str());
        let spec = service.spec();
        let (needs, blockers, stopped_by_hand, probe) = node
            .map(|node| (node.needs, node.blockers, node.is_stopped_by_hand, node.probe))
            .unwrap_or_default();
        let kind = status.kind.as_str();
        let target = match self.view {
            View::Operator => spec.process.shown_command(),
            View::Open => target::shown(&Runtime::Process(spec.process.clone())),
        };
        let is_shown = self.view == View::Operator && !status.state.serves();
        Service {
            name: service.name.clone(),
            kind: kind.to_owned(),
            target,
            required: spec.required,
            state: status.state,
            reason: self.reason(status.reason, status.brief_reason),
            last_output: if is_shown { status.last_output } else { Vec::new() },
            since: self.date(status.since),
            been_ready: status.been_ready,
            retry_in_ms: status.retry_at.map(left),
            restarts: status.restarts,
            pid: status.pid,
            memory_bytes: service.memory_bytes(),
            limits: match status.pid {
                Some(_) => limits(service.limits(), self.view),
                None => planned_limits(&spec.process.limits, status.state, self.view),
            },
            probe: probe.map(|probe| self.probe(probe)),
            breaker: Some(breakers::shown(&service.breaker.view(), self.view)),
            needs,
            waiting_for: self.blockers(blockers),
            stopped_by_hand,
        }
    }

    fn probe(&self, probe: ProbeView) -> Probe {
        let ProbeView { kind, newest } = probe;
        let (outcome, at, failure) = match newest.result {
            None => (None, None, None),
            Some((outcome, at)) => {
                let word = match outcome {
                    Outcome::Passed => "passed",
                    Outcome::Unfit(_) => "unfit",
                    Outcome::Silent(_) => "silent",
                };
                (Some(word.to_owned()), Some(date_of(at)), outcome.failure().cloned())
            }
        };
        let detail = failure.map(|failure| match self.view {
            View::Operator => failure.reason,
            View::Open => failure.brief,
        });
        Probe { kind: kind.to_owned(), outcome, at, failures: newest.failures, detail }
    }

    fn blockers(&self, blockers: Vec<BlockerView>) -> Vec<Blocker> {
        blockers.into_iter().map(|blocker| self.blocker(blocker)).collect()
    }

    fn blocker(&self, blocker: BlockerView) -> Blocker {
        let BlockerView { need, cause } = blocker;
        let cause = cause.map(|cause| Cause {
            state: state_of(&cause),
            stopped_by_hand: cause.is_stopped_by_hand,
            reason: self.reason(cause.reason, cause.brief_reason),
            need: cause.id,
        });
        Blocker {
            state: state_of(&need),
            stopped_by_hand: need.is_stopped_by_hand,
            since: self.date(need.since),
            reason: self.reason(need.reason, need.brief_reason),
            need: need.id,
            cause,
        }
    }

    fn reason(&self, whole: Option<String>, brief: Option<String>) -> Option<String> {
        match self.view {
            View::Operator => whole,
            View::Open => brief,
        }
    }

    fn date(&self, at: Instant) -> String {
        date_of(self.clock.date(at))
    }
}

/// Limits as somebody may see them. Their notes have paths.
pub(super) fn limits(limits: Vec<LimitStatus>, view: View) -> Vec<Limit> {
    let shown = |limit: LimitStatus| match view {
        View::Operator => Limit::from(limit),
        View::Open => Limit::from(LimitStatus { note: None, ..limit }),
    };
    limits.into_iter().map(shown).collect()
}

/// The limits of what is to be started again: what they will be. Nothing of them is used.
pub(super) fn planned_limits(spec: &LimitsSpec, state: InstanceState, view: View) -> Vec<Limit> {
    if !matches!(
        state,
        InstanceState::BackingOff | InstanceState::CrashLooping | InstanceState::Failed
    ) {
        return Vec::new();
    }
    let LimitsSpec { memory_bytes_max, memory_bytes_reserved, cpus_max, processes_max, files_max } =
        *spec;
    let all = [
        (LimitKind::Memory, memory_bytes_max),
        (LimitKind::MemoryReservation, memory_bytes_reserved),
        (LimitKind::Cpus, cpus_max.map(|cpus| cpus.thousandths().into())),
        (LimitKind::Processes, processes_max),
        (LimitKind::Files, files_max),
    ];
    let note = || Some("holds from the next start on".to_owned());
    let status = |(kind, max): (LimitKind, Option<u64>)| {
        Some(LimitStatus { kind, max: max?, used: None, hits: 0, by: None, note: note() })
    };
    limits(all.into_iter().filter_map(status).collect(), view)
}

fn state_of(seen: &Seen) -> NodeState {
    match seen.id.kind {
        NodeKind::Volume => NodeState::Unwatched,
        NodeKind::Server | NodeKind::Service | NodeKind::External => NodeState::Watched(seen.state),
    }
}

/// A time as RFC 3339.
pub(super) fn date_of(at: SystemTime) -> String {
    jiff::Timestamp::try_from(at).map(|date| format!("{date:.3}")).unwrap_or_default()
}

/// The milliseconds until a time.
fn left(at: Instant) -> u64 {
    u64::try_from(at.saturating_duration_since(Instant::now()).as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use mainstay_admin::View;
    use mainstay_model::settings::{Cpus, LimitsSpec};
    use mainstay_model::status::InstanceState;

    use super::planned_limits;

    #[test]
    fn what_waits_for_its_next_start_shows_the_limits_that_it_will_have() {
        let spec = LimitsSpec {
            memory_bytes_max: Some(64 << 20),
            cpus_max: Some(Cpus::from_thousandths(500)),
            ..LimitsSpec::default()
        };
        let limits = planned_limits(&spec, InstanceState::BackingOff, View::Operator);
        let shown: Vec<_> =
            limits.iter().map(|limit| (limit.limit.as_str(), limit.max.to_string())).collect();
        assert_eq!(shown, [("memory", "67108864".to_owned()), ("cpus", "0.5".to_owned())]);
        assert!(limits.iter().all(|limit| limit.used.is_none() && limit.note.is_some()));
        assert!(planned_limits(&spec, InstanceState::Stopped, View::Operator).is_empty());
    }
}
