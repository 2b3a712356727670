//! One word for the whole daemon, and what follows from it.

use mainstay_model::NodeKind;
use mainstay_model::status::{Health, InstanceState};

use crate::api::graph::{Blocker, Node, NodeState};
use crate::api::servers::Server;
use crate::api::services::Service;

/// What counts of a server or service.
struct Part<'a> {
    required: bool,
    state: InstanceState,
    /// Whether it has ever been ready.
    been_ready: bool,
    waiting_for: &'a [Blocker],
}

/// The word for a daemon with these servers, services and nodes of its graph.
///
/// A required one that is not ready makes it `loading` as long as it has never been and is on its way, and
/// `error` after that: once it was lost, failed, or was stopped by hand, or once that happened to what it
/// waits for.
///
/// It is `degraded` while something is not ready that is not required, while tools are refused because something
/// is down that they need, and while an external is down that anything needs.
pub fn of(servers: &[Server], services: &[Service], nodes: &[Node], draining: bool) -> Health {
    if draining {
        return Health::Draining;
    }
    let parts: Vec<_> =
        servers.iter().map(Part::from).chain(services.iter().map(Part::from)).collect();
    let unready = || parts.iter().filter(|part| !part.state.serves());
    let required = unready().filter(|part| part.required).map(Part::word);
    let worst = required.reduce(|a, b| if a == Health::Error { a } else { b });
    let degraded = || {
        unready().next().is_some()
            || parts.iter().any(|part| part.state == InstanceState::Degraded)
            || servers.iter().any(|server| !server.refused_tools.is_empty())
            || nodes.iter().any(|node| is_missed(node, nodes))
    };
    worst.unwrap_or_else(|| if degraded() { Health::Degraded } else { Health::Ok })
}

/// Whether clients should be sent here.
pub fn takes_clients(health: Health) -> bool {
    match health {
        Health::Ok | Health::Degraded => true,
        Health::Loading | Health::Draining | Health::Error => false,
    }
}

// === impl Part ===

impl Part<'_> {
    /// The word for a required part that is not ready.
    fn word(&self) -> Health {
        let waits_in_vain =
            || self.waiting_for.iter().any(|blocker| is_down(blocker.at_the_end().1));
        if self.been_ready || is_down(self.state.into()) || waits_in_vain() {
            Health::Error
        } else {
            Health::Loading
        }
    }
}

impl<'a> From<&'a Server> for Part<'a> {
    fn from(server: &'a Server) -> Self {
        Self {
            required: server.required,
            state: server.state,
            // Unknown before the first handshake.
            been_ready: server.revision.is_some(),
            waiting_for: &server.waiting_for,
        }
    }
}

impl<'a> From<&'a Service> for Part<'a> {
    fn from(service: &'a Service) -> Self {
        Self {
            required: service.required,
            state: service.state,
            been_ready: service.been_ready,
            waiting_for: &service.waiting_for,
        }
    }
}

/// Whether a node is an external that is not ready, and that a server, a service or a tool needs.
fn is_missed(node: &Node, nodes: &[Node]) -> bool {
    let need = node.as_need();
    let is_needed = || {
        let mut others = nodes.iter();
        others.any(|it| it.needs.contains(&need) || it.tools_that_need(&need).next().is_some())
    };
    node.kind == NodeKind::External && !node.state.serves() && is_needed()
}

/// Whether more than time is needed until something in this state is ready.
fn is_down(state: NodeState) -> bool {
    match state {
        NodeState::Watched(state) => matches!(
            state,
            InstanceState::Stopped
                | InstanceState::Held
                | InstanceState::Unhealthy
                | InstanceState::CrashLooping
                | InstanceState::Failed
        ),
        NodeState::Unwatched => false,
    }
}

#[cfg(test)]
mod tests {
    use mainstay_model::status::{Health, InstanceState as State};
    use serde_json::json;

    use super::of;
    use crate::api::graph::{Blocker, Cause, Node};
    use crate::api::servers::Server;
    use crate::api::services::Service;

    fn server(required: bool, state: State, been_ready: bool) -> Server {
        serde_json::from_value(json!({
            "name": "s", "kind": "process", "target": "", "required": required, "state": state,
            "since": "", "tools": 0, "resources": 0, "prompts": 0, "restarts": 0, "calls": 0,
            "stray_lines": 0, "instances": [], "revision": been_ready.then_some("2025-11-25"),
        }))
        .unwrap()
    }

    fn service(required: bool, state: State, been_ready: bool) -> Service {
        serde_json::from_value(json!({
            "name": "db", "kind": "service", "target": "", "required": required, "state": state,
            "since": "", "been_ready": been_ready, "restarts": 0, "needs": [], "waiting_for": [],
            "stopped_by_hand": false,
        }))
        .unwrap()
    }

    fn blocker(state: State) -> Blocker {
        Blocker {
            need: "service:db".parse().unwrap(),
            stopped_by_hand: false,
            state: state.into(),
            since: String::new(),
            reason: None,
            cause: None,
        }
    }

