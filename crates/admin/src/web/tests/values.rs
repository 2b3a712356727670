//! What the daemon of the tests answers with.

use super::*;

pub(super) fn service(name: &str, state: InstanceState) -> Service {
    Service {
        name: Name::try_new(name).unwrap(),
        kind: "service".to_owned(),
        target: "postgres".to_owned(),
        required: false,
        state,
        reason: None,
        last_output: Vec::new(),
        since: "2026-01-01T00:00:00Z".to_owned(),
        been_ready: false,
        retry_in_ms: None,
        restarts: 0,
        pid: None,
        memory_bytes: None,
        limits: Vec::new(),
        probe: None,
        breaker: None,
        needs: Vec::new(),
        waiting_for: Vec::new(),
        stopped_by_hand: false,
    }
}

/// A service that waits for an external, with all that can be known.
pub(super) fn node(name: &str, view: View) -> Node {
    let detail = (view == View::Operator).then(|| "/secret/path".to_owned());
    let down = InstanceState::Unhealthy.into();
    let cause = Cause {
        need: "volume:disk".parse().unwrap(),
        state: down,
        stopped_by_hand: false,
        reason: detail.clone(),
    };
    let blocker = Blocker {
        need: "external:net".parse().unwrap(),
        state: down,
        stopped_by_hand: false,
        since: "2026-01-01T00:00:00Z".to_owned(),
        reason: detail.clone(),
        cause: Some(cause),
    };
    Node {
        name: Name::try_new(name).unwrap(),
        kind: NodeKind::Service,
        layer: 1,
        state: InstanceState::Waiting.into(),
        since: "2026-01-01T00:00:00Z".to_owned(),
        required: true,
        needs: vec![blocker.need.clone()],
        waiting_for: vec![blocker],
        stopped_by_hand: false,
        reason: detail.clone(),
        retry_in_ms: Some(1),
        pid: Some(8),
        probe: Some(probe(detail)),
        breaker: Some(breaker()),
        tool_needs: vec![ToolNeeds {
            pattern: "search_*".to_owned(),
            needs: vec!["external:store".parse().unwrap()],
        }],
        refused_tools: vec![refused_tools()],
    }
}

pub(super) fn probe(detail: Option<String>) -> Probe {
    Probe {
        kind: "tcp".to_owned(),
        outcome: Some("silent".to_owned()),
        at: Some("2026-01-01T00:00:00Z".to_owned()),
        failures: 2,
        detail,
    }
}

pub(super) fn breaker() -> CircuitBreaker {
    CircuitBreaker {
        name: Name::try_new("store").unwrap(),
        kind: NodeKind::External,
        state: "OPEN".to_owned(),
        since: "2026-01-01T00:00:00Z".to_owned(),
        enabled: true,
        failures: 5,
        failures_max: 5,
        failures_total: 7,
        recovery_ms: 60_000,
        last_error: Some("text".to_owned()),
        last_error_ago_ms: Some(1),
        next_trial_in_ms: Some(1),
        trial_under_way: false,
    }
}

pub(super) fn refused_tools() -> RefusedTools {
    RefusedTools {
        need: "external:store".parse().unwrap(),
        state: "breaker-open".to_owned(),
        since: "2026-01-01T00:00:00Z".to_owned(),
        reason: "text".to_owned(),
        retry_in_ms: Some(1),
        patterns: vec!["search_*".to_owned()],
        tools: vec!["search_all".to_owned()],
    }
}

pub(super) fn session() -> Session {
    Session {
        number: 1,
        endpoint: "/mcp".to_owned(),
        revision: "2025-11-25".to_owned(),
        user: "anonymous".to_owned(),
        age_ms: 1,
        idle_ms: 1,
        calls: 1,
        streams: 1,
    }
}

pub(super) fn server(name: &str, state: InstanceState) -> Server {
    Server {
        name: Name::try_new(name).unwrap(),
        kind: "process".to_owned(),
        target: "time-server".to_owned(),
        required: true,
        state,
        reason: None,
        last_output: Vec::new(),
        note: None,
        missing: Vec::new(),
        since: "2026-01-01T00:00:00Z".to_owned(),
        retry_in_ms: None,
        transport: None,
        revision: None,
        tools: 2,
        resources: 0,
        prompts: 0,
        restarts: 0,
        calls: 0,
        waiting: 0,
        memory_bytes: 0,
        second_revision: None,
        stray_lines: 0,
        needs: Vec::new(),
        waiting_for: Vec::new(),
        stopped_by_hand: false,
        probe: None,
        breaker: None,
        refused_tools: Vec::new(),
        instances: Vec::new(),
    }
}