    #[test]
    fn the_worst_that_matters_is_the_word() {
        let ready = || server(true, State::Ready, true);
        for (servers, word) in [
            (vec![], Health::Ok),
            (vec![ready()], Health::Ok),
            (vec![ready(), server(true, State::Handshaking, false)], Health::Loading),
            (vec![server(true, State::BackingOff, false)], Health::Loading),
            (vec![server(true, State::BackingOff, true)], Health::Error),
            (vec![server(true, State::Starting, true)], Health::Error),
            (vec![server(true, State::CrashLooping, false)], Health::Error),
            (vec![server(true, State::Stopped, false)], Health::Error),
            (vec![server(true, State::Held, false)], Health::Error),
            (vec![server(true, State::Unhealthy, true)], Health::Error),
            (
                vec![server(true, State::Failed, false), server(true, State::Starting, false)],
                Health::Error,
            ),
            (vec![ready(), server(false, State::Starting, false)], Health::Degraded),
            (vec![server(false, State::Failed, false)], Health::Degraded),
            (vec![server(true, State::Degraded, true)], Health::Degraded),
            (vec![server(true, State::Idle, true), server(false, State::Idle, true)], Health::Ok),
        ] {
            assert_eq!(of(&servers, &[], &[], false), word, "{servers:?}");
            assert_eq!(of(&servers, &[], &[], true), Health::Draining);
        }
    }

    #[test]
    fn services_count_as_servers_do() {
        let ready = [server(true, State::Ready, true)];
        for (service, word) in [
            (service(true, State::Ready, true), Health::Ok),
            (service(true, State::Done, true), Health::Ok),
            (service(true, State::Starting, false), Health::Loading),
            (service(true, State::Unhealthy, true), Health::Error),
            (service(true, State::Stopped, false), Health::Error),
            (service(false, State::CrashLooping, true), Health::Degraded),
        ] {
            assert_eq!(of(&ready, std::slice::from_ref(&service), &[], false), word, "{service:?}");
        }
    }

    #[test]
    fn who_waits_for_something_that_is_down_is_not_loading() {
        for (state, word) in [
            (State::Starting, Health::Loading),
            (State::Waiting, Health::Loading),
            (State::BackingOff, Health::Loading),
            (State::CrashLooping, Health::Error),
            (State::Failed, Health::Error),
            (State::Unhealthy, Health::Error),
        ] {
            let mut waits = server(true, State::Waiting, false);
            waits.waiting_for = vec![blocker(state)];
            assert_eq!(of(&[waits.clone()], &[], &[], false), word, "{state:?}");
            // The same at the end of a chain.
            let need = "external:api".parse().unwrap();
            let cause =
                Some(Cause { need, state: state.into(), stopped_by_hand: false, reason: None });
            waits.waiting_for = vec![Blocker { cause, ..blocker(State::Waiting) }];
            assert_eq!(of(&[waits], &[], &[], false), word, "{state:?}");
        }
    }

    fn external(state: State) -> Node {
        serde_json::from_value(json!({
            "name": "mount", "kind": "external", "layer": 0, "state": state, "required": false,
            "since": "", "needs": [], "waiting_for": [], "stopped_by_hand": false,
        }))
        .unwrap()
    }

    /// The node of the server whose tools need something.
    fn with_tools(needs: &[&str]) -> Node {
        serde_json::from_value(json!({
            "name": "s", "kind": "server", "layer": 0, "state": "ready", "required": true,
            "since": "", "needs": [], "waiting_for": [], "stopped_by_hand": false,
            "tool_needs": [{ "pattern": "extract_*", "needs": needs }],
        }))
        .unwrap()
    }

    #[test]
    fn tools_that_are_refused_and_externals_that_are_missed_degrade_it() {
        let refused = json!([{
            "need": "service:db", "state": "waiting", "since": "", "reason": "", "patterns": ["*"],
            "tools": [],
        }]);
        let ready = server(true, State::Ready, true);
        let mut lacks = ready.clone();
        lacks.refused_tools = serde_json::from_value(refused).unwrap();
        assert_eq!(of(&[lacks], &[], &[], false), Health::Degraded);

        let servers = [ready];
        for (state, needs, word) in [
            (State::Ready, &["external:mount"][..], Health::Ok),
            (State::Unhealthy, &["external:mount"][..], Health::Degraded),
            // Not checked yet, or never ready.
            (State::Starting, &["external:mount"][..], Health::Degraded),
            // Nobody needs it.
            (State::Unhealthy, &["external:net", "service:mount"][..], Health::Ok),
        ] {
            let nodes = [external(state), with_tools(needs)];
            assert_eq!(of(&servers, &[], &nodes, false), word, "{state:?} {needs:?}");
        }
        let mut needs = with_tools(&[]);
        needs.needs = vec!["external:mount".parse().unwrap()];
        let nodes = [external(State::Unhealthy), needs];
        assert_eq!(of(&servers, &[], &nodes, false), Health::Degraded);
    }
}
